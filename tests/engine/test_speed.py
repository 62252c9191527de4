"""Presets of speed: what they do to a denoiser, what they refuse, and that Exact comes back exactly."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from torch._dynamo.testing import CompileCounter

from isengard.engine import capabilities, catalog, speed
from isengard.engine.errors import EngineError
from isengard.engine.families import pace
from isengard.engine.families.flux1 import Flux1
from isengard.engine.pipelines import Registry
from isengard.engine.sampling import Look, draw
from isengard.engine.specs import BaseModel, LoraRef

LOOK = Look(32, 32, 4, 2.5)
CACHED = replace(speed.EXACT, key="cached", cache=1e9)


@pytest.fixture
def family(tiny: BaseModel, monkeypatch: pytest.MonkeyPatch) -> Flux1:
    monkeypatch.setattr(pace, "BACKEND", "eager")
    return Flux1(tiny, torch.device("cpu"), torch.float32)


def drawn(family: Flux1, seed: int = 3, look: Look = LOOK) -> torch.Tensor:
    embeds, empty = (family.encode_prompts([text]) for text in ("a photo", ""))
    return draw(family, embeds, empty, seeds=[seed], look=look)


def calls_of_the_last_block(family: Flux1) -> Callable[[], int]:
    """How often the last block computed anything since."""
    count = [0]
    block = family.transformer.single_transformer_blocks[-1]
    block.proj_out.register_forward_hook(lambda *_: count.__setitem__(0, count[0] + 1))
    return lambda: count[0]


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> CompileCounter:
    """Counts what is compiled, and runs it as it is."""
    torch._dynamo.reset()
    monkeypatch.setattr(pace, "BACKEND", counter := CompileCounter())
    return counter


@pytest.mark.integration
def test_other_loras_strengths_and_sizes_compile_nothing_again(
    tiny: BaseModel, programs: CompileCounter, loras: tuple[LoraRef, LoraRef]
) -> None:
    (first, second), registry = loras, Registry("cpu")
    family: Any = registry.use(tiny)
    registry.hasten(speed.get("fast"))
    for worn, side in (((), 32), ((first,), 32), ((first,), 48)):
        registry.wear(worn)
        drawn(family, look=replace(LOOK, width=side))
    before = programs.frame_count
    for again, side in (((second,), 32), ((replace(first, strength=0.3),), 64), (loras, 80), ((), 48)):
        registry.wear(again)
        drawn(family, look=replace(LOOK, height=side))
    assert before == 6 and programs.frame_count == before


@pytest.mark.integration
def test_beyond_the_limit_blocks_are_compiled_anew(
    family: Flux1, programs: CompileCounter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "PROGRAMS", 1)
    plain = drawn(family, look=replace(LOOK, width=48))
    family.hasten(speed.get("fast"))
    drawn(family)
    before = programs.frame_count
    assert torch.allclose(drawn(family, look=replace(LOOK, width=48)), plain, atol=1e-4)
    assert before == 2 and programs.frame_count == 4


def test_a_step_cache_computes_only_the_first_step_when_all_are_alike(family: Flux1) -> None:
    computed = calls_of_the_last_block(family)
    family.hasten(CACHED)
    drawn(family)
    assert computed() == 1


def test_a_step_cache_takes_nothing_over_from_another_picture(family: Flux1) -> None:
    family.hasten(CACHED)
    first = drawn(family, seed=3)
    drawn(family, seed=4)
    assert torch.equal(drawn(family, seed=3), first)


def test_a_step_cache_computes_each_step_of_a_sampler_that_looks_twice(family: Flux1) -> None:
    computed = calls_of_the_last_block(family)
    family.hasten(CACHED)
    drawn(family, look=replace(LOOK, sampler="heun"))
    assert computed() == LOOK.steps


def test_a_step_cache_takes_nothing_over_from_another_size(family: Flux1) -> None:
    family.hasten(CACHED)
    drawn(family)
    wide = drawn(family, look=replace(LOOK, width=48))
    family.hasten(speed.EXACT)
    family.hasten(CACHED)
    assert torch.equal(drawn(family, look=replace(LOOK, width=48)), wide)


def test_draft_loses_something(family: Flux1) -> None:
    plain = drawn(family)
    family.hasten(CACHED)
    assert not torch.equal(drawn(family), plain)


def test_exact_again_is_exactly_as_before(family: Flux1) -> None:
    plain = drawn(family)
    for key in ("fast", "draft", "exact"):
        family.hasten(speed.get(key))
    assert torch.equal(drawn(family), plain)


def machine(device: str) -> capabilities.Capabilities:
    return replace(capabilities.probe(), device=device)


@pytest.mark.parametrize("key", ["fast", "draft"])
def test_only_a_large_base_on_a_gpu_can_be_hurried(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "_has_compiler", lambda: True)
    assert "Pocket" in speed.why_not(key, catalog.get("pocket"), machine("cuda"))
    assert "GPU" in speed.why_not(key, catalog.get("flux-dev"), machine("cpu"))
    assert speed.why_not(key, catalog.get("flux-dev"), machine("cuda")) == ""


@pytest.mark.parametrize("missing", ["gcc", "Python.h"])
def test_without_a_compiler_nothing_is_called_fast(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, missing: str
) -> None:
    monkeypatch.delenv("CC", raising=False)
    for name in {"gcc", "Python.h"} - {missing}:
        (tmp_path / name).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(speed.sysconfig, "get_path", lambda _: str(tmp_path))
    assert speed.why_not("fast", catalog.get("flux-dev"), machine("cuda")) == speed.NO_COMPILER


def test_exact_is_possible_everywhere() -> None:
    assert speed.why_not("exact", catalog.get("pocket"), machine("cpu")) == ""


def test_an_unknown_speed_is_a_sentence() -> None:
    with pytest.raises(EngineError, match="exact, fast, draft"):
        speed.get("warp")


def test_speeds_are_offered_for_flux_and_not_for_pocket() -> None:
    offered = {param.name: param for param in catalog.generation_params("flux-dev")}
    assert offered["speed"].choices == tuple(speed.SPEEDS)
    assert "speed" not in {param.name for param in catalog.generation_params("pocket")}


def test_the_facts_of_speed_need_no_torch() -> None:
    assert "import torch" not in Path(speed.__file__).read_text()

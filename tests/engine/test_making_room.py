"""What is in memory at once while a prompt is read and a picture drawn, on a toy device of so many bytes."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from PIL import Image

from isengard.engine import catalog, memory, plan, recipe
from isengard.engine.families.flux1 import Flux1
from isengard.engine.pipelines import Registry
from isengard.engine.sampling import generate
from isengard.engine.specs import BaseModel, GenerateSpec, LoraRef
from tests.engine.conftest import Events

pytestmark = pytest.mark.integration
Draw = Callable[..., GenerateSpec]


class Device:
    """Counts what a registry holds there: now, and at most."""

    def __init__(self, where: str = "cpu") -> None:
        self.registry, self.size, self.most, self.loaded = Registry(where), 0, 0, list[str]()

    def held(self) -> int:
        parts = self.registry._require()._parts.values()  # type: ignore[attr-defined]
        return sum(
            tensor.nbytes for part in parts if hasattr(part, "state_dict") for tensor in part.state_dict().values()
        )

    def room(self, device: torch.device) -> int:
        return self.size - self.held()

    def draw(self, spec: GenerateSpec) -> bytes:
        return Image.open(generate(spec, Events(), lambda: False, self.registry)["outputs"][0]["path"]).tobytes()

    def has(self) -> list[bool]:
        return [self.registry._require().has(part) for part in ("text", "transformer")]


@pytest.fixture
def sizes(tiny: BaseModel, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Of a base that counts as large, where drawing itself takes nothing."""
    monkeypatch.setattr(memory, "is_small", lambda folder: False)
    monkeypatch.setattr(plan, "_widest_moment", lambda *_: 0)
    geometry = plan.geometry(catalog.get("pocket"), Path(tiny.path))
    return plan.drawing_parts(geometry, {"precision": "bf16"})


@pytest.fixture
def make(sizes: dict[str, int], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Device]:
    def make(size: int, where: str = "cpu") -> Device:
        device, real = Device(where), Flux1._load
        device.size = size

        def load(self: Flux1, kind: Any, folder: str, **how: Any) -> Any:
            found = real(self, kind, folder, **how)
            extra = sum(tensor.nbytes for tensor in found.state_dict().values()) if hasattr(found, "state_dict") else 0
            device.most = max(device.most, extra + (device.held() if device.registry._family else 0))
            device.loaded.append(folder)
            return found

        monkeypatch.setattr(Flux1, "_load", load)
        monkeypatch.setattr(memory, "room", device.room)
        return device

    return make


def short(sizes: dict[str, int]) -> int:
    """Enough for the denoiser with two LoRAs and for drawing, not for the encoders beside them."""
    return sizes["transformer"] + sizes["work"] + 2 * sizes["text"] // 3


def test_encoders_are_gone_before_the_denoiser_comes(make: Any, sizes: dict[str, int], generate_spec: Draw) -> None:
    device = make(short(sizes))
    device.draw(generate_spec())
    assert device.most <= device.size and device.has() == [False, True]
    assert device.loaded.index("text_encoder_2") < device.loaded.index("transformer")


def test_with_room_enough_everything_stays(make: Any, sizes: dict[str, int], generate_spec: Draw) -> None:
    device = make(3 * sum(sizes.values()))
    device.draw(generate_spec())
    assert device.has() == [True, True]


def test_a_new_prompt_finds_room_beside_a_warm_denoiser_and_changes_no_bit(
    make: Any, sizes: dict[str, int], generate_spec: Draw, loras: tuple[LoraRef, LoraRef], tmp_path: Path
) -> None:
    drawn = []
    for name, size in (("short", short(sizes)), ("plenty", 3 * sum(sizes.values()))):
        device = make(size)
        for words in ("at first", "and then"):
            spec = generate_spec(f"{name}, {words}", loras=loras, prompt=words)
            last = device.draw(replace(spec, cache_dir=str(tmp_path / name)))
        drawn.append(last)
        assert device.most <= device.size
    assert drawn[0] == drawn[1]


def test_a_known_prompt_moves_nothing(make: Any, sizes: dict[str, int], generate_spec: Draw) -> None:
    device = make(short(sizes))
    device.draw(generate_spec())
    device.loaded.clear()
    device.draw(generate_spec("again"))
    assert device.loaded == []


def test_a_denoiser_waits_in_main_memory_where_there_is_room(
    make: Any, sizes: dict[str, int], generate_spec: Draw, loras: tuple[LoraRef, LoraRef], monkeypatch: Any
) -> None:
    """cpu:0 stands for a GPU: another device than the main memory's cpu, with the same numbers."""
    device, moved, real = make(3 * sum(sizes.values()), "cpu:0"), [], Flux1.move
    monkeypatch.setattr(Flux1, "move", lambda self, *to: (moved.append((self.has("text"), to[1])), real(self, *to)))
    first = device.draw(generate_spec("one", loras=loras))
    device.registry._require().free("text")
    monkeypatch.setattr(memory, "room", lambda where: 10**9 if where == torch.device("cpu") else 0)
    device.draw(generate_spec("two", loras=loras, prompt="another"))
    assert moved == [(False, torch.device("cpu")), (False, torch.device("cpu:0"))]
    assert device.loaded.count("transformer") == 1 and device.draw(generate_spec("three", loras=loras)) == first


@pytest.mark.parametrize(("free", "wish", "kept"), [(1, "auto", "int8"), (10**9, "auto", "none"), (1, "none", "none")])
def test_a_base_that_does_not_fit_whole_is_kept_in_8_bits_and_the_recipe_says_so(
    make: Any, generate_spec: Draw, monkeypatch: pytest.MonkeyPatch, free: int, wish: str, kept: str
) -> None:
    monkeypatch.setattr(memory, "_at_most", lambda device: free)
    spec = generate_spec(quantize=wish)
    make(10**9).draw(spec)
    assert (recipe.read_png(Path(spec.out_dir) / "00.png") or {})["quantize"] == kept

"""The one sampling path: equal to diffusers' pipeline, equal in previews and Generate, equal once a LoRA is off."""

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from diffusers import FluxPipeline
from PIL import Image

from isengard.engine import catalog, pipelines, recipe, rundir, sampling
from isengard.engine.errors import EngineError
from isengard.engine.families.flux1 import Flux1
from isengard.engine.pipelines import Registry
from isengard.engine.sampling import Look, draw, generate
from isengard.engine.specs import BaseModel, GenerateSpec, LoraRef, TrainSpec
from isengard.engine.trainer import loop
from tests.engine.conftest import Events
from tests.engine.tiny import build_tiny

Draw = Callable[..., GenerateSpec]
Train = Callable[..., TrainSpec]


def go_on() -> bool:
    return False


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry("cpu")


@pytest.fixture
def lora(train_spec: Train) -> LoraRef:
    result = loop.train(train_spec("trained", steps=3, checkpoint_every_n_steps=0), Events(), go_on)
    return LoraRef(result["path"], result["sha256"], 1.0)


def pixels(spec: GenerateSpec, registry: Registry) -> bytes:
    result = generate(spec, Events(), go_on, registry)
    return Image.open(result["outputs"][0]["path"]).tobytes()


def reference(base: BaseModel, **call: Any) -> torch.Tensor:
    pipeline = FluxPipeline.from_pretrained(base.path, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    size = {"height": 32, "width": 48, "num_inference_steps": 3, "max_sequence_length": 32, "output_type": "pt"}
    return pipeline("a photo", generator=torch.Generator().manual_seed(5), **size, **call).images[0]


def ours(base: BaseModel, guidance: float, negative: str = "") -> torch.Tensor:
    family = Flux1(base, torch.device("cpu"), torch.float32)
    embeds, without = (family.encode_prompts([text]) for text in ("a photo", negative))
    latents = draw(family, embeds, without, seeds=[5], look=Look(48, 32, 3, guidance))
    return (family.decode(latents)[0] / 2 + 0.5).clamp(0, 1)


def test_embedded_guidance_draws_exactly_what_diffusers_draws(tmp_path: Path) -> None:
    base = build_tiny(tmp_path / "dev", guidance="embedded")
    (tmp_path / "dev" / "pocket.json").write_text('{"max_sequence_length": 32}')
    assert torch.equal(ours(base, 3.5), reference(base, guidance_scale=3.5))


def test_a_base_without_a_guidance_input_draws_exactly_what_diffusers_draws(tmp_path: Path) -> None:
    base = build_tiny(tmp_path / "schnell", guidance="none")
    assert torch.equal(ours(base, 1.0), reference(base, guidance_scale=0.0))


def test_true_guidance_draws_what_diffusers_draws(tiny: BaseModel) -> None:
    call = {"guidance_scale": 1.0, "true_cfg_scale": 2.5, "negative_prompt": "blurry"}
    assert torch.allclose(ours(tiny, 2.5, "blurry"), reference(tiny, **call), atol=1e-5)


def test_the_same_seed_gives_the_same_picture(generate_spec: Draw, registry: Registry) -> None:
    assert pixels(generate_spec("a"), registry) == pixels(generate_spec("b"), registry)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seeds", (2,)),
        ("prompt", "a dog"),
        ("negative_prompt", "a dog"),
        ("steps", 4),
        ("guidance_scale", 1.0),
        ("width", 40),
        ("height", 40),
    ],
)
def test_every_parameter_changes_the_picture(generate_spec: Draw, registry: Registry, name: str, value: Any) -> None:
    assert pixels(generate_spec("a"), registry) != pixels(generate_spec("b", **{name: value}), registry)


def test_a_preview_in_training_is_the_picture_that_generate_draws(
    train_spec: Train, generate_spec: Draw, registry: Registry
) -> None:
    spec = train_spec()
    result = loop.train(spec, Events(), go_on)
    preview = Image.open(rundir.sample(Path(spec.run_dir), 6, 0))
    look = sampling.usual_look("pocket")
    size = {"width": look.width, "height": look.height, "steps": look.steps, "guidance_scale": look.guidance}
    lora = LoraRef(result["path"], result["sha256"], 1.0)
    assert pixels(generate_spec(seeds=(7,), loras=(lora,), **size), registry) == preview.tobytes()


def test_taking_a_lora_off_gives_exactly_the_base(generate_spec: Draw, lora: LoraRef, registry: Registry) -> None:
    before = pixels(generate_spec("before"), registry)
    worn = pixels(generate_spec("worn", loras=(lora,)), registry)
    assert worn != before
    assert pixels(generate_spec("after"), registry) == before


def test_a_strength_of_zero_gives_exactly_the_base(generate_spec: Draw, lora: LoraRef, registry: Registry) -> None:
    off = LoraRef(lora.path, lora.sha256, 0.0)
    assert pixels(generate_spec("off", loras=(off,)), registry) == pixels(generate_spec("base"), registry)


def test_strength_counts(generate_spec: Draw, lora: LoraRef, registry: Registry) -> None:
    half = LoraRef(lora.path, lora.sha256, 0.5)
    assert pixels(generate_spec("half", loras=(half,)), registry) != pixels(
        generate_spec("full", loras=(lora,)), registry
    )


def test_changing_the_lora_reloads_neither_base_nor_encoders(
    generate_spec: Draw, lora: LoraRef, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels(generate_spec(), registry)
    monkeypatch.setattr(Flux1, "_load", lambda *given, **named: pytest.fail("loaded again"))
    monkeypatch.setattr(Flux1, "encode_prompts", lambda *given: pytest.fail("encoded again"))
    pixels(generate_spec("again", loras=(lora,)), registry)


def test_only_a_few_loras_stay_warm(lora: LoraRef, tiny: BaseModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipelines, "WARM_LORAS", 2)
    registry = Registry("cpu")
    family = registry.use(tiny)
    for name in "abcd":
        registry.wear((LoraRef(lora.path, name * 64, 1.0),))
    assert len(family.transformer.peft_config) == 2


def test_two_loras_act_together(generate_spec: Draw, lora: LoraRef, registry: Registry) -> None:
    twin = LoraRef(lora.path, "c" * 64, 0.5)
    assert pixels(generate_spec("one", loras=(lora,)), registry) != pixels(
        generate_spec("two", loras=(lora, twin)), registry
    )


def test_a_lora_of_a_wider_base_is_refused_with_a_sentence(
    train_spec: Train, generate_spec: Draw, registry: Registry, tmp_path: Path
) -> None:
    wide = build_tiny(tmp_path / "wide", heads=4)
    made = loop.train(train_spec("wide", base=wide, steps=1, prompts=()), Events(), go_on)
    with pytest.raises(EngineError, match="32 wide") as caught:
        pixels(generate_spec(loras=(LoraRef(made["path"], made["sha256"], 1.0),)), registry)
    assert caught.value.code == "lora_other_base"


def test_pictures_are_announced_one_by_one_and_kept_when_a_later_one_fails(
    generate_spec: Draw, registry: Registry, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling, "picture", _failing_at(2, sampling.picture))
    with pytest.raises(EngineError, match="not enough memory"):
        generate(generate_spec(seeds=(1, 2, 3)), events, go_on, registry)
    assert [Path(event["path"]).name for event in events.of("output")] == ["00.png"]
    assert Path(events.of("output")[0]["path"]).is_file()


def test_a_full_disk_is_a_sentence(
    generate_spec: Draw, registry: Registry, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*given: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sampling, "save_png", full)
    with pytest.raises(EngineError, match="disk is full"):
        generate(generate_spec(), events, go_on, registry)


def _failing_at(call: int, real: Callable[..., Any]) -> Callable[..., Any]:
    calls = iter(range(1, 100))

    def picture(*given: Any) -> Any:
        if next(calls) == call:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(*given)

    return picture


def test_a_picture_of_no_numbers_is_left_out_and_told(
    generate_spec: Draw, registry: Registry, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = sampling.draw
    ruined = lambda *given, **named: real(*given, **named) * (float("nan") if named["seeds"] == [1] else 1)  # noqa: E731
    monkeypatch.setattr(sampling, "draw", ruined)
    result = generate(generate_spec(seeds=(1, 2)), events, go_on, registry)
    assert [output["seed"] for output in result["outputs"]] == [2]
    assert events.of("log")[0]["event"] == "picture_not_finite"


def test_told_to_stop_it_leaves_between_two_steps(generate_spec: Draw, registry: Registry, events: Events) -> None:
    spec = generate_spec(seeds=tuple(range(50)), steps=8)
    result = generate(spec, events, lambda: bool(events.of("output")), registry)
    assert result["stopped"]
    assert 1 <= len(result["outputs"]) < 50


def test_progress_counts_the_steps_of_all_pictures(generate_spec: Draw, registry: Registry, events: Events) -> None:
    generate(generate_spec(seeds=(1, 2)), events, go_on, registry)
    assert events.of("progress")[-1] == {"type": "progress", "step": 6, "total": 6}


def test_a_preview_appears_while_it_denoises(generate_spec: Draw, registry: Registry, events: Events) -> None:
    generate(generate_spec(preview=True), events, go_on, registry)
    shown = events.of("preview")[0]
    assert Image.open(shown["path"]).format == "JPEG"


def test_a_png_carries_its_recipe(generate_spec: Draw, lora: LoraRef, registry: Registry) -> None:
    spec = generate_spec(loras=(lora,))
    generate(spec, Events(), go_on, registry)
    read = recipe.read_png(Path(spec.out_dir) / "00.png")
    assert read is not None
    assert (read["prompt"], read["seed"], read["loras"][0]["sha256"]) == (spec.prompt, 1, lora.sha256)


def test_no_path_of_this_machine_is_in_the_picture(generate_spec: Draw, registry: Registry) -> None:
    spec = generate_spec()
    generate(spec, Events(), go_on, registry)
    assert spec.out_dir.encode() not in (Path(spec.out_dir) / "00.png").read_bytes()


def test_a_size_between_the_models_cells_is_refused(generate_spec: Draw, registry: Registry) -> None:
    with pytest.raises(EngineError, match="multiples of 8"):
        pixels(generate_spec(width=33), registry)


def test_a_bf16_base_draws_with_a_bf16_lora(train_spec: Train, generate_spec: Draw) -> None:
    result = loop.train(train_spec("half", precision="bf16"), Events(), go_on)
    registry, lora = Registry("cpu"), LoraRef(result["path"], result["sha256"], 1.0)
    plain = pixels(generate_spec("plain", precision="bf16"), registry)
    assert pixels(generate_spec("worn", precision="bf16", loras=(lora,)), registry) != plain


def test_pocket_draws_a_picture(generate_spec: Draw) -> None:
    pocket = BaseModel("pocket", "flux1", str(catalog.POCKET))
    spec = generate_spec(base=pocket, width=64, height=64, steps=2)
    result = generate(spec, Events(), go_on, Registry("cpu"))
    assert Image.open(result["outputs"][0]["path"]).size == (64, 64)

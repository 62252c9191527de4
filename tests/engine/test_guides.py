"""ControlNet and IP-Adapter: as diffusers draws with them, every knob read, the base unchanged afterwards."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from diffusers import FluxControlNetModel, FluxControlNetPipeline, FluxPipeline
from diffusers.pipelines.flux import pipeline_flux_controlnet
from PIL import Image

from isengard.engine import recipe, sampling
from isengard.engine.errors import EngineError
from isengard.engine.families.flux1 import Flux1
from isengard.engine.guides.worn import guides
from isengard.engine.pipelines import Registry
from isengard.engine.sampling import Look, draw
from isengard.engine.specs import BaseModel, GenerateSpec
from tests.engine import guides as toys
from tests.engine.conftest import Events
from tests.engine.tiny import build_tiny

SIZE, STEPS = (32, 32), 3
USUAL = {
    "control_kind": "canny",
    "control_prepared": True,
    "control_strength": 0.7,
    "control_start": 0.0,
    "control_end": 1.0,
    "reference_strength": 0.6,
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> BaseModel:
    """A tiny base with embedded guidance, as FLUX.1-dev has it."""
    folder = tmp_path_factory.mktemp("dev")
    base = build_tiny(folder, guidance="embedded")
    toys.embedded(folder)
    return base


@pytest.fixture(scope="module")
def registry(base: BaseModel) -> Iterator[Registry]:
    registry = Registry("cpu")
    registry.use(base)
    yield registry
    registry.close()


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("given") / "photo.png"
    image = Image.radial_gradient("L").resize(SIZE).convert("RGB")
    image.paste((255, 0, 0), (4, 4, 14, 20))
    image.save(path)
    return path


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toys.controlnet(tmp_path_factory.mktemp("nets") / "canny")


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toys.adapter(tmp_path_factory.mktemp("adapters") / "ip")


def drawn(
    registry: Registry, base: BaseModel, inputs: dict[str, Any], seeds: tuple[int, ...] = (5,), **how: Any
) -> Any:
    family = registry.use(base)
    embeds, empty = (family.encode_prompts([text]) for text in ("a photo", ""))
    given, look = {name: str(value) for name, value in inputs.items()}, Look(*SIZE, STEPS, 3.5)
    with guides(family, given, {**USUAL, **how}, registry.keep) as guide:
        return draw(family, embeds, empty, seeds=seeds, look=look, guide=guide)


def pixels(registry: Registry, base: BaseModel, latents: torch.Tensor) -> torch.Tensor:
    return (registry.use(base).decode(latents)[0] / 2 + 0.5).clamp(0, 1)


CALL = {"height": 32, "width": 32, "num_inference_steps": STEPS, "max_sequence_length": 32, "output_type": "pt"}


def controlled(base: BaseModel, net: Path, picture: Path, **call: Any) -> torch.Tensor:
    """What diffusers draws; the control picture's latents are the mean, as ours are, and not a random draw."""
    pipeline = FluxControlNetPipeline.from_pretrained(base.path, controlnet=FluxControlNetModel.from_pretrained(net))
    pipeline.set_progress_bar_config(disable=True)
    shown, generator = Image.open(picture), torch.Generator().manual_seed(5)
    options = {**CALL, "controlnet_conditioning_scale": 0.7, "guidance_scale": 3.5, **call}
    return pipeline("a photo", control_image=shown, generator=generator, **options).images[0]


@pytest.fixture
def mean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline_flux_controlnet, "retrieve_latents", lambda found, generator: found.latent_dist.mode())


@pytest.mark.usefixtures("mean")
@pytest.mark.parametrize(
    ("form", "call"),
    [({}, {}), ({"modes": 5}, {"control_mode": 0}), ({"pixels": True}, {}), ({"guidance": False}, {})],
    ids=["latents", "union", "pixels", "no guidance input"],
)
def test_a_controlnet_steers_as_in_diffusers(
    registry: Registry, base: BaseModel, picture: Path, tmp_path: Path, form: Any, call: Any
) -> None:
    net = toys.controlnet(tmp_path / "canny", **form)
    ours = pixels(registry, base, drawn(registry, base, {"control": picture, "control_net": net}))
    assert torch.allclose(ours, controlled(base, net, picture, **call), atol=1e-5)


def test_a_reference_steers_as_in_diffusers(registry: Registry, base: BaseModel, picture: Path, adapter: Path) -> None:
    pipeline = FluxPipeline.from_pretrained(base.path)
    pipeline.set_progress_bar_config(disable=True)
    encoder = {"image_encoder_pretrained_model_name_or_path": str(adapter / "image_encoder")}
    options = {"weight_name": "ip_adapter.safetensors", "image_encoder_dtype": torch.float32}
    pipeline.load_ip_adapter(str(adapter), **options, **encoder)
    pipeline.set_ip_adapter_scale(0.6)
    shown, generator = Image.open(picture), torch.Generator().manual_seed(5)
    theirs = pipeline("a photo", ip_adapter_image=shown, generator=generator, guidance_scale=3.5, **CALL).images[0]
    ours = pixels(registry, base, drawn(registry, base, {"reference": picture, "reference_net": adapter}))
    assert torch.allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize(
    "change",
    [{"control_prepared": False}, {"control_strength": 0.2}, {"control_start": 0.5}, {"control_end": 0.5}],
    ids=str,
)
def test_every_knob_of_a_controlnet_changes_the_picture(
    registry: Registry, base: BaseModel, picture: Path, net: Path, change: Any
) -> None:
    given = {"control": picture, "control_net": net}
    assert not torch.equal(drawn(registry, base, given), drawn(registry, base, given, **change))


def test_the_kind_is_told_to_a_union(registry: Registry, base: BaseModel, picture: Path, tmp_path: Path) -> None:
    given = {"control": picture, "control_net": toys.controlnet(tmp_path / "union", modes=5)}
    edges = drawn(registry, base, given, control_kind="canny")
    assert not torch.equal(edges, drawn(registry, base, given, control_kind="pose"))


def test_the_strength_of_a_reference_counts(registry: Registry, base: BaseModel, picture: Path, adapter: Path) -> None:
    given = {"reference": picture, "reference_net": adapter}
    assert not torch.equal(drawn(registry, base, given), drawn(registry, base, given, reference_strength=1.2))


def test_guides_leave_the_base_as_it_was(
    registry: Registry, base: BaseModel, picture: Path, net: Path, adapter: Path
) -> None:
    before = drawn(registry, base, {})
    both = {"control": picture, "control_net": net, "reference": picture, "reference_net": adapter}
    assert not torch.equal(drawn(registry, base, both), before)
    assert torch.equal(drawn(registry, base, {}), before)


def test_two_pictures_at_once_are_both_steered(
    registry: Registry, base: BaseModel, picture: Path, net: Path, adapter: Path
) -> None:
    both = {"control": picture, "control_net": net, "reference": picture, "reference_net": adapter}
    pair = drawn(registry, base, both, seeds=(5, 6))
    assert torch.allclose(pair[:1], drawn(registry, base, both), atol=1e-5)


def test_true_guidance_takes_guides_too(tiny: BaseModel, picture: Path, net: Path, adapter: Path) -> None:
    registry = Registry("cpu")
    both = {"control": picture, "control_net": net, "reference": picture, "reference_net": adapter}
    assert not torch.equal(drawn(registry, tiny, both), drawn(registry, tiny, {}))


def test_a_controlnet_stays_warm(
    registry: Registry, base: BaseModel, picture: Path, net: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn(registry, base, {"control": picture, "control_net": net})
    monkeypatch.setattr(FluxControlNetModel, "from_pretrained", lambda *given, **named: pytest.fail("loaded again"))
    drawn(registry, base, {"control": picture, "control_net": net})


@pytest.mark.parametrize("kind", ["depth", "pose"])
def test_depth_and_pose_are_found_by_their_models(
    registry: Registry, base: BaseModel, picture: Path, net: Path, tmp_path: Path, kind: str
) -> None:
    given = {"control": picture, "control_net": net, "control_maker": getattr(toys, kind)(tmp_path / kind)}
    found = drawn(registry, base, given, control_kind=kind, control_prepared=False)
    assert not torch.equal(found, drawn(registry, base, given, control_kind=kind))


@pytest.mark.parametrize("name", ["control", "reference"])
def test_a_broken_picture_is_a_sentence(
    registry: Registry, base: BaseModel, net: Path, adapter: Path, tmp_path: Path, name: str
) -> None:
    (tmp_path / "x.png").write_bytes(b"\x89PNG\r\n\x1a\nnot a picture")
    with pytest.raises(EngineError, match="cannot be read"):
        drawn(registry, base, {name: tmp_path / "x.png", "control_net": net, "reference_net": adapter})


@pytest.mark.parametrize("name", ["control", "reference"])
def test_a_broken_model_is_a_sentence_and_leaves_the_base_as_it_was(
    registry: Registry, base: BaseModel, picture: Path, tmp_path: Path, name: str
) -> None:
    before, model = (
        drawn(registry, base, {}),
        getattr(toys, {"control": "controlnet"}.get(name, "adapter"))(tmp_path / "m"),
    )
    for path in model.glob("*.safetensors"):
        path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(EngineError, match="Put it there again"):
        drawn(registry, base, {name: picture, f"{name}_net": model})
    assert torch.equal(drawn(registry, base, {}), before)


def test_a_family_packs_latents_as_its_denoiser_reads_them(base: BaseModel) -> None:
    packed = Flux1(base, torch.device("cpu"), torch.float32).pack(torch.arange(16.0).reshape(1, 1, 4, 4))
    assert packed[0, 0].tolist() == [0, 1, 4, 5]


def test_a_job_draws_with_its_guides_and_says_so_in_the_recipe(
    registry: Registry, base: BaseModel, picture: Path, net: Path, tmp_path: Path
) -> None:
    params = {**USUAL, "width": 32, "height": 32, "steps": STEPS, "guidance_scale": 3.5}
    spec = GenerateSpec("gen-1", base, str(tmp_path), str(tmp_path / "cache"), "a photo", (5,), params, preview=False)
    inputs = {"control": str(picture), "control_net": str(net)}
    plain = sampling.generate(spec, Events(), lambda: False, registry)["outputs"][0]["path"]
    before = Image.open(plain).tobytes()
    made = sampling.generate(replace(spec, inputs=inputs), Events(), lambda: False, registry)["outputs"][0]["path"]
    assert Image.open(made).tobytes() != before
    told = recipe.read_png(Path(made))
    assert told is not None and told["guides"]["control"]["model"] == "canny"
    assert str(tmp_path) not in str(told)

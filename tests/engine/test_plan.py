"""The plan's formulas against published figures, against what torch keeps; the order in which things give way."""

import math
from dataclasses import replace
from typing import Any

import pytest

from isengard.engine import catalog, plan
from isengard.engine.plan import GIB, Fit, Machine

FLUX, POCKET = catalog.get("flux-dev"), catalog.get("pocket")
SHAPE = plan.flux1(FLUX)
EVERY = frozenset({"precision", "quantize", "resolution"})


def params(base: str = "flux-dev", **changes: Any) -> plan.Params:
    return {**{param.name: param.default for param in catalog.training_params(base)}, **changes}


def gpu(gigabytes: float, **facts: Any) -> Machine:
    return Machine("cuda", "NVIDIA Test", int(gigabytes * GIB), 64 * GIB, **facts)


def fitted(gigabytes: float, may: frozenset[str] = EVERY, **changes: Any) -> Fit:
    return plan.fit(FLUX, SHAPE, params(**changes), gpu(gigabytes), may=may)


def test_the_lora_of_flux_has_its_published_size() -> None:
    assert plan.lora_parameters(SHAPE, params(lora_rank=16)) == pytest.approx(65.4e6, rel=1e-3)


@pytest.mark.parametrize(("side", "once", "twice"), [(512, 44.7, 66.2), (768, 89.5, 131.5), (1024, 163.9, 238.4)])
def test_a_step_of_flux_costs_its_published_operations(side: int, once: float, twice: float) -> None:
    found = [plan.step_flops(SHAPE, params(resolution=side), recompute=recompute) / 1e12 for recompute in (False, True)]
    assert found == pytest.approx([once, twice], rel=0.01)


@pytest.mark.parametrize(
    ("changes", "recompute", "least", "most"),
    [({"resolution": 512}, True, 24, 30), ({"resolution": 512, "quantize": "int8"}, True, 13, 18)],
)
def test_flux_needs_what_others_measured(changes: Any, recompute: bool, least: float, most: float) -> None:
    assert least < plan.device_bytes(SHAPE, params(**changes), recompute=recompute) / GIB < most


def test_a_folder_is_counted_from_its_headers() -> None:
    from safetensors import safe_open

    with safe_open(catalog.POCKET / "transformer" / "diffusion_pytorch_model.safetensors", "np") as file:
        whole = sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118  not a dict
    assert plan.geometry(POCKET, catalog.POCKET).denoiser == whole


@pytest.mark.parametrize("layers", ["attention", "blocks"])
def test_a_batch_keeps_what_the_formula_says(layers: str) -> None:
    shape, asked = plan.geometry(POCKET, catalog.POCKET), params("pocket", lora_layers=layers)
    predicted = plan.activation_bytes(shape, asked, recompute=False)
    assert kept_by_torch(asked, recompute=False) == pytest.approx(predicted, rel=0.1)


def test_recomputing_keeps_the_inputs_of_the_blocks() -> None:
    shape, asked = plan.geometry(POCKET, catalog.POCKET), params("pocket")
    inputs = shape.blocks * 4 * shape.width * shape.tokens(asked["resolution"]) * asked["batch_size"]
    kept = kept_by_torch(asked, recompute=True)
    assert inputs <= kept < 1.5 * inputs < plan.activation_bytes(shape, asked, recompute=True)


def kept_by_torch(asked: plan.Params, *, recompute: bool) -> int:
    """Bytes that autograd saves for one batch on Pocket, weights left out."""
    import torch

    from isengard.engine import families
    from isengard.engine.specs import BaseModel
    from isengard.engine.trainer.lora import Lora

    torch.set_num_threads(1)
    base = BaseModel("pocket", "flux1", str(catalog.POCKET))
    family = families.load(base, torch.device("cpu"), torch.float32)
    Lora(family, asked["lora_rank"], 0, layers=asked["lora_layers"])
    if recompute:
        family.transformer.enable_gradient_checkpointing()
    own = {weight.untyped_storage().data_ptr() for weight in family.transformer.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if (place := tensor.untyped_storage().data_ptr()) not in own:
            kept[place] = tensor
        return tensor

    side = asked["resolution"] // 4
    embeds = {"prompt": torch.zeros(2, POCKET.max_sequence_length, 128), "pooled": torch.zeros(2, 128)}
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        family.predict(torch.randn(2, 16, side, side), torch.rand(2), embeds, 1.0)
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


@pytest.mark.parametrize("name", ["adamw", "adamw8bit", "prodigy", "adafactor"])
def test_an_optimizer_keeps_what_the_formula_says(name: str) -> None:
    import torch

    from isengard.engine.trainer import optimizers

    weights = [torch.nn.Parameter(torch.randn(shape)) for shape in [(16, 768), (768, 16)]]
    optimizer = optimizers.make(name, weights, 1e-3, 0.0)
    for weight in weights:
        weight.grad = torch.randn_like(weight)
    optimizer.step()
    state = [value for slots in optimizer.state.values() for value in slots.values()]
    found = sum(value.nbytes for value in state if isinstance(value, torch.Tensor)) / (2 * 16 * 768)
    assert found == pytest.approx(plan.optimizer_bytes({"optimizer": name, "lora_rank": 16}), rel=0.2, abs=0.2)


@pytest.mark.parametrize(
    ("gigabytes", "chosen"),
    [(80, (1024, "none", False)), (48, (1024, "none", True)), (24, (1024, "int8", True))],
)
def test_what_gives_way_is_speed_then_whole_weights(gigabytes: int, chosen: tuple[Any, ...]) -> None:
    found = fitted(gigabytes)
    assert found.fits and (found.params["resolution"], found.params["quantize"], found.recompute) == chosen


def test_the_size_of_the_pictures_gives_way_last() -> None:
    found = fitted(20, batch_size=4)
    assert found.fits and found.params["resolution"] == 768 and found.params["quantize"] == "int8"


def test_what_somebody_chose_is_not_changed() -> None:
    found = fitted(24, may=frozenset())
    assert not found.fits and found.params == params()


def test_recomputing_by_choice_is_not_second_guessed() -> None:
    assert fitted(139, gradient_checkpointing="on").recompute
    assert not fitted(24, gradient_checkpointing="off").recompute


def test_every_decision_says_why() -> None:
    said = {decision.setting: decision.text for decision in fitted(24).decisions}
    assert set(said) == {"quantize", "gradient_checkpointing", "offload"}
    assert "whole, it would need 27 GB of 23 GB" in said["quantize"]


@pytest.mark.parametrize(("how", "least", "most"), [("none", 25, 28), ("int8", 13, 15.2)])
def test_drawing_with_flux_never_has_encoders_beside_the_denoiser(how: str, least: float, most: float) -> None:
    assert least < plan.drawing_bytes(SHAPE, {"quantize": how}) / GIB < most


def test_a_gpu_without_bf16_computes_in_fp32() -> None:
    found = plan.fit(FLUX, SHAPE, params(), gpu(139, bf16=False), may=EVERY)
    assert found.params["precision"] == "fp32" and found.decisions[0].setting == "precision"


def test_a_batch_that_cannot_fit_is_split_before_anything_else() -> None:
    advice = plan.that_would_fit(FLUX, SHAPE, params(batch_size=4), gpu(17))
    assert advice == {"batch_size": 1, "gradient_accumulation": 4, "quantize": "int8"}


def test_no_advice_is_given_where_nothing_fits() -> None:
    assert plan.that_would_fit(FLUX, SHAPE, params(), gpu(8)) is None


def test_what_earlier_trainings_took_counts() -> None:
    machine, asked = gpu(64), params(quantize="none")
    assert not plan.fit(FLUX, SHAPE, asked, machine, may=frozenset()).recompute
    assert plan.fit(FLUX, SHAPE, asked, machine, may=frozenset(), factor=1.2).recompute


def test_more_of_anything_needs_more_memory() -> None:
    least = plan.device_bytes(SHAPE, params(resolution=512), recompute=False)
    bigger: list[plan.Params] = [
        {"batch_size": 2},
        {"resolution": 768},
        {"lora_rank": 128},
        {"optimizer": "prodigy"},
        {"ema_decay": 0.99},
    ]
    for change in bigger:
        assert plan.device_bytes(SHAPE, params() | {"resolution": 512} | change, recompute=False) > least, change


def test_disk_grows_with_what_is_kept_and_drawn() -> None:
    few = plan.disk(SHAPE, params(max_checkpoints=1, sample_count=1), 10)
    many = plan.disk(SHAPE, params(max_checkpoints=4, sample_count=5), 20)
    assert many.checkpoints > few.checkpoints and many.samples > 4 * few.samples and many.cache > few.cache


def test_no_more_checkpoints_are_counted_than_are_made() -> None:
    short = params(steps=500, checkpoint_every_n_steps=250)
    kept = [plan.disk(SHAPE, {**short, "max_checkpoints": most}, 10).checkpoints for most in (2, 20)]
    assert kept[0] == kept[1]


def test_a_faster_gpu_is_guessed_to_be_faster() -> None:
    slow, fast = (
        plan.rough_seconds(SHAPE, params(), name, 15, on_gpu=True, recompute=False).step
        for name in ("NVIDIA GeForce RTX 3090", "NVIDIA H100 80GB HBM3")
    )
    assert fast < slow / 5


def test_the_least_that_is_asked_of_a_gpu_lets_the_smallest_settings_in() -> None:
    machine = replace(gpu(0), memory=plan.least_bytes(FLUX, SHAPE, params()))
    smallest = params(resolution=512, lora_rank=4)
    assert plan.fit(FLUX, SHAPE, smallest, machine, may=EVERY).fits

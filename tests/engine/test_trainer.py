"""The training loop on a tiny FLUX: what it writes, what it says, how it ends."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from PIL import Image, ImageChops
from safetensors.torch import load_file

from isengard.engine import catalog, families, lora_file, parameters, rundir
from isengard.engine.errors import EngineError
from isengard.engine.params import BadParam
from isengard.engine.specs import BaseModel, TrainSpec
from isengard.engine.trainer import loop, schedule
from isengard.engine.trainer.data import stranger
from isengard.engine.trainer.loop import Training
from tests.engine.conftest import TRAIN_PARAMS, Events

pytestmark = pytest.mark.integration

Make = Callable[..., TrainSpec]


def go_on() -> bool:
    return False


def test_a_training_ends_with_a_lora_that_loads_in_diffusers_and_changes_the_picture(
    train_spec: Make, events: Events
) -> None:
    result = loop.train(train_spec(), events, go_on)
    assert result["loads_in_diffusers"]
    assert result["effect"] > 1e-4
    assert Path(result["path"]).stat().st_size == result["size_bytes"]


def test_the_loss_falls_when_one_picture_is_learnt(train_spec: Make, events: Events) -> None:
    one = train_spec().images[:1]
    spec = train_spec(images=one, steps=60, checkpoint_every_n_steps=0, caption_dropout=0.0, batch_size=8)
    loop.train(spec, events, go_on)
    losses = [event["loss"] for event in events.of("metric")]
    assert sum(losses[-10:]) < 0.9 * sum(losses[:10])


def test_every_step_is_a_metric_with_its_learning_rate(train_spec: Make, events: Events) -> None:
    loop.train(train_spec(warmup_steps=2, learning_rate=0.01), events, go_on)
    told = [(event["step"], event["learning_rate"]) for event in events.of("metric")]
    assert told == [(1, 0.005), (2, 0.01), (3, 0.01), (4, 0.01), (5, 0.01), (6, 0.01)]


def test_previews_are_drawn_before_the_first_step_when_due_and_at_the_end(train_spec: Make, events: Events) -> None:
    loop.train(train_spec(sample_every_n_steps=4), events, go_on)
    assert [event["step"] for event in events.of("sample")] == [0, 4, 6]


def test_the_last_preview_differs_from_the_baseline(train_spec: Make, events: Events) -> None:
    loop.train(train_spec(), events, go_on)
    first, last = (Image.open(event["path"]) for event in (events.of("sample")[0], events.of("sample")[-1]))
    assert ImageChops.difference(first, last).getbbox() is not None


def test_sample_count_limits_the_previews(train_spec: Make, events: Events) -> None:
    loop.train(train_spec(prompts=("one", "two", "three"), sample_count=2), events, go_on)
    assert [event["prompt_index"] for event in events.of("sample")] == [0, 1, 0, 1]


def test_checkpoints_beyond_the_limit_and_older_states_are_deleted(train_spec: Make, events: Events) -> None:
    spec = train_spec(checkpoint_every_n_steps=2, max_checkpoints=2)
    loop.train(spec, events, go_on)
    run = Path(spec.run_dir)
    assert [rundir.step_of(path) for path in rundir.checkpoints(run)] == [4, 6]
    assert [rundir.step_of(path) for path in rundir.states(run)] == [6]


def test_a_second_training_takes_pictures_and_captions_from_the_cache(train_spec: Make, events: Events) -> None:
    loop.train(train_spec("first"), Events(), go_on)
    loop.train(train_spec("second"), events, go_on)
    ready = next(event for event in events.of("log") if event["event"] == "dataset_ready")
    assert ready["fields"]["from_cache"] == 3


def test_class_pictures_are_drawn_by_the_base_and_change_what_is_learnt(train_spec: Make, events: Events) -> None:
    without = loop.train(train_spec("without"), Events(), go_on)
    with_others = loop.train(train_spec("with", class_images=3), events, go_on)
    assert without["sha256"] != with_others["sha256"]
    assert len(list((Path(train_spec().cache_dir) / "classes").iterdir())) == 1


def test_class_pictures_are_half_of_every_batch(train_spec: Make, events: Events) -> None:
    training = Training(train_spec(class_images=4, batch_size=4), events, go_on)
    classes = {id(pair) for pair in training.data.classes}
    assert [sum(id(pair) in classes for pair in training.next_batch()) for _ in range(3)] == [2, 2, 2]


def test_class_pictures_are_preserved_beside_the_person(train_spec: Make, events: Events) -> None:
    training = Training(train_spec(class_images=4, batch_size=4, preservation=1.0, steps=8), events, go_on)
    assert [len(pair.others) for pair in training.next_batch()] == [6, 6, 1, 1]
    assert all(torch.isfinite(training.step()) for _ in range(8))


def test_a_batch_of_one_takes_turns_with_class_pictures(train_spec: Make, events: Events) -> None:
    training = Training(train_spec(class_images=2, batch_size=1), events, go_on)
    classes = {id(pair) for pair in training.data.classes}
    assert [id(training.next_batch()[0]) in classes for _ in range(4)] == [False, True, False, True]


@pytest.mark.parametrize("seed", [3, 4, 5])
def test_a_loss_that_is_no_number_ends_the_training_within_three_steps(
    train_spec: Make, events: Events, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow_loss = Training.flow_loss
    seen = []

    def poisoned(self: Training, pairs: Any) -> torch.Tensor:
        seen.append(self.state.step)
        return flow_loss(self, pairs) * (float("nan") if self.state.step >= seed else 1)

    monkeypatch.setattr(Training, "flow_loss", poisoned)
    with pytest.raises(EngineError, match=f"loss of step {seed} ") as caught:
        loop.train(train_spec(steps=50), events, go_on)
    assert caught.value.code == "loss_not_finite"
    assert max(seen) <= seed + 3


def test_a_base_that_gives_no_numbers_is_told_before_the_first_step(
    train_spec: Make, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Training, "flow_loss", lambda self, pairs: self.lora.parameters()[0].sum() * float("nan"))
    with pytest.raises(EngineError, match="fp32"):
        loop.train(train_spec(), events, go_on)
    assert events.of("check")[-1]["state"] == "failed" and events.of("metric") == []


def test_told_to_stop_it_saves_and_says_so(train_spec: Make, events: Events) -> None:
    spec = train_spec(steps=50, checkpoint_every_n_steps=0)
    result = loop.train(spec, events, lambda: len(events.of("progress")) > 0 and bool(events.of("metric")))
    assert result["stopped"]
    assert 0 < result["step"] < 50
    assert rundir.states(Path(spec.run_dir)) == [rundir.state(Path(spec.run_dir), result["step"])]


def test_told_to_stop_while_preparing_it_ends_at_once(train_spec: Make, events: Events) -> None:
    assert loop.train(train_spec(class_images=8), events, lambda: True) == {"stopped": True, "step": 0, "steps": 6}


def test_a_training_without_pictures_is_refused(train_spec: Make, events: Events) -> None:
    with pytest.raises(EngineError, match="Add some photos"):
        loop.train(train_spec(images=()), events, go_on)


def test_a_picture_that_cannot_be_read_is_named(train_spec: Make, events: Events, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8 no picture")
    image = replace(train_spec().images[0], path=str(broken), sha256="0" * 64)
    with pytest.raises(EngineError, match=r"broken\.jpg"):
        loop.train(train_spec(images=(image,)), events, go_on)


def test_a_base_folder_with_a_missing_part_is_a_sentence(train_spec: Make, events: Events, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"vae/config\.json is missing"):
        loop.train(train_spec(base=BaseModel("pocket", "flux1", str(tmp_path))), events, go_on)


def test_the_same_seed_gives_the_same_weights(train_spec: Make) -> None:
    first, second = (loop.train(train_spec(name), Events(), go_on) for name in ("a", "b"))
    one, two = load_file(first["path"]), load_file(second["path"])
    assert all(torch.equal(one[key], two[key]) for key in one)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("learning_rate", 2e-2),
        ("lora_rank", 8),
        ("lora_layers", "blocks and prompt"),
        ("resolution", 48),
        ("batch_size", 1),
        ("seed", 8),
        ("warmup_steps", 5),
        ("gradient_accumulation", 2),
        ("caption_dropout", 1.0),
        ("class_images", 2),
        ("lr_schedule", "linear"),
        ("preservation", 1.0),
    ],
)
def test_every_parameter_changes_what_is_learnt(train_spec: Make, name: str, value: Any) -> None:
    usual = {"steps": 3, "prompts": (), "checkpoint_every_n_steps": 0}
    one = load_file(loop.train(train_spec("usual", **usual), Events(), go_on)["path"])
    two = load_file(loop.train(train_spec("other", **{**usual, name: value}), Events(), go_on)["path"])
    assert any(one[key].shape != two[key].shape or not torch.equal(one[key], two[key]) for key in one)


def test_progress_is_told_at_most_ten_times_a_second(train_spec: Make, events: Events) -> None:
    result = loop.train(train_spec(steps=40, checkpoint_every_n_steps=0), events, go_on)
    trained = [event for event in events.of("progress") if "message" not in event]
    assert len(trained) <= result["seconds"] * 10 + 2


def test_pocket_trains_and_its_lora_changes_its_pictures(train_spec: Make, events: Events) -> None:
    pocket = BaseModel("pocket", "flux1", str(catalog.POCKET))
    spec = train_spec(base=pocket, steps=2, resolution=64, checkpoint_every_n_steps=0, learning_rate=1e-3)
    assert loop.train(spec, events, go_on)["effect"] > 0


def test_a_bf16_base_gets_a_bf16_file_learnt_in_fp32(train_spec: Make, events: Events) -> None:
    result = loop.train(train_spec(precision="bf16"), events, go_on)
    assert {tensor.dtype for tensor in load_file(result["path"]).values()} == {torch.bfloat16}
    assert result["effect"] > 0


@pytest.mark.parametrize(
    ("shape", "rates"),
    [
        ("constant", [0.5, 1, 1, 1]),
        ("linear", [0.5, 1, 0.5, 0.02]),
        ("cosine", [0.4268, 0.5, 0.1464, 0.02]),
    ],
)
def test_the_rate_rises_during_warm_up_and_then_goes_as_its_schedule_says(shape: str, rates: list[float]) -> None:
    told = [schedule.learning_rate(step, 1.0, 4, shape, 8) for step in (2, 4, 6, 8)]
    assert told == pytest.approx(rates, abs=1e-4)


def test_a_lora_on_the_prompts_layers_is_known_to_the_header_check(train_spec: Make, events: Events) -> None:
    result = loop.train(train_spec(lora_layers="blocks and prompt"), events, go_on)
    learnt = [name for name in load_file(result["path"]) if "text_embedder" in name]
    assert len(learnt) == 4
    assert lora_file.inspect(Path(result["path"])).style == "diffusers"


def leak(training: Training) -> float:
    """How far the LoRA moves what the base predicts for the class, as a share of how far it moves the trigger."""
    latents, sigma, moves = training.data.images[0].latents[None], torch.tensor([0.9]), []
    for words in ("a photo of a woman 0", "a photo of ohwx 0"):
        embeds = training.family.encode_prompts([words])
        with torch.no_grad():
            learnt = training.family.predict(latents, sigma, embeds, 1.0)
            with training.lora.off():
                moves.append((learnt - training.family.predict(latents, sigma, embeds, 1.0)).abs().mean().item())
    return moves[0] / moves[1]


def test_preservation_keeps_the_class_nearer_to_the_base(train_spec: Make) -> None:
    leaks = []
    for weight in (0.0, 5.0):
        training = Training(train_spec(f"kept{weight}", preservation=weight, warmup_steps=0), Events(), go_on)
        for _ in range(40):
            training.step()
        leaks.append(leak(training))
    assert leaks[1] < 0.8 * leaks[0]


def test_preservation_asks_for_the_class_for_strangers_and_for_no_caption(train_spec: Make, events: Events) -> None:
    training = Training(train_spec(preservation=1.0), events, go_on)
    told = [others["prompt"] for others in training.data.images[0].others]
    names = [f"a photo of {stranger('ohwx', f'7 0 {number}')} 0" for number in range(3)]
    words = ("a photo of a woman 0", "a photo of a woman 0", *names, "")
    asked = [training.family.encode_prompts([text])["prompt"] for text in words]
    assert all(torch.equal(one, two) for one, two in zip(told, asked, strict=True))


def test_a_stranger_is_never_called_by_the_trigger() -> None:
    name = stranger("ohwx", "7 0")
    assert stranger(name, "7 0") != name


def test_one_pass_shows_every_picture_in_batches_of_one_bucket() -> None:
    buckets = [[0, 1, 2, 3, 4], [5, 6]]
    batches = schedule.epoch_batches(buckets, 2, seed=1, epoch=0)
    assert {index for batch in batches for index in batch} == set(range(7))
    assert all({*batch} <= {*buckets[0]} or {*batch} <= {*buckets[1]} for batch in batches)


def test_a_plan_gives_the_same_batch_for_a_number_whenever_it_is_asked() -> None:
    buckets = [[0, 1, 2, 3, 4], [5, 6]]
    plan = schedule.BatchPlan(buckets, 2, seed=3)
    in_order = [plan[number] for number in range(20)]
    assert [schedule.BatchPlan(buckets, 2, seed=3)[number] for number in range(20)] == in_order
    assert plan[2] == in_order[2]


def test_a_file_says_alpha_is_the_rank_and_draws_what_the_last_preview_drew(train_spec: Make, events: Events) -> None:
    training = Training(train_spec(lora_alpha=1.0, steps=3), events, go_on)
    training.run()
    told = load_file(rundir.final(training.run_dir))
    key = next(key for key in told if key.endswith("lora_B.weight"))
    state = load_file(rundir.states(training.run_dir)[-1])
    assert torch.allclose(told[key], state[f"lora.{key}"] / 4) and told[key].any()


def test_attention_only_leaves_the_rest_alone(train_spec: Make, events: Events) -> None:
    result = loop.train(train_spec(lora_layers="attention"), events, go_on)
    assert all(".attn." in name for name in load_file(result["path"]))


@pytest.mark.parametrize(("how", "middle"), [("sigmoid", 0.5), ("uniform", 0.5), ("shift", 0.62)])
def test_noise_levels_lie_where_they_are_said_to(tiny: BaseModel, how: Any, middle: float) -> None:
    family = families.load(tiny, torch.device("cpu"), torch.float32)
    drawn = family.training_sigmas((20_000, 4, 8, 8), torch.Generator().manual_seed(0), how)
    assert drawn.median().item() == pytest.approx(middle, abs=0.02)
    assert (how == "sigmoid") == (drawn.std().item() < 0.25) and drawn.min() > 0 and drawn.max() < 1


def test_steps_per_photo_count_the_photos(train_spec: Make, events: Events) -> None:
    assert loop.train(train_spec(steps_per_image=2), events, go_on)["steps"] == 6


def test_the_average_is_what_is_drawn_and_written(train_spec: Make, events: Events) -> None:
    training = Training(train_spec(ema_decay=0.99, steps=4), events, go_on)
    training.run()
    told, state = load_file(rundir.final(training.run_dir)), load_file(rundir.states(training.run_dir)[-1])
    assert all(torch.equal(told[key], state[f"average.{key}"]) for key in told)
    assert any(not torch.equal(told[key], state[f"lora.{key}"]) for key in told)


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"optimizer": "prodigy", "learning_rate": 1e-4}, "learning_rate"),
        ({"learning_rate": 0.5}, "learning_rate"),
        ({"warmup_steps": 6}, "warmup_steps"),
    ],
)
def test_knobs_that_contradict_each_other_are_refused(values: dict[str, Any], name: str) -> None:
    with pytest.raises(BadParam) as caught:
        parameters.settled({**TRAIN_PARAMS, **values}, pictures=3)
    assert caught.value.name == name

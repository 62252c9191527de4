"""A training that was interrupted and went on is, bit for bit, the training that was not."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from isengard.engine import parameters, rundir
from isengard.engine.specs import TrainSpec
from isengard.engine.trainer import loop
from tests.engine.conftest import Events

pytestmark = pytest.mark.integration

Make = Callable[..., TrainSpec]


def go_on() -> bool:
    return False


def losses(events: Events) -> dict[int, float]:
    return {event["step"]: event["loss"] for event in events.of("metric")}


def interrupted(spec: TrainSpec, at: int) -> Events:
    """Trains until step `at` was taken, and stops there."""
    events = Events()
    progress = {"steps": 0}

    def stop() -> bool:
        progress["steps"] = max([event["step"] for event in events.of("checkpoint")], default=0)
        return progress["steps"] >= at

    loop.train(spec, events, stop)
    return events


def resumed(spec: TrainSpec) -> Events:
    events = Events()
    state = rundir.states(Path(spec.run_dir))[-1]
    loop.train(replace(spec, resume_from=str(state)), events, go_on)
    return events


def test_loss_curve_and_weights_equal_those_of_an_uninterrupted_training(train_spec: Make) -> None:
    usual = {"class_images": 2, "masked_loss": 0.2}
    whole, parts = train_spec("whole", **usual), train_spec("parts", **usual)
    straight = Events()
    loop.train(whole, straight, go_on)
    before, after = interrupted(parts, at=3), resumed(parts)
    assert losses(before) | losses(after) == losses(straight)
    one, two = (load_file(rundir.final(Path(spec.run_dir))) for spec in (whole, parts))
    assert all(torch.equal(one[key], two[key]) for key in one)


@pytest.mark.parametrize(
    "knobs",
    [
        {"optimizer": "prodigy", "learning_rate": 1.0},
        {"optimizer": "adafactor"},
        {"optimizer": "adamw8bit"},
        {"ema_decay": 0.9},
        {"lora_alpha": 2.0, "lora_layers": "attention", "timestep_sampling": "shift"},
        {"quantize": "int8", "gradient_checkpointing": "on"},
    ],
    ids=lambda knobs: " ".join(map(str, knobs.values())),
)
def test_whatever_is_learnt_with_it_goes_on_to_the_last_bit(train_spec: Make, knobs: dict[str, Any]) -> None:
    whole, parts = train_spec("whole", **knobs), train_spec("parts", **knobs)
    straight = Events()
    loop.train(whole, straight, go_on)
    before, after = interrupted(parts, at=3), resumed(parts)
    assert losses(before) | losses(after) == losses(straight)
    one, two = (load_file(rundir.final(Path(spec.run_dir))) for spec in (whole, parts))
    assert all(torch.equal(one[key], two[key]) for key in one)


def test_what_a_checkpoint_says_of_its_loss_does_not_depend_on_interruptions(train_spec: Make) -> None:
    whole, parts = train_spec("whole"), train_spec("parts")
    straight = Events()
    loop.train(whole, straight, go_on)
    interrupted(parts, at=3)
    assert resumed(parts).of("checkpoint")[-1]["loss"] == straight.of("checkpoint")[-1]["loss"]


def test_a_state_from_before_other_optimizers_goes_on_to_the_last_bit(train_spec: Make) -> None:
    whole, parts = train_spec("whole"), train_spec("parts")
    loop.train(whole, Events(), go_on)
    interrupted(parts, at=3)
    state = rundir.states(Path(parts.run_dir))[-1]
    with safe_open(state, framework="pt") as file:
        header = file.metadata()
    facts = json.loads(header["isengard_state"])
    old = {name: fact for name, fact in facts.items() if name not in {"optimizer", "recent", "losses"}}
    tensors = {name: tensor for name, tensor in load_file(state).items() if not name.startswith("step.")}
    save_file(tensors, state, metadata={**header, "isengard_state": json.dumps(old)})
    resumed(parts)
    one, two = (load_file(rundir.final(Path(spec.run_dir))) for spec in (whole, parts))
    assert all(torch.equal(one[key], two[key]) for key in one)


def test_a_resumed_training_draws_no_second_baseline(train_spec: Make) -> None:
    spec = train_spec()
    interrupted(spec, at=3)
    assert [event["step"] for event in resumed(spec).of("sample")] == [6]


@pytest.mark.parametrize("damage", ["cut", "noise", "empty"])
def test_a_damaged_state_is_told_and_training_starts_over(train_spec: Make, damage: str) -> None:
    spec = train_spec()
    interrupted(spec, at=3)
    state = rundir.states(Path(spec.run_dir))[-1]
    whole = state.read_bytes()
    state.write_bytes({"cut": whole[:-10], "noise": b"\xff" * 500, "empty": b""}[damage])
    events = resumed(spec)
    assert [event["event"] for event in events.of("log")][1:] == ["state_refused", "restarted"]
    assert sorted(losses(events)) == [1, 2, 3, 4, 5, 6]


def test_a_training_that_starts_over_is_the_same_as_a_fresh_one(train_spec: Make) -> None:
    fresh, again = train_spec("fresh"), train_spec("again")
    straight = Events()
    loop.train(fresh, straight, go_on)
    interrupted(again, at=3)
    rundir.states(Path(again.run_dir))[-1].write_bytes(b"")
    assert losses(resumed(again)) == losses(straight)


def test_an_older_sound_state_is_used_when_the_named_one_is_damaged(train_spec: Make) -> None:
    spec = train_spec()
    interrupted(spec, at=3)
    named = rundir.state(Path(spec.run_dir), 5)
    named.write_bytes(b"half")
    events = Events()
    loop.train(replace(spec, resume_from=str(named)), events, go_on)
    assert min(losses(events)) == 4


def test_a_state_of_other_settings_is_refused(train_spec: Make) -> None:
    spec = train_spec()
    interrupted(spec, at=3)
    events = resumed(replace(spec, params={**spec.params, "learning_rate": 0.5}))
    assert "other settings" in events.of("log")[1]["message"]


def test_a_state_of_another_mask_is_refused(train_spec: Make) -> None:
    spec = train_spec()
    interrupted(spec, at=3)
    first, *others = spec.images
    events = resumed(replace(spec, images=(replace(first, mask=others[0].mask), *others)))
    assert "other settings" in events.of("log")[1]["message"]


def test_more_steps_may_be_asked_of_a_resumed_training(train_spec: Make) -> None:
    spec = train_spec()
    loop.train(spec, Events(), go_on)
    events = resumed(replace(spec, params={**spec.params, "steps": 8}))
    assert sorted(losses(events)) == [7, 8]


def test_a_training_from_before_a_knob_existed_goes_on_as_it_began(train_spec: Make) -> None:
    old = train_spec()
    interrupted(old, at=3)
    later = {name: value for name, value in old.params.items() if name not in parameters.BEFORE}
    assert min(losses(resumed(replace(old, params=later)))) == 4


def test_a_state_holds_no_pickle(train_spec: Make) -> None:
    spec = train_spec()
    loop.train(spec, Events(), go_on)
    assert any(name.startswith("exp_avg_sq.") for name in load_file(rundir.states(Path(spec.run_dir))[-1]))

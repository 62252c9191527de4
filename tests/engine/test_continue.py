"""Going on with a finished training: longer with its own steps, or anew from its LoRA. And which checkpoints stay."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from safetensors.torch import load_file

from isengard.engine import rundir
from isengard.engine.errors import EngineError
from isengard.engine.specs import TrainSpec
from isengard.engine.trainer import loop
from isengard.engine.trainer.loop import Training
from tests.engine.conftest import Events

Make = Callable[..., TrainSpec]


def go_on() -> bool:
    return False


def trained(spec: TrainSpec) -> Any:
    return loop.train(spec, Events(), go_on)


def change(training: Training) -> dict[str, torch.Tensor]:
    """What each layer's LoRA adds to its weight, as the denoiser computes it."""
    named = {key: weight.detach() for key, weight in training.lora.named().items()}
    ups = [key for key in named if key.endswith("lora_B.weight")]
    return {key: named[key] @ named[key.replace("lora_B", "lora_A")] * training.lora.scale for key in ups}


def test_longer_is_the_training_that_had_been_told_more_steps_at_once(train_spec: Make) -> None:
    short, long = train_spec("short", steps=4, checkpoint_every_n_steps=2), train_spec("long", steps=8)
    trained(short)
    once = trained(long)
    state = str(rundir.state(Path(short.run_dir), 4))
    more = trained(replace(train_spec("more", steps=8), start="longer", resume_from=state))
    one, two = load_file(once["path"]), load_file(more["path"])
    assert all(torch.equal(one[key], two[key]) for key in one)


def test_longer_without_a_sound_state_is_an_error_and_no_new_start(train_spec: Make, tmp_path: Path) -> None:
    with pytest.raises(EngineError) as caught:
        trained(replace(train_spec(), start="longer", resume_from=str(tmp_path / "gone.safetensors")))
    assert caught.value.code == "state_unusable"


def stopped(spec: TrainSpec, at: int) -> str:
    """The state of a training that was told to stop after step `at`."""
    saw = Events()
    loop.train(spec, saw, lambda: len(saw.of("metric")) >= at or bool(saw.of("checkpoint")))
    return str(rundir.states(Path(spec.run_dir))[-1])


def test_what_was_stopped_goes_on_in_another_folder_to_the_last_bit(train_spec: Make) -> None:
    straight, cut = train_spec("straight"), train_spec("cut", checkpoint_every_n_steps=3)
    once, state = trained(straight), stopped(cut, at=3)
    saw = Events()
    # Recomputed activations are the same numbers, so a training that ran out of memory goes on with them.
    more = train_spec("more", gradient_checkpointing="on")
    loop.train(replace(more, start="longer", resume_from=state), saw, go_on)
    one, two = load_file(once["path"]), load_file(rundir.final(Path(more.run_dir)))
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert [event["step"] for event in saw.of("metric")] == [4, 5, 6]


def test_only_a_training_that_goes_on_may_do_so_at_another_rate(train_spec: Make) -> None:
    state = stopped(train_spec("cut", checkpoint_every_n_steps=3), at=3)
    calmer, saw = train_spec("calm", learning_rate=1e-5), Events()
    loop.train(replace(calmer, start="longer", resume_from=state), saw, go_on)
    assert [event["learning_rate"] for event in saw.of("metric")] == [1e-5] * 3
    with pytest.raises(EngineError, match="cannot go on"):
        trained(replace(train_spec("other", lora_rank=8), start="longer", resume_from=state))


def test_a_warm_start_begins_with_what_was_learnt(train_spec: Make, events: Events) -> None:
    first = Training(train_spec("first", steps=3), Events(), go_on)
    first.run()
    named = {key: weight.clone() for key, weight in load_file(rundir.final(Path(first.spec.run_dir))).items()}
    spec = replace(train_spec("second", seed=9), start="warm", init_lora=str(rundir.final(Path(first.spec.run_dir))))
    second = Training(spec, events, go_on)
    assert all(torch.equal(weight, named[key]) for key, weight in second.lora.named().items())
    assert second.state.step == 0 and not second.optimizer.state


def test_a_warm_start_means_the_same_with_another_rank_and_alpha(train_spec: Make, events: Events) -> None:
    path = str(trained(train_spec("first"))["path"])
    plain, other = train_spec("plain"), train_spec("other", lora_rank=8, lora_alpha=2.0)
    one, two = (change(Training(replace(spec, start="warm", init_lora=path), events, go_on)) for spec in (plain, other))
    assert all(torch.allclose(one[key], two[key], atol=1e-6) and one[key].any() for key in one)


def test_a_warm_start_from_fewer_layers_leaves_the_others_at_nothing(train_spec: Make, events: Events) -> None:
    path = str(trained(train_spec("first", lora_layers="attention"))["path"])
    began = change(Training(replace(train_spec("more"), start="warm", init_lora=path), events, go_on))
    assert {bool(tensor.any()) for key, tensor in began.items() if ".attn." in key} == {True}
    assert {bool(tensor.any()) for key, tensor in began.items() if ".attn." not in key} == {False}


@pytest.mark.parametrize(
    ("first", "then", "word"),
    [
        ({"lora_rank": 8}, {"lora_rank": 4}, "rank is 8"),
        ({"lora_layers": "blocks"}, {"lora_layers": "attention"}, "Choose more layers"),
    ],
)
def test_a_warm_start_that_would_lose_something_is_refused(
    train_spec: Make, events: Events, first: dict[str, Any], then: dict[str, Any], word: str
) -> None:
    path = str(trained(train_spec("first", **first))["path"])
    with pytest.raises(EngineError, match=word):
        Training(replace(train_spec("then", **then), start="warm", init_lora=path), events, go_on)


def test_a_warm_training_that_was_interrupted_goes_on_without_its_beginning(train_spec: Make, tmp_path: Path) -> None:
    path = Path(trained(train_spec("first"))["path"])
    spec = replace(train_spec("warm"), start="warm", init_lora=str(path))
    saw = Events()
    loop.train(spec, saw, lambda: bool(saw.of("checkpoint")))
    path.unlink()
    state = str(rundir.states(Path(spec.run_dir))[-1])
    assert loop.train(replace(spec, resume_from=state), Events(), go_on)["steps"] == 6


def test_checkpoints_tell_their_loss_and_what_is_kept(train_spec: Make, events: Events) -> None:
    spec = train_spec(steps=8, checkpoint_every_n_steps=2, max_checkpoints=2)
    rundir.pin(Path(spec.run_dir), [2])
    loop.train(spec, events, go_on)
    last = events.of("checkpoint")[-1]
    files = [rundir.step_of(path) for path in rundir.checkpoints(Path(spec.run_dir))]
    assert [kept["step"] for kept in last["kept"]] == files
    assert len(files) == 3 and last["kept"][0] == {"step": 2, "reason": "pinned"} and last["loss"] > 0


def test_the_best_checkpoint_outlives_an_interruption(train_spec: Make, events: Events) -> None:
    spec = train_spec(steps=6, checkpoint_every_n_steps=1, max_checkpoints=2)
    before = Events()
    loop.train(spec, before, lambda: len(before.of("checkpoint")) == 3)
    state = str(rundir.states(Path(spec.run_dir))[-1])
    loop.train(replace(spec, resume_from=state), events, go_on)
    losses = {event["step"]: event["loss"] for event in [*before.of("checkpoint"), *events.of("checkpoint")]}
    best = min(losses, key=lambda step: losses[step])
    assert best in [kept["step"] for kept in events.of("checkpoint")[-1]["kept"]] or best == 6

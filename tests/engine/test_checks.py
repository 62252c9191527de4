"""The pipeline check: its ticks, the probe that leaves no trace, the numbers at the end."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from PIL import Image
from safetensors.torch import load_file

from isengard.engine import rundir
from isengard.engine.errors import EngineError
from isengard.engine.families.flux1 import Flux1
from isengard.engine.specs import LoraRef, TrainSpec
from isengard.engine.trainer import checks, loop
from isengard.engine.trainer.loop import Training
from isengard.engine.trainer.usage import Peaks
from tests.engine.conftest import Events

Make = Callable[..., TrainSpec]


def go_on() -> bool:
    return False


def ticks(events: Events) -> list[tuple[str, str]]:
    return [(event["name"], event["state"]) for event in events.of("check")]


def test_every_part_ticks_in_order_and_only_the_baseline_comes_after_a_step(train_spec: Make, events: Events) -> None:
    loop.train(train_spec(), events, go_on)
    names = ["text", "photos", "vae", "step", "memory", "sample"]
    assert ticks(events) == [(name, state) for name in names for state in ("running", "ok")]
    order = [event.get("name") or event["step"] for event in events if event["type"] in {"check", "metric"}]
    assert order[8:14] == ["memory", "memory", 1, "sample", "sample", 2]


def test_the_round_trip_tells_its_decibels(train_spec: Make, events: Events) -> None:
    loop.train(train_spec(), events, go_on)
    assert any(event["name"] == "vae" and " dB" in event["text"] for event in events.of("check"))


def test_an_autoencoder_that_gives_no_numbers_fails_its_tick(
    train_spec: Make, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Flux1, "decode", lambda self, latents: torch.full((1, 3, 32, 32), float("nan")))
    with pytest.raises(EngineError, match="autoencoder"):
        loop.train(train_spec(), events, go_on)
    assert ticks(events)[-1] == ("vae", "failed")


def test_a_base_that_cannot_learn_fails_the_tick_of_the_step(
    train_spec: Make, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Training, pairs: object) -> torch.Tensor:
        raise RuntimeError("shapes do not fit\nand more")

    monkeypatch.setattr(Training, "flow_loss", broken)
    with pytest.raises(RuntimeError):
        loop.train(train_spec(), events, go_on)
    last = events.of("check")[-1]
    assert (last["name"], last["state"], last["text"]) == ("step", "failed", "shapes do not fit")


@pytest.mark.parametrize(("warm", "blamed"), [(True, "LoRA that it begins from"), (False, "base model's files")])
def test_a_first_loss_that_is_no_number_blames_what_it_began_with(
    train_spec: Make, events: Events, *, warm: bool, blamed: str
) -> None:
    training = Training(train_spec(), events, go_on)
    with pytest.raises(EngineError, match=blamed) as caught:
        checks.probe(lambda: torch.tensor(float("nan")), training.state, Peaks(), checks.Tick(), warm=warm)
    assert caught.value.code == "first_loss_not_finite"


@pytest.mark.parametrize("optimizer", ["adamw", "adamw8bit", "prodigy", "adafactor"])
def test_the_two_steps_of_the_probe_leave_no_trace(train_spec: Make, events: Events, optimizer: str) -> None:
    training = Training(train_spec(optimizer=optimizer, ema_decay=0.9), events, go_on)
    training.step()
    facts, tensors = training.state.pack()
    checks.probe(training.step, training.state, Peaks(), checks.Tick())
    now, after = training.state.pack()
    assert now == facts and tensors.keys() == after.keys()
    assert all(torch.equal(tensors[name], after[name]) for name in tensors)


def test_a_training_without_its_check_learns_the_same(
    train_spec: Make, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = load_file(loop.train(train_spec("checked"), events, go_on)["path"])
    monkeypatch.setattr(Training, "check", lambda self: None)
    bare = load_file(loop.train(train_spec("bare"), Events(), go_on)["path"])
    assert all(torch.equal(checked[key], bare[key]) for key in checked)


def test_the_probe_tells_seconds_and_peaks(train_spec: Make, events: Events) -> None:
    loop.train(train_spec(), events, go_on)
    [told] = events.of("probe")
    assert told["seconds_per_step"] > 0 and told["peak_rss_bytes"] > 50 << 20 and told["peak_vram_bytes"] >= 0


def test_peaks_forget_at_a_mark_and_remember_the_highest() -> None:
    peaks = Peaks()
    held = torch.ones(50 << 20)
    del held
    peaks.mark()
    now, highest = peaks.since_mark()["peak_rss_bytes"], peaks.highest()["peak_rss_bytes"]
    assert highest - now > 100 << 20


@pytest.mark.integration
def test_the_probe_is_no_part_of_the_training_time(
    train_spec: Make, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(*given: Any, **named: Any) -> dict[str, float]:
        time.sleep(3)
        return checks.probe(*given, **named)

    monkeypatch.setattr(loop, "probe", slow)
    assert loop.train(train_spec(), events, go_on)["training_seconds"] < 3


def test_the_result_tells_what_the_training_cost(train_spec: Make, events: Events) -> None:
    result = loop.train(train_spec(), events, go_on)
    assert result["seconds_per_step"] > 0
    assert result["peak_rss_bytes"] >= events.of("probe")[0]["peak_rss_bytes"]


def test_a_lora_that_changes_nothing_is_no_result(train_spec: Make, events: Events) -> None:
    with pytest.raises(EngineError) as caught:
        loop.train(train_spec(learning_rate=1e-12, steps=1, warmup_steps=0), events, go_on)
    assert caught.value.code == "no_effect"


def test_an_ask_is_done_after_the_step_that_runs(train_spec: Make, events: Events) -> None:
    wishes = [set[str](), {"save"}, {"sample"}]
    spec = train_spec(steps=5, checkpoint_every_n_steps=0)
    loop.train(spec, events, go_on, lambda: wishes.pop(0) if wishes else set())
    assert [event["step"] for event in events.of("checkpoint")] == [2, 5]
    assert [event["step"] for event in events.of("sample")] == [0, 3, 5]


@pytest.mark.parametrize(("at", "steps"), [("memory", []), ("sample", [1])])
def test_a_training_that_was_stopped_before_its_baseline_draws_it_later(
    train_spec: Make, events: Events, at: str, steps: list[int]
) -> None:
    spec, before = train_spec(), Events()
    loop.train(spec, before, lambda: bool(before.of("check")) and before.of("check")[-1]["name"] == at)
    assert before.of("sample") == [] and [event["step"] for event in before.of("metric")] == steps
    states = rundir.states(Path(spec.run_dir))
    assert [rundir.step_of(state) for state in states] == steps  # where nothing was learnt there is nothing to save
    loop.train(replace(spec, resume_from=str(states[-1]) if states else None), events, go_on)
    assert [event["step"] for event in events.of("sample")] == [0, 6]


def test_a_baseline_drawn_late_is_the_one_from_before(train_spec: Make, events: Events) -> None:
    early, late = train_spec("early"), train_spec("late")
    loop.train(early, Events(), go_on)
    loop.train(late, events, lambda: bool(events.of("check")) and events.of("check")[-1]["name"] == "sample")
    loop.train(replace(late, resume_from=str(rundir.states(Path(late.run_dir))[-1])), Events(), go_on)
    drawn = [Image.open(rundir.sample(Path(spec.run_dir), 0, 0)).tobytes() for spec in (early, late)]
    assert drawn[0] == drawn[1]


def test_a_warm_start_shows_the_lora_that_it_begins_from(
    train_spec: Make, loras: tuple[LoraRef, LoraRef], events: Events
) -> None:
    fresh, warm = train_spec("fresh"), replace(train_spec("warm"), start="warm", init_lora=loras[0].path)
    loop.train(fresh, Events(), go_on)
    loop.train(warm, events, go_on)
    drawn = [Image.open(rundir.sample(Path(spec.run_dir), 0, 0)).tobytes() for spec in (fresh, warm)]
    assert drawn[0] != drawn[1]


def test_a_resumed_training_skips_the_baseline_and_says_so(train_spec: Make, events: Events) -> None:
    spec = train_spec()
    loop.train(spec, Events(), lambda: bool((Path(spec.run_dir) / "state").exists()))
    state = rundir.states(Path(spec.run_dir))[-1]
    loop.train(replace(spec, resume_from=str(state)), events, go_on)
    assert ticks(events)[-1] == ("sample", "skipped")

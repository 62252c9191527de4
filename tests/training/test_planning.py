"""The plan that a training gets before it starts: on which machine, learnt from what, adapted how, refused why."""

from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from characters.models import Character
from isengard import storage
from isengard.engine import catalog
from isengard.errors import Invalid, Unavailable
from isengard.jobs.models import Job, Worker
from training import bases, experience, planning, services, user_presets
from training.models import TrainingRun, TrainingSweep

GIB = 1 << 30


@pytest.fixture
def flux(monkeypatch: pytest.MonkeyPatch) -> None:
    """FLUX may be started although its files are not here: the plan knows its published shape."""
    monkeypatch.setattr(bases, "require_trainable", lambda key: None)


def worker(gigabytes: float, lane: str = "gpu0", name: str = "NVIDIA Test", **facts: Any) -> Worker:
    machine = {"device": "cuda", "name": name, "vram_bytes": int(gigabytes * GIB), "bf16": True}
    memory = {"ram_bytes": 64 * GIB, "ram_free_bytes": 60 * GIB}
    row = {"lane": lane, "heartbeat_at": timezone.now(), "device": name, "machine": {**machine, **memory, **facts}}
    return Worker.objects.create(name=f"{lane}@test", **row)


def start(character: Character, base: str = "pocket", preset: str = "quick", **values: Any) -> TrainingRun:
    return services.start_training(character=character, preset=preset, base=base, values=values)


def ended(run: TrainingRun, seconds: float, state: str = "completed", **measured: Any) -> None:
    began = timezone.now() - timedelta(seconds=seconds)
    Job.objects.filter(pk=run.job_id).update(state=state, started_at=began, finished_at=timezone.now())
    TrainingRun.objects.filter(pk=run.pk).update(measured=measured)


def outlook(**values: Any) -> planning.Plan:
    quick = user_presets.named("pocket", "quick", 3).values
    return planning.preview("pocket", "quick", services.training_params("pocket", quick | values), 3)


def test_a_run_keeps_its_plan(mira: Character) -> None:
    plan = TrainingRun.objects.get(pk=start(mira).pk).plan
    assert plan["fits"] and plan["seconds"] > 0 < plan["memory_bytes"] < plan["memory_available_bytes"]
    assert plan["disk_bytes"]["total"] > 0 and plan["decisions"][-1]["text"]


def test_the_smallest_gpu_that_is_online_counts(mira: Character) -> None:
    worker(80)
    worker(24, lane="gpu1", name="NVIDIA Small")
    assert experience.machine().name == "NVIDIA Small"


def test_a_worker_that_is_gone_does_not_count(mira: Character) -> None:
    row = worker(24)
    Worker.objects.filter(pk=row.pk).update(heartbeat_at=timezone.now() - timedelta(hours=1))
    assert experience.machine().name != "NVIDIA Test"


def test_a_machine_without_a_gpu_is_planned_in_its_free_memory(mira: Character) -> None:
    worker(0, device="cpu", name="CPU", ram_free_bytes=3 * GIB)
    assert experience.machine().memory == 3 * GIB


def test_settings_nobody_chose_are_adapted_to_the_worker(mira: Character, flux: None) -> None:
    worker(24)
    run = start(mira, "flux-dev", "quality")
    assert (run.params["resolution"], run.params["quantize"], run.preset) == (1024, "int8", "quality")
    assert {"setting": "quantize", "value": "int8"}.items() <= run.plan["decisions"][0].items()


def test_what_somebody_chose_is_kept_or_refused(mira: Character, flux: None) -> None:
    worker(20)
    with pytest.raises(Unavailable, match=r"It fits with Gradient checkpointing auto\.") as caught:
        start(mira, "flux-dev", "quick", resolution=768, quantize="int8", gradient_checkpointing="off")
    assert caught.value.code == "does_not_fit" and not Job.objects.exists()


def test_a_batch_that_cannot_fit_is_told_what_would(mira: Character, flux: None) -> None:
    worker(17)
    with pytest.raises(Unavailable, match="Batch size 1"):
        start(mira, "flux-dev", "balanced", batch_size=4, resolution=1024)


def test_what_a_sweep_compares_is_not_adapted(mira: Character, flux: None) -> None:
    worker(24)
    sweep = TrainingSweep.objects.create(character=mira, axes={"quantize": ["none", "int8"]})
    asked: dict[str, Any] = {"character": mira, "preset": "quick", "base": "flux-dev", "sweep": sweep}
    with pytest.raises(Unavailable):
        services.start_training(values={"quantize": "none"}, **asked)


def test_a_plan_that_would_fill_the_disk_is_refused(mira: Character, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "free_bytes", lambda: settings.FREE_SPACE_FLOOR + 1000)
    with pytest.raises(Unavailable, match="Keep fewer checkpoints") as caught:
        start(mira)
    assert caught.value.code == "disk_full"


def test_seconds_follow_what_the_machine_has_shown(mira: Character) -> None:
    guess = outlook().total_seconds
    ended(start(mira), seconds=10 * guess)
    learnt = outlook()
    assert learnt.measured and learnt.total_seconds == pytest.approx(10 * guess, rel=0.1)


def test_a_measured_step_tells_the_steps_from_the_rest(mira: Character) -> None:
    run = start(mira)
    ended(run, seconds=60, seconds_per_step=0.5)
    found = outlook()
    assert found.seconds.step == pytest.approx(0.5) and found.seconds.rest == pytest.approx(10, rel=0.2)


def test_the_night_that_a_training_was_paused_for_is_no_part_of_the_next_plan(mira: Character) -> None:
    guess, run = outlook().seconds, start(mira)
    ended(run, seconds=8 * 3600, seconds_per_step=0.5)
    Job.objects.filter(pk=run.job_id).update(fence=2)
    found = outlook().seconds
    assert found.step == pytest.approx(0.5) and found.rest == guess.rest


def test_measured_memory_corrects_the_formula_but_not_beyond_reason(mira: Character) -> None:
    first = outlook().fit.needed
    run = start(mira)
    ended(run, 60, peak_rss_bytes=int(1.5 * first))
    assert outlook().fit.needed == pytest.approx(1.5 * first, rel=0.01)
    ended(run, 60, peak_rss_bytes=100 * first)
    assert outlook().fit.needed == pytest.approx(experience.MOST_FACTOR * first, rel=0.01)


def test_the_probe_of_a_failed_run_counts_for_memory_and_not_for_time(mira: Character) -> None:
    first = outlook()
    ended(start(mira), 60, "failed", probe={"peak_rss_bytes": int(1.2 * first.fit.needed), "seconds_per_step": 9.0})
    second = outlook()
    assert second.fit.needed > first.fit.needed and not second.measured


def test_other_devices_teach_nothing(mira: Character) -> None:
    run = start(mira)
    ended(run, 60, seconds_per_step=5.0)
    TrainingRun.objects.filter(pk=run.pk).update(plan={"device": "NVIDIA Elsewhere"})
    assert not outlook().measured


def test_the_result_adds_to_what_the_probe_had_measured(mira: Character) -> None:
    run = start(mira)
    run.measured = {"probe": {"seconds_per_step": 1.0}}
    experience.remember(run, {"seconds_per_step": 0.5, "peak_rss_bytes": 7, "effect": 0.1, "sha256": "x"})
    kept = TrainingRun.objects.get(pk=run.pk).measured
    assert kept == {"probe": {"seconds_per_step": 1.0}, "seconds_per_step": 0.5, "peak_rss_bytes": 7, "effect": 0.1}


def test_a_longer_training_is_planned_for_the_steps_it_adds(mira: Character) -> None:
    first = start(mira)
    more = TrainingRun(params={**first.params, "steps": 150}, start=TrainingRun.Start.LONGER, parent=first)
    assert experience.steps_to_take(more) == 50


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"steps": 100, "checkpoint_every_n_steps": 250}, "none is kept on the way"),
        ({"steps": 100, "sample_every_n_steps": 200}, "drawn before and after"),
    ],
)
def test_a_cadence_longer_than_the_run_is_warned_of(mira: Character, values: dict[str, Any], words: str) -> None:
    assert any(words in warning for warning in outlook(**values).warnings)


def test_too_little_main_memory_is_warned_of(mira: Character, flux: None) -> None:
    worker(24, ram_bytes=16 * GIB)
    assert "main memory" in start(mira, "flux-dev").plan["warnings"][0]


def test_contradicting_values_are_refused_before_anything_is_planned(mira: Character) -> None:
    with pytest.raises(Invalid, match="warmup_steps"):
        outlook(steps=100, warmup_steps=100)


def test_the_api_plans_without_starting(api: APIClient, mira: Character) -> None:
    asked = {"character_id": mira.public_id, "preset_name": "quick", "config": {"steps": 200}}
    plan = api.post("/api/training/plan", asked).json()
    assert plan["fits"] and plan["problem"] == "" and plan["config"]["steps"] == 200
    assert plan["measured_runs"] == 0 and not Job.objects.exists()


def test_the_api_says_what_would_fit(api: APIClient, mira: Character) -> None:
    worker(24)
    config = {"quantize": "int8", "gradient_checkpointing": "off"}
    plan = api.post("/api/training/plan", {"base_model": "flux-dev", "config": config}).json()
    assert not plan["fits"] and plan["advice"] == {"gradient_checkpointing": "auto"}


def test_the_api_refuses_to_plan_impossible_values(api: APIClient, mira: Character) -> None:
    answer = api.post("/api/training/plan", {"config": {"lora_rank": 3}})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_param")


def test_presets_are_timed_by_the_same_history(mira: Character) -> None:
    params = services.training_params("pocket", {"steps": 200})
    before = planning.Outlook("pocket").seconds(params, 3)
    ended(start(mira), seconds=3600)
    assert planning.Outlook("pocket").seconds(params, 3) > 3 * before


def test_every_trainable_base_has_a_plan() -> None:
    for base in (base for base in catalog.BASES.values() if base.trainable):
        assert experience.geometry(base.key).denoiser > 1_000_000


def test_what_the_plan_proposes_can_be_started_from_the_form(client: Client, mira: Character, flux: None) -> None:
    worker(24)
    asked: dict[str, Any] = {"character": mira.public_id, "base": "flux-dev", "preset": "quick", "steps": 500}
    asked |= {"quantize": "int8", "resolution": 512, "gradient_checkpointing": "off"}
    page = client.get(reverse("training:plan"), asked).content.decode()
    assert "It does not fit" in page and 'name="adapt"' in page
    client.post(reverse("training:start"), {**asked, "adapt": "1"})
    assert TrainingRun.objects.get().params["gradient_checkpointing"] == "auto"

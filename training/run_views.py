"""The page of one training: what it does now, its samples, numbers, checkpoints and log, and what can be asked of it.

Each part is fetched again by itself, so that a refresh never moves what somebody is looking at."""

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from isengard import storage
from isengard.engine import catalog
from isengard.engine.capabilities import probe
from isengard.htmx import STOP_POLLING, is_fragment, redirect_to, render_page, toast
from isengard.jobs import joblog
from isengard.jobs import services as jobs
from training import access, checkpoints, continuing, curves, fixes, resuming, shown
from training.models import TrainingRun

LOG_LINES = 400
NOTHING_NEW = 204


@require_GET
def detail(request: HttpRequest, public_id: str) -> HttpResponse:
    """The whole page, or to htmx its live part: progress, words, checkpoints."""
    run = access.get_run(public_id)
    if not is_fragment(request):
        return render(request, "training/detail.html", {**_live(run), **_rest(request, run)})
    # 286 tells htmx to stop asking: a run that has ended does not change any more.
    status = 200 if run.job.is_active else STOP_POLLING
    response = render_page(request, "training/detail.html", "live", {**_live(run), "fragment": True}, status=status)
    if request.GET.get("samples", "") != str(run.samples.count()):
        response.headers["HX-Trigger"] = "samples:changed"
    return response


def _live(run: TrainingRun) -> dict[str, Any]:
    job = run.job
    return {
        "run": run,
        "job": job,
        "reason": jobs.queue_reason(job),
        "stages": shown.stages(job),
        "checks": shown.checks(run),
        "checks_matter": shown.checks_matter(job),
        "failure": fixes.of(run),
        "expected_speed": shown.expected_speed(run),
        "interruptions": curves.interruptions(job, run.steps_before),
        "checkpoints": checkpoints.shown(run),
        "lora": getattr(run, "lora", None),
        "go_on": continuing.shown(run) if job.state == job.State.COMPLETED else None,
        "left": resuming.kept(run) if job.state in resuming.UNFINISHED else None,
        "base": catalog.get(run.base),
    }


def _rest(request: HttpRequest, run: TrainingRun) -> dict[str, Any]:
    return {
        **_samples(request, run),
        **_log(request, run),
        "settings": shown.settings_of(run),
        "differences": shown.differences(run),
        "smoothing": curves.SMOOTHING,
        "on_gpu": probe().device == "cuda",
    }


def _samples(request: HttpRequest, run: TrainingRun) -> dict[str, Any]:
    steps, rows = shown.sample_grid(run)
    return {
        "sample_steps": steps,
        "sample_rows": rows,
        "sample_parts": (parts := shown.sample_parts(run, steps)),
        "sample_starts": [part["first"] for part in parts[1:]],
        "sample_count": run.samples.count(),
        "first_sample": run.first_due("sample_every_n_steps"),
        "compare": shown.compare(run, rows, request.GET.dict()),
    }


@require_GET
def samples(request: HttpRequest, public_id: str) -> HttpResponse:
    """All samples, and the two that are compared (?prompt=, left=, right=)."""
    run = access.get_run(public_id)
    return render(request, "training/samples.html", {"run": run, "job": run.job, **_samples(request, run)})


def _log(request: HttpRequest, run: TrainingRun) -> dict[str, Any]:
    search, level = request.GET.get("search", ""), request.GET.get("level", "INFO")
    records = joblog.matching(storage.job_log(run.job.public_id), search=search)
    lines = shown.log_lines(records, LOG_LINES, level)
    filtered = bool(search) or level not in {"INFO", "DEBUG"}
    return {"log": lines, "search": search, "level": level, "levels": shown.LEVELS, "log_filtered": filtered}


@require_GET
def log(request: HttpRequest, public_id: str) -> HttpResponse:
    """The lines that the filter (?search=, level=) leaves; nothing when lines ask for news that nobody follows."""
    run = access.get_run(public_id)
    if request.headers.get("HX-Trigger") == "log-lines" and "follow" not in request.GET:
        return HttpResponse(status=NOTHING_NEW)
    found = _log(request, run)
    return render(request, "components/log.html", {"lines": found["log"], "filtered": found["log_filtered"]})


@require_GET
def chart(request: HttpRequest, public_id: str) -> JsonResponse:
    """The kept metrics as arrays: ?smoothing= (0 … 0.995), first= and last= (steps; empty: all)."""
    asked = request.GET
    numbers = curves.loss(
        access.get_run(public_id),
        smoothing=curves.smoothing_of(asked.get("smoothing", "")),
        first=_step(asked.get("first", "")),
        last=_step(asked.get("last", "")),
    )
    return JsonResponse(numbers)


def _step(text: str) -> int | None:
    return int(text[:9]) if text.isdecimal() else None


@require_GET
def machine(request: HttpRequest, public_id: str) -> JsonResponse:
    """What the machine did meanwhile, as arrays over minutes."""
    return JsonResponse(curves.machine(access.get_run(public_id).job))


@require_POST
def pin(request: HttpRequest, public_id: str, step: int) -> HttpResponse:
    """Keeps a checkpoint (`pinned=yes`) or leaves it to the policy again."""
    pinned = request.POST.get("pinned") == "yes"
    checkpoints.pin(checkpoint=access.get_checkpoint(public_id, step), pinned=pinned)
    return _told(request, public_id, f"Step {step} is {'kept' if pinned else 'no longer pinned'}.")


@require_POST
def cancel(request: HttpRequest, public_id: str) -> HttpResponse:
    jobs.request_cancel(job=access.get_run(public_id).job)
    return _told(request, public_id, "The training is being stopped.", "cancel")


@require_POST
def pause(request: HttpRequest, public_id: str) -> HttpResponse:
    """A waiting run is passed over, a running one saves, stops and waits."""
    job = jobs.pause(job=access.get_run(public_id).job)
    return _told(request, public_id, "It saves and pauses." if job.is_pausing else "The training is paused.", "pause")


@require_POST
def resume(request: HttpRequest, public_id: str) -> HttpResponse:
    jobs.resume(job=access.get_run(public_id).job)
    return _told(request, public_id, "The training goes on.", "resume")


@require_POST
def save_now(request: HttpRequest, public_id: str) -> HttpResponse:
    jobs.ask(job=access.get_run(public_id).job, what="save")
    return _told(request, public_id, "A checkpoint is saved after this step.")


@require_POST
def sample_now(request: HttpRequest, public_id: str) -> HttpResponse:
    jobs.ask(job=access.get_run(public_id).job, what="sample")
    return _told(request, public_id, "Pictures are drawn after this step.")


def _told(request: HttpRequest, public_id: str, words: str, asked: str = "") -> HttpResponse:
    """The live part again, with a toast; the whole page for a browser without scripts.

    `asked`: which button (pause, resume, cancel) has gone: its opposite, or the state, gets the focus in its place."""
    run = access.get_run(public_id)
    if not is_fragment(request):
        return redirect(run.get_absolute_url())
    context = {**_live(run), "fragment": True, "asked": asked}
    return toast(render(request, "training/detail.html#live", context), words, "info")


@require_POST
def retry(request: HttpRequest, public_id: str) -> HttpResponse:
    job = jobs.retry(job=access.get_run(public_id).job)
    return redirect_to(request, reverse("training:detail", args=[job.public_id]))

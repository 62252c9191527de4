"""Pages about work as such: the top bar's status, the queue, the logs. Knows no product noun: a kind names its page."""

from collections.abc import Callable
from datetime import datetime
from itertools import groupby
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from isengard import storage
from isengard.htmx import is_fragment, redirect_to, render_page, toast
from isengard.jobs import joblog, services
from isengard.jobs.kinds import KINDS
from isengard.jobs.models import Job

RECENT = 50
SHOWN = 500
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


def page_of(job: Job) -> str:
    return reverse(KINDS[job.kind].page, args=[job.public_id])


@require_GET
def status(request: HttpRequest) -> HttpResponse:
    """The top bar's true state, polled and pushed."""
    summary = services.status_summary()
    if running := summary["job"]:
        url = reverse(KINDS[running["kind"]].page, args=[running["job"]])
        running |= {"public_id": running["job"], "eta_seconds": running["eta"], "url": url}
    return render(request, "components/status.html", {"status": summary})


def _queue() -> dict[str, Any]:
    active = list(Job.objects.active().in_claim_order())
    running = [job for job in active if job.state == Job.State.RUNNING]
    reasons = services.queue_reasons(active)
    waiting = [job for job in active if job.state == Job.State.QUEUED]
    ended = Job.objects.exclude(pk__in=[job.pk for job in active]).newest_first()[:10]
    return {
        "running": [{"job": job, "url": page_of(job)} for job in running],
        "lines": [_line(list(jobs), reasons) for _, jobs in groupby(waiting, lambda job: (job.priority, job.lane))],
        "ended": [{"job": job, "url": page_of(job)} for job in ended],
    }


def _line(jobs: list[Job], reasons: dict[int, str]) -> dict[str, Any]:
    """Jobs that wait in one line, in which they can be moved; called by what waits in it."""
    rows = [{"job": job, "reason": reasons[job.pk], "url": page_of(job)} for job in jobs]
    return {"label": ", ".join(dict.fromkeys(KINDS[job.kind].label for job in jobs)), "rows": rows}


@require_GET
def queue(request: HttpRequest) -> HttpResponse:
    """What runs, what waits and why, what ended lately; the drawer is the same partial."""
    return render_page(request, "jobs/queue.html", "queue", _queue())


@require_POST
def act(request: HttpRequest, public_id: str, action: str) -> HttpResponse:
    """Cancel, retry, pause, resume or move one job, then show the queue again (or go to the page that asked)."""
    job = get_object_or_404(Job, public_id=public_id)
    if action not in ACTIONS:
        return HttpResponseBadRequest(f"The queue knows {', '.join(ACTIONS)}.")
    asked = {"job": public_id, "action": action, "opposite": OPPOSITES.get(action, "")}
    return _answer(request, ACTIONS[action](job), asked)


@require_POST
def arrange(request: HttpRequest) -> HttpResponse:
    """The order into which somebody dragged a line: `job`, once for each, first to last."""
    services.arrange(jobs=request.POST.getlist("job"))
    return _answer(request, "The order was changed.")


def _answer(request: HttpRequest, said: str, asked: dict[str, str] | None = None) -> HttpResponse:
    """`asked`: what was pressed, {job, action, opposite}: where its button is gone, something else takes the focus."""
    if is_fragment(request):
        return toast(render(request, "jobs/queue.html#queue", {**_queue(), "asked": asked}), said)
    return redirect_to(request, reverse("jobs:queue"))


def _cancel(job: Job) -> str:
    services.request_cancel(job=job)
    return f"{job.label} is being cancelled."


def _retry(job: Job) -> str:
    return f"{services.retry(job=job).label} was queued again."


def _pause(job: Job) -> str:
    return f"{job.label} {'saves and pauses' if services.pause(job=job).is_pausing else 'is paused'}."


def _resume(job: Job) -> str:
    services.resume(job=job)
    return f"{job.label} goes on."


def _first(job: Job) -> str:
    services.reorder(job=job, before=services.line_of(job).exclude(pk=job.pk).first())
    return f"{job.label} is next."


def _up(job: Job) -> str:
    return _moved(job, -1)


def _down(job: Job) -> str:
    return _moved(job, 1)


def _moved(job: Job, places: int) -> str:
    line = list(services.line_of(job))
    if job in line:
        others = [other for other in line if other != job]
        others.insert(max(line.index(job) + places, 0), job)
        services.arrange(jobs=[other.public_id for other in others])
    return f"{job.label} was moved."


ACTIONS: dict[str, Callable[[Job], str]] = {
    "cancel": _cancel,
    "retry": _retry,
    "pause": _pause,
    "resume": _resume,
    "first": _first,
    "up": _up,
    "down": _down,
}
OPPOSITES = {"pause": "resume", "resume": "pause"}


@require_GET
def logs(request: HttpRequest) -> HttpResponse:
    """Every job with its log: search, level, newest last. `?correlation=` finds the jobs of one click."""
    jobs = Job.objects.newest_first()
    correlation = request.GET.get("correlation", "")
    if correlation:
        jobs = jobs.filter(correlation_id=correlation)
    if state := request.GET.get("state", ""):
        jobs = jobs.filter(state=state)
    recent = list(jobs[:RECENT])
    chosen = next((job for job in recent if job.public_id == request.GET.get("job")), recent[0] if recent else None)
    context = {
        "jobs": recent,
        "chosen": chosen,
        "chosen_page": page_of(chosen) if chosen else "",
        "log": _log(request, chosen) if chosen else None,
        "correlation": correlation,
        "state": state,
        "states": Job.State.values,
        "levels": LEVELS[1:],
        "level": request.GET.get("level", ""),
        "search": request.GET.get("search", ""),
    }
    return render_page(request, "jobs/logs.html", "logs", context)


def _log(request: HttpRequest, job: Job) -> dict[str, Any]:
    """The newest lines at or above the chosen level, oldest of them first."""
    level = request.GET.get("level", "")
    wanted = LEVELS[LEVELS.index(level) :] if level in LEVELS else LEVELS
    records = joblog.matching(storage.job_log(job.public_id), search=request.GET.get("search", ""))
    lines = [
        {"time": datetime.fromisoformat(record["ts"]), "level": record["level"], "message": record["msg"]}
        for record in records
        if record["level"] in wanted
    ]
    return {"lines": lines[-SHOWN:], "total": len(lines), "has_more": len(lines) > SHOWN}

"""Pages about work as such: the top bar's status, the queue, the logs. Knows no product noun: a kind names its page."""

from datetime import datetime
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
    waiting = [{"job": job, "reason": reasons[job.pk], "url": page_of(job)} for job in active if job not in running]
    ended = Job.objects.exclude(pk__in=[job.pk for job in active]).newest_first()[:10]
    return {
        "running": [{"job": job, "url": page_of(job)} for job in running],
        "waiting": waiting,
        "ended": [{"job": job, "url": page_of(job)} for job in ended],
    }


@require_GET
def queue(request: HttpRequest) -> HttpResponse:
    """What runs, what waits and why, what ended lately; the drawer is the same partial."""
    return render_page(request, "jobs/queue.html", "queue", _queue())


@require_POST
def act(request: HttpRequest, public_id: str, action: str) -> HttpResponse:
    """Cancel, retry or move up one job, then show the queue again (or go to the page that asked)."""
    job = get_object_or_404(Job, public_id=public_id)
    said = _act(job, action)
    if said is None:
        return HttpResponseBadRequest("The queue knows cancel, retry and first.")
    if is_fragment(request):
        return toast(render(request, "jobs/queue.html#queue", _queue()), said)
    return redirect_to(request, reverse("jobs:queue"))


def _act(job: Job, action: str) -> str | None:
    if action == "cancel":
        services.request_cancel(job=job)
        return f"{job.label} is being cancelled."
    if action == "retry":
        return f"{services.retry(job=job).label} was queued again."
    if action == "first":
        line = Job.objects.queued().filter(lane=job.lane, priority=job.priority).in_claim_order()
        services.reorder(job=job, before=line.exclude(pk=job.pk).first())
        return f"{job.label} is next."
    return None


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

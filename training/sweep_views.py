"""The page of a comparison: its runs in a table, on one chart, and picture by picture; keeping the best."""

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_GET, require_POST

from isengard.htmx import redirect_to, render_page
from training import access, comparing, sweeps
from training.models import TrainingSweep


@require_GET
def detail(request: HttpRequest, sweep_id: int) -> HttpResponse:
    """Fetched again while one of its runs is not over."""
    sweep = access.get_sweep(sweep_id)
    return render_page(request, "training/sweep.html", "compared", _context(sweep, request.GET.get("step", "")))


def _context(sweep: TrainingSweep, step: str) -> dict[str, Any]:
    runs = comparing.runs_of(sweep)
    rows, labels = comparing.rows(sweep, runs), comparing.labels(sweep)
    return {
        "sweep": sweep,
        "rows": rows,
        "labels": labels,
        "series": comparing.described(rows, labels),
        "samples": comparing.side_by_side(runs, step),
        "live": any(run.job.is_active for run in runs),
        "asked": step,
    }


@require_GET
def series(request: HttpRequest, sweep_id: int) -> JsonResponse:
    return JsonResponse(comparing.series(access.get_sweep(sweep_id)))


@require_POST
def keep(request: HttpRequest, sweep_id: int, public_id: str) -> HttpResponse:
    """Keeps the LoRA of one run and deletes those of the others."""
    best = sweeps.keep(sweep=access.get_sweep(sweep_id), best=access.get_run(public_id))
    return redirect_to(request, best.get_absolute_url())

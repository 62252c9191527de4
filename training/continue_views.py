"""Going on from a training's page: a finished one longer, a stopped or failed one from where it was.

A new version from a LoRA is the start form with `?from=`."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_POST

from isengard.errors import Invalid
from isengard.htmx import redirect_to
from isengard.logs import correlation
from training import access, continuing, resuming

LONGEST = 9  # digits; Python refuses to read thousands of them


@require_POST
def longer(request: HttpRequest, public_id: str) -> HttpResponse:
    """Goes on for `steps` more, as a new version."""
    said = request.POST.get("steps", "").strip()
    if not said.isdecimal() or len(said) > LONGEST:
        raise Invalid("bad_param", "Say for how many more steps, as a whole number.")
    run = access.get_run(public_id)
    again = continuing.train_longer(run=run, steps=int(said), correlation_id=correlation.current())
    return redirect_to(request, again.get_absolute_url())


@require_POST
def go_on(request: HttpRequest, public_id: str) -> HttpResponse:
    """Goes on with a training that was stopped or failed, after the newest step that it saved."""
    again = resuming.go_on(run=access.get_run(public_id))
    return redirect_to(request, again.get_absolute_url())


@require_POST
def forget(request: HttpRequest, public_id: str) -> HttpResponse:
    """Deletes what it takes to go on."""
    run = access.get_run(public_id)
    resuming.forget(run=run)
    return redirect_to(request, run.get_absolute_url())

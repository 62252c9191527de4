"""Training a finished version longer, from its page. A new version from a LoRA is the start form with `?from=`."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_POST

from isengard.errors import Invalid
from isengard.htmx import redirect_to
from isengard.logs import correlation
from training import access, continuing

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

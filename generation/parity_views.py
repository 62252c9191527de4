"""The way from a training's sample to Generate."""

from django.http import HttpRequest, HttpResponse, QueryDict
from django.views.decorators.http import require_POST

from generation import parity
from isengard.errors import Invalid
from isengard.htmx import redirect_to
from isengard.logs import correlation
from training import repeating


@require_POST
def repeat(request: HttpRequest) -> HttpResponse:
    """Draws a sample (job, step, prompt_index) again and goes to where it appears."""
    given = request.POST
    sample = repeating.get_sample(given.get("job", ""), _number(given, "step"), _number(given, "prompt_index"))
    generation = parity.repeat(sample=sample, correlation_id=correlation.current())
    return redirect_to(request, generation.get_absolute_url())


def _number(given: QueryDict, name: str) -> int:
    text = given.get(name, "")
    if not (text.isdecimal() and len(text) < 10):
        raise Invalid("bad_param", f"{name} must be a whole number.")
    return int(text)

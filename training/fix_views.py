"""Starting a failed training again from its page, with a change that may help. Services decide."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_POST

from isengard.htmx import redirect_to
from training import access, fixes


@require_POST
def fix(request: HttpRequest, public_id: str) -> HttpResponse:
    """`fix`: the key of the offer."""
    again = fixes.apply(run=access.get_run(public_id), key=request.POST.get("fix", ""))
    return redirect_to(request, again.get_absolute_url())

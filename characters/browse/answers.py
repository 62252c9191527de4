"""What a bulk action answers: a toast, with undo where there is one, and the events that refresh what is shown."""

import json
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from isengard.htmx import is_fragment, redirect_to

# Blocks on the page fetch their tiles again; the grid begins anew; what was chosen is let go; dialogs close.
CHANGED, RELISTED, FORGET, CLOSE = "photos:changed", "photos:added", "selection:clear", "dialogs:close"


def photos(count: int) -> str:
    return f"{count:,} photo{'' if count == 1 else 's'}"


def undo_url(token: str, *, relist: bool = False) -> str:
    """POSTed by the toast within a minute; `relist`: the grid on the page no longer knows where they were."""
    return f"{reverse('characters:undo')}?token={token}{'&all=1' if relist else ''}"


def told(response: HttpResponse, message: str, *events: str, level: str = "success", undo: str = "") -> HttpResponse:
    """The response with a toast and events for the page."""
    toast: dict[str, Any] = {"message": message, "level": level, **({"undo": undo} if undo else {})}
    response.headers["HX-Trigger"] = json.dumps({"toast": toast, **dict.fromkeys(events, "")})
    return response


def done(request: HttpRequest, message: str, *events: str, undo: str = "", level: str = "success") -> HttpResponse:
    """Nothing to swap in; without htmx, back to the page with the sentence as a message."""
    if is_fragment(request):
        return told(HttpResponse(status=204), message, *events, undo=undo, level=level)
    messages.add_message(request, messages.WARNING if level == "warning" else messages.SUCCESS, message)
    return redirect_to(request, reverse("dataset"))


def refresh(data: Any, *, gone: bool = False) -> tuple[str, ...]:
    """The events after a bulk change; after one of everything a filter finds, the grid begins anew."""
    relist = (RELISTED,) if data.get("all") else ()
    return (CHANGED, CLOSE, *relist, *((FORGET,) if gone else ()))

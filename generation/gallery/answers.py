"""What a bulk action on pictures answers: a toast, with undo where there is one, and the events that refresh."""

import json
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html

from characters.browse.answers import CHANGED, CLOSE, FORGET, RELISTED, told
from isengard.htmx import is_fragment, redirect_to

# Lists of boards are made anew.
BOARDS = "boards:changed"

__all__ = ["BOARDS", "CHANGED", "CLOSE", "done", "pictures", "quietly", "refresh", "told", "undo_url"]


def refresh(data: Any, *, gone: bool = False) -> tuple[str, ...]:
    """The events after a change; after one of everything a filter finds, the grid begins anew. Dialogs stay open: one
    of them may be the viewer."""
    return (CHANGED, *((RELISTED,) if data.get("all") else ()), *((FORGET,) if gone else ()))


def pictures(count: int) -> str:
    return f"{count:,} picture{'' if count == 1 else 's'}"


def undo_url(token: str, *, relist: bool = False) -> str:
    """POSTed by the toast within a minute; `relist`: the grid on the page no longer knows where they were."""
    return f"{reverse('generation:pictures-undo')}?token={token}{'&all=1' if relist else ''}"


def without_toast(token: str) -> bytes:
    """What takes the toast of one deletion off the page: it has the address of its undo as its id (app.js)."""
    gone = "<i hx-swap-oob=\"delete:[id^='{}']\"></i>"
    return format_html(gone, undo_url(token)).encode()


def done(request: HttpRequest, message: str, *events: str, undo: str = "", level: str = "success") -> HttpResponse:
    """Nothing to swap in; without htmx, back to the page with the sentence as a message."""
    if is_fragment(request):
        return told(HttpResponse(status=204), message, *events, undo=undo, level=level)
    messages.add_message(request, messages.WARNING if level == "warning" else messages.SUCCESS, message)
    return redirect_to(request, reverse("generation:pictures"))


def quietly(request: HttpRequest, *events: str) -> HttpResponse:
    """Like `done` for what the page itself shows at once."""
    if not is_fragment(request):
        return redirect_to(request, reverse("generation:pictures"))
    return HttpResponse(status=204, headers={"HX-Trigger": json.dumps(dict.fromkeys(events, ""))})

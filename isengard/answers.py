"""What a change to a grid's rows answers: a toast, with undo where there is one, and the events that refresh the page.

Photos and pictures answer so. Knows no app: the words and the page to go back to are theirs."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from isengard.htmx import is_fragment, redirect_to, toast

# Blocks on the page fetch their tiles again; the grid begins anew; what was chosen is let go; dialogs close.
CHANGED, RELISTED, FORGET, CLOSE = "photos:changed", "photos:added", "selection:clear", "dialogs:close"


def counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def undo_url(view: str, token: str, *, relist: bool = False) -> str:
    """POSTed by the toast within a minute; `relist`: the grid on the page no longer knows where they were."""
    return f"{reverse(view)}?token={token}{'&all=1' if relist else ''}"


def told(response: HttpResponse, message: str, *events: str, level: str = "success", undo: str = "") -> HttpResponse:
    """The response with a toast and events for the page."""
    return toast(response, message, level, events=events, **({"undo": undo} if undo else {}))


def done(
    request: HttpRequest, message: str, *events: str, page: str, undo: str = "", level: str = "success"
) -> HttpResponse:
    """Nothing to swap in; without htmx, back to the named page with the sentence as a message."""
    if is_fragment(request):
        return told(HttpResponse(status=204), message, *events, undo=undo, level=level)
    messages.add_message(request, messages.WARNING if level == "warning" else messages.SUCCESS, message)
    return redirect_to(request, reverse(page))


def refresh(data: Any, *, gone: bool = False) -> tuple[str, ...]:
    """The events after a change; after one of everything a filter finds, the grid begins anew."""
    return (CHANGED, *((RELISTED,) if data.get("all") else ()), *((FORGET,) if gone else ()))

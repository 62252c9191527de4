"""What a change to pictures answers, in their words; without htmx it leads back to the gallery."""

import json
from functools import partial

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html

from isengard import answers
from isengard.answers import CHANGED, CLOSE, refresh, told
from isengard.htmx import is_fragment, redirect_to

__all__ = ["BOARDS", "CHANGED", "CLOSE", "done", "pictures", "quietly", "refresh", "told", "undo_url", "without_toast"]

# Lists of boards are made anew.
BOARDS = "boards:changed"
PAGE = "generation:pictures"

pictures = partial(answers.counted, noun="picture")
undo_url = partial(answers.undo_url, "generation:pictures-undo")
done = partial(answers.done, page=PAGE)


def without_toast(token: str) -> bytes:
    """What takes the toast of one deletion off the page: it has the address of its undo as its id (app.js)."""
    gone = "<i hx-swap-oob=\"delete:[id^='{}']\"></i>"
    return format_html(gone, undo_url(token)).encode()


def quietly(request: HttpRequest, *events: str) -> HttpResponse:
    """Like `done` for what the page itself shows at once."""
    if not is_fragment(request):
        return redirect_to(request, reverse(PAGE))
    return HttpResponse(status=204, headers={"HX-Trigger": json.dumps(dict.fromkeys(events, ""))})

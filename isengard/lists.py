"""Lists that grow by "Show more" and are fetched again when something changes: what was loaded stays loaded.

Every page of rows ends with a hidden field `down_to` (components/loaded.html), which the list sends along. Knows no
model."""

from collections.abc import Callable

from django.http import HttpRequest

# A refresh brings no more rows than this at once; whoever has loaded more loads the rest again.
MOST = 480
DIGITS = 18  # what a database's number has at most


def number(text: str) -> int | None:
    """A primary key as an address has it, None for anything else; Python refuses to read thousands of digits."""
    return int(text[:DIGITS]) if text.isdecimal() else None


def length(request: HttpRequest, page: int, shown: Callable[[int], int]) -> int:
    """How many rows to bring: a page, or all that were loaded. `shown`: how many there are down to such a row."""
    told = request.GET.getlist("down_to")
    last = number(told[-1]) if told else None
    return page if last is None else min(max(page, shown(last)), MOST)


def is_next_page(request: HttpRequest) -> bool:
    """Whether the rows are to be added to those that are there, and not to take their place."""
    return "before" in request.GET and "down_to" not in request.GET


def address(request: HttpRequest) -> str:
    """Of the page as it is, for its next refresh."""
    asked = request.GET.copy()
    asked.pop("down_to", None)
    return f"{request.path}?{asked.urlencode()}" if asked else request.path

"""A grid of what a filter finds, on a page of its own or on a character's: its addresses, and the views of its parts.

Photos and pictures are such grids. Knows no app: what is found, and how a tile looks, is theirs."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, ClassVar, Generic, Protocol, TypeVar
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET

from isengard.errors import Invalid
from isengard.htmx import is_fragment, redirect_to

# Tiles of a block: a screenful or more.
PAGE = 60
LAST = "last"
View = Callable[[HttpRequest], HttpResponse]


def flag(data: Mapping[str, Any], name: str) -> bool:
    """Whether a parameter says yes."""
    return str(data.get(name) or "").lower() in {"1", "true", "on", "yes"}


def require_offered(name: str, value: str, offered: Iterable[str]) -> None:
    """Invalid: a value to choose by that nobody offers. Ignoring it would choose far too many."""
    if value and value not in (choices := list(offered)):
        raise Invalid("bad_filter", f"{value[:40]!r} is not a {name} to choose by. Use one of: {', '.join(choices)}.")


def told(filter: Any) -> dict[str, str]:
    """The query parameters that say the same as a filter's dataclass, without those that say nothing."""
    given = {name: "1" if value is True else value for name, value in asdict(filter).items() if value}
    return {name: value for name, value in given.items() if (name, value) != ("sort", "newest")}


class Filter(Protocol):
    """What the user asked for; `params` are those that narrow or sort."""

    @property
    def character(self) -> str: ...

    def params(self) -> dict[str, str]: ...


F = TypeVar("F", bound=Filter)


@dataclass(frozen=True)
class Place(Generic[F]):
    """A filter and the page it stands on: a character's own (`hub`), or that of everybody. `tab`: what the hub calls
    it; `parts`: how the addresses of its parts begin."""

    filter: F
    hub: bool = False

    tab: ClassVar[str] = ""
    parts: ClassVar[str] = ""

    @property
    def page(self) -> str:
        """Where the form leads without JavaScript."""
        raise NotImplementedError

    @property
    def params(self) -> dict[str, str]:
        """What every address below this page carries, so that the way back is known."""
        return {**self.filter.params(), **({"tab": self.tab} if self.hub else {})}

    @cached_property
    def query(self) -> str:
        return urlencode(self.params)

    @property
    def narrowed(self) -> bool:
        """Whether the user asked for less than the page is about."""
        return bool(self.filter.params().keys() - {"sort", *(["character"] if self.hub else [])})

    def shared(self) -> dict[str, str]:
        """The parameters in the address of the page itself."""
        return self.params

    def url(self, **more: str) -> str:
        """The shareable address of the page; `more` are further parameters."""
        given = {name: value for name, value in self.shared().items() if not (self.hub and name == "character")}
        text = urlencode({**given, **more})
        return f"{self.page}?{text}" if text else self.page

    def part(self, name: str, **more: str) -> str:
        """The address of a part of the page, such as its next block."""
        return f"{reverse(self.parts + name)}?{urlencode({**self.params, **more})}"

    def around(self, cursor: str, ids: list[str], following: str, previous: str) -> dict[str, str]:
        """The addresses that a block of tiles shows: of itself, of its tiles again, and of the blocks beside it."""
        return {
            "at_url": self.url(**({"cursor": cursor} if cursor else {})),
            "tiles_url": self.part("tiles", ids=",".join(ids)),
            "grid_url": self.part("grid"),
            "last_url": self.url(cursor=LAST),
            "next_url": self.part("block", cursor=following) if following else "",
            "earlier_url": self.part("block", cursor=previous, earlier="1") if previous else "",
        }


class Shown(Protocol):
    """What a grid's own module decides: where we are, and what its templates are given."""

    def place(self, data: Any) -> Any: ...

    def block(self, where: Any, cursor: str) -> dict[str, Any]: ...

    def tiles(self, where: Any, ids: list[str]) -> dict[str, Any]: ...


def views(shown: Shown, folder: str, filtered: str) -> tuple[View, View, View]:
    """The views grid, block and tiles: their templates lie in `folder`; `filtered` is the event of a changed filter."""

    @require_GET
    def grid(request: HttpRequest) -> HttpResponse:
        """The grid alone, for a changed filter; the address bar follows, so that the page can be shared."""
        where = shown.place(request.GET)
        if not is_fragment(request):
            return redirect_to(request, where.url())
        response = render(request, f"{folder}/grid.html", shown.block(where, request.GET.get("cursor", "")))
        response.headers["HX-Replace-Url"] = where.url()
        response.headers["HX-Trigger-After-Settle"] = filtered
        return response

    @require_GET
    def block(request: HttpRequest) -> HttpResponse:
        """The next block of tiles, or an earlier one; without htmx the whole page that begins there."""
        where, cursor = shown.place(request.GET), request.GET.get("cursor", "")
        if not is_fragment(request):
            return redirect_to(request, where.url(cursor=cursor))
        context = {**shown.block(where, cursor), "one_way": "earlier" if request.GET.get("earlier") else "next"}
        return render(request, f"{folder}/block.html", context)

    @require_GET
    def tiles(request: HttpRequest) -> HttpResponse:
        """A block again, after it was emptied or changed."""
        ids = request.GET.get("ids", "").split(",")[:PAGE]
        return render(request, f"{folder}/tiles.html", shown.tiles(shown.place(request.GET), ids))

    return grid, block, tiles

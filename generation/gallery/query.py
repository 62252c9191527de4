"""Finding pictures: filter, order and keyset pages. Every page of many costs what the first does; counts nothing.

A cursor is opaque to everybody else: a side and the sort key of the picture the page starts beside, or `last`."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from django.contrib.postgres.search import SearchQuery
from django.db.models import F, Q
from django.utils import timezone

from characters.browse.query import LARGEST_PAGE, LONGEST_SEARCH, MOST_WORDS, SEPARATORS
from characters.models import Character
from generation.models import Board, Generation, Output, OutputQuerySet, words_of
from isengard.engine.tools import TOOLS
from isengard.errors import Invalid
from isengard.grids import LAST, flag, require_offered, told
from isengard.keyset import beyond
from training.models import Lora

__all__ = [
    "ENOUGH",
    "KINDS",
    "LARGEST_PAGE",
    "LAST",
    "RELATED",
    "SORT_LABELS",
    "Filter",
    "Page",
    "count",
    "found",
    "page",
]
# Whether the rating comes before the id, and whether both fall.
SORTS = {"newest": (False, True), "oldest": (False, False), "best": (True, True), "worst": (True, False)}
SORT_LABELS = {"newest": "Newest first", "oldest": "Oldest first", "best": "Best first", "worst": "Worst first"}
SYNTHETIC = "synthetic"
KINDS = {**{key: tool.label for key, tool in TOOLS.items()}, SYNTHETIC: "Training pictures"}
RELATED = ("generation__job", "generation__character", "generation__lora__character")
# What a tile shows of a picture's request.
SHOWN = ("prompt", "tool", "purpose", "job__public_id")
ENOUGH = 10_000
MOST_NEWS = 100
CURSOR = re.compile(r"(before|after)\.(?:([0-5])\.)?(\d{1,18})")


@dataclass(frozen=True)
class Filter:
    """Which pictures, in which order. Empty means any. `q`: starts of words of the prompt, all of them there; `kind`:
    a tool's key or `synthetic`; `rating`: so or better; `since` and `until`: days, both included; `board`: its id."""

    q: str = ""
    character: str = ""
    lora: str = ""
    board: str = ""
    kind: str = ""
    rating: str = ""
    favourite: bool = False
    since: str = ""
    until: str = ""
    sort: str = "newest"

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> "Filter":
        """From query parameters. Invalid: a value nobody offers, since ignoring it would choose far too many."""
        names = ("character", "lora", "board", "kind", "rating", "since", "until")
        text = {name: str(data.get(name) or "").strip() for name in names}
        sort = str(data.get("sort") or "newest")
        require_offered("kind", text["kind"], KINDS)
        require_offered("rating", text["rating"], "12345")
        require_offered("sort", sort, SORTS)
        if not (text["board"].isascii() and text["board"].isdigit() and len(text["board"]) < 10):
            require_offered("board", text["board"], ())
        for name in ("since", "until"):
            _day(text[name])
        words = str(data.get("q") or "").strip()[:LONGEST_SEARCH]
        return cls(q=words, favourite=flag(data, "favourite"), sort=sort, **text)

    def params(self) -> dict[str, str]:
        """The query parameters that say the same, without those that say nothing."""
        return told(self)


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise Invalid("bad_filter", f"{text[:40]!r} is not a day. Write it as 2026-01-31.") from None


@dataclass(frozen=True)
class Page:
    """Pictures with their request at hand; `next` and `previous` are cursors, empty where there is nothing more."""

    outputs: list[Output]
    next: str
    previous: str


def found(chosen: Filter) -> OutputQuerySet:
    """All pictures that the filter lets through, in no order. Asks for ids first, because the planner picks the right
    index only when it sees the character's, the LoRA's and the board's own number."""
    outputs: OutputQuerySet = Output.objects.filter(_plain(chosen), _when(chosen))
    if chosen.character:
        outputs = outputs.filter(generation__character_id=_key(Character, chosen.character))
    if chosen.lora:
        outputs = outputs.wearing(_key(Lora, chosen.lora), chosen.lora)
    if chosen.board:
        through: Any = Board.outputs.through
        outputs = outputs.filter(pk__in=through.objects.filter(board_id=int(chosen.board)).values("output_id"))
    return outputs.filter(_says(chosen.q)) if chosen.q else outputs


def _key(model: Any, public_id: str) -> int:
    """Its number; 0, which nothing has, where there is none."""
    return model.objects.filter(public_id=public_id).values_list("pk", flat=True).first() or 0


def _plain(chosen: Filter) -> Q:
    condition = Q(favourite=True) if chosen.favourite else Q()
    if chosen.rating:
        condition &= Q(rating__gte=int(chosen.rating))
    if chosen.kind == SYNTHETIC:
        return condition & Q(generation__purpose=Generation.Purpose.SYNTHETIC)
    return condition & Q(generation__tool=chosen.kind) if chosen.kind else condition


def _when(chosen: Filter) -> Q:
    condition = Q()
    if since := _day(chosen.since):
        condition &= Q(created_at__gte=_midnight(since))
    if until := _day(chosen.until):
        condition &= Q(created_at__lt=_midnight(until) + timedelta(days=1))
    return condition


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))


def _says(text: str) -> Q:
    """A picture's own prompt, else that of its request; each is looked up in its own index of words."""
    words = [word for word in SEPARATORS.split(text.lower()) if word][:MOST_WORDS]
    if not words:
        return Q(pk__in=[])
    sought = SearchQuery(" & ".join(f"'{word}':*" for word in words), search_type="raw", config="simple")
    asked = Generation.objects.alias(told=words_of("prompt")).filter(told=sought)
    own = Output.everything.exclude(prompt="").alias(told=words_of("prompt")).filter(told=sought)
    return Q(prompt="", generation__in=asked.values("pk")) | Q(pk__in=own.values("pk"))


def whole(outputs: OutputQuerySet) -> OutputQuerySet:
    """With all of their requests, characters and LoRAs."""
    return outputs.select_related(*RELATED)


def for_tiles(outputs: OutputQuerySet) -> OutputQuerySet:
    """With what a tile says of their requests; the whole would be seven JSON columns and three further tables each."""
    own = [field.attname for field in Output._meta.concrete_fields]
    return outputs.select_related("generation__job").only(*own, *(f"generation__{name}" for name in SHOWN))


def page(
    chosen: Filter,
    cursor: str = "",
    limit: int = 60,
    read: Callable[[OutputQuerySet], OutputQuerySet] = whole,
) -> Page:
    """`limit` pictures (1 to 500) after or before the cursor; the first ones without. Invalid: no cursor of ours."""
    limit = min(max(limit, 1), LARGEST_PAGE)
    rated, falling = SORTS[chosen.sort]
    backwards, key = (True, None) if cursor == LAST else _read(cursor, rated)
    rows = list(read(_ordered(chosen, rated, falling != backwards, key))[: limit + 1])
    more, rows = len(rows) > limit, rows[:limit]
    if backwards:
        rows.reverse()
    before, after = (more, key is not None) if backwards else (key is not None, more)
    return Page(
        outputs=rows,
        next=cursor_at("after", rows[-1], rated) if rows and after else "",
        previous=cursor_at("before", rows[0], rated) if rows and before else "",
    )


def _ordered(chosen: Filter, rated: bool, falling: bool, key: list[int] | None) -> OutputQuerySet:
    columns = [F("rating"), F("id")] if rated else [F("id")]
    outputs = found(chosen)
    if key is not None:
        outputs = outputs.filter(beyond(columns, key, falling=falling))
    return outputs.order_by(*(column.desc() if falling else column.asc() for column in columns))


def cursor_at(side: str, output: Output, rated: bool) -> str:
    """The cursor of the page that begins after the picture, or ends before it."""
    return f"{side}.{output.rating}.{output.pk}" if rated else f"{side}.{output.pk}"


def _read(cursor: str, rated: bool) -> tuple[bool, list[int] | None]:
    """Whether the page lies before the key, and the key."""
    if not cursor:
        return False, None
    told = CURSOR.fullmatch(cursor)
    if told is None or (told[2] is not None) != rated:
        raise Invalid("bad_cursor", "That place in the list is not one of ours. Start from the first page.")
    return told[1] == "before", [int(part) for part in told.groups()[1:] if part is not None]


def newer(chosen: Filter, key: int) -> int:
    """How many pictures the filter finds that were made after that one (0: any), counted up to a hundred."""
    return found(chosen).filter(pk__gt=key).order_by()[:MOST_NEWS].count()


def count(chosen: Filter) -> tuple[int, bool]:
    """How many pictures the filter finds, counted up to 10,000, and whether there are more."""
    number = found(chosen).order_by()[: ENOUGH + 1].count()
    return min(number, ENOUGH), number > ENOUGH

"""Finding photos: filter, order and keyset pages. Every page of a million costs what the first does; counts nothing.

A cursor is opaque to everybody else: a side and the sort key of the photo the page starts beside, or `last`."""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib.postgres.search import SearchQuery
from django.db.models import F, Q
from django.db.models.functions import Coalesce, Lower

from characters.models import PUNCTUATION, Character, ImageQuerySet, ImageTag, ReferenceImage, Tag
from isengard.errors import Invalid
from isengard.grids import LAST, flag, require_offered, told
from isengard.keyset import beyond

# What the key is and whether it falls; the id settles ties in the same direction. `None`: the id alone.
KEYS: dict[str, Any] = {"name": Lower("name"), "pixels": F("pixels"), "caption_length": F("caption_length")}
SORTS: dict[str, tuple[str | None, bool]] = {
    "newest": (None, True),
    "oldest": (None, False),
    "name": ("name", False),
    "name-reversed": ("name", True),
    "largest": ("pixels", True),
    "smallest": ("pixels", False),
    "shortest-caption": ("caption_length", False),
    "longest-caption": ("caption_length", True),
}
SORT_LABELS = {
    "newest": "Newest first", "oldest": "Oldest first", "name": "Name A to Z", "name-reversed": "Name Z to A",
    "largest": "Largest first", "smallest": "Smallest first",
    "shortest-caption": "Shortest caption first", "longest-caption": "Longest caption first",
}  # fmt: skip
CAPTIONS = ("with", "without")
LARGEST_PAGE = 500
# How many photos are looked through for words before the index of words is asked.
NEAR = 5000
LONGEST_SEARCH, MOST_WORDS, MOST_CHARACTERS = 200, 8, 1000
SEPARATORS = re.compile(rf"[\s{re.escape(PUNCTUATION)}]+")


@dataclass(frozen=True)
class Filter:
    """Which photos, in which order. Empty means any. Words of `q` may each start a word of name, caption or tag, or
    stand anywhere in the character's name; all of them must be found."""

    q: str = ""
    character: str = ""
    split: str = ""
    tag: str = ""
    verdict: str = ""
    caption: str = ""
    missing: bool = False
    sort: str = "newest"

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> "Filter":
        """From query parameters. Invalid: a value nobody offers, since ignoring it would choose far too many."""
        text = {name: str(data.get(name) or "").strip() for name in ("q", "character", "split", "tag", "verdict")}
        caption, sort = str(data.get("caption") or ""), str(data.get("sort") or "newest")
        require_offered("split", text["split"], ReferenceImage.Split.values)
        require_offered("verdict", text["verdict"], ReferenceImage.Verdict.values)
        require_offered("caption", caption, CAPTIONS)
        require_offered("sort", sort, SORTS)
        text["q"] = text["q"][:LONGEST_SEARCH]
        return cls(**text, caption=caption, missing=flag(data, "missing"), sort=sort)

    def params(self) -> dict[str, str]:
        """The query parameters that say the same, without those that say nothing."""
        return told(self)

    @property
    def narrows(self) -> bool:
        """Whether anything but the order is asked for."""
        return bool(self.params().keys() - {"sort"})


@dataclass(frozen=True)
class Page:
    """Photos with their character at hand; `next` and `previous` are cursors, empty where there is nothing more."""

    images: list[ReferenceImage]
    next: str
    previous: str


def found(chosen: Filter) -> ImageQuerySet:
    """All photos that the filter lets through, in no order. Asks at most three small questions first, because the
    planner picks the right index only when it sees the character's and the tag's own number."""
    images: ImageQuerySet = ReferenceImage.objects.filter(_plain(chosen))
    if chosen.character:
        character = Character.objects.filter(public_id=chosen.character).values_list("pk", flat=True).first()
        images = images.filter(character_id=character) if character else images.none()
    if chosen.tag:
        tag = Tag.objects.filter(name=chosen.tag.lower()).values_list("pk", flat=True).first()
        images = images.filter(pk__in=ImageTag.objects.filter(tag_id=tag or 0).values("image_id"))
    return images.filter(_matches(chosen.q)) if chosen.q else images


def _plain(chosen: Filter) -> Q:
    given = {name: value for name in ("split", "verdict") if (value := getattr(chosen, name))}
    condition = Q(**given)
    if chosen.caption:
        condition &= Q(caption_length=0) if chosen.caption == "without" else Q(caption_length__gt=0)
    return condition & Q(missing_at__isnull=False) if chosen.missing else condition


def _matches(text: str) -> Q:
    words = [word for word in SEPARATORS.split(text.lower()) if word][:MOST_WORDS]
    if not words:
        return Q(pk__in=[])
    named = Q()
    for word in words:
        named |= Q(name__icontains=word)
    people = Character.objects.filter(named).values_list("pk", "name")[:MOST_CHARACTERS]
    names = [(pk, name.lower()) for pk, name in people]
    condition = Q()
    for word in words:
        theirs = [pk for pk, name in names if word in name]
        begins = Q(words=SearchQuery(f"'{word}':*", search_type="raw", config="simple"))
        condition &= begins | Q(character_id__in=theirs) if theirs else begins
    return condition


def page(chosen: Filter, cursor: str = "", limit: int = 60) -> Page:
    """`limit` photos (1 to 500) after or before the cursor; the first ones without. Invalid: not a cursor of ours."""
    limit = min(max(limit, 1), LARGEST_PAGE)
    column, falling = SORTS[chosen.sort]
    backwards, key = (True, None) if cursor == LAST else _read(cursor, column)
    rows = _rows(chosen, Walk(column, falling != backwards, key), limit + 1)
    more, rows = len(rows) > limit, rows[:limit]
    if backwards:
        rows.reverse()
    before, after = (more, key is not None) if backwards else (key is not None, more)
    return Page(
        images=rows,
        next=cursor_at("after", rows[-1], column) if rows and after else "",
        previous=cursor_at("before", rows[0], column) if rows and before else "",
    )


@dataclass(frozen=True)
class Walk:
    """Along a column of KEYS (the id settles ties; None: the id alone), from behind `key` on if there is one."""

    column: str | None
    falling: bool
    key: list[Any] | None = None

    def order(self, key: Any, number: Any) -> list[Any]:
        return [each.desc() if self.falling else each.asc() for each in (key, number) if each is not None]

    def beyond(self, key: list[Any], *, before: bool = False) -> Any:
        """Behind the key, or up to it."""
        columns = [*([KEYS[self.column]] if self.column else []), F("id")]
        return beyond(columns, key, falling=self.falling != before, inclusive=before)


def _rows(chosen: Filter, walk: Walk, count: int) -> list[ReferenceImage]:
    """The next photos of the walk. Looking for words, it first tries the nearest ones: common words are found there
    at once. Rare ones come from the index of words, and are put in order then. Left to itself, the planner walks
    through all photos for what it takes for common, and it is wrong about every word that few recent photos have."""
    key = KEYS[walk.column] if walk.column else None
    images = found(chosen).select_related("character")
    if walk.key is not None:
        images = images.filter(walk.beyond(walk.key))
    ordered = images.order_by(*walk.order(key, F("id")))
    if not chosen.q or chosen.character or chosen.tag:
        return list(ordered[:count])
    end = _end_of_the_near(walk)
    near = list((ordered.filter(walk.beyond(end, before=True)) if end else ordered)[:count])
    if end is None or len(near) == count:
        return near
    # An order that no index has.
    return list(images.order_by(*walk.order(key and Coalesce(key, key), F("id") + 0))[:count])


def _end_of_the_near(walk: Walk) -> list[Any] | None:
    """The key of the photo some way along the walk; None: the walk ends before."""
    key = KEYS[walk.column] if walk.column else None
    images = ReferenceImage.objects.filter(walk.beyond(walk.key)) if walk.key else ReferenceImage.objects.all()
    names = [*([key] if key is not None else []), F("id")]
    ends = images.order_by(*walk.order(key, F("id"))).values_list(*names)[NEAR : NEAR + 1]
    return next((list(end) for end in ends), None)


def beside(chosen: Filter, image: ReferenceImage) -> tuple[ReferenceImage | None, ReferenceImage | None, str]:
    """The photos before and after this one, whether or not the filter still finds it, and the cursor of the page that
    begins with it ("" for the first)."""
    column, _ = SORTS[chosen.sort]
    before = page(chosen, cursor_at("before", image, column), 1).images
    after = page(chosen, cursor_at("after", image, column), 1).images
    cursor = cursor_at("after", before[0], column) if before else ""
    return (before[0] if before else None), (after[0] if after else None), cursor


def cursor_at(side: str, image: ReferenceImage, column: str | None) -> str:
    """The cursor of the page that begins after the photo, or ends before it, in the order of a column of KEYS."""
    first = [image.name.lower() if column == "name" else getattr(image, column)] if column else []
    text = json.dumps([side, *first, image.pk], ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read(cursor: str, column: str | None) -> tuple[bool, list[Any] | None]:
    """Whether the page lies before the key, and the key."""
    if not cursor:
        return False, None
    types: list[type] = [*([str if column == "name" else int] if column else []), int]
    try:
        side, *key = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, TypeError):
        raise _bad_cursor() from None
    fits = [type(value) for value in key] == types and side in ("before", "after")
    if not fits or abs(key[-1]) >= 2**63 or "\x00" in str(key[0]):
        raise _bad_cursor()
    return side == "before", key


def _bad_cursor() -> Invalid:
    return Invalid("bad_cursor", "That place in the list is not one of ours. Start from the first page.")

"""Writing captions: every text ends up here, with a version that it can be brought back from. Owns its transactions.

A version is a text the caption once was. The newest version of a photo tells who wrote its caption; a caption without
one (written before there were versions) counts as a person's. Knows no request and nothing of models that write."""

import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice, takewhile
from typing import Literal

from django.core import signing
from django.db import transaction
from django.db.models import OuterRef, QuerySet, Subquery, Window
from django.db.models.functions import RowNumber
from django.utils import timezone

from characters.captions.text import MAX_CAPTION
from characters.models import CaptionVersion, ReferenceImage
from isengard.errors import Invalid, NotFound

Author = Literal["user", "template", "model", "bulk", "import"]
Images = QuerySet[ReferenceImage]
# From a photo (with its character, and what it was selected with) to the text it should have.
Change = Callable[[ReferenceImage], str]

# What a person did not write by hand, so that a model may write it again.
BY_MACHINE = frozenset({"template", "model"})
KEPT = 20
# Pauses while typing are saved, and are no versions of their own.
SAME_SITTING = timedelta(seconds=10)
CHUNK = 500
UNDO_SECONDS = 3600


@dataclass(frozen=True)
class Written:
    """How many captions changed, and the token that `undo` takes ("" when none did)."""

    count: int
    undo: str = ""


def checked(text: str) -> str:
    """The text as it is kept: any characters but control ones, outer space removed. Invalid: longer than the limit."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    # Lone surrogates and NUL are no text to Postgres.
    clean = "".join(char for char in lines if char in "\n\t" or unicodedata.category(char) not in {"Cc", "Cs"}).strip()
    if len(clean) > MAX_CAPTION:
        over = len(clean) - MAX_CAPTION
        raise Invalid(
            "caption_too_long",
            f"A caption has at most {MAX_CAPTION:,} characters; this one has {len(clean):,}. Shorten it by {over:,}.",
        )
    return clean


def write(*, image: ReferenceImage, text: str, by: Author) -> bool:
    """Makes `text` the caption of one photo. False: it was so. Invalid: too long. NotFound: deleted meanwhile."""
    text = checked(text)
    with transaction.atomic():
        current = _locked([image.pk]).first()
        if current is None:
            raise NotFound("not_found", f"{image.name} was deleted meanwhile.")
        changed: bool = current.caption != text
        if changed and not _same_sitting(current, text, by):
            _record([(current, text)], by)
        if changed:
            ReferenceImage.objects.filter(pk=current.pk).update(caption=text)
    image.caption = text
    return changed


def _same_sitting(current: ReferenceImage, text: str, by: Author) -> bool:
    """A person types on: the version of a moment ago, or one that the new text only continues, becomes this one."""
    newest = current.caption_versions.order_by("-id").first()
    if by != "user" or newest is None or newest.by != "user" or newest.text != current.caption or not newest.text:
        return False
    recent = timezone.now() - newest.created_at <= SAME_SITTING and _retouched(newest.text, text)
    if not text or not (recent or text.startswith(newest.text)):
        return False
    newest.text = text
    newest.save(update_fields=["text"])
    return True


def _retouched(before: str, after: str) -> bool:
    """Half of the shorter text still stands at its beginning and end: it was changed, not written anew."""
    shorter = min(len(before), len(after))
    head = _alike(before, after)
    return 2 * (head + _alike(before[head:][::-1], after[head:][::-1])) >= shorter


def _alike(one: str, other: str) -> int:
    """How many characters both texts begin with."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def restore(*, version: CaptionVersion) -> None:
    """Makes an earlier text the caption again. It is a person's choice, so it counts as a person's text."""
    write(image=version.image, text=version.text, by="user")


def change_all(*, images: Images, change: Change, by: Author) -> Written:
    """Changes every caption that `change` gives another text; all of them or none.

    Invalid: some would become too long (the first is named), and nothing is changed."""
    stamp, first, last, count = timezone.now(), 0, 0, 0
    with transaction.atomic():
        for keys in _in_chunks(images.order_by("pk").values_list("pk", flat=True)):
            changed = _changed(_with_facts(_locked(keys)), change)
            made = _record(changed, by, stamp)
            _save(changed)
            count += len(changed)
            first, last = (first or made[0], made[-1]) if made else (first, last)
    undo_token = signing.dumps([first, last, stamp.isoformat()], salt="captions") if count else ""
    return Written(count, undo_token)


def _in_chunks(keys: Iterable[int]) -> Iterator[list[int]]:
    """Fetched at once, so that what is written meanwhile moves nothing; handled a chunk at a time."""
    rest = iter(list(keys))
    while chunk := list(islice(rest, CHUNK)):
        yield chunk


def _changed(images: Iterable[ReferenceImage], change: Change) -> list[tuple[ReferenceImage, str]]:
    found = []
    for image in images:
        try:
            text = checked(change(image))
        except Invalid as error:
            raise Invalid(error.code, f"{image.name}: {error.message} Nothing was changed.") from error
        if text != image.caption:
            found.append((image, text))
    return found


def undo(*, token: str) -> int:
    """Takes back one `change_all`; how many captions. What was changed again since then stays as it is.

    Invalid: the token is none, or too old."""
    try:
        first, last, stamp = signing.loads(token, salt="captions", max_age=UNDO_SECONDS)
    except signing.BadSignature as error:
        raise Invalid(
            "undo_too_late", "That can no longer be undone. Each photo keeps its earlier captions."
        ) from error
    versions = CaptionVersion.objects.filter(pk__range=(first, last), created_at=datetime.fromisoformat(stamp))
    with transaction.atomic():
        return sum(_take_back(keys) for keys in _in_chunks(versions.order_by("pk").values_list("image", flat=True)))


def _take_back(keys: Iterable[int]) -> int:
    """Back to the version before, where the newest one is still the caption; a second click finds it taken back."""
    back, gone = [], []
    for image in _locked(keys):
        newest, *older = [*image.caption_versions.order_by("-id")[:2], None]
        if newest and newest.text == image.caption and newest.by != "user":
            back.append((image, older[0].text if older[0] else ""))
            gone.append(newest.pk)
    _save(back)
    CaptionVersion.objects.filter(pk__in=gone).delete()
    return len(back)


def author(image: ReferenceImage) -> str:
    """Who wrote the caption: "" for none, else one of Author. Uses `newest_by` where `with_author` has fetched it."""
    if not image.caption:
        return ""
    if hasattr(image, "newest_by"):
        by, text = image.newest_by, getattr(image, "newest_text", None)
    else:
        newest = image.caption_versions.order_by("-id").first()
        by, text = (newest.by, newest.text) if newest else (None, None)
    return str(by) if by and text == image.caption else "user"


def with_author(images: Images) -> Images:
    """Adds what `author` reads, without a query for each photo."""
    newest = CaptionVersion.objects.filter(image=OuterRef("pk")).order_by("-id")
    return images.annotate(newest_by=Subquery(newest.values("by")[:1]), newest_text=Subquery(newest.values("text")[:1]))


def _locked(keys: Iterable[int]) -> Images:
    """The rows as they are now, held until the transaction ends, in an order that cannot deadlock."""
    found: Images = ReferenceImage.objects.filter(pk__in=list(keys)).order_by("pk")
    return found.select_for_update(of=("self",), no_key=True)


def _with_facts(images: Images) -> Images:
    return images.select_related("character", "examination")


def _save(pairs: list[tuple[ReferenceImage, str]]) -> None:
    for image, text in pairs:
        image.caption = text
    ReferenceImage.objects.bulk_update([image for image, _ in pairs], ["caption"])


def _record(pairs: list[tuple[ReferenceImage, str]], by: Author, stamp: datetime | None = None) -> list[int]:
    """The versions of new texts, after one for each old text that has none yet; the new ones' primary keys."""
    if not pairs:
        return []
    keys = [image.pk for image, _ in pairs]
    newest = CaptionVersion.objects.filter(image__in=keys).order_by("image", "-id").distinct("image")
    known = dict(newest.values_list("image", "text"))
    lost = [image for image, _ in pairs if image.caption and known.get(image.pk) != image.caption]
    CaptionVersion.objects.bulk_create([CaptionVersion(image=one, text=one.caption, by="user") for one in lost])
    made = CaptionVersion.objects.bulk_create([CaptionVersion(image=one, text=text, by=by) for one, text in pairs])
    numbers = [version.pk for version in made]
    if stamp is not None:
        CaptionVersion.objects.filter(pk__in=numbers).update(created_at=stamp)
    _prune(keys)
    return numbers


def _prune(keys: list[int]) -> None:
    place = Window(RowNumber(), partition_by="image", order_by="-id")
    old = CaptionVersion.objects.filter(image__in=keys).annotate(place=place).filter(place__gt=KEPT)
    CaptionVersion.objects.filter(pk__in=list(old.values_list("pk", flat=True))).delete()

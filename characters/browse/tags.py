"""Tags: giving, taking, counting, renaming, merging. Owns its transactions.

A photo's own `tag_text` repeats its tags in words, for the search and the tiles; it is written here only."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from django.contrib.postgres.aggregates import StringAgg
from django.db import transaction
from django.db.models import Count, OuterRef, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce

from characters.browse.holding import keys_of
from characters.models import Character, ImageTag, ReferenceImage, Tag
from isengard.errors import Invalid, NotFound

LONGEST, MOST_AT_ONCE = 50, 50
CHUNK = 5000


def normal(name: str) -> str:
    """The one way a tag is written: lower case, single spaces. Invalid: empty, too long, a comma, a control code."""
    tag = re.sub(r"\s+", " ", name.strip().lower())
    if not 1 <= len(tag) <= LONGEST:
        raise Invalid("bad_tag", f"A tag has 1 to {LONGEST} characters; this one has {len(tag):,}.")
    if "," in tag or not tag.isprintable():
        raise Invalid("bad_tag", "A tag is plain text without commas, which separate tags.")
    return tag


def parsed(text: str) -> list[str]:
    """Tags typed into one field, separated by commas, each once. Invalid: one that cannot be used."""
    return list(dict.fromkeys(normal(part) for part in text.split(",") if part.strip()))


def get_tag(name: str) -> Tag:
    """NotFound: nobody uses it."""
    tag = Tag.objects.filter(name=name.strip().lower()).first()
    if tag is None:
        raise NotFound("not_found", f"There is no tag {name[:LONGEST]!r}.")
    return tag


def made(name: str) -> Tag:
    """The tag of this name, new where nobody uses it. Invalid: an unusable name."""
    return Tag.objects.get_or_create(name=normal(name))[0]


def tag_images(images: QuerySet[ReferenceImage], names: Iterable[str]) -> int:
    """Gives photos tags; how many got at least one they did not have. Invalid: none given, or an unusable one."""
    wanted = _wanted(names)
    with transaction.atomic():
        keys = _held(images)
        changed: set[int] = set()
        for tag in _all_made(wanted):
            have = set(ImageTag.objects.filter(tag=tag, image__in=keys).values_list("image_id", flat=True))
            new = [key for key in keys if key not in have]
            ImageTag.objects.bulk_create([ImageTag(image_id=key, tag=tag) for key in new], batch_size=CHUNK)
            changed.update(new)
        _rewrite(changed)
    return len(changed)


def untag_images(images: QuerySet[ReferenceImage], names: Iterable[str]) -> int:
    """Takes tags off photos; how many lost at least one. A tag that nobody uses any more is forgotten."""
    wanted = _wanted(names)
    with transaction.atomic():
        keys = _held(images)
        worn = ImageTag.objects.filter(image__in=keys, tag__name__in=wanted)
        changed = set(worn.values_list("image_id", flat=True))
        worn.delete()
        _rewrite(changed)
        _forget_unused(Tag.objects.filter(name__in=wanted))
    return len(changed)


def set_tags(image: ReferenceImage, names: Iterable[str]) -> None:
    """Makes these the tags of one photo, in place of those it has. Invalid: an unusable one."""
    wanted = [normal(name) for name in names]
    one = ReferenceImage.objects.filter(pk=image.pk)
    with transaction.atomic():
        gone = image.tags.exclude(name__in=wanted).values_list("name", flat=True)
        if former := list(gone):
            untag_images(one, former)
        if wanted:
            tag_images(one, wanted)
    image.refresh_from_db(fields=["tag_text"])


def _wanted(names: Iterable[str]) -> list[str]:
    wanted = list(dict.fromkeys(normal(name) for name in names))
    if not wanted:
        raise Invalid("no_tags", "Type at least one tag.")
    if len(wanted) > MOST_AT_ONCE:
        raise Invalid("too_many_tags", f"At most {MOST_AT_ONCE} tags at once.")
    return wanted


def _held(images: QuerySet[ReferenceImage]) -> list[int]:
    """Locked in order: two people who tag the same photos take turns."""
    rows = ReferenceImage.objects.filter(pk__in=keys_of(images)).order_by("pk").select_for_update(no_key=True)
    return list(rows.values_list("pk", flat=True))


def _all_made(names: list[str]) -> list[Tag]:
    """The rows of these tags, held so that nobody forgets one as unused meanwhile."""
    Tag.objects.bulk_create([Tag(name=name) for name in sorted(names)], ignore_conflicts=True)
    return list(Tag.objects.filter(name__in=names).order_by("name").select_for_update(no_key=True))


def _rewrite(keys: Iterable[int]) -> None:
    """Writes `tag_text` anew."""
    theirs = ImageTag.objects.filter(image=OuterRef("pk")).order_by().values("image")
    text = theirs.annotate(text=StringAgg("tag__name", ", ", order_by="tag__name")).values("text")
    images = ReferenceImage.everything.filter(pk__in=list(keys))
    images.update(tag_text=Coalesce(Subquery(text), Value("")))


def _forget_unused(tags: QuerySet[Tag]) -> None:
    tags.filter(pk__in=list(tags.select_for_update().values_list("pk", flat=True)), images=None).delete()


def rename_tag(tag: Tag, name: str) -> Tag:
    """Under its new name everywhere; where that name is in use, the two become one. Invalid: an unusable name."""
    wanted = normal(name)
    if wanted == tag.name:
        return tag
    with transaction.atomic():
        if other := Tag.objects.filter(name=wanted).first():
            return merge_tags([tag], other)
        Tag.objects.filter(pk=tag.pk).update(name=wanted)
        _rewrite(ImageTag.objects.filter(tag=tag).values_list("image_id", flat=True))
    tag.name = wanted
    return tag


def merge_tags(tags: Iterable[Tag], into: Tag) -> Tag:
    """Photos with any of `tags` wear `into` instead."""
    former = [tag.pk for tag in tags if tag.pk != into.pk]
    with transaction.atomic():
        wearing = set(ImageTag.objects.filter(tag__in=former).values_list("image_id", flat=True))
        have = set(ImageTag.objects.filter(tag=into, image__in=wearing).values_list("image_id", flat=True))
        new = [ImageTag(image_id=key, tag=into) for key in sorted(wearing - have)]
        ImageTag.objects.bulk_create(new, batch_size=CHUNK, ignore_conflicts=True)
        Tag.objects.filter(pk__in=former).delete()
        _rewrite(wearing)
    return into


def delete_tag(tag: Tag) -> int:
    """Takes it off every photo; how many wore it."""
    with transaction.atomic():
        wearing = list(ImageTag.objects.filter(tag=tag).values_list("image_id", flat=True))
        tag.delete()
        _rewrite(wearing)
    return len(wearing)


@dataclass(frozen=True)
class Frequency:
    """A tag and the number of photos that wear it."""

    name: str
    count: int


def frequencies(character: Character | None = None, begins: str = "", limit: int = 200) -> list[Frequency]:
    """How many photos (of the character) wear each tag, most used first. What lies in the bin is counted and taken
    off again: that way the index of tags answers alone, without a look at every photo."""
    names = dict(Tag.objects.filter(name__startswith=begins.strip().lower()).values_list("pk", "name"))
    worn = ImageTag.objects.filter(tag__in=names) if begins.strip() else ImageTag.objects.all()
    if character is not None:
        worn = worn.filter(image__character=character)
    counts, binned = _counted(worn), _counted(worn.filter(image__deleted_at__isnull=False))
    left = [Frequency(names[tag], count - binned.get(tag, 0)) for tag, count in counts.items() if tag in names]
    return sorted((one for one in left if one.count), key=lambda one: (-one.count, one.name))[:limit]


def _counted(worn: QuerySet[ImageTag]) -> dict[int, int]:
    return dict(worn.values_list("tag_id").annotate(count=Count("pk")).order_by())


def names(limit: int = 500) -> list[str]:
    """Every tag's name in order, for choosing one: uncounted, so it costs the same whatever the dataset holds."""
    return list(Tag.objects.order_by("name").values_list("name", flat=True)[:limit])

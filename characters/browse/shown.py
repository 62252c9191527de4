"""What the grid of photos and the photo page show: a page of photos with their marks, and the addresses around it."""

from dataclasses import dataclass
from typing import Any

from django.db.models import prefetch_related_objects
from django.urls import NoReverseMatch, reverse

from characters.browse import query
from characters.browse.query import Filter
from characters.models import Character, Examination, ImageQuerySet, ReferenceImage
from isengard import grids
from isengard.grids import PAGE
from isengard.jobs.models import Job

# As many names as a select can offer; beyond that, the search box finds a character by name.
MOST_CHARACTERS = 1000


@dataclass(frozen=True)
class Tile:
    """A photo in the grid, what the doctor has against it, its page, and where to cut it (a CSS position, or "")."""

    image: ReferenceImage
    reasons: list[str]
    url: str
    focus: str


@dataclass(frozen=True)
class Place(grids.Place[Filter]):
    """The page of all photos, or a character's own."""

    tab = "photos"
    parts = "characters:"

    @property
    def page(self) -> str:
        return reverse("characters:detail", args=[self.filter.character]) if self.hub else reverse("dataset")


def place(data: Any, character: Character | None = None) -> Place:
    """From query parameters; on a character's own page the character is given. Invalid: a filter nobody offers."""
    if character is not None:
        return Place(Filter.of({**data.dict(), "character": character.public_id}), hub=True)
    return Place(Filter.of(data), hub=data.get("tab") == Place.tab and bool(data.get("character")))


# Of a synthetic photo's recipe, in the order a person asks for it.
RECIPE = ("prompt", "negative_prompt", "model", "seed", "steps", "guidance_scale", "width", "height")
# What other parts of the dataset do with a selection: the name of their address, words, icon, whether it is a dialog.
BULK = (
    ("characters:examine-images", "Check again", "scan-face", False),
    ("characters:bulk-captions", "Captions…", "pencil", True),
    ("characters:crop-images", "Suggest crops…", "crop", True),
    ("characters:mask-images", "Make masks…", "brush", True),
    ("characters:export-images", "Export…", "download", True),
)


def known(name: str, *args: str) -> str:
    """An address of another part of the dataset, or "" where that part is not there."""
    try:
        return reverse(name, args=args)
    except NoReverseMatch:
        return ""


def _bulk() -> list[dict[str, Any]]:
    """The further actions of the selection bar."""
    there = [(known(name), label, symbol, dialog) for name, label, symbol, dialog in BULK]
    return [dict(zip(("url", "label", "icon", "dialog"), entry, strict=True)) for entry in there if entry[0]]


def browser(where: Place, cursor: str = "") -> dict[str, Any]:
    """The filters and the first block of the grid, or the one at `cursor`."""
    characters = Character.objects.order_by("name").values_list("public_id", "name")[:MOST_CHARACTERS]
    return {
        "place": where,
        "filter": where.filter,
        "bulk": _bulk(),
        "sorts": query.SORT_LABELS,
        "splits": ReferenceImage.Split.choices,
        "verdicts": ReferenceImage.Verdict.choices,
        "names": [] if where.hub else list(characters),
        **block(where, cursor),
    }


def block(where: Place, cursor: str) -> dict[str, Any]:
    """A screenful or more of tiles, and where the ones before and after it are."""
    page = query.page(where.filter, cursor, PAGE)
    return {
        "place": where,
        "tiles": _tiles(where, page.images),
        **where.around(cursor, [image.public_id for image in page.images], page.next, page.previous),
    }


def tiles(where: Place, ids: list[str]) -> dict[str, Any]:
    """Those of a block's photos that the filter still finds, in the block's own order."""
    still: ImageQuerySet = query.found(where.filter).filter(public_id__in=ids).select_related("character")
    known = {image.public_id: image for image in still}
    return {"place": where, "tiles": _tiles(where, [known[key] for key in ids if key in known])}


def _tiles(where: Place, images: list[ReferenceImage]) -> list[Tile]:
    """With what the doctor says of each, in one query."""
    prefetch_related_objects(images, "examination")
    return [Tile(image, findings(image), photo_url(image, where), _focus(image)) for image in images]


def _focus(image: ReferenceImage) -> str:
    """The middle of the largest face, so that a tile does not cut it off."""
    faces = getattr(image, "examination", Examination()).faces
    if not faces:
        return ""
    face = max(faces, key=lambda found: found["width"] * found["height"])
    return f"{100 * (face['x'] + face['width'] / 2):.0f}% {100 * (face['y'] + face['height'] / 2):.0f}%"


def findings(image: ReferenceImage) -> list[str]:
    """What the doctor has against the photo and the user has not waved through."""
    seen = getattr(image, "examination", None)
    return [] if seen is None else [found["text"] for found in seen.findings if found["code"] not in seen.ignored]


def neighbours(where: Place, image: ReferenceImage) -> dict[str, str]:
    """The pages of the photos before and after this one, and the way back to its own place in the grid."""
    before, after, cursor = query.beside(where.filter, image)
    around = {"cursor": cursor} if cursor else {}
    return {
        "previous_url": photo_url(before, where) if before else "",
        "following_url": photo_url(after, where) if after else "",
        "back_url": where.url(**around),
    }


def near(where: Place, image: ReferenceImage) -> tuple[ReferenceImage | None, ReferenceImage | None]:
    """The photos after and before this one."""
    before, after, _ = query.beside(where.filter, image)
    return after, before


def made_url(image: ReferenceImage) -> str:
    """The page of what a synthetic photo was made by; "" where that is deleted, or was never in this studio."""
    if not image.made_by or not Job.objects.filter(public_id=image.made_by).exists():
        return ""
    return known("generation:detail", image.made_by)


def recipe(image: ReferenceImage) -> list[tuple[str, str]]:
    """What a synthetic photo was made with, in words; nested facts (the LoRAs) are told by their names."""
    told = image.recipe or {}
    facts = [(key.replace("_", " ").capitalize(), told[key]) for key in RECIPE if told.get(key) not in (None, "")]
    loras = ", ".join(str(each.get("name")) for each in told.get("loras") or () if isinstance(each, dict))
    return [(label, str(value)) for label, value in [*facts, *([("LoRAs", loras)] if loras else [])]]


def photo_url(image: ReferenceImage, where: Place) -> str:
    address = reverse("photos:page", args=[image.public_id])
    return f"{address}?{where.query}" if where.query else address

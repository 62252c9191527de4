"""What the caption pages show, put together from the services: plain dictionaries and dataclasses for templates."""

from dataclasses import dataclass
from typing import Any

from characters.captions import bulk, lint, services, template, tokens, traits, writing
from characters.captions.services import with_author
from characters.captions.text import MAX_CAPTION, training_text
from characters.models import CaptionVersion, Character, DatasetTask, ReferenceImage

PAGE = 24
AUTHORS = {
    "user": "by hand", "template": "from a template", "model": "by a model", "bulk": "by an edit of many",
    "import": "from an import",
}  # fmt: skip
# Captions read for the lint at once; beyond it the newest ones speak for all.
MOST_LINTED = 5000


@dataclass(frozen=True)
class Reading:
    """The final training text of a photo: the part that the base model reads, the part that it cuts off, and why."""

    text: str
    cut: str = ""
    note: str = ""


def reading(caption: str, trigger: str, base: str = "") -> Reading:
    """Exactly what training gives the engine (`training_text`), as the base model's tokenizer takes it."""
    text = training_text(caption, trigger)
    found = tokens.limit(base or tokens.default_base())
    if found is None:
        return Reading(text)
    reader, most = found
    count = reader.count(text)
    if count <= most:
        return Reading(text, note=f"{count} of {most} tokens")
    kept = reader.head(text, most)
    return Reading(text[:kept], text[kept:], f"{count} tokens: {reader.name} reads the first {most}")


def box(image: ReferenceImage, *, error: str = "", saved: bool = False, typed: str | None = None) -> dict[str, Any]:
    """One caption with what belongs to it. `typed` is a text that was refused and must not be lost."""
    by = services.author(image)
    text = image.caption if typed is None else typed
    return {
        "image": image,
        "text": text,
        "length": len(text),
        "most": MAX_CAPTION,
        "by": AUTHORS.get(by, ""),
        "reading": reading(image.caption, image.character.trigger_word),
        "traits": traits.find(image.caption),
        "error": error,
        "saved": saved,
    }


def versions(image: ReferenceImage) -> list[dict[str, Any]]:
    """Newest first; the one that is the caption now is marked."""
    found = list(image.caption_versions.order_by("-id"))
    return [
        {"version": version, "by": AUTHORS.get(version.by, version.by), "current": _is_current(image, version, number)}
        for number, version in enumerate(found)
    ]


def _is_current(image: ReferenceImage, version: CaptionVersion, number: int) -> bool:
    return number == 0 and version.text == image.caption


def rows(character: Character, after: str) -> dict[str, Any]:
    """A page of the caption table, oldest first, from behind the photo with the primary key `after`."""
    images = with_author(ReferenceImage.objects.filter(character=character).select_related("character")).order_by("pk")
    if after.isdecimal():
        images = images.filter(pk__gt=int(after[:18]))
    page = list(images[: PAGE + 1])
    return {"boxes": [box(image) for image in page[:PAGE]], "after": page[PAGE - 1].pk if len(page) > PAGE else ""}


def findings(character: Character) -> dict[str, Any]:
    """What the captions of a character give away, for the lint card."""
    captions = list(character.images.order_by("-pk").values_list("caption", flat=True)[:MOST_LINTED])
    found = lint.lint(captions, character.trigger_word)
    return {
        "character": character,
        "findings": found,
        "trait_phrases": [one.phrase for one in found if one.kind == "trait"],
        "written": sum(1 for text in captions if text),
        "total": len(captions),
    }


def tools(op: str = "") -> dict[str, Any]:
    """The edits of many captions, the one that was asked for (else the first) chosen."""
    ops = list(bulk.EDITS)
    return {
        "examples": template.EXAMPLES,
        "default": template.DEFAULT,
        "fields": template.FIELDS,
        "op": op if op in ops else ops[0],
    }


def writers() -> dict[str, Any]:
    """The captioners of this machine and the ways to use them."""
    offered = writing.offered()
    return {
        "usable": [one for one in offered if not one.reason],
        "absent": [one for one in offered if one.reason],
        "modes": writing.MODES,
    }


def task(found: DatasetTask) -> dict[str, Any]:
    """A captioning job as its page shows it."""
    names = {one.key: one.label for one in writing.offered()}
    models = [{"key": key, "label": names.get(key, key)} for key in found.options["models"]]
    return {
        "task": found,
        "job": found.job,
        "character": found.character,
        "options": found.options,
        "trying": found.options["mode"] == writing.TRY,
        "models": models,
        "rows": _tried(found, [model["key"] for model in models]),
        "failed": _failed(found),
        "modes": writing.MODES,
    }


def _tried(found: DatasetTask, models: list[str]) -> list[dict[str, Any]]:
    """The photos of a try with what each model said, in the models' order; None while it has not spoken."""
    if found.options["mode"] != writing.TRY:
        return []
    images = {image.public_id: image for image in _images(found.options["images"])}
    said = found.options["results"]
    return [
        {"image": images[key], "texts": [said.get(key, {}).get(model) for model in models]}
        for key in found.options["images"]
        if key in images
    ]


def _failed(found: DatasetTask) -> list[str]:
    images = {image.public_id: image.name for image in _images([one["image"] for one in found.options["failed"]])}
    return [f"{images.get(one['image'], one['image'])}: {one['reason']}" for one in found.options["failed"]]


def _images(public_ids: list[str]) -> list[ReferenceImage]:
    return list(ReferenceImage.objects.filter(public_id__in=public_ids).select_related("character"))

"""Edits of many captions at once, each with its preview: find and replace, prefix, suffix, trigger, template, strip.

An edit is a function from a photo to its new text; `services.change_all` applies it. Every edit is idempotent: done
twice it changes nothing more. Knows no request."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from characters.captions import lint, template, text
from characters.captions.services import Author, Change, Images, Written, change_all, checked
from characters.captions.template import Facts
from characters.models import Character, ReferenceImage
from isengard.errors import Invalid

PREVIEW = 24
# Refusals of an edit that somebody is still typing.
UNFINISHED = frozenset({"nothing_to_find", "nothing_to_add", "bad_template"})


@dataclass(frozen=True)
class Edit:
    """What to do with each caption, as whom."""

    change: Change
    by: Author = "bulk"


@dataclass(frozen=True)
class Row:
    image: ReferenceImage
    before: str
    after: str


@dataclass(frozen=True)
class Preview:
    """`rows` are the first PREVIEW captions that would change, of `changed` in `total` photos; `problem` is what stands
    against it ("" when nothing does)."""

    rows: list[Row]
    changed: int
    total: int
    problem: str = ""


def edit(op: str, options: Mapping[str, Any]) -> Edit:
    """The edit that `op` names. Invalid: no such edit, or options that make none."""
    if op not in EDITS:
        raise Invalid("unknown_edit", f"There is no caption edit called {op!r}. Choose one of {', '.join(EDITS)}.")
    made: Edit = EDITS[op](options)
    return made


def preview(images: Images, wanted: Edit) -> Preview:
    """What the edit would do, without doing it."""
    rows: list[Row] = []
    changed = total = 0
    problem = ""
    for image in images.order_by("pk").select_related("character", "examination").iterator(chunk_size=500):
        total += 1
        after = wanted.change(image).strip()
        if after == image.caption:
            continue
        changed += 1
        problem = problem or _problem(image, after)
        if len(rows) < PREVIEW:
            rows.append(Row(image, image.caption, after))
    return Preview(rows, changed, total, problem)


def apply(images: Images, wanted: Edit) -> Written:
    """Invalid: a caption would become too long; nothing is changed then."""
    return change_all(images=images, change=wanted.change, by=wanted.by)


def _problem(image: ReferenceImage, after: str) -> str:
    try:
        checked(after)
    except Invalid as error:
        return f"{image.name}: {error.message}"
    return ""


def _replace(options: Mapping[str, Any]) -> Edit:
    find, by = str(options.get("find") or ""), str(options.get("replace") or "")
    if not find.strip():
        raise Invalid("nothing_to_find", "Say what to look for.")
    pattern = re.escape(find)
    if options.get("whole_word"):
        pattern = rf"(?<!\w){pattern}(?!\w)"
    finder = re.compile(pattern, 0 if options.get("match_case") else re.IGNORECASE)

    def change(image: ReferenceImage) -> str:
        # A function, because a replacement string would read backslashes.
        replaced, found = finder.subn(lambda _: by, image.caption)
        return (replaced if by.strip() else text.tidy(replaced)) if found else image.caption

    return Edit(change)


def _prefix(options: Mapping[str, Any]) -> Edit:
    words = _words(options, "prefix")
    return Edit(lambda image: image.caption if _leads(words, image.caption) else _joined(words, image.caption))


def _suffix(options: Mapping[str, Any]) -> Edit:
    words = _words(options, "suffix")
    return Edit(lambda image: image.caption if _ends(words, image.caption) else _joined(image.caption, words))


def _leads(words: str, caption: str) -> bool:
    """ "a photo" leads "a photo of ohwx", but "a" does not lead "an apple"."""
    return caption.startswith(words) and not (words[-1].isalnum() and caption[len(words) :][:1].isalnum())


def _ends(words: str, caption: str) -> bool:
    return caption.endswith(words) and not (words[0].isalnum() and caption[: -len(words)][-1:].isalnum())


def _words(options: Mapping[str, Any], name: str) -> str:
    words = str(options.get("text") or "").strip()
    if not words:
        raise Invalid("nothing_to_add", f"Say what to add as the {name}.")
    return words


def _joined(first: str, second: str) -> str:
    """With a comma, unless one side brings its own sign or is empty."""
    if not first or not second:
        return first or second
    sign = "" if first[-1] in ",.;:!?" or second[0] in ",.;:!?" else ","
    return f"{first}{'' if second[0] in ',.;:!?' else sign + ' '}{second}"


def _trigger(options: Mapping[str, Any]) -> Edit:
    return Edit(lambda image: text.training_text(image.caption, image.character.trigger_word))


def _template(options: Mapping[str, Any]) -> Edit:
    words, all_of_them = (
        template.check(str(options.get("template") or template.DEFAULT)),
        bool(options.get("overwrite")),
    )

    def change(image: ReferenceImage) -> str:
        return template.render(words, facts(image)) if all_of_them or not image.caption else image.caption

    return Edit(change, "template")


def _strip(options: Mapping[str, Any]) -> Edit:
    phrases: Sequence[str] = [phrase for phrase in options.get("phrases") or [] if phrase.strip()]
    if not phrases:
        raise Invalid("nothing_to_strip", "Say which words to take out.")
    return Edit(lambda image: lint.strip(image.caption, phrases))


EDITS = {
    "replace": _replace, "prefix": _prefix, "suffix": _suffix, "trigger": _trigger, "template": _template,
    "strip": _strip,
}  # fmt: skip


def facts(image: ReferenceImage) -> Facts:
    """What templates may say of a photo; reads `character` and `examination`, so select those with it."""
    examination = getattr(image, "examination", None)
    return Facts(
        trigger=image.character.trigger_word,
        class_word=class_of(image.character, image.caption),
        tags=image.tag_text,
        framing=examination.framing if examination else "",
        filename=image.original_name,
        name=image.character.name,
    )


def class_of(character: Character, *captions: str) -> str:
    """What the person is one of, as training finds it: from the description first, then from captions."""
    return text.class_word(character.description, *captions)

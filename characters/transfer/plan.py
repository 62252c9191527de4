"""What an import will do, worked out from the archive alone: which entries are photos, and what is said about each.

The same archive always gives the same plan, so a job that starts again goes on with the photo it had reached."""

import io
import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from characters.transfer import archive, notes
from characters.transfer.archive import Contents, Member, Refusal
from characters.transfer.notes import Note
from isengard.engine.specs import UnpackMember
from isengard.errors import Invalid

FORMAT = "isengard-dataset"


@dataclass
class About:
    """The character as an archive of ours describes it; all empty in others."""

    name: str = ""
    trigger_word: str = ""
    description: str = ""


@dataclass
class Plan:
    """`notes[i]` is about `pictures[i]`, `masks[i]` the place of its mask in the archive's list or None."""

    pictures: list[Member] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    masks: list[int | None] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    about: About = field(default_factory=About)

    def members(self, done: set[int]) -> tuple[UnpackMember, ...]:
        """What is still to be unpacked, as the engine takes it."""
        places = enumerate(zip(self.pictures, self.masks, strict=True))
        return tuple(UnpackMember(index, picture.index, mask) for index, (picture, mask) in places if index not in done)


def of(path: Path) -> Plan:
    """Invalid: no archive, a hostile one, or one without a single picture."""
    with archive.opened(path) as opened:
        contents = archive.inspect(opened)
        said = _read_notes(opened, contents)
        plan = Plan(refused=contents.refused, about=_read_about(opened, contents.about))
        _read_captions(opened, contents, said)
        _pair(plan, contents, said)
    if not plan.pictures:
        raise Invalid("no_pictures", f"There is no picture to import in this archive.{_first_reason(plan)}")
    return plan


def _first_reason(plan: Plan) -> str:
    return f" {plan.refused[0].name}: {plan.refused[0].reason}" if plan.refused else ""


def _read_notes(opened: zipfile.ZipFile, contents: Contents) -> dict[str, Note]:
    said: dict[str, Note] = {}
    for member in contents.metadata:
        folder = member.name.rpartition("/")[0]
        try:
            file = io.BytesIO(archive.read(opened, member))
        except Invalid as error:
            contents.refused.append(Refusal(archive.shown(member.name), error.code, error.message))
            continue
        for name, note in notes.lines(file, folder):
            if note is None or not name:
                reason = "This is no description of a picture (one JSON object a line, with its file_name)."
                contents.refused.append(Refusal(f"{archive.shown(member.name)}, {name}", "bad_line", reason))
            else:
                said[name] = note
    return said


def _read_captions(opened: zipfile.ZipFile, contents: Contents, said: dict[str, Note]) -> None:
    """Caption files beside their picture (`a.txt` or `a.jpg.txt` for `a.jpg`); what metadata says outranks them."""
    texts = {_stem(name).casefold(): member for name, member in contents.captions.items()}
    for picture in contents.pictures:
        for key in (_stem(picture.name).casefold(), picture.name.casefold()):
            member = texts.get(key)
            if member is None:
                continue
            contents.captions.pop(member.name, None)
            if picture.name not in said:
                said[picture.name] = _caption_note(opened, member)
    for name in contents.captions:
        reason = "There is no picture of this name beside it."
        contents.refused.append(Refusal(archive.shown(name), "caption_alone", reason))


def _caption_note(opened: zipfile.ZipFile, member: Member) -> Note:
    note = Note()
    try:
        note.caption = notes.caption_text(archive.read(opened, member))
    except Invalid as error:
        note.problems.append(f"{archive.shown(member.name)}: {error.message} The photo has no caption.")
    return note


def _stem(name: str) -> str:
    """The name without its extension, in its folder: what a picture and its caption file share."""
    return name[: -len(archive.extension(name)) - 1] if archive.extension(name) else name


def _pair(plan: Plan, contents: Contents, said: dict[str, Note]) -> None:
    """Photos with their notes and masks. A picture that a note calls a mask is none of the photos."""
    places = {picture.name: picture.index for picture in contents.pictures}
    masks = {note.mask for name, note in said.items() if note.mask and name in places}
    for picture in contents.pictures:
        if picture.name in masks:
            continue
        note = said.get(picture.name) or Note()
        if note.mask and note.mask not in places:
            note.problems.append("Its mask is not in the archive.")
        plan.pictures.append(picture)
        plan.notes.append(note)
        plan.masks.append(places.get(note.mask) if note.mask else None)
    gone = sorted(name for name in said if name not in places)
    for name in gone:
        plan.refused.append(Refusal(archive.shown(name), "not_there", "It is described, but not in the archive."))


def _read_about(opened: zipfile.ZipFile, member: Member | None) -> About:
    """Nothing of it is needed: a person can type name and trigger word."""
    if member is None:
        return About()
    try:
        data = json.loads(archive.read(opened, member))
    except (Invalid, ValueError, RecursionError):
        return About()
    if not isinstance(data, dict) or data.get("format") != FORMAT or not isinstance(data.get("character"), dict):
        return About()
    person: dict[str, Any] = data["character"]
    return About(*(person[key] if isinstance(person.get(key), str) else "" for key in About.__dataclass_fields__))

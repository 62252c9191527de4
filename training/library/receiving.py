"""A LoRA file from elsewhere: taken in, looked at from the outside in, and kept as a version of a character.

The header is checked before a tensor is read, and every tensor before anything is kept; what was found is a report."""

import logging
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePath
from typing import IO, Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from characters import services as characters
from characters.models import Character
from isengard import storage
from isengard.engine import catalog, lora_convert, lora_file, lora_matrix, lora_shapes
from isengard.engine.errors import EngineError
from isengard.engine.lora_file import LoraHeader
from isengard.errors import Conflict, Invalid
from training import bases, loras
from training.library import reports
from training.library.services import change
from training.models import Lora
from training.services import set_active

log = logging.getLogger(__name__)

LONGEST_TRIGGER = 50
MOST_STEPS = 2**31 - 1


@contextmanager
def received(file: IO[bytes], name: str) -> Iterator[Path]:
    """The upload as a file on the studio's own disk, gone after the block; larger ones lie there already.

    Invalid: over the cap. Unavailable: the disk is full."""
    bases.require_space()
    folder = storage.absolute("tmp")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as place:
        # Called as it came: a header without a name is shown under its file's.
        path = Path(place) / f"{PurePath(name).stem[:80] or 'lora'}.safetensors"
        if given := getattr(file, "temporary_file_path", None):
            shutil.move(given(), path)
        else:
            with path.open("wb") as target:
                shutil.copyfileobj(file, target)
        if path.stat().st_size > settings.LORA_MAX_BYTES:
            raise Invalid("file_too_large", _too_large(), status=413)
        yield path


def _too_large() -> str:
    return f"The file is larger than {settings.LORA_MAX_BYTES >> 30} GB, more than a LoRA can be. Is it a whole model?"


def upload(
    *, path: Path, filename: str, character: Character | None = None, name: str = "", trigger_word: str = ""
) -> Lora:
    """The file at `path` as a version of `character`, or of a new one called `name`; the report is in the row.

    The first version of a character becomes its active one. Invalid: not a LoRA that can be used here, with the
    reason. Conflict: the character has this very file."""
    header, seen = _looked_at(path)
    sha256 = storage.sha256(path)
    trigger = _trigger(trigger_word, header.trigger, character.trigger_word if character else "")
    with transaction.atomic(), tempfile.TemporaryDirectory(dir=path.parent) as place, ExitStack() as undo:
        owner = character or _new_character(name or header.name, trigger)
        _refuse_second(owner, sha256)
        kept = _canonical(path, Path(place))
        facts = _facts(header, seen, kept, trigger)
        lora = loras.keep(character=owner, path=kept, sha256=storage.sha256(kept), **facts)
        undo.callback(storage.remove, lora.file)
        lora.report = reports.report(header, seen, filename=filename, sha256=sha256, kept_as_is=kept == path, lora=lora)
        lora.save(update_fields=["report"])
        if character is not None and name:
            change(lora=lora, name=name)
        if not Lora.objects.active().filter(character=owner).exists():
            set_active(lora=lora)
        undo.pop_all()
    about = {"lora": lora.public_id, "style": header.style}
    log.info("LoRA uploaded", extra={"event": "lora.uploaded", "context": about})
    return lora


def _looked_at(path: Path) -> tuple[LoraHeader, reports.Seen]:
    """The header and what its weights are. Invalid: anything about the file that keeps it from being used."""
    try:
        header = lora_file.inspect(path)
        key = _base(header)
        lora_file.require_geometry(header, geometry(key), key)
        return header, reports.Seen(base=key, dtype=_weighed(path), canonical=lora_convert.is_canonical(path))
    except EngineError as error:
        raise Invalid(error.code, error.message) from error


def _base(header: LoraHeader) -> str:
    """Which base model it fits. EngineError lora_other_base: none that is known here."""
    if header.base_key in catalog.BASES:
        return header.base_key
    known = ", ".join(f"{catalog.get(key).label} ({geometry(key).width})" for key in ("flux-dev", "pocket"))
    text = f"This LoRA was trained on a model that is {header.width} wide. The base models here are {known}."
    raise EngineError("lora_other_base", text)


def geometry(key: str) -> lora_shapes.Geometry:
    """Of a base model that need not be on this machine's disk."""
    return lora_shapes.of(catalog.POCKET) if key == "pocket" else lora_shapes.FLUX


def _weighed(path: Path) -> str:
    """The number formats of the weights, all of them read. EngineError lora_not_finite; lora_no_effect: all zero."""
    dtypes, acts = set[str](), {"A": False, "B": False}
    for name, matrix in lora_convert.tensors(path):
        dtypes.add(matrix.dtype)
        acts["A" if ".lora_A." in name else "B"] |= not lora_matrix.is_zero(matrix)
    if not all(acts.values()):
        raise EngineError("lora_no_effect", "This LoRA changes nothing: all of its weights are zero.")
    return ", ".join(sorted(dtypes))


def _trigger(*wishes: str) -> str:
    """The first that says anything, on one line: typed, told by the file, the character's."""
    clean = [" ".join(wish.split())[:LONGEST_TRIGGER] for wish in wishes]
    return next((wish for wish in clean if wish and wish.isprintable()), "")


def _new_character(name: str, trigger: str) -> Character:
    if not trigger:
        text = "The file does not say its trigger word. Type the one it was trained with, or choose a character."
        raise Invalid("bad_trigger_word", text)
    return characters.create_character(name=name[: characters.MAX_NAME], trigger_word=trigger)


def _refuse_second(owner: Character, sha256: str) -> None:
    same = Lora.objects.filter(Q(sha256=sha256) | Q(report__sha256=sha256), character=owner)
    if (known := same.select_related("character").first()) is not None:
        raise Conflict("duplicate", f"This very file is here already, as {known}.")


def _canonical(path: Path, folder: Path) -> Path:
    """The file itself where it is as diffusers writes it, so that its digest stays known; else that of a conversion."""
    if lora_convert.is_canonical(path):
        return path
    lora_convert.to_diffusers(path, folder / "lora.safetensors")
    return folder / "lora.safetensors"


def _facts(header: LoraHeader, seen: reports.Seen, kept: Path, trigger: str) -> dict[str, Any]:
    base = catalog.get(seen.base)
    return {
        "origin": Lora.Origin.UPLOADED,
        "base": base.key,
        "base_version": header.base_version or base.version,
        "family": base.family,
        "size_bytes": kept.stat().st_size,
        "rank": lora_file.inspect(kept).rank,
        "steps": min(reports.steps(header.metadata), MOST_STEPS),
        "trigger_word": trigger,
    }

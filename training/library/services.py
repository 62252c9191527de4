"""What people do with LoRA versions beyond training: name them, set their strength, take them along in kohya's style.

Making one active and deleting it are in training.services, which trainings need too. Plain values in, rows out."""

import logging
from pathlib import Path, PurePosixPath

from isengard import storage
from isengard.engine import lora_convert
from isengard.engine.errors import EngineError
from isengard.errors import Invalid, NotFound
from training.models import Lora
from training.services import kohya_key

log = logging.getLogger(__name__)

LONGEST_NAME = 80
STRONGEST = 2.0
STYLES = ("diffusers", "kohya")


def change(*, lora: Lora, name: str | None = None, strength: float | None = None) -> Lora:
    """Changes what is given; an empty name means the character's. Invalid: too long, or a strength out of range."""
    if name is not None:
        lora.name = _name(name)
    if strength is not None:
        lora.default_strength = _strength(strength)
    lora.save(update_fields=["name", "default_strength"])
    return lora


def _name(name: str) -> str:
    clean = " ".join(name.split())
    if len(clean) > LONGEST_NAME:
        raise Invalid("bad_name", f"The name has {len(clean)} characters; at most {LONGEST_NAME} are allowed.")
    if not clean.isprintable():
        raise Invalid("bad_name", "The name holds characters that cannot be shown. Type it again.")
    return clean


def _strength(strength: float) -> float:
    if not 0 <= strength <= STRONGEST:  # also not a number
        raise Invalid("bad_param", f"The strength is {strength:g}, but must be from 0 to {STRONGEST:g}.")
    return strength


def file_in_style(lora: Lora, style: str) -> tuple[str, str]:
    """The storage key of the LoRA in a key style, and what to call the download. Made when first asked for.

    Invalid: no such style, or a damaged file. NotFound: the file is gone."""
    if style not in STYLES:
        raise Invalid("bad_style", f"There is no key style {style[:20]!r}. Choose {' or '.join(STYLES)}.")
    if not storage.absolute(lora.file).is_file():
        raise NotFound("file_gone", f"The file of {lora} is no longer there.")
    if style == "diffusers":
        return lora.file, lora.filename
    key = kohya_key(lora.file)
    if not storage.absolute(key).is_file():
        _convert(storage.absolute(lora.file), storage.absolute(key))
        log.info("written in kohya's style", extra={"event": "lora.converted", "context": {"lora": lora.public_id}})
    return key, PurePosixPath(key).name


def _convert(source: Path, target: Path) -> None:
    try:
        lora_convert.to_kohya(source, target)
    except EngineError as error:
        raise Invalid(error.code, error.message) from error

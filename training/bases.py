"""What a submit asks of a base model: is it known, on disk, trainable; are these values its own? Reads no row."""

from pathlib import Path
from typing import Any

from django.conf import settings

from isengard import storage
from isengard.engine import catalog, offers
from isengard.engine.capabilities import probe
from isengard.engine.catalog import Base
from isengard.engine.errors import EngineError
from isengard.engine.params import BadParam, Param, clean_all
from isengard.engine.specs import BaseModel
from isengard.errors import Invalid, Unavailable


def default_key() -> str:
    """The base model of a request that names none."""
    return "pocket" if settings.ISENGARD_MODE == "fast-test" else "flux-dev"


def find(key: str) -> Base:
    try:
        return catalog.get(key)
    except EngineError as error:
        raise Invalid(error.code, error.message) from error


def located(key: str) -> BaseModel:
    """The base with its folder, as the engine wants it. Unavailable: it is not on this machine's disk."""
    base = find(key)
    try:
        path: Path = catalog.locate(key, settings.MODELS_DIR)
    except EngineError as error:
        raise Unavailable(error.code, error.message) from error
    return BaseModel(key=base.key, family=base.family, path=str(path))


def require_trainable(key: str) -> None:
    base = find(key)
    if not base.trainable:
        raise Invalid("not_trainable", f"{base.label} cannot be trained here: {base.note}")
    located(key)
    if reason := offers.why_not_train(base, settings.MODELS_DIR, probe()):
        raise Unavailable("machine_too_small", reason)


def require_drawable(key: str) -> None:
    located(key)
    if reason := offers.why_not(find(key), settings.MODELS_DIR, probe()):
        raise Unavailable("machine_too_small", reason)


def require_space() -> None:
    """Below the floor nothing new starts: a run that dies of a full disk costs more than one that never began."""
    free, floor = storage.free_bytes(), settings.FREE_SPACE_FLOOR
    if free < floor:
        raise Unavailable(
            "disk_full",
            f"Only {free / 1e9:.1f} GB are free where the studio keeps its files; at least {floor / 1e9:.1f} GB are "
            "needed. Delete old pictures or trainings, then try again.",
        )


def clean(params: tuple[Param, ...], values: dict[str, Any], unwired: dict[str, str] | None = None) -> dict[str, Any]:
    """Every parameter with its value or default. Invalid: out of range, or a name that nothing reads.

    `unwired` gives the reason for names that other systems have and this one has not."""
    for name in set(values) & set(unwired or {}):
        raise Invalid("unsupported_param", f"Parameter {name!r} not supported by native: {(unwired or {})[name]}")
    try:
        # As it will come back from the database: lists, not tuples.
        return {k: list(v) if isinstance(v, tuple) else v for k, v in clean_all(params, values).items()}
    except BadParam as error:
        raise Invalid("bad_param", str(error)) from error

"""LoRAs and checkpoints that pictures wear, by the key that forms, the API and stored requests call them. Reads rows.

A LoRA's key is its public id, a checkpoint's is its training's id and its step: train-…@500."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from characters.models import Character
from isengard import storage
from isengard.engine import catalog
from isengard.engine.specs import LoraRef
from isengard.errors import Invalid
from training.loras import require_usable
from training.models import Checkpoint, Lora

MOST = 5
OFFERED = 300
STRONGEST = 2.0


@dataclass(frozen=True)
class Worn:
    """Something to wear, whatever it is kept as. `sha256` is empty where it is only known by reading the file."""

    key: str
    name: str
    file: str
    sha256: str
    base: str
    trigger: str
    usual: float
    character: Character
    lora: Lora | None = None


def of_lora(lora: Lora) -> Worn:
    return Worn(
        key=lora.public_id,
        name=str(lora),
        file=lora.file,
        sha256=lora.sha256,
        base=lora.base,
        trigger=lora.trigger_word,
        usual=lora.default_strength,
        character=lora.character,
        lora=lora,
    )


def of_checkpoint(checkpoint: Checkpoint) -> Worn:
    run = checkpoint.run
    return Worn(
        key=f"{run.job.public_id}@{checkpoint.step}",
        name=f"{run.character.name} at step {checkpoint.step}",
        file=checkpoint.file,
        sha256="",
        base=run.base,
        trigger=run.trigger_word,
        usual=1.0,
        character=run.character,
    )


def find(key: str) -> Worn | None:
    """What a key means now; None: it was deleted, or never was."""
    job, _, step = key.partition("@")
    if not step:
        lora = Lora.objects.select_related("character").filter(public_id=key).first()
        return of_lora(lora) if lora else None
    if not (step.isdecimal() and len(step) < 10):
        return None
    found = _checkpoints().filter(run__job__public_id=job, step=int(step)).first()
    return of_checkpoint(found) if found else None


def get(key: str) -> Worn:
    """Invalid: there is no such thing any more."""
    if (found := find(key)) is None:
        raise Invalid("lora_deleted", f"{key} was deleted. Choose another LoRA and start again.")
    return found


def offered(base: str) -> list[Worn]:
    """What fits a base: LoRAs by character, newest version first, then the checkpoints that still have their files."""
    loras = Lora.objects.worn_by(base).select_related("character").order_by("character__name", "-version")[:OFFERED]
    keys = [key for key in catalog.BASES if catalog.shared(key, base)]
    saved = _checkpoints().filter(run__base__in=keys).order_by("-run__job_id", "-step")[:OFFERED]
    return [*map(of_lora, loras), *map(of_checkpoint, saved)]


def _checkpoints() -> Any:
    return Checkpoint.objects.filter(deleted_because="").select_related("run__job", "run__character")


def require(worn: Worn, strength: float, base: str) -> None:
    """Invalid: it does not fit the base, its file is gone, or the strength is none."""
    if not 0 <= strength <= STRONGEST:
        raise Invalid("bad_param", f"The strength of {worn.name} is {strength:g}, but must be from 0 to {STRONGEST:g}.")
    if worn.lora is not None:
        require_usable(worn.lora, base)
    elif not catalog.shared(worn.base, base):
        label = catalog.get(worn.base).label
        raise Invalid("wrong_base", f"{worn.name} was trained for {label} and does not fit {catalog.get(base).label}.")
    elif not storage.absolute(worn.file).is_file():
        raise Invalid("lora_missing", f"The file of {worn.name} is gone. Choose another step.")


def require_all(entries: Sequence[dict[str, Any]], base: str) -> None:
    """Invalid: too many, one twice, or one that cannot be worn (see `require`)."""
    if len(entries) > MOST:
        raise Invalid("many_loras", f"At most {MOST} LoRAs can be worn together.")
    keys = [entry["id"] for entry in entries]
    for entry in entries:
        if keys.count(entry["id"]) > 1:
            raise Invalid("same_lora", f"{entry['name']} is there twice. Give it one strength.")
        require(_known(entry), entry["strength"], base)


def _known(entry: dict[str, Any]) -> Worn:
    """Invalid, with the name it had: deleted since it was asked for."""
    if (found := find(entry["id"])) is None:
        raise Invalid("lora_deleted", f"{entry['name']} was deleted. Choose another version and start again.")
    return found


def entry(worn: Worn, strength: float | None) -> dict[str, Any]:
    """How a request remembers it."""
    return {"id": worn.key, "name": worn.name, "strength": worn.usual if strength is None else strength}


def reference(entry: dict[str, Any]) -> LoraRef:
    """As the engine wants it. Invalid: deleted."""
    worn = _known(entry)
    path = storage.absolute(worn.file)
    return LoraRef(path=str(path), sha256=worn.sha256 or storage.sha256(path), strength=entry["strength"])

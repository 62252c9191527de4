"""Characters, LoRAs and finished engine results for tests, as rows with real files, without running anything."""

import hashlib
import struct
from typing import Any

from characters.models import Character, ReferenceImage
from isengard import storage
from isengard.engine import catalog, rundir
from tests.pictures import encoded, picture
from training.models import Lora, TrainingRun


def make_character(name: str = "Mira", trigger: str = "ohwxmira", photos: int = 3) -> Character:
    character = Character.objects.create(name=name, trigger_word=trigger)
    for number in range(photos):
        add_photo(character, number)
    return character


def add_photo(character: Character, number: int, **fields: Any) -> ReferenceImage:
    data = encoded(picture(96, 96, color=f"#{number:02d}8030"))
    image = ReferenceImage(
        character=character,
        name=f"photo-{number}.png",
        original_name=f"photo-{number}.png",
        sha256=hashlib.sha256(data).hexdigest(),
        content_type="image/png",
        width=96,
        height=96,
        size_bytes=len(data),
        **fields,
    )
    image.file = storage.photo_key(character.public_id, image.public_id, "png")
    path = storage.absolute(image.file)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    image.save()
    return image


def engine_result(run: TrainingRun, content: bytes = b"lora") -> dict[str, Any]:
    """The `result` event of a training whose file lies where the engine leaves it."""
    path = rundir.final(storage.absolute(storage.run_key(run.job.public_id)))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", 2) + b"{}" + content)
    return {
        "path": str(path),
        "sha256": storage.sha256(path),
        "size_bytes": path.stat().st_size,
        "rank": 4,
        "steps": 100,
        "final_loss": 0.25,
        "seconds": 12.0,
        "stopped": False,
    }


def make_lora(character: Character, version: int = 1, base: str = "pocket", active: bool = True) -> Lora:
    key = storage.lora_key(character.public_id, f"mira-v{version}-00000000")
    path = storage.absolute(key)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"lora")
    return Lora.objects.create(
        character=character,
        version=version,
        base=base,
        base_version=catalog.get(base).version,
        family="flux1",
        file=key,
        sha256=storage.sha256(path),
        size_bytes=4,
        rank=4,
        steps=100,
        trigger_word=character.trigger_word,
        is_active=active,
    )

"""A run's own photos: links to the files, captions, crops and masks as they were at submit, safe from later changes.

A frozen photo is {id, name, file, sha256, caption, crops: [{kind, box or None}], mask}; old runs lack the last two."""

import shutil
from collections.abc import Iterator, Sequence
from typing import Any

from characters.framing import crops
from characters.models import ReferenceImage
from isengard import storage
from isengard.engine import parameters
from isengard.engine.params import BadParam
from isengard.engine.specs import TrainImage
from isengard.errors import Invalid
from isengard.jobs.models import Job
from training import prompts

Photo = dict[str, Any]


def focuses(params: dict[str, Any]) -> bool:
    """Whether the run looks at masks at all."""
    return bool(params.get("masked_loss", 1.0) < 1)


def freeze(image: ReferenceImage, job: Job, trigger: str, params: dict[str, Any]) -> Photo:
    """The photo under the run's own names. Invalid: its file is gone."""
    source = storage.absolute(image.file)
    if not source.is_file():
        raise Invalid("photo_missing", f"The file of {image.name} is gone. Delete that photo and upload it again.")
    folder = f"{storage.run_key(job.public_id)}/photos"
    key = f"{folder}/{image.public_id}{source.suffix}"
    storage.link(source, storage.absolute(key))
    return {
        "id": image.public_id,
        "name": image.name,
        "file": key,
        "sha256": storage.sha256(source),
        "caption": prompts.caption(image.caption, trigger),
        "crops": [{"kind": kind, "box": box} for kind, box in crops.samples(image)],
        "mask": _frozen_mask(image, f"{folder}/{image.public_id}-mask.png") if focuses(params) else "",
    }


def _frozen_mask(image: ReferenceImage, key: str) -> str:
    """A copy, because a mask is painted over in place. Empty: there is none."""
    if not image.mask or not storage.absolute(image.mask).is_file():
        return ""
    with storage.replacing(storage.absolute(key)) as part:
        shutil.copyfile(storage.absolute(image.mask), part)
    return key


def settle(params: dict[str, Any], photos: Sequence[Photo]) -> dict[str, Any]:
    """The parameters with the number of steps that so many pictures mean. Invalid: they contradict each other."""
    try:
        return parameters.settled(params, sum(len(photo["crops"]) or 1 for photo in photos))
    except BadParam as error:
        raise Invalid("bad_param", str(error)) from error


def refreeze(photo: Photo, old: Job, new: Job) -> Photo:
    """The same photo for a retry. Invalid: the first run's file is gone."""
    moved = dict(photo)
    for name in ("file", "mask"):
        if not photo.get(name):
            continue
        source = storage.absolute(photo[name])
        if not source.is_file():
            raise Invalid("photo_missing", f"{photo['name']} of that training is gone. Start a new training instead.")
        moved[name] = photo[name].replace(storage.run_key(old.public_id), storage.run_key(new.public_id), 1)
        storage.link(source, storage.absolute(moved[name]))
    return moved


def samples(photo: Photo) -> Iterator[TrainImage]:
    """What the engine is given of a frozen photo: the whole or its main crop, then its further crops."""
    mask = str(storage.absolute(photo["mask"])) if photo.get("mask") else None
    for crop in photo.get("crops") or [{"kind": "main", "box": None}]:
        yield TrainImage(
            path=str(storage.absolute(photo["file"])),
            sha256=photo["sha256"],
            caption=crops.words(crop["kind"], photo["caption"]),
            crop=tuple(crop["box"]) if crop["box"] else None,
            mask=mask,
        )


def warnings(images: Sequence[ReferenceImage], params: dict[str, Any]) -> list[str]:
    """What the run cannot do as it was asked to."""
    bare = sum(not image.mask for image in images)
    if not focuses(params) or not bare:
        return []
    which = "None of the photos has" if bare == len(images) else f"{bare} of {len(images)} photos do not have"
    return [f"{which} a mask, so the background counts there as much as the person."]

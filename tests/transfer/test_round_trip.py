"""What is exported and imported again is the same: every byte of a photo, every word and number about it."""

import io
import random
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from characters import services
from characters.browse import tags
from characters.captions import services as captions
from characters.models import Character, Crop, Examination, ReferenceImage
from characters.transfer import exporting, layouts
from isengard import storage
from tests.pictures import encoded, picture
from tests.transfer.archives import codes, imported

LETTERS = "aZ 9.,;'\"\\/<>&%{}\t\né漢字🙂\u2028\u202e\\u0000ж"


def exported(character: Character, layout: str = "isengard") -> bytes:
    chosen = layouts.of(layout)
    photos = exporting.chosen(character.images.all(), chosen)
    return b"".join(exporting.chunks(photos, [character], chosen))


def text(dice: random.Random, most: int) -> str:
    return "".join(dice.choice(LETTERS) for _ in range(dice.randint(1, most))).strip()


def add(character: Character, number: int, dice: random.Random) -> ReferenceImage:
    """A photo with everything that can be said of one."""
    format, size = dice.choice(["JPEG", "PNG", "WEBP"]), (dice.randint(40, 90), dice.randint(40, 90))
    data = encoded(picture(*size, color=f"#{number:02d}{dice.randint(10, 99)}60"), format)
    upload = services.add_image(character=character, file=io.BytesIO(data), name=f"Foto {number % 3} é.{format}")
    image = upload.image
    for _ in range(dice.randint(0, 3)):
        captions.write(image=image, text=text(dice, 300), by=dice.choice(["user", "template", "bulk"]))
    if names := [f"tag {dice.randint(0, 9)} ж" for _ in range(dice.randint(0, 4))]:
        tags.tag_images(ReferenceImage.objects.filter(pk=image.pk), names)
    for kind in dice.sample(["main", "face", "half"], dice.randint(0, 3)):
        x, y = dice.random() * 0.5, dice.random() * 0.5
        Crop.objects.create(image=image, kind=kind, x=x, y=y, width=0.3, height=0.1 + x / 3, by="user", enabled=x > 0.2)
    if dice.random() < 0.5:
        mask(image, dice)
    if dice.random() < 0.5:
        Examination.objects.create(image=image, version=1, ignored=["blurred", "second_face"])
    split, made_by = dice.choice([("train", ""), ("reference", ""), ("synthetic", "gen-0123456789ab")])
    ReferenceImage.objects.filter(pk=image.pk).update(split=split, made_by=made_by)
    return image


def mask(image: ReferenceImage, dice: random.Random) -> None:
    key = storage.mask_key(image.character.public_id, image.public_id)
    path = storage.absolute(key)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.frombytes("L", (image.width, image.height), dice.randbytes(image.width * image.height)).save(path, "PNG")
    ReferenceImage.objects.filter(pk=image.pk).update(mask=key, mask_by="user")


def everything(character: Character) -> list[dict[str, Any]]:
    """All that is known of a character's photos, but for what belongs to one character or moment."""
    return [known(image) for image in character.images.order_by("pk")]


def known(image: ReferenceImage) -> dict[str, Any]:
    columns = ("name", "original_name", "sha256", "content_type", "width", "height", "size_bytes", "split", "made_by")
    more = ("caption", "mask_by", "tag_text")
    examination = Examination.objects.filter(image=image).first()
    return {
        **{column: getattr(image, column) for column in columns + more},
        "bytes": storage.absolute(image.file).read_bytes(),
        "mask": pixels(image),
        "tags": sorted(image.tags.values_list("name", flat=True)),
        "crops": list(image.crops.order_by("kind").values_list("kind", "x", "y", "width", "height", "by", "enabled")),
        "captions": list(image.caption_versions.order_by("pk").values_list("text", "by", "created_at")),
        "ignored": examination.ignored if examination else [],
    }


def pixels(image: ReferenceImage) -> bytes | None:
    if not image.mask:
        return None
    with Image.open(storage.absolute(image.mask)) as found:
        assert found.mode == "L"
        return found.tobytes()


@pytest.mark.integration
@pytest.mark.parametrize("seed", range(3))
def test_a_random_dataset_comes_back_as_it_went(character: Character, seed: int) -> None:
    dice = random.Random(seed)
    for number in range(6):
        add(character, number, dice)
    task = imported(exported(character))
    before, after = everything(character), everything(task.character)
    assert [name for old, new in zip(before, after, strict=True) for name in old if old[name] != new[name]] == []


def test_the_new_character_is_called_as_the_old_one(character: Character) -> None:
    add(character, 1, random.Random(1))
    new = imported(exported(character)).character
    assert (new.name, new.trigger_word, new.description) == ("Mira", "ohwx", "a woman")
    assert new.pk != character.pk


def test_an_import_into_the_same_character_adds_nothing(character: Character) -> None:
    add(character, 1, random.Random(1))
    task = imported(exported(character), character)
    assert (task.job.result["added"], len(task.job.result["skipped"])) == (0, 1)


def test_nothing_of_an_import_stays_behind_but_its_photos(character: Character, volume: Path) -> None:
    add(character, 1, random.Random(1))
    imported(exported(character))
    left = [path for path in volume.rglob("*") if path.is_file() and "logs" not in path.parts]
    assert {path.relative_to(volume).parts[0] for path in left} == {"characters"}


def test_a_photo_whose_file_is_gone_is_named_and_the_others_come(character: Character) -> None:
    gone, _ = add(character, 1, random.Random(1)), add(character, 2, random.Random(2))
    storage.absolute(gone.file).unlink()
    task = imported(exported(character))
    assert (task.job.result["added"], list(codes(task).values())) == (1, [])

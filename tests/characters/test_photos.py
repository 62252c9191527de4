"""What becomes of an uploaded file: a clean picture, or a reason in plain words; never a path, never a loss."""

import contextlib
import errno
import hashlib
import io
import random
import struct
import zlib
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image, ImageCms
from rest_framework.test import APIClient

from characters import photos, services
from characters.models import Character
from isengard import storage
from isengard.engine import confined, decoding
from isengard.errors import Invalid, NotFound, Unavailable
from tests.pictures import encoded, picture

GPS = 0x8825


def add(character: Character, content: bytes, name: str = "test.png") -> services.Upload:
    return services.add_image(character=character, file=io.BytesIO(content), name=name)


def stored(character: Character, content: bytes, name: str = "test.png") -> Image.Image:
    return Image.open(storage.absolute(add(character, content, name).image.file))


def refused(character: Character, content: bytes, name: str = "test.png") -> str:
    with pytest.raises(Invalid) as caught:
        add(character, content, name)
    assert character.images.count() == 0
    assert [path for path in Path(storage.absolute("tmp")).rglob("*") if path.is_file()] == []
    return caught.value.code


@pytest.mark.parametrize(
    ("format", "extension"),
    [("JPEG", "jpg"), ("PNG", "png"), ("WEBP", "jpg"), ("GIF", "png"), ("HEIF", "jpg"), ("AVIF", "jpg")],
)
def test_every_promised_format_is_stored_as_jpeg_or_png(character: Character, format: str, extension: str) -> None:
    image = add(character, encoded(format=format), f"photo.{format.lower()}").image
    assert image.file.endswith(extension)
    assert (image.width, image.height) == (96, 64)


def test_the_digest_is_that_of_the_uploaded_bytes(character: Character) -> None:
    assert add(character, encoded()).image.sha256 == hashlib.sha256(encoded()).hexdigest()


def test_a_photo_is_turned_upright_and_loses_its_location(character: Character) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[GPS] = {1: "N", 2: (52.0, 31.0, 0.0)}
    image = stored(character, encoded(picture(96, 64), "JPEG", exif=exif))
    assert image.size == (64, 96)
    assert len(image.getexif()) == 0
    assert b"Exif" not in Path(image.filename).read_bytes()


def test_text_and_profiles_do_not_survive(character: Character) -> None:
    from PIL.PngImagePlugin import PngInfo

    notes = PngInfo()
    notes.add_text("comment", "taken at home")
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = stored(character, encoded(pnginfo=notes, icc_profile=profile))
    image.load()
    assert image.info == {}


def swapped_profile() -> bytes:
    """sRGB with its red and blue primaries exchanged: the same numbers mean another colour."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile.replace(b"rXYZ", b"____", 1).replace(b"bXYZ", b"rXYZ", 1).replace(b"____", b"bXYZ", 1)


def test_another_colour_space_is_converted_and_not_just_relabelled(character: Character) -> None:
    flat = Image.new("RGB", (80, 80), (90, 120, 60))
    red, green, blue = stored(character, encoded(flat, icc_profile=swapped_profile())).getpixel((40, 40))
    assert abs(red - 60) + abs(green - 120) + abs(blue - 90) <= 6


def test_a_broken_profile_leaves_the_pixels_as_they_are(character: Character) -> None:
    flat = Image.new("RGB", (80, 80), (90, 120, 60))
    assert stored(character, encoded(flat, icc_profile=b"nonsense")).getpixel((5, 5)) == (90, 120, 60)


def test_transparency_lies_on_white(character: Character) -> None:
    assert stored(character, encoded(Image.new("RGBA", (80, 80), (0, 0, 0, 0)))).getpixel((5, 5)) == (255, 255, 255)


def test_sixteen_bit_grey_keeps_its_tones(character: Character) -> None:
    grey = Image.new("I;16", (80, 80), 32768)
    pixel = stored(character, encoded(grey)).getpixel((5, 5))
    assert isinstance(pixel, tuple)
    assert abs(pixel[0] - 127) <= 1


@pytest.mark.parametrize("mode", ["L", "LA", "P", "1", "CMYK"])
def test_every_kind_of_pixel_becomes_rgb(character: Character, mode: str) -> None:
    format = "JPEG" if mode == "CMYK" else "PNG"
    assert stored(character, encoded(picture().convert(mode), format)).mode == "RGB"


def test_the_dominant_colour_is_the_commonest(character: Character) -> None:
    image = Image.new("RGB", (80, 80), "#b06030")
    image.paste(Image.new("RGB", (20, 20), "white"))
    assert add(character, encoded(image)).image.color == "#b06030"


def test_the_same_file_twice_is_kept_once(character: Character) -> None:
    first, second = add(character, encoded()), add(character, encoded(), "again.png")
    assert (first.added, second.added) == (True, False)
    assert first.image == second.image


def test_a_second_picture_of_the_same_name_gets_a_number(character: Character) -> None:
    names = [add(character, encoded(picture(width)), "test.png").image.name for width in (90, 91, 92)]
    assert names == ["test.png", "test-2.png", "test-3.png"]


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("../../etc/passwd.png", "passwd.png"),
        ("..\\..\\evil.png", "evil.png"),
        ("<img src=x onerror=alert(1)>.png", "img_src_x_onerror_alert_1.png"),
        ("nul\x00l.png", "null.png"),
        (".htaccess", "htaccess.png"),
        ("photo.php", "photo.png"),
        ("Üb er.PNG", "Üb_er.PNG"),
        ("x" * 300 + ".png", "x" * 100 + ".png"),
        ("....", "photo.png"),
        ("\u202egnp.exe", "gnp.png"),
    ],
)
def test_a_hostile_name_becomes_a_harmless_one(character: Character, volume: Path, given: str, name: str) -> None:
    image = add(character, encoded(), given).image
    assert image.name == name
    assert storage.absolute(image.file).parent == volume / "characters" / character.public_id / "photos"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty_file"),
        (b"hello", "not_an_image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "not_an_image"),
        (b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(40), "not_an_image"),
        (b"%PDF-1.7\n", "not_an_image"),
        (b"\0\0\0\x18ftypmp42" + bytes(64), "not_an_image"),
        (encoded(format="BMP"), "not_an_image"),
        (encoded(format="TIFF"), "not_an_image"),
        (encoded()[:-60], "broken_image"),
        (encoded(format="JPEG")[:600], "broken_image"),
        (encoded(format="WEBP")[:60], "broken_image"),
        (encoded(format="AVIF")[:200], "broken_image"),
        (encoded(Image.new("1", (20_000, 20_000))), "too_many_pixels"),
        (encoded(Image.new("1", (8193, 10))), "image_too_large"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_code(character: Character, content: bytes, code: str) -> None:
    assert refused(character, content) == code


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "HEIF", "AVIF"])
def test_a_mutated_file_is_decoded_or_refused_but_never_breaks_the_decoder(
    format: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
    dice, whole = random.Random(1), encoded(picture(40, 30), format)
    for _ in range(60):
        odd = bytearray(whole[: dice.randrange(20, len(whole))] if dice.random() < 0.3 else whole)
        for _ in range(dice.choice([1, 3, 20])):
            odd[dice.randrange(len(odd))] = dice.randrange(256)
        (tmp_path / "odd").write_bytes(odd)
        with contextlib.suppress(decoding.Refused):
            decoding.decode(tmp_path / "odd", tmp_path / "clean", 1)


def test_a_header_that_lies_about_its_size_is_refused(character: Character) -> None:
    """A few bytes that claim 7,000 × 7,000 pixels."""
    header = struct.pack(">IIBBBBB", 7000, 7000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0")), (b"IEND", b"")]
    body = b"".join(struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in chunks)
    assert refused(character, b"\x89PNG\r\n\x1a\n" + body) == "broken_image"


def test_a_picture_below_the_smallest_side_is_refused_in_production(
    character: Character, settings: LazySettings
) -> None:
    settings.PHOTO_MIN_SIDE = 64
    assert refused(character, encoded(picture(63, 200))) == "image_too_small"


def test_a_file_over_the_cap_is_refused_before_it_is_decoded(character: Character, settings: LazySettings) -> None:
    settings.PHOTO_MAX_BYTES = 1000
    with pytest.raises(Invalid) as caught:
        photos.received(io.BytesIO(b"x" * 1001)).__enter__()
    assert (caught.value.code, caught.value.status) == ("file_too_large", 413)


def test_a_decoder_that_takes_too_long_is_stopped(character: Character, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confined, "WALL_SECONDS", 0.001)
    assert refused(character, encoded()) == "image_too_heavy"


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_a_full_disk_is_told_from_a_picture_that_is_too_heavy(tmp_path: Path, format: str) -> None:
    (tmp_path / "photo").write_bytes(encoded(picture(97, 61), format))
    with pytest.raises(OSError) as caught:
        confined.decode(tmp_path / "photo", Path("/dev/full"), min_side=1, largest_file=1 << 20)
    assert storage.is_full(caught.value)


def test_an_upload_that_fills_the_disk_is_refused_and_leaves_nothing(
    character: Character, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object, **limits: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(confined, "decode", full)
    with pytest.raises(Unavailable, match="The disk is full"):
        add(character, encoded())
    assert list(storage.absolute("tmp").iterdir()) == []


def test_a_photo_of_ours_comes_back_byte_for_byte(tmp_path: Path) -> None:
    (tmp_path / "camera.jpg").write_bytes(encoded(picture(97, 61), "JPEG", quality=80))
    decoding.decode(tmp_path / "camera.jpg", tmp_path / "once", 1)
    decoding.decode(tmp_path / "once", tmp_path / "twice", 1)
    assert (tmp_path / "twice").read_bytes() == (tmp_path / "once").read_bytes()


def test_something_hidden_between_the_pixels_and_the_end_is_not_kept() -> None:
    ours = encoded(picture(64, 64), "JPEG", **decoding.JPEG)
    assert decoding.is_ours(ours, (64, 64))
    assert not decoding.is_ours(ours[:-2] + b"\xff\xe1\x00\x06GPS!" + ours[-2:], (64, 64))


def test_nothing_is_taken_when_the_disk_is_nearly_full(character: Character, settings: LazySettings) -> None:
    settings.FREE_SPACE_FLOOR = 1 << 62
    with pytest.raises(Unavailable):
        add(character, encoded())


def test_a_row_that_cannot_be_written_leaves_no_file(character: Character, volume: Path) -> None:
    Character.objects.filter(pk=character.pk).delete()
    with pytest.raises(NotFound):
        add(character, encoded())
    assert [path for path in volume.rglob("*") if path.is_file() and "logs" not in path.parts] == []


def test_a_part_over_the_cap_is_not_written_to_disk_whole(
    api: APIClient, character: Character, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.PHOTO_MAX_BYTES = 100_000
    received: list[int] = []
    monkeypatch.setattr(services, "add_image", lambda file, **_: received.append(file.size) or too_large())
    part = SimpleUploadedFile("big.png", b"x" * 1_000_000)
    body = api.post(f"/api/characters/{character.public_id}/images", {"files": part}, format="multipart").json()
    assert body["rejected"][0]["code"] == "file_too_large"
    assert 100_000 < received[0] < 200_000


def too_large() -> None:
    raise photos.too_large()

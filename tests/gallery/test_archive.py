"""Pictures as a ZIP: every file, its recipe or not a word, and nothing but words taken away."""

import io
import zipfile

import pytest
from django.test import Client
from PIL import Image, PngImagePlugin

from generation.gallery.archive import chunks, entry_name, without_recipe
from generation.models import Output
from isengard import storage
from isengard.errors import Invalid
from tests.pages.rows import HTMX
from tests.pictures import encoded, picture


def told(text: str = "a prompt") -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_itxt("parameters", text)
    info.add_text("isengard", text, zip=True)
    return encoded(picture(), pnginfo=info)


def unpacked(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def packed(recipes: bool) -> dict[str, bytes]:
    return unpacked(b"".join(chunks(Output.objects.all(), recipes=recipes)))


def test_every_picture_is_in_the_archive_as_it_is(outputs: list[Output]) -> None:
    entries = packed(recipes=True)
    assert entries == {entry_name(output): storage.absolute(output.file).read_bytes() for output in outputs}


def test_names_say_whose_and_which_seed(outputs: list[Output]) -> None:
    output = outputs[0]
    assert entry_name(output) == f"Mira/{output.generation.job.public_id}-00-seed{output.seed}.png"


def test_a_bare_picture_has_no_words_and_the_same_pixels() -> None:
    bare, whole = Image.open(io.BytesIO(without_recipe(told()))), Image.open(io.BytesIO(told()))
    bare.load(), whole.load()
    assert bare.info == {} and "parameters" in whole.info and bare.tobytes() == whole.tobytes()


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n\xff\xff\xff\xffIDAT"])
def test_what_is_no_whole_png_comes_back_as_it_is(data: bytes) -> None:
    assert without_recipe(data) == data


def test_recipes_are_left_out_where_one_says_so(outputs: list[Output]) -> None:
    storage.absolute(outputs[0].file).write_bytes(told("secret words"))
    assert b"secret words" in packed(recipes=True)[entry_name(outputs[0])]
    assert b"secret words" not in packed(recipes=False)[entry_name(outputs[0])]


def test_a_file_that_is_gone_is_named(outputs: list[Output]) -> None:
    storage.remove(outputs[0].file)
    entries = packed(recipes=True)
    assert entries["missing.txt"].decode().split() == [entry_name(outputs[0])] and len(entries) == 5


def test_an_archive_of_nothing_is_refused(db: None) -> None:
    with pytest.raises(Invalid, match="None of these pictures"):
        chunks(Output.objects.none(), recipes=True)


def test_the_selection_bar_downloads_what_is_chosen(client: Client, outputs: list[Output]) -> None:
    chosen = {"image_ids": f"{outputs[0].public_id},{outputs[3].public_id}", "recipes": "1"}
    answer = client.post("/pictures/download", chosen)
    assert answer["Content-Disposition"] == 'attachment; filename="pictures.zip"'
    assert set(unpacked(b"".join(answer))) == {entry_name(outputs[0]), entry_name(outputs[3])}


def test_a_download_of_nothing_says_so(client: Client, outputs: list[Output]) -> None:
    assert client.post("/pictures/download", {"recipes": "1"}, headers=HTMX).status_code == 400

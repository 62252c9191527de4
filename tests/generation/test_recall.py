"""The form filled from what was drawn before, here or elsewhere."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from rest_framework.test import APIClient

from characters.models import Character
from generation import recall, services, wearing
from generation.forms import GenerateForm
from isengard.engine.recalled import Facts, LoraSeen
from tests.people import make_character, make_lora

HTMX = {"HX-Request": "true"}


def picture(**texts: Any) -> SimpleUploadedFile:
    info, file = PngInfo(), io.BytesIO()
    for name, text in texts.items():
        info.add_itxt(name, text if isinstance(text, str) else json.dumps(text))
    Image.new("RGB", (4, 4)).save(file, "PNG", pnginfo=info)
    return SimpleUploadedFile("a.png", file.getvalue(), "image/png")


def ours(**facts: Any) -> SimpleUploadedFile:
    return picture(isengard={"version": 1, "prompt": "a hat", "model": "pocket", **facts})


def test_a_request_comes_back_as_it_was_written(db: None, volume: Path) -> None:
    made = services.start_generation(
        prompt="a {red|blue} hat", styles=["Photo"], count=2, values={"negative_prompt": "x", "steps": 9}
    )
    found = recall.of_request(made).values
    assert (found["prompt"], found["styles"], found["negative_prompt"]) == ("a {red|blue} hat", ["Photo"], "x")
    assert (found["steps"], found["shape"], "seed" in found) == (9, "1:1", False)


def test_one_picture_comes_back_exactly(db: None, volume: Path) -> None:
    made = services.start_generation(prompt="a {red|blue} hat", styles=["Photo"], count=4, seed=3)
    found = recall.of_picture(made, 2).values
    assert (found["prompt"], found["seed"]) == (made.variants[2]["prompt"], 5) and "styles" not in found


def test_drawing_the_recalled_picture_asks_the_engine_for_the_same(mira: Character) -> None:
    joon = make_character("Joon", "ohwxjoon")
    more = [(wearing.of_lora(make_lora(joon)), 0.4)]
    made = services.start_generation(
        prompt="a {red|blue} hat", lora=make_lora(mira), more=more, count=3, seed=3, quality="draft", styles=["Photo"]
    )
    values = recall.of_picture(made, 1).values
    form = GenerateForm({k: v for k, v in values.items() if v is not None}, base="pocket")
    assert form.is_valid(), form.errors
    again = services.start_generation(**form.asked(), base="pocket")
    assert (again.prompt, again.seeds) == (made.variants[1]["prompt"], (4,))
    assert (again.params, services.worn_by(again)) == ({**made.params, "seed": 4}, services.worn_by(made))


def test_another_programs_picture_is_fitted_and_says_what_was_changed(db: None) -> None:
    facts = Facts("A1111", "a dog", "cats", seed=2**40, steps=500, width=513, height=512, model="sd15")
    found = recall.fitted(facts, "pocket")
    assert (found.values["steps"], found.values["width"], found.values["shape"]) == (100, 192, "custom")
    assert "seed" not in found.values and len(found.notes) == 5


def test_a_negative_prompt_is_left_out_where_nothing_listens(db: None) -> None:
    found = recall.fitted(Facts("A1111", "a dog", "cats"), "flux-dev")
    assert "negative_prompt" not in found.values and "cannot be told" in found.notes[0]


@pytest.mark.parametrize(
    ("base", "name", "value", "said"),
    [
        ("pocket", "DPM++ 2M Karras", "dpmpp_2m", ""),
        ("pocket", "Euler a", "euler", "Euler a; the nearest here is Euler"),
        ("pocket", "", None, ""),
        ("flux-schnell", "Heun", None, "distilled"),
    ],
)
def test_a_sampler_is_led_to_the_nearest_and_said(db: None, base: str, name: str, value: Any, said: str) -> None:
    found = recall.fitted(Facts("A1111", "a dog", sampler=name), base)
    assert found.values.get("sampler") == value
    assert said in " ".join(found.notes) and bool(said) == bool(found.notes)


def test_a_lora_is_known_by_its_file_or_its_name(mira: Character) -> None:
    lora = make_lora(mira)
    seen = (LoraSeen("renamed", 0.5, lora.sha256), LoraSeen("elsewhere", 1.0))
    found = recall.fitted(Facts("Isengard", "x", loras=seen), "pocket")
    assert (found.values["lora"], found.values["lora_strength"]) == (lora.public_id, 0.5)
    assert "elsewhere" in found.notes[0]
    by_name = recall.fitted(Facts("ComfyUI", "x", loras=(LoraSeen("mira-v1-00000000", 9.0),)), "pocket")
    assert (by_name.values["lora"], by_name.values["lora_strength"]) == (lora.public_id, 2.0)


def test_a_dropped_picture_fills_the_form(client: Client, db: None, volume: Path) -> None:
    sent = {"picture": ours(seed=77, steps=12, width=64, height=64), "base": "pocket"}
    answer = client.post(reverse("generation:recall"), sent, headers=HTMX)
    page = answer.content.decode()
    assert answer.status_code == 200 and "a hat</textarea>" in page and 'value="77"' in page
    assert "made by Isengard" in page and "<html" not in page and "data-draft-skip" in page


@pytest.mark.parametrize("file", [picture(), SimpleUploadedFile("a.png", b"x"), SimpleUploadedFile("a.png", b"")])
def test_a_picture_without_a_recipe_is_refused(client: Client, db: None, volume: Path, file: Any) -> None:
    file.seek(0)
    answer = client.post(reverse("generation:recall"), {"picture": file, "base": "pocket"}, headers=HTMX)
    assert answer.status_code == 400 and "HX-Trigger" in answer.headers


def test_markup_in_a_recipe_stays_text(client: Client, db: None, volume: Path) -> None:
    file = ours(prompt="<script>alert(1)</script>\"'", loras=[{"name": "<b>x</b>", "strength": 1}])
    page = client.post(reverse("generation:recall"), {"picture": file}, headers=HTMX).content.decode()
    assert "<script>alert" not in page and "&lt;script&gt;" in page and "<b>x" not in page


def test_the_api_answers_with_a_config_to_ask_for(api: APIClient, mira: Character) -> None:
    lora = make_lora(mira)
    file = ours(seed=7, loras=[{"name": "m", "strength": 0.5, "sha256": lora.sha256}])
    found = api.post("/api/generation/recall", {"file": file}, format="multipart").json()
    made = api.post("/api/generation", {"config": found["config"]})
    assert made.status_code == 201 and made.json()["config"]["seed"] == 7
    assert (found["program"], found["config"]["lora_id"]) == ("Isengard", lora.public_id)

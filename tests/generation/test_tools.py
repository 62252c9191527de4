"""Tools over form and API: what they are given, how it is kept, and every way it is refused."""

import io
import os
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from PIL import Image
from rest_framework.test import APIClient

from characters.models import Character
from generation import inputs, services, wearing
from generation.handlers import GenerationHandler
from generation.models import Generation
from isengard import storage
from isengard.engine import catalog, tools
from isengard.engine.guides import found
from isengard.errors import DomainError
from tests.pages.rows import HTMX, pictured
from tests.people import make_character, make_lora
from tests.pictures import encoded, picture

CREATE = reverse("generation:create")
ASK = {"prompt": "a hat", "base": "pocket"}


def file(width: int = 96, height: int = 96, name: str = "a.png") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, encoded(picture(width, height)), "image/png")


def mask(width: int = 96, height: int = 96, white: bool = True) -> SimpleUploadedFile:
    image, buffer = Image.new("L", (width, height)), io.BytesIO()
    if white:
        image.paste(255, (8, 8, 40, 40))
    image.save(buffer, "PNG")
    return SimpleUploadedFile("mask.png", buffer.getvalue(), "image/png")


def keep(upload: SimpleUploadedFile, **kind: Any) -> str:
    return inputs.keep(upload, **kind)


def refused(**asked: Any) -> str:
    with pytest.raises(DomainError) as caught:
        services.start_generation(prompt="a hat", base="pocket", **asked)
    assert not Generation.objects.exists()
    return caught.value.code


def test_a_picture_is_kept_once_with_its_size(db: None, volume: Path) -> None:
    key = keep(file(96, 64))
    assert (key, inputs.size_of(key)) == (keep(file(96, 64)), (96, 64))
    assert len(list(storage.absolute("inputs").iterdir())) == 1


def test_the_engine_gets_paths_tool_and_knobs(db: None, volume: Path) -> None:
    given = {"source": keep(file()), "mask": keep(mask(), grey=True)}
    made = services.start_generation(prompt="a hat", tool="inpaint", inputs=given, values={"denoise": 0.9})
    spec = GenerationHandler().spec(made.job)
    assert spec["tool"] == "inpaint" and spec["params"]["denoise"] == 0.9 and "width" not in spec["params"]
    assert all(Path(spec["inputs"][name]).is_file() for name in ("source", "mask"))


@pytest.mark.parametrize("tool", ["image_to_image", "inpaint", "outpaint", "upscale", "face_refine"])
def test_a_tool_without_its_picture_is_refused(db: None, volume: Path, tool: str) -> None:
    assert refused(tool=tool) == "input_missing"


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"tool": "paint"}, "unknown_tool"),
        ({"tool": "pair"}, "few_loras"),
        ({"inputs": {"source": "x"}}, "bad_input"),
        ({"tool": "upscale", "inputs": {"source": "../../secret"}}, "input_missing"),
        ({"tool": "upscale", "inputs": {"source": "0" * 64 + "-9x9.png"}}, "input_missing"),
        ({"values": {"denoise": 0.5}}, "bad_param"),
        ({"values": {"width": 17, "height": 99999}}, "bad_param"),
    ],
)
def test_requests_that_lead_nowhere_are_refused(db: None, volume: Path, asked: dict[str, Any], code: str) -> None:
    assert refused(**asked) == code


@pytest.mark.parametrize(
    ("painted", "code"), [((mask(64, 96), "mask_size")), (mask(96, 96, white=False), "mask_empty")]
)
def test_masks_that_do_not_fit_are_refused(db: None, volume: Path, painted: Any, code: str) -> None:
    painted.seek(0)
    assert refused(tool="inpaint", inputs={"source": keep(file()), "mask": keep(painted, grey=True)}) == code


def test_a_smaller_mask_of_the_same_shape_is_fine(db: None, volume: Path) -> None:
    given = {"source": keep(file()), "mask": keep(mask(48, 48), grey=True)}
    assert services.start_generation(prompt="a hat", tool="inpaint", inputs=given).tool == "inpaint"


def test_a_result_too_large_is_refused(db: None, volume: Path) -> None:
    assert refused(tool="upscale", inputs={"source": keep(file(1000, 1000))}, values={"scale": 4}) == "bad_param"


@pytest.mark.parametrize("guide", ["control", "reference"])
def test_a_guide_without_its_model_is_refused_with_the_reason(db: None, volume: Path, guide: str) -> None:
    with pytest.raises(DomainError, match="Pocket") as caught:
        services.start_generation(prompt="a hat", inputs={guide: keep(file())})
    assert caught.value.status == 503


def test_two_characters_need_two_loras(mira: Character) -> None:
    joon = wearing.of_lora(make_lora(make_character("Joon", "ohwxjoon")))
    made = services.start_generation(prompt="a hat", lora=make_lora(mira), more=[(joon, None)], tool="pair")
    assert len(GenerationHandler().spec(made.job)["loras"]) == 2


@pytest.mark.parametrize("tool", [*tools.TOOLS])
def test_every_tool_has_a_form_with_its_own_knobs(client: Client, db: None, tool: str) -> None:
    page = client.get(f"{CREATE}?tool={tool}").content.decode()
    own = tools.own_params(tool, catalog.get("pocket"))
    assert all(f'name="{param.name}"' in page for param in own) and 'aria-current="true"' in page
    assert all(f'name="{one.name}"' in page for one in tools.get(tool).inputs if one.kind == "picture")


def test_guides_that_are_not_here_say_why(client: Client, db: None) -> None:
    page = client.get(CREATE).content.decode()
    assert "Nobody has trained a ControlNet for Pocket" in page and 'name="control_strength"' not in page


def test_a_drawn_picture_is_a_source_in_one_click(client: Client, db: None, volume: Path) -> None:
    job = pictured().job.public_id
    page = client.get(f"{CREATE}?tool=inpaint&from={job}&picture=0").content.decode()
    assert "data-brush-save" in page and f'value="{job}:0"' in page and 'name="key_source"' in page


def test_the_source_is_remembered_by_what_came_of_it(client: Client, db: None, volume: Path) -> None:
    first = pictured()
    form = client.get(f"{CREATE}?tool=upscale&from={first.job.public_id}&picture=0").context["form"]
    sent = {**ASK, "tool": "upscale", "key_source": form.given.keys["source"], "origin": form.given.origin_id()}
    client.post(CREATE, sent, headers=HTMX)
    made = Generation.objects.order_by("-pk")[0]
    assert (made.tool, made.source) == ("upscale", first.outputs.get())


def test_a_chosen_file_comes_back_with_the_form_and_its_words(client: Client, db: None, volume: Path) -> None:
    sent = {"prompt": "my words", "base": "pocket", "tool": "inpaint", "source": file(), "styles": ["Photo"]}
    answer = client.post(reverse("generation:attach"), sent, headers=HTMX)
    page = answer.content.decode()
    key = answer.context["form"].given.keys["source"]
    assert "my words</textarea>" in page and f'value="{key}"' in page and "data-brush" in page
    assert client.get(reverse("generation:input", args=[key])).headers["Content-Type"] == "image/png"


def test_another_tool_keeps_the_words_and_has_its_own_defaults(client: Client, db: None, volume: Path) -> None:
    sent = {"prompt": "my words", "base": "pocket", "tool": "inpaint", "to": "upscale", "denoise": "0.99", "steps": "7"}
    form = client.post(reverse("generation:attach"), sent, headers=HTMX).context["form"]
    usual = next(param.default for param in form.params if param.name == "denoise")
    assert (form.tool.key, form["prompt"].value(), form["steps"].value()) == ("upscale", "my words", "7")
    assert form["denoise"].value() == usual


def test_painted_masks_are_drawn_with(client: Client, db: None, volume: Path) -> None:
    sent = {**ASK, "tool": "inpaint", "key_source": keep(file()), "mask": mask()}
    assert client.post(CREATE, sent, headers=HTMX).status_code == 204
    assert set(Generation.objects.get().inputs) == {"source", "mask"}


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n" + b"x" * 50])
def test_a_broken_file_is_said_in_the_form(client: Client, db: None, volume: Path, content: bytes) -> None:
    broken = SimpleUploadedFile("a.png", content, "image/png")
    answer = client.post(CREATE, {**ASK, "tool": "upscale", "source": broken}, headers=HTMX)
    assert answer.status_code == 422 and 'data-testid="error"' in answer.content.decode()


@pytest.mark.parametrize("tool", ["paint", "<b>", "x" * 500])
def test_an_unknown_tool_is_refused(client: Client, db: None, tool: str) -> None:
    assert client.get(CREATE, {"tool": tool}).status_code == 400
    assert client.post(CREATE, {**ASK, "tool": tool}, headers=HTMX).status_code == 400


def test_unused_inputs_are_swept_and_used_ones_stay(db: None, volume: Path) -> None:
    used, unused = keep(file()), keep(file(64, 64))
    services.start_generation(prompt="a hat", tool="upscale", inputs={"source": used})
    assert inputs.sweep() == 0
    for path in storage.absolute("inputs").iterdir():
        os.utime(path, (1, 1))
    assert inputs.sweep() == 1 and inputs.exists(used) and not inputs.exists(unused)


def test_the_api_lists_tools_with_knobs_and_reasons(api: APIClient) -> None:
    listed = {row["key"]: row for row in api.get("/api/generation/tools").json()}
    assert set(listed) == set(tools.TOOLS) and "scale" in listed["upscale"]["parameters"]
    reasons = {one["name"]: one["reason"] for one in listed["draw"]["inputs"]}
    assert reasons["control"] == found.why_not("control", catalog.get("pocket"), Path("nowhere"))


def test_the_api_takes_a_picture_and_goes_on_with_a_drawn_one(api: APIClient) -> None:
    key = api.post("/api/generation/inputs", {"file": file(64, 64)}, format="multipart").json()["id"]
    body = {"config": {"prompt": "a hat", "tool": "image_to_image", "inputs": {"source": key}, "denoise": 0.4}}
    assert api.post("/api/generation", body).json()["config"]["inputs"] == {"source": key}
    drawn = pictured().job.public_id
    body = {"config": {"prompt": "a hat", "tool": "upscale", "inputs": {"source": f"{drawn}:0"}}}
    made = api.post("/api/generation", body)
    assert made.status_code == 201, made.content
    assert Generation.objects.get(job__public_id=made.json()["id"]).source.generation.job.public_id == drawn


def test_the_api_starts_a_grid(api: APIClient) -> None:
    axes = [{"kind": "seed", "values": ["1", "2"]}, {"kind": "steps", "values": ["4", "8"]}]
    made = api.post("/api/generation/grid", {"config": {"prompt": "a hat"}, "axes": axes})
    assert made.status_code == 201 and made.json()["count"] == 4

"""The Generate pages in their states: the compose form, results while they are drawn, recipes, deletion."""

import pytest
from django.test import Client
from django.urls import reverse

from characters.models import Character
from generation.models import Generation, Output
from isengard import storage
from tests.pages.rows import HTMX, pictured, put, queries, text
from tests.people import make_lora
from training.models import Lora

CREATE = reverse("generation:create")
ASK = {"prompt": "a portrait", "count": 2, "base": "pocket"}


@pytest.mark.parametrize("mark", ['id="prompt"', "Aspect Ratio", "1:1", 'data-testid="generate-btn"', "More settings"])
def test_the_form_has_its_parts(client: Client, db: None, mark: str) -> None:
    assert mark in text(client.get(CREATE))


def test_before_anybody_is_trained_the_page_says_so(client: Client, db: None) -> None:
    page = text(client.get(CREATE))
    assert "Nobody is trained yet" in page and "No generations yet" in page


def test_the_newest_active_lora_is_chosen_with_its_trigger(client: Client, mira: Character) -> None:
    lora = make_lora(mira)
    page = text(client.get(CREATE))
    assert f'<option value="{lora.public_id}" selected>' in page and "a photo of ohwxmira" in page


def test_a_lora_of_the_same_network_is_offered_on_another_base(client: Client, mira: Character) -> None:
    lora = make_lora(mira, base="flux-dev")
    assert f'<option value="{lora.public_id}" selected>' in text(client.get(f"{CREATE}?base=flux-schnell"))


def test_a_base_that_does_not_exist_draws_nothing(client: Client, mira: Character) -> None:
    refused = client.post(CREATE, ASK | {"base": "nope"})
    assert refused.status_code == 400 and "no base model called" in text(refused) and not Generation.objects.exists()


@pytest.mark.parametrize("link", ["lora={lora}", "character={character}"])
def test_a_link_chooses_whom(client: Client, mira: Character, link: str) -> None:
    lora = make_lora(mira)
    page = text(client.get(f"{CREATE}?{link.format(lora=lora.public_id, character=mira.public_id)}"))
    assert f'<option value="{lora.public_id}" selected>' in page and "data-draft-skip" in page


def test_a_seed_used_again_fills_the_form_with_its_recipe(client: Client, mira: Character) -> None:
    make_lora(mira)
    asked = pictured(mira)
    form = client.get(f"{CREATE}?from={asked.job.public_id}&seed=8").context["form"]
    assert (form["prompt"].value(), form["seed"].value(), form["count"].value()) == (asked.prompt, "8", 1)


@pytest.mark.parametrize(("typed", "follows"), [("1", True), ("0.5", True), ("0.63", False), ("high", False)])
def test_the_strength_follows_the_chosen_lora_unless_one_was_typed(
    client: Client, mira: Character, typed: str, follows: bool
) -> None:
    other, chosen = make_lora(mira, 1, active=False), make_lora(mira, 2)
    Lora.objects.filter(pk=other.pk).update(default_strength=0.5)
    Lora.objects.filter(pk=chosen.pk).update(default_strength=0.8)
    answer = client.get(reverse("generation:hint"), {"lora": chosen.public_id, "lora_strength": typed})
    assert ('value="0.8"' in answer.content.decode()) == follows


def test_the_hint_follows_the_chosen_lora(client: Client, mira: Character) -> None:
    lora = make_lora(mira)
    assert "ohwxmira" in text(client.get(reverse("generation:hint"), {"lora": lora.public_id}))
    assert "Without a character" in text(client.get(reverse("generation:hint"), {"lora": ""}))


@pytest.mark.parametrize(("shape", "sides"), [("16:9", (1680, 960)), ("custom", (640, 512))])
def test_another_quality_leaves_the_sides_that_were_typed(
    client: Client, db: None, shape: str, sides: tuple[int, int]
) -> None:
    sent = {"base": "flux-dev", "shape": shape, "quality": "high", "width": "640", "height": "512"}
    page = text(client.get(reverse("generation:frame"), sent))
    assert all(f'name="{name}" value="{side}"' in page for name, side in zip(("width", "height"), sides, strict=True))
    assert f"{sides[0]} × {sides[1]} px" in page


@pytest.mark.parametrize(("name", "what"), [("from", "The request"), ("lora", "The LoRA")])
def test_a_link_to_what_was_deleted_says_so(client: Client, db: None, name: str, what: str) -> None:
    page = text(client.get(CREATE, {name: "gen-000000000000"}))
    assert what in page and "was deleted." in page


def test_the_reason_of_a_refusal_can_take_the_focus(client: Client, db: None) -> None:
    page = text(client.post(CREATE, {**ASK, "seeds": "locked"}, headers=HTMX))
    assert 'role="alert" tabindex="-1"' in page and "these pictures would be the same" in page


def test_asking_with_htmx_leaves_the_form_and_tells_the_results(client: Client, db: None) -> None:
    answer = client.post(CREATE, ASK, headers=HTMX)
    assert (answer.status_code, answer.headers["HX-Trigger"]) == (204, "pictures:changed")
    assert Generation.objects.get().count == 2


def test_asking_without_javascript_leads_to_the_pictures(client: Client, db: None) -> None:
    answer = client.post(CREATE, ASK)
    assert answer.headers["Location"] == Generation.objects.get().get_absolute_url()


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("prompt", "", "Describe the picture"),
        ("steps", "0", "at least 1"),
        ("lora", "lora-x", "This LoRA was deleted"),
    ],
)
def test_a_refused_value_is_said_at_its_field(client: Client, db: None, name: str, value: str, sentence: str) -> None:
    answer = client.post(CREATE, {**ASK, "negative_prompt": "hats", name: value}, headers=HTMX)
    page = text(answer)
    assert answer.status_code == 422 and f'id="{name}_error"' in page and sentence in page
    assert "hats</textarea>" in page and "<html" not in page


def test_markup_and_emoji_in_a_prompt_stay_words(client: Client, db: None) -> None:
    prompt = "<script>alert('x')</script> 👩‍🚀 & \"quoted\""
    client.post(CREATE, {**ASK, "prompt": prompt}, headers=HTMX)
    page = text(client.get(CREATE))
    assert Generation.objects.get().prompt == prompt and "<script>alert" not in page and "👩‍🚀" in page


@pytest.mark.parametrize("wrong", [{"prompt": "x" * 50_000}, {"width": "17", "height": "99999", "shape": "custom"}])
def test_far_too_much_is_refused_in_the_form(client: Client, db: None, wrong: dict[str, str]) -> None:
    answer = client.post(CREATE, {**ASK, **wrong}, headers=HTMX)
    assert answer.status_code == 422 and 'data-testid="error"' in text(answer) and not Generation.objects.exists()


def test_a_section_with_an_error_is_open(client: Client, db: None) -> None:
    assert 'data-remember="generate-more" open' in text(client.post(CREATE, {**ASK, "steps": "0"}))


def test_a_lora_whose_file_is_gone_is_refused_with_a_sentence(client: Client, mira: Character) -> None:
    lora = make_lora(mira)
    storage.absolute(lora.file).unlink()
    answer = client.post(CREATE, {**ASK, "lora": lora.public_id}, headers=HTMX)
    assert answer.status_code == 422 and 'data-testid="error"' in text(answer) and not Generation.objects.exists()


def test_waiting_pictures_say_why_and_hold_their_places(client: Client, db: None) -> None:
    page = text(client.get(pictured(state="queued", made=0).get_absolute_url()))
    assert "No worker is running" in page and page.count("tile-natural skeleton") == 2 and "Stop" in page


def test_a_picture_being_drawn_shows_its_preview(client: Client, db: None) -> None:
    asked = pictured(state="running", made=1, step=25, total=40)
    preview = storage.absolute(f"{storage.output_key(asked.job.public_id)}/preview-01.jpg")
    preview.write_bytes(b"jpeg")
    page = text(client.get(asked.get_absolute_url(), headers=HTMX))
    assert "preview-01.jpg?at=" in page and "25 of 40" in page and page.count("data-viewer-item") == 1


def test_a_picture_comes_with_its_recipe_and_download(client: Client, mira: Character) -> None:
    make_lora(mira)
    asked = pictured(mira)
    page = text(client.get(asked.get_absolute_url()))
    assert (
        f"?from={asked.job.public_id}&amp;picture=0" in page
        and "outputs/0?download" in page
        and "<dt>Guidance</dt>" in page
    )


def test_a_grid_shows_the_first_of_its_pictures_beside_the_way_to_it(client: Client, db: None) -> None:
    asked = pictured()
    Generation.objects.filter(pk=asked.pk).update(axes=[{"name": "steps", "label": "Steps", "values": [4, 8]}])
    page = client.get("/generate").content.decode()
    assert f'src="{Output.objects.get().thumb_url}"' in page
    assert f'href="/generate/{asked.job.public_id}/grid"' in page


def test_failed_pictures_give_their_reason_and_another_try(client: Client, db: None) -> None:
    page = text(client.get(pictured(state="failed", made=0, error_message="Out of memory.").get_absolute_url()))
    assert "Out of memory." in page and "Try again" in page and "badge-failed" in page


def test_cancelled_pictures_keep_what_was_drawn(client: Client, db: None) -> None:
    page = text(client.get(pictured(state="cancelled", made=1).get_absolute_url()))
    assert page.count("data-viewer-item") == 1 and "not drawn" in page and "Try again" in page


def test_stopping_answers_in_place(client: Client, db: None) -> None:
    asked = pictured(state="queued", made=0)
    answer = client.post(reverse("generation:cancel", args=[asked.job.public_id]), headers=HTMX)
    assert "badge-cancelled" in text(answer) and "finished pictures stay" in answer.headers["HX-Trigger"]


def test_trying_again_makes_a_new_request(client: Client, db: None) -> None:
    asked = pictured(state="failed", made=0)
    client.post(reverse("generation:retry", args=[asked.job.public_id]))
    newest = Generation.objects.order_by("-job_id").first()
    assert newest is not None and newest.job.retry_of == asked.job and newest.seeds == asked.seeds


def test_a_picture_can_be_deleted(client: Client, db: None) -> None:
    asked = pictured(made=2)
    url = reverse("generation:delete-output", args=[asked.job.public_id, 1])
    page = text(client.post(url, headers=HTMX))
    assert Output.objects.count() == 1 and page.count("data-viewer-item") == 1 and "deleted" in page


def test_results_go_on_where_a_page_ends(client: Client, db: None) -> None:
    asked = [pictured() for _ in range(13)]
    first = client.get(CREATE)
    rest = text(client.get(first.context["next_url"], headers=HTMX))
    assert rest.count("generation-card") == 1 and asked[0].job.public_id in rest


def test_results_cost_the_same_however_many(client: Client, mira: Character) -> None:
    make_lora(mira)
    pictured(mira)
    few = queries(client, reverse("generation:results"))
    for _ in range(5):
        pictured(mira, made=2)
    assert queries(client, reverse("generation:results")) == few


def test_the_video_page_says_what_is_missing(client: Client, db: None) -> None:
    assert "Video is not here yet" in text(client.get(reverse("video")))


def test_pictures_of_a_running_job_can_still_be_looked_at(client: Client, db: None) -> None:
    asked = pictured(state="queued", made=1)
    put(asked.job, "running")
    assert text(client.get(asked.get_absolute_url())).count("data-viewer-item") == 1


def test_a_picture_becomes_a_synthetic_photo_of_its_character(client: Client, mira: Character) -> None:
    make_lora(mira)
    job = pictured(mira).job.public_id
    said = client.post(reverse("generation:keep-output", args=[job, 0]), headers=HTMX).headers["HX-Trigger"]
    photo = mira.images.get(made_by=job)
    assert (photo.split, "as synthetic" in said) == ("synthetic", True)


def test_without_htmx_the_kept_picture_opens_as_a_photo(client: Client, mira: Character) -> None:
    make_lora(mira)
    job = pictured(mira).job.public_id
    address = client.post(reverse("generation:keep-output", args=[job, 0])).headers["Location"]
    assert f"/generate/{job}" in text(client.get(address))


def test_a_picture_of_nobody_is_not_offered_as_a_photo(client: Client, db: None) -> None:
    assert "Add to the photos" not in text(client.get(pictured().get_absolute_url()))


def test_requests_made_elsewhere_come_on_top_of_the_results(client: Client, mira: Character) -> None:
    make_lora(mira)
    first = pictured(mira)
    asks = client.get(CREATE).context["newer_url"]
    second = pictured(mira)
    fresh = client.get(asks, headers=HTMX)
    assert second.job.public_id in text(fresh) and first.job.public_id not in text(fresh)
    again = text(client.get(fresh.context["newer_url"], headers=HTMX))
    assert "generation-card" not in again and "No generations yet" not in again and 'id="results-live"' in again


def test_an_empty_list_of_results_waits_for_the_first_request(client: Client, db: None) -> None:
    page = text(client.get(CREATE))
    assert 'hx-get="/generate/results" hx-trigger="jobs:changed from:body" hx-target="#results"' in page


def test_only_the_top_of_the_results_asks_for_newer_ones(client: Client, mira: Character) -> None:
    make_lora(mira)
    pictured(mira), (last := pictured(mira))
    page = text(client.get(f"/generate/results?before={last.job_id}", headers=HTMX))
    assert "generation-card" in page and "results-live" not in page

"""The character pages in their states: list, create, edit, delete, photos, the hub and its tabs, the dataset."""

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from characters.models import Character
from tests.pages.rows import HTMX, add_output, pictured, queries, text, trained
from tests.people import add_photo, make_character, make_lora
from tests.pictures import encoded

NEW = {"name": "Ann Lee", "trigger_word": "ohwxann", "description": "A woman."}


def hub(character: Character, tab: str = "photos") -> str:
    return f"{character.get_absolute_url()}?tab={tab}"


def test_the_root_leads_to_the_characters(client: Client, db: None) -> None:
    assert client.get("/").headers["Location"] == reverse("characters:list")


def test_an_empty_studio_says_what_to_do_first(client: Client, db: None) -> None:
    page = text(client.get(reverse("characters:list")))
    assert "No characters yet" in page and "Create Character" in page


def test_a_card_bears_name_trigger_and_what_there_is(client: Client, mira: Character) -> None:
    make_lora(mira, version=2)
    page = text(client.get(reverse("characters:list")))
    assert f'data-character-id="{mira.public_id}"' in page
    assert "Mira" in page and "<code>ohwxmira</code>" in page and "3 photos · v2 trained" in page


def test_a_training_shows_on_its_card(client: Client, mira: Character) -> None:
    run = trained(mira, "running")
    page = text(client.get(reverse("characters:list")))
    assert f'data-job="{run.job.public_id}"' in page and "training now" in page


def test_the_list_goes_on_where_a_page_ends(client: Client, db: None) -> None:
    names = [make_character(f"Person {number}", f"ohwx{number}", photos=0).name for number in range(25)]
    first = client.get(reverse("characters:list"))
    rest = text(client.get(first.context["next_url"], headers=HTMX))
    assert [name for name in names if f">{name}<" in rest] == names[:1]


def test_the_list_costs_the_same_for_two_and_for_twelve(client: Client, mira: Character) -> None:
    make_character("Ann", "ohwxann")
    few = queries(client, reverse("characters:list"))
    for number in range(10):
        make_character(f"Person {number}", f"ohwx{number}", photos=1)
    assert queries(client, reverse("characters:list")) == few


@pytest.mark.parametrize(
    "mark", ['id="name"', 'id="trigger"', 'id="description"', "create-character-btn", "cancel-btn"]
)
def test_the_form_of_a_new_character_has_its_fields(client: Client, db: None, mark: str) -> None:
    assert mark in text(client.get(reverse("characters:create")))


def test_a_new_character_gets_its_own_page(client: Client, db: None) -> None:
    answer = client.post(reverse("characters:create"), NEW)
    assert answer.headers["Location"] == Character.objects.get(name="Ann Lee").get_absolute_url()


@pytest.mark.parametrize("word", ["two words", "a,b", "", "<b>"])
def test_a_refused_trigger_word_keeps_what_was_typed(client: Client, db: None, word: str) -> None:
    answer = client.post(reverse("characters:create"), {**NEW, "trigger_word": word})
    assert answer.status_code == 422 and 'id="trigger_word_error"' in text(answer)
    assert 'value="Ann Lee"' in text(answer) and not Character.objects.exists()


def test_editing_saves(client: Client, mira: Character) -> None:
    client.post(reverse("characters:edit", args=[mira.public_id]), NEW)
    mira.refresh_from_db()
    assert (mira.name, mira.trigger_word) == ("Ann Lee", "ohwxann")


def test_a_refused_edit_changes_nothing(client: Client, mira: Character) -> None:
    answer = client.post(reverse("characters:edit", args=[mira.public_id]), {**NEW, "name": " "})
    mira.refresh_from_db()
    assert (answer.status_code, mira.name) == (422, "Mira")


def test_deleting_needs_the_typed_name(client: Client, mira: Character) -> None:
    answer = client.post(reverse("characters:delete", args=[mira.public_id]), {"confirm": "Moira"}, follow=True)
    assert Character.objects.exists() and 'data-testid="toast"' in text(answer)


def test_the_typed_name_deletes(client: Client, mira: Character) -> None:
    client.post(reverse("characters:delete", args=[mira.public_id]), {"confirm": "Mira"})
    assert not Character.objects.exists()


def test_photos_sent_by_the_plain_form_are_taken_and_refused_one_by_one(client: Client, mira: Character) -> None:
    files = [SimpleUploadedFile("good.png", encoded()), SimpleUploadedFile("bad.png", b"not a picture")]
    answer = client.post(reverse("characters:upload", args=[mira.public_id]), {"files": files}, follow=True)
    assert mira.images.count() == 4
    assert "good.png: added." in text(answer) and "bad.png: " in text(answer)


def test_the_plain_upload_needs_its_token(mira: Character) -> None:
    strict = Client(enforce_csrf_checks=True)
    url, token = reverse("characters:upload", args=[mira.public_id]), "csrfmiddlewaretoken"
    assert strict.post(url, {"files": SimpleUploadedFile("a.png", encoded())}).status_code == 403
    strict.get(hub(mira))
    given = strict.cookies[settings.CSRF_COOKIE_NAME].value
    strict.post(url, {"files": SimpleUploadedFile("a.png", encoded()), token: given})
    assert mira.images.count() == 4


@pytest.mark.parametrize(
    ("tab", "words"),
    [
        ("photos", "Reference Images"),
        ("training", "Not trained yet"),
        ("loras", "No LoRA yet"),
        ("pictures", "No pictures yet"),
        ("nonsense", "Reference Images"),
    ],
)
def test_every_tab_of_a_character_says_what_it_holds(client: Client, mira: Character, tab: str, words: str) -> None:
    assert words in text(client.get(hub(mira, tab), follow=True))


def test_an_unknown_character_is_not_found(client: Client, db: None) -> None:
    answer = client.get("/characters/char-00000000")
    assert answer.status_code == 404 and "not found" in text(answer)


def test_the_first_step_is_photos(client: Client, db: None) -> None:
    page = text(client.get(hub(make_character(photos=0))))
    assert "Add photos" in page and "Add ten to twenty photos first" in page


def test_with_photos_the_next_step_is_training(client: Client, mira: Character) -> None:
    assert f"{reverse('training:start')}?character={mira.public_id}" in text(client.get(hub(mira)))


def test_while_it_trains_the_next_step_is_watching(client: Client, mira: Character) -> None:
    run = trained(mira, "running")
    assert client.get(hub(mira)).context["step"].url == run.get_absolute_url()


def test_after_training_the_next_step_is_pictures(client: Client, mira: Character) -> None:
    lora = make_lora(mira)
    assert client.get(hub(mira)).context["step"].url.endswith(f"?lora={lora.public_id}")


def test_a_job_changes_the_hub_without_touching_an_upload(client: Client, mira: Character) -> None:
    page = text(client.get(hub(mira), headers=HTMX))
    assert page.count('hx-swap-oob="true"') == 4
    assert "dropzone" not in page and "data-block" not in page


def test_the_other_tabs_refresh_their_rows(client: Client, mira: Character) -> None:
    trained(mira, "failed")
    page = text(client.get(hub(mira, "training"), headers=HTMX))
    assert '<div class="stack" id="hub-rows" hx-swap-oob="true">' in page and "Failed" in page


def test_a_queued_training_says_on_the_hub_why_it_waits(client: Client, mira: Character) -> None:
    trained(mira)
    assert "No worker is running" in text(client.get(hub(mira)))


def test_older_pictures_follow_on_the_hub(client: Client, mira: Character, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("generation.gallery.shown.PAGE", 24)
    make_lora(mira)
    asked = [pictured(mira, made=2) for _ in range(13)]
    first = client.get(hub(mira, "pictures"), follow=True)
    assert text(first).count("data-viewer-item") == 24
    rest = text(client.get(first.context["next_url"], headers=HTMX))
    assert rest.count("data-viewer-item") == 2 and asked[0].job.public_id in rest


@pytest.mark.parametrize("tab", ["photos", "training", "loras", "pictures"])
def test_a_tab_costs_the_same_however_full(client: Client, mira: Character, tab: str) -> None:
    make_lora(mira)
    trained(mira, "failed")
    asked = pictured(mira)
    page = f"/characters/{mira.public_id}/pictures" if tab == "pictures" else hub(mira, tab)
    few = queries(client, page)
    add_photo(mira, 50), make_lora(mira, version=2, active=False), trained(mira, "cancelled"), add_output(asked, 1)
    assert queries(client, page) == few

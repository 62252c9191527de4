"""The pages of captions."""

import pytest
from django.test import Client

from characters.captions import services
from characters.models import Character, ReferenceImage

HTMX = {"HX-Request": "true"}


def current(image: ReferenceImage) -> str:
    return ReferenceImage.objects.get(pk=image.pk).caption


def panel(image: ReferenceImage) -> str:
    return f"/photos/{image.public_id}/caption"


def words(response: object) -> str:
    return response.content.decode()  # type: ignore[attr-defined]


def test_typing_is_saved_and_answers_with_what_training_reads(client: Client, photo: ReferenceImage) -> None:
    response = client.post(panel(photo), {"caption": "a woman, smiling"}, headers=HTMX)
    assert current(photo) == "a woman, smiling"
    assert "ohwx, smiling</q>" in words(response)
    assert "Saved" in words(response)


def test_without_javascript_saving_leads_back_to_the_photo(client: Client, photo: ReferenceImage) -> None:
    assert client.post(panel(photo), {"caption": "x"}).headers["Location"] == f"/photos/{photo.public_id}"


def test_a_caption_that_is_too_long_is_refused_and_not_lost(client: Client, photo: ReferenceImage) -> None:
    response = client.post(panel(photo), {"caption": "y" * 2001})
    assert response.status_code == 422
    assert "y" * 2001 in words(response)
    assert "Shorten it by 1." in words(response)
    assert current(photo) == ""


def test_markup_in_a_caption_is_text(client: Client, photo: ReferenceImage) -> None:
    client.post(panel(photo), {"caption": "<script>x</script></textarea>"})
    assert "<script>x" not in words(client.get(panel(photo)))
    assert "&lt;script&gt;x&lt;/script&gt;&lt;/textarea&gt;" in words(client.get(panel(photo)))


def test_what_pocket_does_not_read_is_struck_out(client: Client, photo: ReferenceImage) -> None:
    services.write(image=photo, text="ohwx " + "smiling " * 40, by="user")
    shown = words(client.get(panel(photo)))
    assert "reads the first 32" in shown
    kept = shown.split('<q dir="auto">')[1].split("<s")[0]
    assert kept == "ohwx" + " smiling" * 29


def test_an_earlier_text_comes_back(client: Client, photo: ReferenceImage) -> None:
    services.write(image=photo, text="first", by="model")
    services.write(image=photo, text="second", by="model")
    first = photo.caption_versions.get(text="first")
    assert "by a model" in words(client.get(f"{panel(photo)}/versions"))
    client.post(f"{panel(photo)}/versions/{first.pk}", headers=HTMX)
    assert current(photo) == "first"


def test_a_version_of_another_photo_is_not_found(client: Client, mira: Character, photo: ReferenceImage) -> None:
    services.write(image=photo, text="first", by="user")
    other = mira.images.exclude(pk=photo.pk)[0]
    number = photo.caption_versions.get().pk
    assert client.post(f"{panel(other)}/versions/{number}", headers=HTMX).status_code == 404


def test_the_table_shows_each_caption_once_over_its_pages(
    client: Client, mira: Character, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("characters.captions.shown.PAGE", 2)
    first = words(client.get(f"/characters/{mira.public_id}/captions"))
    assert first.count('data-testid="caption-input"') == 2
    after = first.split("captions?after=")[1].split('"')[0]
    rest = words(client.get(f"/characters/{mira.public_id}/captions?after={after}", headers=HTMX))
    assert rest.count('data-testid="caption-input"') == 1


def test_the_table_costs_the_same_however_many_photos(
    client: Client, mira: Character, django_assert_num_queries: pytest.FixtureRequest
) -> None:
    from tests.people import add_photo

    address = f"/characters/{mira.public_id}/captions"
    with django_assert_num_queries(3):  # type: ignore[operator]
        client.get(address)
    for number in range(10, 15):
        services.write(image=add_photo(mira, number), text="x", by="user")
    with django_assert_num_queries(3):  # type: ignore[operator]
        client.get(address)


def test_a_preview_changes_nothing_and_applying_does(client: Client, mira: Character) -> None:
    data = {"op": "prefix", "prefix": "indoors", "all": "1", "character": mira.public_id, "step": "preview"}
    assert "3 of 3 captions change" in words(client.post("/captions/edit", data, headers=HTMX))
    assert not mira.images.exclude(caption="").exists()
    client.post("/captions/edit", {**data, "step": ["preview", "apply"]}, headers=HTMX)
    assert set(mira.images.values_list("caption", flat=True)) == {"indoors"}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"op": "replace"}, "Say what to look for"),
        ({"op": "prefix"}, "Say what to add"),
        ({"op": "template", "template": "{"}, "alone"),
    ],
)
def test_a_preview_of_half_typed_words_says_what_is_missing(
    client: Client, mira: Character, data: dict[str, str], said: str
) -> None:
    answer = client.post("/captions/edit", {**data, "all": "1", "step": "preview"}, headers=HTMX)
    assert (answer.status_code, said in words(answer)) == (200, True)


def test_an_edit_that_does_not_exist_is_refused_in_a_preview_too(client: Client, mira: Character) -> None:
    answer = client.post("/captions/edit", {"op": "shout", "all": "1", "step": "preview"}, headers=HTMX)
    assert answer.status_code == 400


def test_the_toast_of_an_edit_takes_it_back(client: Client, mira: Character) -> None:
    data = {"op": "template", "template": "{trigger}", "all": "1", "character": mira.public_id, "step": "apply"}
    response = client.post("/captions/edit", data, headers=HTMX)
    undo = response.headers["HX-Trigger"].split('"undo": "')[1].split('"')[0]
    client.post(undo, headers=HTMX)
    assert set(mira.images.values_list("caption", flat=True)) == {""}


def test_the_plain_preview_page_can_apply_the_same(client: Client, mira: Character) -> None:
    ids = [image.public_id for image in mira.images.all()[:2]]
    page = words(client.post("/captions/edit", {"op": "suffix", "suffix": "rain", "image_ids": ids}))
    assert all(f'name="image_ids" value="{one}"' in page for one in ids)
    assert 'name="suffix" value="rain"' in page


def test_the_findings_offer_to_strip_with_the_reason(client: Client, mira: Character) -> None:
    services.change_all(images=mira.images.all(), change=lambda image: "ohwx with red hair", by="bulk")
    shown = words(client.get(f"/characters/{mira.public_id}/captions/findings"))
    assert 'value="red hair"' in shown
    assert "is part of the person" in shown


def test_without_captioners_the_page_says_what_to_put_where(client: Client, mira: Character) -> None:
    shown = words(client.get(f"/characters/{mira.public_id}/captions"))
    assert "No captioning model is on this machine" in shown
    assert "Download florence-community/Florence-2-base" in shown
    assert "hf download florence-community/Florence-2-base --local-dir" in shown


def test_the_way_to_a_template_opens_it(client: Client, mira: Character) -> None:
    shown = words(client.get(f"/characters/{mira.public_id}/captions?op=template"))
    assert 'id="edit-all" data-remember="caption-tools" open' in shown
    assert 'value="template" checked' in shown
    assert "{#" not in shown


def test_the_trigger_helper_warns_and_suggests(client: Client, db: None) -> None:
    shown = words(client.get("/characters/trigger", {"trigger_word": "woman"}))
    assert "everybody would come out like this one" in shown
    assert shown.count("<button") == 3


def test_a_suggestion_is_put_into_the_field(client: Client, db: None) -> None:
    shown = words(client.get("/characters/trigger", {"use": "zwkx"}))
    assert 'value="zwkx"' in shown
    assert 'hx-swap-oob="true"' in shown


@pytest.mark.parametrize("address", ["/characters/new", "/characters/{}/edit"])
def test_the_helper_stands_where_a_trigger_is_typed(client: Client, mira: Character, address: str) -> None:
    shown = words(client.get(address.format(mira.public_id)))
    assert 'hx-get="/characters/trigger"' in shown
    assert 'id="trigger-help"' in shown

"""The pages of the LoRA library: the list with its filters, one version, the upload form."""

from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from characters.models import Character
from generation.models import Generation
from isengard import storage
from isengard.jobs.models import Job
from tests.library import conftest as files
from tests.pages.rows import HTMX, add_sample, pictured, trained
from tests.people import add_photo, make_character, make_lora
from training.models import Lora, TrainingRun


@pytest.fixture
def client(mira: Character) -> Client:
    return Client()


def page(client: Client, address: str, **headers: str) -> str:
    answer = client.get(address, headers=headers)
    assert answer.status_code == 200
    return answer.content.decode()


def finished(mira: Character) -> TrainingRun:
    add_photo(mira, 0)
    return trained(mira, "completed")


def test_an_empty_library_offers_to_train(client: Client) -> None:
    assert "No LoRA yet" in page(client, "/loras")


def test_every_version_is_a_card(client: Client, mira: Character) -> None:
    make_lora(mira, 1, active=False)
    make_lora(mira, 2)
    text = page(client, "/loras")
    assert "Mira v1" in text and "Mira v2" in text and text.count('data-testid="lora-card"') == 2


def test_the_search_finds_names_characters_and_triggers(client: Client, mira: Character) -> None:
    make_lora(make_character("Joon", "ohwxjoon", photos=0))
    make_lora(mira)
    assert "Joon v1" not in page(client, "/loras?q=mira")
    assert "Joon v1" in page(client, "/loras?q=OHWXJOON")


@pytest.mark.parametrize("query", ["character=char-00000000", "origin=uploaded", "q=nobody"])
def test_a_filter_that_fits_nothing_says_so(client: Client, mira: Character, query: str) -> None:
    make_lora(mira)
    assert "None found" in page(client, f"/loras?{query}")


def test_the_list_goes_on_by_id(client: Client, mira: Character) -> None:
    for version in range(1, 27):
        make_lora(mira, version, active=False)
    assert page(client, "/loras").count('data-testid="lora-card"') == 24
    last = Lora.objects.order_by("-pk")[23].pk
    assert page(client, f"/loras?before={last}", **HTMX).count('data-testid="lora-card"') == 2


def test_a_card_shows_the_last_sample_of_its_training(client: Client, mira: Character) -> None:
    run = finished(mira)
    add_sample(run, 0)
    newest = add_sample(run, 100)
    Lora.objects.filter(pk=make_lora(mira).pk).update(run=run)
    assert f"/samples/{newest.name}" in page(client, "/loras")


def test_a_card_costs_the_same_however_many(
    client: Client, mira: Character, django_assert_max_num_queries: object
) -> None:
    run = finished(mira)
    add_sample(run, 100)
    for version in range(1, 12):
        Lora.objects.filter(pk=make_lora(mira, version, active=False).pk).update(run=run if version == 1 else None)
    with django_assert_max_num_queries(8):  # type: ignore[operator]
        page(client, "/loras")


def test_a_version_shows_one_sample_for_each_prompt(client: Client, mira: Character) -> None:
    run = finished(mira)
    older, *newest = add_sample(run, 50), add_sample(run, 100), add_sample(run, 100, 1)
    lora = make_lora(mira)
    Lora.objects.filter(pk=lora.pk).update(run=run)
    text = page(client, lora.get_absolute_url())
    assert all(sample.name in text for sample in newest) and older.name not in text


def test_a_checkpoint_shows_the_samples_until_then(client: Client, mira: Character) -> None:
    run = finished(mira)
    then, later = add_sample(run, 50), add_sample(run, 100)
    saved = run.checkpoints.create(step=60, file="runs/x", size_bytes=1)
    lora = make_lora(mira)
    Lora.objects.filter(pk=lora.pk).update(checkpoint=saved, steps=60)
    text = page(client, lora.get_absolute_url())
    assert then.name in text and later.name not in text


def test_a_version_shows_what_was_drawn_with_it(client: Client, mira: Character) -> None:
    make_lora(mira)
    asked = pictured(mira)
    assert asked.outputs.get().thumb_url in page(client, Lora.objects.get().get_absolute_url())


def test_a_version_shows_what_it_was_worn_in_beside_another(client: Client, mira: Character) -> None:
    lora, pair = make_lora(mira), pictured()
    Generation.objects.filter(pk=pair.pk).update(more_loras=[{"id": lora.public_id, "name": "x", "strength": 1.0}])
    assert pair.outputs.get().thumb_url in page(client, lora.get_absolute_url())


def test_a_version_whose_job_was_removed_still_has_a_page(client: Client, mira: Character) -> None:
    run = finished(mira)
    lora = make_lora(mira)
    Lora.objects.filter(pk=lora.pk).update(run=run)
    Job.objects.filter(pk=run.job_id).delete()
    assert "Mira v1" in page(client, lora.get_absolute_url())


def test_a_version_without_its_file_says_so_and_offers_no_download(client: Client, mira: Character) -> None:
    lora = make_lora(mira)
    storage.remove(lora.file)
    text = page(client, lora.get_absolute_url())
    assert "Its file is gone" in text and lora.download_url not in text


def test_name_and_strength_are_saved(client: Client, mira: Character) -> None:
    lora = make_lora(mira)
    client.post(f"/loras/{lora.public_id}/change", {"name": "Best", "strength": "0.8"})
    lora.refresh_from_db()
    assert (lora.name, lora.default_strength) == ("Best", 0.8)


def test_a_strength_that_cannot_be_comes_back_at_the_form(client: Client, mira: Character) -> None:
    lora = make_lora(mira)
    answer = client.post(f"/loras/{lora.public_id}/change", {"name": "Best", "strength": "9"})
    assert answer.status_code == 422 and 'value="Best"' in answer.content.decode()


def test_generate_starts_with_the_usual_strength(client: Client, mira: Character) -> None:
    lora = make_lora(mira)
    Lora.objects.filter(pk=lora.pk).update(default_strength=0.75)
    assert 'value="0.75"' in page(client, f"/generate?lora={lora.public_id}")


def post_file(client: Client, path: Path, **fields: str) -> tuple[int, str, str]:
    file = SimpleUploadedFile(path.name, path.read_bytes())
    answer = client.post("/loras/upload", {"file": file, **fields})
    return answer.status_code, answer.content.decode(), answer.headers.get("Location", "")


def test_an_upload_leads_to_its_report(client: Client, mira: Character, tmp_path: Path) -> None:
    status, _, address = post_file(client, files.kohya(tmp_path / "k.safetensors"), character=mira.public_id)
    text = page(client, address)
    assert status == 302 and "What was recognised" in text and "kohya" in text


def test_a_refused_upload_comes_back_with_the_reason_and_its_words(client: Client, tmp_path: Path) -> None:
    (tmp_path / "x.ckpt").write_bytes(b"PK\x03\x04" + bytes(50))
    status, text, _ = post_file(client, tmp_path / "x.ckpt", name="Anna", trigger_word="sks")
    assert status == 422 and "pickle" in text and 'value="Anna"' in text and 'value="sks"' in text


def test_an_upload_needs_the_forms_token(mira: Character, tmp_path: Path) -> None:
    strict = Client(enforce_csrf_checks=True)
    status, *_ = post_file(strict, files.kohya(tmp_path / "k.safetensors"), character=mira.public_id)
    assert status == 403 and not Lora.objects.exists()


def test_an_upload_with_the_token_is_taken(mira: Character, tmp_path: Path) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.get("/loras/upload")
    token = {"csrfmiddlewaretoken": strict.cookies["isengard_csrf"].value}
    status, *_ = post_file(strict, files.kohya(tmp_path / "k.safetensors"), character=mira.public_id, **token)
    assert status == 302


def test_an_upload_without_a_file_is_asked_for_one(client: Client) -> None:
    answer = client.post("/loras/upload", {"name": "Anna"})
    assert answer.status_code == 422 and "Choose a .safetensors file" in answer.content.decode()


def test_a_link_from_a_character_chooses_it(client: Client, mira: Character) -> None:
    assert f'value="{mira.public_id}" selected' in page(client, f"/loras/upload?character={mira.public_id}")


def test_an_empty_file_is_called_empty(client: Client, mira: Character, tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").touch()
    status, text, _ = post_file(client, tmp_path / "x.safetensors", character=mira.public_id)
    assert status == 422 and "empty (0 bytes)" in text


def test_a_file_says_nothing_that_a_browser_would_run(client: Client, mira: Character, tmp_path: Path) -> None:
    path = files.diffusers(tmp_path / "d.safetensors", modelspec__title="<script>alert(1)</script>")
    _, _, address = post_file(client, path, character=mira.public_id)
    assert "<script>alert" not in page(client, address)


def test_use_by_default_and_delete_lead_on(client: Client, mira: Character) -> None:
    make_lora(mira, 1)
    other = make_lora(mira, 2, active=False)
    assert client.post(f"/loras/{other.public_id}/activate").headers["Location"] == other.get_absolute_url()
    assert client.post(f"/loras/{other.public_id}/delete").headers["Location"].endswith("?tab=loras")
    assert [lora.version for lora in Lora.objects.active()] == [1]


def test_a_checkpoint_is_published_from_its_page(client: Client, mira: Character) -> None:
    run = finished(mira)
    key = f"{storage.run_key(run.job.public_id)}/checkpoints/step-000060.safetensors"
    storage.absolute(key).parent.mkdir(parents=True, exist_ok=True)
    files.diffusers(storage.absolute(key))
    run.checkpoints.create(step=60, file=key, size_bytes=1)
    client.post(f"/training/{run.job.public_id}/checkpoints/60/publish")
    assert Lora.objects.get().origin == "checkpoint"

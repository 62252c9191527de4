"""What the start page offers beyond single values: presets and what they mean, one's own, grids, earlier versions."""

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from characters.models import Character
from tests.pages.rows import HTMX, queries, text, trained
from tests.pages.test_training_pages import START, started
from tests.people import add_photo, make_lora
from training import services, user_presets
from training.models import Lora, TrainingRun, TrainingSweep, UserPreset

SAVE = reverse("training:save-preset")


def saved(name: str = "Mine", **values: Any) -> UserPreset:
    return user_presets.save(base="pocket", name=name, params=services.training_params("pocket", values))


def test_a_preset_says_steps_time_and_likeness(client: Client, mira: Character) -> None:
    page = text(client.get(START))
    assert "300 steps · about" in page and "likeness: good" in page


def test_choosing_somebody_else_brings_the_presets_for_their_photos(client: Client, mira: Character) -> None:
    part = text(client.get(START, {"character": mira.public_id, "preset": "balanced"}, headers=HTMX))
    assert '<section class="card" id="how"' in part and "<form" not in part
    assert 'value="balanced" data-preset=' in part and 'value="200"' in part


def test_custom_values_stay_when_somebody_else_is_chosen(client: Client, mira: Character) -> None:
    asked = {"character": mira.public_id, "preset": "custom", "steps": "777", "resolution": "48"}
    assert 'value="777"' in text(client.get(START, asked, headers=HTMX))


def test_settings_are_saved_as_a_preset_and_chosen(client: Client, mira: Character) -> None:
    answer = text(client.post(SAVE, {**started(mira, steps=450), "name": "Mine"}, headers=HTMX))
    assert UserPreset.objects.get().values == {"steps": 450}
    assert 'hx-swap-oob="true"' in answer and 'value="Mine" data-preset=' in answer
    assert 'id="own-presets"' in answer and "checked> <h3>Mine" in " ".join(answer.split())


def test_a_name_that_is_taken_is_said_beside_it(client: Client, mira: Character) -> None:
    saved()
    answer = text(client.post(SAVE, {**started(mira), "name": "Mine"}, headers=HTMX))
    assert 'id="new-preset-error"' in answer and "Choose another name" in answer


def test_a_preset_is_renamed_and_deleted(client: Client, mira: Character) -> None:
    preset = saved()
    client.post(reverse("training:rename-preset", args=[preset.pk]), {"name": "Yours"}, headers=HTMX)
    assert UserPreset.objects.get().name == "Yours"
    answer = client.post(reverse("training:delete-preset", args=[preset.pk]), {"preset": "Yours"}, headers=HTMX)
    assert re.search(r'<input [^>]*id="new-preset"[^>]* autofocus', text(answer))
    assert not UserPreset.objects.exists() and "None yet" in text(answer)


def test_a_saved_preset_starts_a_training(client: Client, mira: Character) -> None:
    saved(steps=450)
    client.post(START, {**started(mira, steps=450), "preset": "Mine"})
    assert TrainingRun.objects.get().preset == "Mine"


def test_the_start_page_costs_the_same_however_many_presets(client: Client, mira: Character) -> None:
    client.get(START)
    few = queries(client, START)
    for number in range(4):
        saved(f"Mine {number}", steps=300 + 50 * number)
    assert queries(client, START) == few


GRID = {"grid_1": "learning_rate", "grid_1_values": "1e-3, 2e-3", "grid_2": "lora_rank", "grid_2_values": "8,16"}


def test_several_values_start_a_comparison(client: Client, mira: Character) -> None:
    answer = client.post(START, {**started(mira), **GRID})
    sweep = TrainingSweep.objects.get()
    assert answer.headers["Location"] == reverse("training:sweep", args=[sweep.pk]) and sweep.runs.count() == 4


@pytest.mark.parametrize(
    ("grid", "field", "said"),
    [
        ({"grid_1": "lora_rank"}, "grid_1_values", "Say which values to try"),
        ({"grid_1_values": "8, 16"}, "grid_1", "Say what these values are for"),
        ({"grid_1": "lora_rank", "grid_1_values": "8"}, "grid_1_values", "would start 1 trainings"),
        ({**GRID, "grid_2": "learning_rate", "grid_2_values": "1e-3"}, "grid_2", "two different settings"),
    ],
)
def test_a_grid_that_is_half_said_is_refused_at_its_field(
    client: Client, mira: Character, grid: dict[str, str], field: str, said: str
) -> None:
    page = text(client.post(START, {**started(mira), **grid}))
    assert f'id="{field}_error"' in page and said in page and 'data-remember="grid" open' in page


def test_a_value_that_cannot_be_is_said_in_the_plan_and_at_its_field(client: Client, mira: Character) -> None:
    asked = started(mira, grid_1="lora_rank", grid_1_values="8, 3")
    assert "must be one of 4, 8, 16" in text(client.get(reverse("training:plan"), asked))
    answer = client.post(reverse("training:start"), asked)
    assert answer.status_code == 422 and "LoRA rank" in answer.context["form"].errors["grid_1_values"][0]


def test_the_plan_says_how_many_trainings_a_grid_is(client: Client, mira: Character) -> None:
    assert "4 trainings are started" in text(client.get(reverse("training:plan"), {**started(mira), **GRID}))


def test_a_new_version_is_prepared_from_a_lora(client: Client, mira: Character) -> None:
    lora = make_lora(mira)
    page = text(client.get(START, {"from": lora.public_id}))
    assert f'name="from" value="{lora.public_id}"' in page and "begins from" in page
    assert 'id="grid_1"' not in page and "Select character" not in page


def test_a_new_version_is_started_from_a_lora(client: Client, mira: Character) -> None:
    lora = make_lora(mira)
    add_photo(mira, 9)
    client.post(START, {**started(mira, lora_rank=16), "from": lora.public_id})
    run = TrainingRun.objects.get()
    assert (run.start, len(run.photos)) == ("warm", 4)


def test_a_rank_below_that_of_the_lora_is_said_at_its_field(client: Client, mira: Character) -> None:
    lora = make_lora(mira)
    Lora.objects.update(rank=16)
    page = text(client.post(START, {**started(mira, lora_rank=8), "from": lora.public_id}))
    assert 'id="lora_rank_error"' in page


def test_presets_for_a_new_version_keep_room_for_what_it_begins_from(client: Client, mira: Character) -> None:
    lora = make_lora(mira)
    Lora.objects.update(rank=64)
    tiles = client.get(START, {"from": lora.public_id}).context["form"].tiles()
    assert all('"lora_rank": 64' in tile["json"] for tile in tiles)


def test_a_finished_run_offers_to_go_on_or_says_why_not(client: Client, mira: Character) -> None:
    run = trained(mira, "completed", step=200, total=200)
    page = text(client.get(run.get_absolute_url()))
    assert "Go on from here" in page and "Start a new version instead" in page


def test_a_run_is_not_trained_longer_by_nonsense(client: Client, mira: Character) -> None:
    run = trained(mira, "completed")
    answer = client.post(reverse("training:longer", args=[run.job.public_id]), {"steps": "many"})
    assert answer.status_code == 400 and "whole number" in text(answer)

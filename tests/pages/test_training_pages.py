"""The training pages in their states: history, start and its plan, ongoing, one run from queue to LoRA."""

import re

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from characters.models import Character
from isengard.jobs import events
from isengard.jobs.models import Job, JobMetric
from tests.pages.rows import HTMX, add_sample, queries, text, trained
from tests.people import make_character, make_lora
from training import shown
from training.models import Lora, TrainingRun

START = reverse("training:start")
LIST = reverse("training:list")


def started(character: Character, **values: object) -> dict[str, object]:
    return {"character": character.public_id, "base": "pocket", "preset": "quick", "steps": 100, **values}


def test_an_empty_history_offers_to_start(client: Client, db: None) -> None:
    page = text(client.get(LIST))
    assert "Training History" in page and "No completed trainings yet" in page and "Start Training" in page


@pytest.mark.parametrize("state", ["queued", "running", "completed", "failed", "cancelled"])
def test_the_history_shows_every_state(client: Client, mira: Character, state: str) -> None:
    run = trained(mira, state, error_message="The disk is full.", error_code="disk_full")
    page = text(client.get(LIST))
    assert f'data-job-id="{run.job.public_id}"' in page and f"badge-{state}" in page
    assert ("The disk is full." in page) == (state == "failed")


def test_the_history_is_filtered_by_state(client: Client, mira: Character) -> None:
    trained(mira, "failed")
    page = text(client.get(f"{LIST}?state=completed"))
    assert "training-job-card" not in page and "No training is in this state" in page


def test_the_history_goes_on_where_a_page_ends(client: Client, mira: Character) -> None:
    runs = [trained(mira, "cancelled") for _ in range(25)]
    first = client.get(LIST)
    rest = text(client.get(first.context["next_url"], headers=HTMX))
    assert rest.count("training-job-card") == 1 and runs[0].job.public_id in rest


def test_the_history_costs_the_same_however_long(client: Client, mira: Character) -> None:
    trained(mira, "failed")
    few = queries(client, LIST)
    for _ in range(5):
        trained(mira, "cancelled")
    assert queries(client, LIST) == few


def test_without_photos_there_is_nothing_to_start(client: Client, db: None) -> None:
    make_character(photos=0)
    assert "No character with photos yet" in text(client.get(START))


@pytest.mark.parametrize(
    "mark", ['id="steps"', 'id="resolution"', "Select character…", "Learning rate", "start-training-btn"]
)
def test_the_start_page_has_its_fields(client: Client, mira: Character, mark: str) -> None:
    assert mark in text(client.get(START))


def test_the_field_for_steps_bears_its_bounds(client: Client, mira: Character) -> None:
    field = next(tag for tag in re.findall(r"<input[^>]*>", text(client.get(START))) if 'id="steps"' in tag)
    assert 'min="100"' in field and 'max="5000"' in field


def test_the_start_page_offers_its_presets(client: Client, mira: Character) -> None:
    titles = re.findall(r"<h3>([A-Z][\w ]+)", text(client.get(START)))
    assert titles == ["Quick", "Balanced", "High Quality", "Portrait", "Custom"]


def test_a_link_chooses_the_character(client: Client, mira: Character) -> None:
    page = text(client.get(f"{START}?character={mira.public_id}"))
    assert f'<option value="{mira.public_id}" selected>' in page and "3 photos will be used" in page


def test_the_plan_says_how_many_photos_are_left_out_and_shows_them(client: Client, mira: Character) -> None:
    mira.images.filter(name="photo-0.png").update(split="reference")
    mira.images.filter(name="photo-1.png").update(verdict="blocked")
    page = text(client.get(START, {"character": mira.public_id}))
    assert "1 photo will be used, left out:" in page and "verdict=blocked" in page
    assert "1 for reference only" in page and "1 blocked" in page


def test_the_user_may_leave_out_what_the_studio_made(client: Client, mira: Character) -> None:
    mira.images.filter(name="photo-0.png").update(split="synthetic")
    asked = {"character": mira.public_id}
    assert "3 photos will be used" in text(client.get(reverse("training:plan"), asked))
    assert "2 photos will be used" in text(client.get(reverse("training:plan"), {**asked, "synthetic": "leave"}))
    client.post(START, {**started(mira), "synthetic": "leave"})
    assert len(mira.training_runs.get().photos) == 2


def test_nothing_is_asked_about_synthetic_pictures_where_there_are_none(client: Client, mira: Character) -> None:
    assert 'name="synthetic"' not in text(client.get(START, {"character": mira.public_id}))


def test_a_base_that_is_not_here_says_what_to_do(client: Client, mira: Character) -> None:
    bases = {choice["base"].key: choice["reason"] for choice in client.get(START).context["bases"]}
    assert bases["pocket"] == "" and "FLUX" in bases["flux-dev"]


def test_starting_leads_to_the_run(client: Client, mira: Character) -> None:
    answer = client.post(START, started(mira, steps=150, sample_every_n_steps=50))
    run = TrainingRun.objects.get()
    assert answer.headers["Location"] == run.get_absolute_url()
    assert (run.params["steps"], run.params["sample_every_n_steps"], run.preset) == (150, 50, "custom")


def test_a_character_without_photos_is_told_to_add_some(client: Client, mira: Character) -> None:
    empty = make_character("Nia", "ohwxnia", photos=0)
    answer = client.post(START, started(empty))
    assert answer.status_code == 422 and "Add 10 to 20 photos, then train." in text(answer)


def test_nobody_chosen_starts_nothing(client: Client, mira: Character) -> None:
    answer = client.post(START, {**started(mira), "character": ""})
    assert answer.status_code == 422 and "Choose whom to train." in text(answer) and not Job.objects.exists()


@pytest.mark.parametrize(("name", "value"), [("steps", "-100"), ("steps", "1e9"), ("learning_rate", "fast")])
def test_a_value_out_of_range_is_said_at_its_field_and_kept(
    client: Client, mira: Character, name: str, value: str
) -> None:
    answer = client.post(START, {**started(mira), "sample_count": 2, name: value})
    assert answer.status_code == 422 and f'id="{name}_error"' in text(answer) and f'value="{value}"' in text(answer)


def test_an_empty_value_means_the_preset_s(client: Client, mira: Character) -> None:
    client.post(START, started(mira, steps=""))
    assert TrainingRun.objects.get().params["steps"] == 100


def test_a_section_with_an_error_is_open(client: Client, mira: Character) -> None:
    answer = client.post(START, started(mira, max_checkpoints=99))
    assert 'data-remember="sampling" open' in text(answer)


def test_a_second_training_is_refused_at_the_character(client: Client, mira: Character) -> None:
    client.post(START, started(mira))
    answer = client.post(START, started(mira))
    assert answer.status_code == 422 and 'id="character_error"' in text(answer) and "this very training" in text(answer)


def test_a_full_disk_is_said_above_the_form(client: Client, mira: Character, settings: Settings) -> None:
    settings.FREE_SPACE_FLOOR = 1 << 60
    answer = client.post(START, started(mira))
    assert answer.status_code == 422 and "are free where the studio keeps its files" in text(answer)


def test_the_plan_follows_the_form(client: Client, mira: Character) -> None:
    page = text(client.get(reverse("training:plan"), started(mira, steps=300)))
    assert "for 300 steps" in page and "3 photos will be used" in page and "version 1" in page


def test_the_plan_learns_from_this_machine(client: Client, mira: Character) -> None:
    assert "a guess until" in text(client.get(reverse("training:plan"), started(mira)))
    trained(mira, "completed")
    assert "1 earlier training on this machine" in text(client.get(reverse("training:plan"), started(mira)))


def test_a_plan_for_an_impossible_value_still_answers(client: Client, mira: Character) -> None:
    assert client.get(reverse("training:plan"), started(mira, steps="many")).status_code == 200


def test_a_waiting_run_says_why(client: Client, mira: Character) -> None:
    page = text(client.get(trained(mira).get_absolute_url()))
    assert "No worker is running" in page and "cancel-job-btn" in page


def test_a_run_that_reads_photos_does_not_show_them_as_steps(client: Client, mira: Character) -> None:
    run = trained(mira, "running", step=24, total=24, stage="encoding", message="Reading 24 pictures")
    page = text(client.get(run.get_absolute_url()))
    assert "24 of 24" not in page and "Reading 24 pictures" in page
    assert '<progress class="progress progress-lg" max="100" data-job-bar' in page


def test_a_learning_run_shows_its_steps(client: Client, mira: Character) -> None:
    run = trained(mira, "running", step=50, total=200, stage="training", eta_seconds=90.0)
    page = text(client.get(run.get_absolute_url()))
    assert "50 of 200" in page and "2 min left" in page and 'value="25.0"' in page


def test_a_failed_run_gives_its_reason_and_another_try(client: Client, mira: Character) -> None:
    run = trained(mira, "failed", error_message="Out of memory.", error_code="oom", error_tail="Traceback <x>")
    page = text(client.get(run.get_absolute_url()))
    assert "Out of memory." in page and "Train again" in page and "Traceback &lt;x&gt;" in page


@pytest.mark.parametrize(("state", "mark"), [("failed", "failed"), ("cancelled", "todo")])
def test_an_ended_run_shows_how_far_it_got(mira: Character, state: str, mark: str) -> None:
    run = trained(mira, state, step=50, total=200)
    for stage in ("loading_model", "encoding", "checking", "training"):
        events.append(run.job, "stage", {"stage": stage, "message": ""})
    assert [stage["state"] for stage in shown.stages(run.job)] == ["done", "done", "done", mark, "todo"]


def test_a_run_that_never_began_has_nothing_to_go_on_from_and_says_no_more(client: Client, mira: Character) -> None:
    run = trained(mira)
    client.post(reverse("training:cancel", args=[run.job.public_id]))
    page = text(client.get(run.get_absolute_url()))
    assert "out of the queue before it began" in page and "to go on from" not in page and "Train again" in page


def test_a_second_training_that_waits_is_not_promised_to_be_the_first_version(client: Client, mira: Character) -> None:
    trained(mira)
    page = text(client.get(reverse("training:plan"), started(mira, seed=5)))
    assert "becomes version 1" not in page and "on its way" in page


def test_a_cancelled_run_says_what_remains(client: Client, mira: Character) -> None:
    page = text(client.get(trained(mira, "cancelled", step=40, total=200).get_absolute_url()))
    assert "You stopped this training at step 40" in page and "Train again" in page


def test_a_run_stopped_while_it_read_photos_did_no_step(client: Client, mira: Character) -> None:
    page = text(client.get(trained(mira, "cancelled", step=40, total=56).get_absolute_url()))
    assert "at step" not in page and '<span data-job-text="step">0</span>' in page


def test_a_finished_run_leads_to_pictures(client: Client, mira: Character) -> None:
    run = trained(mira, "completed", step=200, total=200, eta_seconds=0.0)
    lora = make_lora(mira)
    Lora.objects.filter(pk=lora.pk).update(run=run)
    page = text(client.get(run.get_absolute_url()))
    assert f"?lora={lora.public_id}" in page and "Make pictures" in page and " left</span>" not in page


def test_samples_stand_in_rows_of_prompts(client: Client, mira: Character) -> None:
    run = trained(mira, "running", step=50, total=200)
    add_sample(run, 0), add_sample(run, 50)
    page = text(client.get(run.get_absolute_url()))
    assert '<th scope="col">Before</th><th scope="col">50</th>' in page and page.count("data-viewer-item") >= 2


def test_a_finished_run_can_be_compared_with_its_beginning(client: Client, mira: Character) -> None:
    run = trained(mira, "completed", step=100, total=100)
    before, after = add_sample(run, 0), add_sample(run, 100)
    page = text(client.get(run.get_absolute_url()))
    assert "data-compare" in page and before.name in page and after.name in page


def test_an_active_run_is_asked_again_and_an_ended_one_is_not(client: Client, mira: Character) -> None:
    ended = trained(mira, "cancelled")
    active = trained(mira, "running")
    assert client.get(active.get_absolute_url(), headers=HTMX).status_code == 200
    assert client.get(ended.get_absolute_url(), headers=HTMX).status_code == 286


def test_the_title_learns_its_version(client: Client, mira: Character) -> None:
    run = trained(mira, "completed")
    TrainingRun.objects.update(version=3)
    page = text(client.get(run.get_absolute_url(), headers=HTMX))
    assert '<h1 id="page-title" hx-swap-oob="true">Training v3 of Mira' in page


def test_a_run_costs_the_same_however_many_samples(client: Client, mira: Character) -> None:
    run = trained(mira, "running", step=50, total=200)
    for step in (0, 25):  # two steps can be compared, with photos too
        add_sample(run, step)
    few = queries(client, run.get_absolute_url())
    for step in range(50, 500, 50):
        add_sample(run, step)
    assert queries(client, run.get_absolute_url()) == few


def test_the_curve_is_smoothed_without_lag(client: Client, mira: Character) -> None:
    run = trained(mira, "running")
    JobMetric.objects.bulk_create([JobMetric(job=run.job, step=step, loss=0.5) for step in (1, 2, 3)])
    curve = client.get(reverse("training:chart", args=[run.job.public_id])).json()
    assert curve["steps"] == [1, 2, 3] and curve["smooth"] == pytest.approx([0.5, 0.5, 0.5])


def test_stopping_a_waiting_run_answers_in_place(client: Client, mira: Character) -> None:
    run = trained(mira)
    answer = client.post(reverse("training:cancel", args=[run.job.public_id]), headers=HTMX)
    assert "badge-cancelled" in text(answer) and "being stopped" in answer.headers["HX-Trigger"]


def test_stopping_works_without_javascript(client: Client, mira: Character) -> None:
    run = trained(mira)
    answer = client.post(reverse("training:cancel", args=[run.job.public_id]))
    assert answer.headers["Location"] == run.get_absolute_url()


def test_stopping_an_ended_run_is_refused_with_a_sentence(client: Client, mira: Character) -> None:
    run = trained(mira, "completed")
    answer = client.post(reverse("training:cancel", args=[run.job.public_id]))
    assert answer.status_code == 400 and "Cannot cancel job in completed state" in text(answer)


def test_training_again_makes_a_new_run(client: Client, mira: Character) -> None:
    run = trained(mira, "failed")
    answer = client.post(reverse("training:retry", args=[run.job.public_id]))
    newest = TrainingRun.objects.order_by("-id").first()
    assert newest is not None and newest.pk != run.pk and answer.headers["Location"] == newest.get_absolute_url()


def test_nothing_ongoing_says_so(client: Client, db: None) -> None:
    page = text(client.get(reverse("training:ongoing")))
    assert "Ongoing Training" in page and "No ongoing training jobs" in page


@pytest.mark.parametrize("name", ["training:ongoing", "training:list", "training:loras", "characters:list"])
def test_an_empty_page_has_one_main_button(client: Client, db: None, name: str) -> None:
    page = text(client.get(reverse(name)))
    assert page.partition("<main")[2].partition("</main>")[0].count("btn-primary") == 1


def test_ongoing_shows_what_learns_and_what_waits(client: Client, mira: Character) -> None:
    trained(mira, "running", step=50, total=200, loss=0.25)
    trained(make_character("Ann", "ohwxann"))
    page = text(client.get(reverse("training:ongoing")))
    assert "2 jobs in progress" in page and "50 of 200" in page and "0.2500" in page and "No worker" in page


def test_another_version_can_be_the_active_one(client: Client, mira: Character) -> None:
    make_lora(mira, 1), make_lora(mira, 2, active=False)
    client.post(reverse("training:activate", args=[Lora.objects.get(version=2).public_id]))
    assert list(Lora.objects.active().values_list("version", flat=True)) == [2]


def test_a_version_can_be_deleted(client: Client, mira: Character) -> None:
    lora = make_lora(mira)
    answer = client.post(reverse("training:delete-lora", args=[lora.public_id]))
    assert not Lora.objects.exists() and answer.headers["Location"] == f"{mira.get_absolute_url()}?tab=loras"


def test_an_unknown_run_is_not_found(client: Client, db: None) -> None:
    assert client.get("/training/train-000000000000").status_code == 404

"""The training pages: history, start, ongoing, one run live. Services decide; these show."""

from typing import Any
from urllib.parse import quote, urlencode

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from characters.models import Character
from isengard import storage
from isengard.engine import catalog
from isengard.errors import DomainError
from isengard.forms import values
from isengard.htmx import STOP_POLLING, is_fragment, redirect_to, render_page, toast
from isengard.jobs import joblog
from isengard.jobs import services as jobs
from isengard.jobs.models import Job
from isengard.logs import correlation
from training import access, bases, planning, presets, services, shown
from training.forms import StartForm
from training.models import TrainingRun

PAGE = 24
LOG_LINES = 300
# Refusals of the service that are about one field.
AT_FIELD = {"no_images": "character", "already_training": "character"}


@require_GET
def history(request: HttpRequest) -> HttpResponse:
    """Every training with every state, newest first, paged by id."""
    runs = TrainingRun.objects.select_related("job", "character", "lora").order_by("-id")
    state = request.GET.get("state", "")
    if state in Job.State.values:
        runs = runs.filter(job__state=state)
    if character := request.GET.get("character", ""):
        runs = runs.filter(character__public_id=character)
    if (before := request.GET.get("before", "")).isdecimal():
        runs = runs.filter(id__lt=int(before))
    page = list(runs[: PAGE + 1])
    more = _older(state, character, page[PAGE - 1]) if len(page) > PAGE else ""
    context = {
        "runs": page[:PAGE],
        "next_url": more,
        "state": state,
        "states": Job.State.values,
        "ongoing": Job.objects.active().filter(kind="training").count(),
    }
    return render_page(request, "training/list.html", "rows" if before else "history", context)


def _older(state: str, character: str, last: TrainingRun) -> str:
    query = urlencode({"state": state, "character": character, "before": last.pk})
    return f"{reverse('training:list')}?{query}"


@require_GET
def ongoing(request: HttpRequest) -> HttpResponse:
    runs = (
        TrainingRun.objects.filter(job__in=Job.objects.active()).select_related("job", "character").order_by("job__id")
    )
    reasons = jobs.queue_reasons([run.job for run in runs])
    rows = [{"run": run, "job": run.job, "reason": reasons[run.job_id]} for run in runs]
    return render_page(request, "training/ongoing.html", "jobs", {"rows": rows})


@require_http_methods(["GET", "POST"])
def start(request: HttpRequest) -> HttpResponse:
    """The start form. A refusal comes back at the form, with every value kept."""
    base = _chosen_base(request)
    form = _form(request, base)
    if request.method == "GET":
        return render(request, "training/start.html", _start_context(request, form, base))
    if form.is_valid():
        try:
            run = _start(form, base, adapted="adapt" in request.POST)
        except DomainError as error:
            form.add_error(AT_FIELD.get(error.code), error.message)
        else:
            return redirect_to(request, run.get_absolute_url())
    return render(request, "training/start.html", _start_context(request, form, base), status=422)


def _start(form: StartForm, base: str, *, adapted: bool) -> TrainingRun:
    character, given = form.cleaned_data["character"], form.training_values()
    if adapted:
        given |= planning.preview(
            base,
            _preset(form),
            services.training_params(base, given),
            character.images.for_training(synthetic=form.with_synthetic()).count() or presets.USUAL_PHOTOS,
        ).advice
    return services.start_training(
        character=character,
        preset=form.cleaned_data["preset"],
        base=base,
        values=given,
        synthetic=form.with_synthetic(),
        correlation_id=correlation.current(),
    )


def _chosen_base(request: HttpRequest) -> str:
    """The base the form is for. Invalid: a name that is no base; one that cannot be trained is refused at start."""
    wanted = request.POST.get("base") or request.GET.get("base") or bases.default_key()
    return wanted if bases.find(wanted).trainable else bases.default_key()


def _form(request: HttpRequest, base: str) -> StartForm:
    chosen = request.POST.get("character") or request.GET.get("character", "")
    character = Character.objects.filter(public_id=chosen).first()
    synthetic = request.POST.get("synthetic") != "leave"
    photos = character.images.for_training(synthetic=synthetic).count() if character else 0
    if request.method == "POST":
        return StartForm(request.POST, base=base, photos=photos)
    return StartForm(base=base, photos=photos, initial={"character": chosen})


def _start_context(request: HttpRequest, form: StartForm, base: str) -> dict[str, Any]:
    chosen = str(form["character"].value() or "")
    person = shown.chosen_character(chosen, synthetic=form.with_synthetic())
    return {
        "form": form,
        "base": base,
        "linked": "character" in request.GET,
        "bases": shown.base_choices(base, for_training=True),
        "base_query": f"&character={quote(chosen)}" if chosen else "",
        "chosen": person,
        "has_characters": form.fields["character"].queryset.exists(),  # type: ignore[attr-defined]
        "plan": _plan(form, base, person["photos"] if person else 0),
    }


@require_GET
def plan(request: HttpRequest) -> HttpResponse:
    """The plan of the form as it stands, asked again whenever a value changes."""
    base = _chosen_base(request)
    form = StartForm(request.GET, base=base, photos=0)
    form.is_valid()
    chosen = shown.chosen_character(request.GET.get("character", ""), synthetic=form.with_synthetic())
    found = _plan(form, base, chosen["photos"] if chosen else 0)
    return render(request, "training/start.html#plan", {"plan": found, "chosen": chosen, "form": form})


def _plan(form: StartForm, base: str, photos: int) -> dict[str, Any]:
    """What the form's values would take; what is wrong with them where they cannot be used."""
    if wrong := _wrong(form):
        return {"problem": wrong}
    given = form.training_values() if form.is_bound else values(form.params, form.initial)
    try:
        params = services.training_params(base, given)
        return {"found": planning.preview(base, _preset(form), params, photos or presets.USUAL_PHOTOS)}
    except DomainError as error:
        return {"problem": error.message}


def _preset(form: StartForm) -> str:
    return str(form["preset"].value() or "")


def _wrong(form: StartForm) -> str:
    """The first value that cannot be used; that nobody is chosen yet is said elsewhere."""
    if not form.is_bound:
        return ""
    errors = [(name, found[0]) for name, found in form.errors.items() if name not in {"character", "__all__"}]
    return next((f"{form.fields[name].label or name}: {text}" for name, text in errors), "")


@require_GET
def detail(request: HttpRequest, public_id: str) -> HttpResponse:
    """One run: progress, samples, curve, checkpoints, log. The live partial is fetched again on every nudge."""
    run = access.get_run(public_id)
    # 286 tells htmx to stop asking: a run that has ended does not change any more.
    status = 200 if run.job.is_active or not is_fragment(request) else STOP_POLLING
    return render_page(request, "training/detail.html", "live", _detail_context(request, run), status=status)


def _detail_context(request: HttpRequest, run: TrainingRun) -> dict[str, Any]:
    job = run.job
    steps, rows = shown.sample_grid(run)
    return {
        "run": run,
        "job": job,
        "fragment": is_fragment(request),
        "reason": jobs.queue_reason(job),
        "stages": shown.stages(job),
        "sample_steps": steps,
        "sample_rows": rows,
        "before_after": shown.before_after(run, rows),
        "checkpoints": shown.checkpoints(run),
        "lora": getattr(run, "lora", None),
        "base": catalog.get(run.base),
        "params": shown.params(run),
        "log": shown.log_lines(joblog.read(storage.job_log(job.public_id)), LOG_LINES),
    }


@require_GET
def chart(request: HttpRequest, public_id: str) -> JsonResponse:
    """The kept metrics of a run as arrays for the chart."""
    return JsonResponse(shown.curve(access.get_run(public_id)))


@require_POST
def cancel(request: HttpRequest, public_id: str) -> HttpResponse:
    jobs.request_cancel(job=access.get_run(public_id).job)
    return _told(request, public_id, "The training is being stopped.")


@require_POST
def pause(request: HttpRequest, public_id: str) -> HttpResponse:
    """A waiting run is passed over, a running one saves, stops and waits."""
    job = jobs.pause(job=access.get_run(public_id).job)
    return _told(request, public_id, "It saves and pauses." if job.is_pausing else "The training is paused.")


@require_POST
def resume(request: HttpRequest, public_id: str) -> HttpResponse:
    jobs.resume(job=access.get_run(public_id).job)
    return _told(request, public_id, "The training goes on.")


@require_POST
def save_now(request: HttpRequest, public_id: str) -> HttpResponse:
    jobs.ask(job=access.get_run(public_id).job, what="save")
    return _told(request, public_id, "A checkpoint is saved after this step.")


@require_POST
def sample_now(request: HttpRequest, public_id: str) -> HttpResponse:
    jobs.ask(job=access.get_run(public_id).job, what="sample")
    return _told(request, public_id, "Pictures are drawn after this step.")


def _told(request: HttpRequest, public_id: str, words: str) -> HttpResponse:
    """The run again, with a toast; the whole page for a browser without scripts."""
    run = access.get_run(public_id)
    if not is_fragment(request):
        return redirect(run.get_absolute_url())
    return toast(render(request, "training/detail.html#live", _detail_context(request, run)), words, "info")


@require_POST
def retry(request: HttpRequest, public_id: str) -> HttpResponse:
    job = jobs.retry(job=access.get_run(public_id).job)
    return redirect_to(request, reverse("training:detail", args=[job.public_id]))

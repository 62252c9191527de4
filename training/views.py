"""The training pages: history, start, ongoing. Services decide; these show. One run's page is in run_views.py."""

from typing import Any
from urllib.parse import quote, urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods

from characters.models import Character
from isengard import lists
from isengard.errors import DomainError
from isengard.forms import values
from isengard.htmx import is_fragment, redirect_to, render_page
from isengard.jobs import services as jobs
from isengard.jobs.models import Job
from isengard.logs import correlation
from training import access, bases, continuing, planning, presets, services, shown, sweeps
from training.forms import StartForm
from training.models import Lora, TrainingRun

PAGE = 24
# Refusals of the service that are about one field.
AT_FIELD = {
    "no_images": "character",
    "already_training": "character",
    "rank_too_small": "lora_rank",
    "layers_too_few": "lora_layers",
    "bad_grid": "grid_1_values",
}
# What stays as it was when only the photos change.
KEPT = ("preset", "steps", "resolution")


@require_GET
def history(request: HttpRequest) -> HttpResponse:
    """Every training with every state, newest first, paged by id."""
    runs = TrainingRun.objects.select_related("job", "character", "lora").order_by("-id")
    state = request.GET.get("state", "")
    if state in Job.State.values:
        runs = runs.filter(job__state=state)
    if character := request.GET.get("character", ""):
        runs = runs.filter(character__public_id=character)
    if (before := lists.number(request.GET.get("before", ""))) is not None:
        runs = runs.filter(id__lt=before)
    count = lists.length(request, PAGE, lambda last: runs.filter(id__gte=last).count())
    page = list(runs[: count + 1])
    more = _older(state, character, page[count - 1]) if len(page) > count else ""
    context = {
        "runs": page[:count],
        "next_url": more,
        "address": lists.address(request),
        "state": state,
        "states": Job.State.values,
        "ongoing": Job.objects.active().filter(kind="training").count(),
    }
    return render_page(request, "training/list.html", "rows" if lists.is_next_page(request) else "history", context)


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
    lora = _begun_from(request)
    base = _chosen_base(request, lora)
    form = _form(request, base, lora)
    if request.method == "GET":
        template = "training/start.html#how" if is_fragment(request) else "training/start.html"
        return render(request, template, _start_context(request, form, base))
    if form.is_valid():
        try:
            address = _start(form, base, adapted="adapt" in request.POST)
        except DomainError as error:
            field, words = _about(form, error)
            form.add_error(field, words)
        else:
            return redirect_to(request, address)
    return render(request, "training/start.html", _start_context(request, form, base), status=422)


def _about(form: StartForm, error: DomainError) -> tuple[str | None, str]:
    """The field that a refusal is about, None for the whole form, and the sentence with the label that a person sees.

    A parameter's sentence begins with its name."""
    name, _, rest = error.message.partition(" ")
    if error.code == "bad_param" and name in form.fields:
        return name, f"{form.fields[name].label or name} {rest}"
    return AT_FIELD.get(error.code), error.message


def _start(form: StartForm, base: str, *, adapted: bool) -> str:
    """Starts what the form asks for, one training or a grid of them; the address that shows it.

    `adapted`: with the changes that the plan proposed to make it fit."""
    character, given = form.cleaned_data["character"], form.training_values()
    if adapted:
        given |= planning.preview(
            base,
            _preset(form),
            services.training_params(base, given),
            character.images.for_training(synthetic=form.with_synthetic()).count() or presets.USUAL_PHOTOS,
        ).advice
    asked: dict[str, Any] = {"preset": form.cleaned_data["preset"], "values": given}
    asked |= {"synthetic": form.with_synthetic(), "correlation_id": correlation.current()}
    if form.lora is not None:
        return continuing.new_version(lora=form.lora, **asked).get_absolute_url()
    asked |= {"character": character, "base": base}
    if axes := form.axes():
        return reverse("training:sweep", args=[sweeps.start(axes=axes, **asked).pk])
    return services.start_training(**asked).get_absolute_url()


def _begun_from(request: HttpRequest) -> Lora | None:
    """The LoRA that a new version is to begin from, if any. NotFound: it is gone."""
    wanted = request.POST.get("from") or request.GET.get("from")
    return access.get_lora(wanted) if wanted else None


def _chosen_base(request: HttpRequest, lora: Lora | None = None) -> str:
    """The base the form is for. Invalid: a name that is no base; one that cannot be trained is refused at start."""
    if lora is not None:
        return lora.base
    wanted = request.POST.get("base") or request.GET.get("base") or bases.default_key()
    return wanted if bases.find(wanted).trainable else bases.default_key()


def _form(request: HttpRequest, base: str, lora: Lora | None = None) -> StartForm:
    chosen = request.POST.get("character") or request.GET.get("character", "")
    if lora is not None:
        chosen = lora.character.public_id
    character = Character.objects.filter(public_id=chosen).first()
    synthetic = request.POST.get("synthetic") != "leave"
    photos = character.images.for_training(synthetic=synthetic).count() if character else 0
    if request.method == "POST":
        # Whom a LoRA shows cannot be chosen any more.
        data = request.POST.copy()
        data["character"] = chosen
        return StartForm(data, base=base, photos=photos, lora=lora)
    said = {"character": chosen, **{name: request.GET[name] for name in KEPT if request.GET.get(name)}}
    if said.get("preset") != presets.CUSTOM:
        said = {name: value for name, value in said.items() if name in {"character", "preset"}}
    return StartForm(base=base, photos=photos, lora=lora, initial=said)


def _start_context(request: HttpRequest, form: StartForm, base: str) -> dict[str, Any]:
    chosen = str(form["character"].value() or "")
    person = shown.chosen_character(chosen, synthetic=form.with_synthetic())
    return {
        "form": form,
        "base": base,
        "linked": bool({"character", "from"} & set(request.GET)),
        "bases": shown.base_choices(base, for_training=True),
        "base_query": f"&character={quote(chosen)}" if chosen else "",
        "chosen": person,
        "has_characters": form.fields["character"].queryset.exists(),  # type: ignore[attr-defined]
        "plan": _plan(form, base, person["photos"] if person else 0),
    }


@require_GET
def plan(request: HttpRequest) -> HttpResponse:
    """The plan of the form as it stands, asked again whenever a value changes."""
    base = _chosen_base(request, _begun_from(request))
    form = StartForm(request.GET, base=base, photos=0, lora=_begun_from(request))
    form.is_valid()
    chosen = shown.chosen_character(request.GET.get("character", ""), synthetic=form.with_synthetic())
    found = _plan(form, base, chosen["photos"] if chosen else 0)
    return render(
        request, "training/start.html#plan", {"plan": found, "chosen": chosen, "form": form, "runs": _runs(form, base)}
    )


def _plan(form: StartForm, base: str, photos: int) -> dict[str, Any]:
    """What the form's values would take; what is wrong with them where they cannot be used."""
    if wrong := _wrong(form):
        return {"problem": wrong}
    given = form.training_values() if form.is_bound else values(form.params, form.initial)
    try:
        _grid(form, base)
        params = services.training_params(base, given)
        return {"found": planning.preview(base, _preset(form), params, photos or presets.USUAL_PHOTOS)}
    except DomainError as error:
        return {"problem": _about(form, error)[1]}


def _grid(form: StartForm, base: str) -> sweeps.Axes:
    """The values that the form would compare, none where it starts one training. Invalid: they make no sense."""
    axes = form.axes() if form.is_bound else {}
    return sweeps.cleaned(base, axes) if axes else {}


def _runs(form: StartForm, base: str) -> int:
    """How many trainings the form would start; 1 as long as its grid makes no sense."""
    try:
        return sweeps.size(_grid(form, base))
    except DomainError:
        return 1


def _preset(form: StartForm) -> str:
    return str(form["preset"].value() or "")


def _wrong(form: StartForm) -> str:
    """The first value that cannot be used; that nobody is chosen yet is said elsewhere."""
    if not form.is_bound:
        return ""
    errors = [(name, found[0]) for name, found in form.errors.items() if name not in {"character", "__all__"}]
    return next((f"{form.fields[name].label or name}: {text}" for name, text in errors), "")

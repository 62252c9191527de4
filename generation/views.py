"""The Generate pages: compose, watch, look, do it again. Services decide; these show."""

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from generation import access, keeping, services, shown
from generation.forms import GenerateForm
from generation.models import Generation
from isengard.engine import catalog
from isengard.errors import DomainError
from isengard.htmx import is_fragment, redirect_to, render_page, toast
from isengard.jobs import services as jobs
from isengard.logs import correlation
from training import bases
from training import shown as training
from training.models import Lora

PAGE = 12


@require_http_methods(["GET", "POST"])
def create(request: HttpRequest) -> HttpResponse:
    """Compose on one side, results on the other. `?from=gen-…&seed=…` fills the form with an earlier recipe."""
    if request.method == "GET":
        form, base = _fresh_form(request.GET)
        return render(request, "generation/create.html", _context(request, form, base))
    base = _base(request.POST.get("base", ""))
    form = GenerateForm(request.POST, base=base)
    if form.is_valid():
        try:
            generation = _start(form, base)
        except DomainError as error:
            form.add_error(None, error.message)
        else:
            return _started(request, generation)
    template = "generation/form.html" if is_fragment(request) else "generation/create.html"
    return render(request, template, _context(request, form, base), status=422)


def _start(form: GenerateForm, base: str) -> Generation:
    cleaned = form.cleaned_data
    return services.start_generation(
        prompt=cleaned["prompt"],
        lora=cleaned["lora"],
        base=base,
        values=form.picture_values(),
        count=cleaned["count"] or 1,
        seed=cleaned["seed"],
        strength=cleaned["lora_strength"],
        correlation_id=correlation.current(),
    )


def _started(request: HttpRequest, generation: Generation) -> HttpResponse:
    """The form stays as it is; its results list puts the new pictures on top."""
    if not is_fragment(request):
        return redirect(generation.get_absolute_url())
    return HttpResponse(status=204, headers={"HX-Trigger": "pictures:changed"})


def _base(wanted: str) -> str:
    """The base the form is for. Invalid: a name that is no base."""
    return bases.find(wanted or bases.default_key()).key


def _fresh_form(query: QueryDict) -> tuple[GenerateForm, str]:
    """An empty form, or one filled from an earlier recipe, for the LoRA or character that the link names."""
    source = Generation.objects.select_related("lora").filter(job__public_id=query.get("from", "")).first()
    lora = _linked_lora(query) or (source.lora if source else None)
    base = _base(query.get("base") or (source.base if source else lora.base if lora else ""))
    initial: dict[str, Any] = {"lora": lora.public_id if lora else None}
    if lora:
        initial |= {"lora_strength": lora.default_strength, "prompt": f"a photo of {lora.trigger_word}"}
    if source:
        initial |= {**source.params, "prompt": source.prompt, "count": 1, "seed": query.get("seed")}
    return GenerateForm(base=base, initial=initial), base


def _linked_lora(query: QueryDict) -> Lora | None:
    if wanted := query.get("lora"):
        return Lora.objects.filter(public_id=wanted).first()
    if character := query.get("character"):
        return Lora.objects.active().filter(character__public_id=character).first()
    if "from" in query:
        return None
    return Lora.objects.active().worn_by(_base(query.get("base", ""))).newest_first().first()


def _context(request: HttpRequest, form: GenerateForm, base: str) -> dict[str, Any]:
    return {
        "form": form,
        "base": catalog.get(base),
        "bases": training.base_choices(base, for_training=False),
        "linked": bool(request.GET),
        "chosen": _lora(str(form["lora"].value() or "")),
        "has_loras": Lora.objects.exists(),
        **_page_of(request),
    }


def _page_of(request: HttpRequest) -> dict[str, Any]:
    found = shown.recent()
    if (before := request.GET.get("before", "")).isdecimal():
        found = found.filter(job_id__lt=int(before))
    page = list(found[: PAGE + 1])
    more = f"{reverse('generation:results')}?before={page[PAGE - 1].job_id}" if len(page) > PAGE else ""
    return {"cards": shown.cards(page[:PAGE]), "next_url": more}


@require_GET
def hint(request: HttpRequest) -> HttpResponse:
    """What the chosen LoRA's trigger word and usual strength are, asked again when another one is chosen."""
    chosen = _lora(request.GET.get("lora", ""))
    usual = shown.usual_strength(chosen, request.GET.get("lora_strength", ""))
    filled = GenerateForm(base=chosen.base, initial={"lora_strength": usual}) if chosen and usual else None
    strength = filled["lora_strength"] if filled else None
    return render(request, "generation/hint.html", {"chosen": chosen, "strength": strength})


def _lora(public_id: str) -> Lora | None:
    return Lora.objects.filter(public_id=public_id).select_related("character").first()


@require_GET
def results(request: HttpRequest) -> HttpResponse:
    """The newest requests, or the page before one."""
    return render(request, "generation/create.html#results", _page_of(request))


@require_GET
def detail(request: HttpRequest, public_id: str) -> HttpResponse:
    generation = access.get_generation(public_id)
    return render_page(request, "generation/detail.html", "card", shown.card(generation))


@require_POST
def cancel(request: HttpRequest, public_id: str) -> HttpResponse:
    generation = access.get_generation(public_id)
    jobs.request_cancel(job=generation.job)
    if not is_fragment(request):
        return redirect(generation.get_absolute_url())
    fresh = shown.card(access.get_generation(public_id))
    return toast(render(request, "generation/detail.html#card", fresh), "Stopping; finished pictures stay.", "info")


@require_POST
def retry(request: HttpRequest, public_id: str) -> HttpResponse:
    job = jobs.retry(job=access.get_generation(public_id).job)
    return redirect_to(request, reverse("generation:detail", args=[job.public_id]))


@require_POST
def delete_output(request: HttpRequest, public_id: str, index: int) -> HttpResponse:
    services.delete_output(output=access.get_output(public_id, index))
    if not is_fragment(request):
        return HttpResponseRedirect(reverse("generation:detail", args=[public_id]))
    return toast(
        render(request, "generation/detail.html#card", shown.card(access.get_generation(public_id))), "Picture deleted."
    )


@require_POST
def keep_output(request: HttpRequest, public_id: str, index: int) -> HttpResponse:
    """The picture among its character's photos, to train on; it stays here, too."""
    kept = keeping.keep_as_photo(output=access.get_output(public_id, index))
    if not is_fragment(request):
        return redirect_to(request, reverse("photos:page", args=[kept.image.public_id]))
    whose = kept.image.character.name
    said = f"Among the photos of {whose} now, as synthetic." if kept.added else f"{whose} has that picture already."
    return toast(HttpResponse(status=204), said, "success" if kept.added else "info")


@require_GET
def video(request: HttpRequest) -> HttpResponse:
    """Says honestly what is not there yet."""
    return render(request, "generation/video.html")

"""The pages of the LoRA library. Services decide; these show."""

from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from characters.models import Character
from isengard import lists
from isengard.errors import DomainError
from isengard.htmx import redirect_to, render_page
from training import access, loras
from training import services as training
from training.library import binning, receiving, services, shown
from training.library.forms import ChangeForm, UploadForm
from training.models import Lora

PAGE = 24
# Refusals that are about one field of the upload; every other one is about the file.
AT_FIELD = {"bad_trigger_word": "trigger_word", "bad_name": "name"}


@require_GET
def library(request: HttpRequest) -> HttpResponse:
    """Every version, newest first, paged by id."""
    asked = {key: request.GET.get(key, "") for key in ("q", "character", "origin")}
    found = shown.found(access.loras(), words=asked["q"], character=asked["character"], origin=asked["origin"])
    if (before := lists.number(request.GET.get("before", ""))) is not None:
        found = found.filter(pk__lt=before)
    count = lists.length(request, PAGE, lambda last: found.filter(pk__gte=last).count())
    rows = shown.rows(found.newest_first()[: count + 1])
    more = len(rows) > count and urlencode({**asked, "before": rows[count - 1]["lora"].pk})
    context = {
        "rows": rows[:count],
        "address": lists.address(request),
        "next_url": f"{reverse('training:loras')}?{more}" if more else "",
        "asked": asked,
        "filtered": any(asked.values()),
        "characters": Character.objects.filter(loras__isnull=False).distinct().order_by("name"),
        "origins": shown.ORIGINS.items(),
    }
    part = "rows" if lists.is_next_page(request) else "found"
    return render_page(request, "training/library/list.html", part, context)


@require_GET
def detail(request: HttpRequest, public_id: str) -> HttpResponse:
    lora = access.get_lora(public_id)
    return render(request, "training/library/detail.html", {**shown.page(lora), "form": ChangeForm.of(lora)})


@require_POST
def change(request: HttpRequest, public_id: str) -> HttpResponse:
    """Name and strength; a refusal comes back at the form."""
    lora, form = access.get_lora(public_id), ChangeForm(request.POST)
    if form.is_valid():
        try:
            services.change(lora=lora, name=form.cleaned_data["name"], strength=form.cleaned_data["strength"])
        except DomainError as error:
            form.add_error("name" if error.code == "bad_name" else "strength", error.message)
        else:
            messages.success(request, "Saved.")
            return redirect("training:lora", public_id)
    fresh = access.get_lora(public_id)
    return render(request, "training/library/detail.html", {**shown.page(fresh), "form": form}, status=422)


@require_http_methods(["GET", "POST"])
def upload(request: HttpRequest) -> HttpResponse:
    """A file from elsewhere; its own page then says what was recognised."""
    form = UploadForm(request.POST or None, request.FILES or None, initial=request.GET.dict())
    if request.method == "POST" and form.is_valid():
        try:
            lora = _uploaded(form)
        except DomainError as error:
            form.add_error(AT_FIELD.get(error.code, "file"), error.message)
        else:
            messages.success(request, f"{lora} is in the library.")
            return redirect_to(request, lora.get_absolute_url())
    status = 422 if request.method == "POST" else 200
    return render(request, "training/library/upload.html", {"form": form}, status=status)


def _uploaded(form: UploadForm) -> Lora:
    given = form.cleaned_data
    file = given["file"]
    with receiving.received(file, file.name) as path:
        return receiving.upload(
            path=path,
            filename=file.name,
            character=given["character"],
            name=given["name"],
            trigger_word=given["trigger_word"],
        )


@require_POST
def publish(request: HttpRequest, public_id: str, step: int) -> HttpResponse:
    """A checkpoint of a training as a version."""
    lora = loras.publish_checkpoint(checkpoint=access.get_checkpoint(public_id, step))
    messages.success(request, f"Step {step} is {lora} now, and the one that is used by default.")
    return redirect_to(request, lora.get_absolute_url())


@require_POST
def activate(request: HttpRequest, public_id: str) -> HttpResponse:
    """Makes a LoRA version the one that Generate offers first."""
    lora = training.set_active(lora=access.get_lora(public_id))
    messages.success(request, f"{lora} is used by default now.")
    return redirect_to(request, lora.get_absolute_url())


@require_POST
def delete(request: HttpRequest, public_id: str) -> HttpResponse:
    lora = access.get_lora(public_id)
    name, undo = str(lora), reverse("training:restore-lora", args=[public_id])
    binning.delete(lora=lora)
    messages.success(request, f"{name} was deleted. Pictures made with it stay.", extra_tags=undo)
    return redirect_to(request, f"{lora.character.get_absolute_url()}?tab=loras")


@require_POST
def restore(request: HttpRequest, public_id: str) -> HttpResponse:
    """Undoes the deletion, within a minute."""
    lora = binning.restore(public_id=public_id)
    messages.success(request, f"{lora} is back.")
    return redirect_to(request, lora.get_absolute_url())

"""Saving, renaming and deleting presets from the start page, whose values come along with every request."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from characters.models import Character
from isengard.errors import DomainError, Invalid
from isengard.htmx import is_fragment
from training import access, bases, services, user_presets
from training.forms import StartForm


@require_POST
def save(request: HttpRequest) -> HttpResponse:
    """Keeps the values of the form as they stand, under `name`."""
    base = bases.find(request.POST.get("base", "")).key

    def act() -> str:
        form = _form(request, base)
        if not form.is_bound or "steps" not in request.POST:
            raise Invalid("nothing_to_save", "Saving a preset needs JavaScript: the settings did not come along.")
        form.is_valid()
        params = services.training_params(base, form.training_values())
        return user_presets.save(base=base, name=request.POST.get("name", ""), params=params).name

    return _answer(request, base, act)


@require_POST
def rename(request: HttpRequest, preset_id: int) -> HttpResponse:
    preset = access.get_preset(preset_id)
    return _answer(request, preset.base, lambda: _renamed(request, preset_id))


def _renamed(request: HttpRequest, preset_id: int) -> str:
    preset = access.get_preset(preset_id)
    before, name = preset.name, request.POST.get("name", "")
    now = user_presets.rename(preset=preset, name=name).name
    # Chosen it stays; another one that is chosen is not left for it.
    return now if request.POST.get("preset") == before else ""


@require_POST
def delete(request: HttpRequest, preset_id: int) -> HttpResponse:
    preset = access.get_preset(preset_id)

    def act() -> str:
        user_presets.delete(preset=preset)
        return "custom" if request.POST.get("preset") == preset.name else ""

    return _answer(request, preset.base, act, gone=True)


def _answer(request: HttpRequest, base: str, act: Callable[[], str], *, gone: bool = False) -> HttpResponse:
    """The list of presets and the tiles again; `act` gives the preset that is chosen from now on ("": as before).

    `gone`: so is the button that was pressed, and the focus goes elsewhere."""
    chosen, said = "", ""
    try:
        chosen = act()
    except DomainError as error:
        said = error.message
    if not is_fragment(request):
        return redirect(f"{reverse('training:start')}?base={base}")
    form = _form(request, base, chosen)
    context = {
        "form": form,
        "base": base,
        "said": said,
        "typed": request.POST.get("name", ""),
        "oob": True,
        "gone": gone,
    }
    return render(request, "training/presets_changed.html", context)


def _form(request: HttpRequest, base: str, preset: str = "") -> StartForm:
    data: Any = request.POST.copy()
    if preset:
        data["preset"] = preset
    character = Character.objects.filter(public_id=request.POST.get("character", "")).first()
    photos = character.images.for_training().count() if character else 0
    return StartForm(data, base=base, photos=photos)

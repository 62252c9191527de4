"""The doctor's panels: a photo's verdict, a character's set, and what can be done about both. Services decide."""

from typing import Any
from urllib.parse import urlsplit

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from characters import access
from characters.browse import answers, selection
from characters.doctor import fixing, judging, services, shown, thresholds, writing
from characters.models import Character, DatasetTask, ReferenceImage
from isengard.errors import NotFound
from isengard.htmx import is_fragment, redirect_to


@require_GET
def verdict(request: HttpRequest, public_id: str) -> HttpResponse:
    return _verdict(request, access.get_photo(public_id))


def _verdict(request: HttpRequest, image: ReferenceImage) -> HttpResponse:
    examination = getattr(image, "examination", None)
    waved = set(examination.ignored) if examination else set()
    found = [_finding(one, one["code"] in waved) for one in (examination.findings if examination else [])]
    context: dict[str, Any] = {
        "image": image,
        "examination": examination,
        "face": examination.faces[0] if examination and examination.faces else None,
        "blurred": thresholds.BLURRED,
        "findings": [one for one in found if not one["waved"]],
        "waved": [one for one in found if one["waved"]],
        "job": services.running(image.character),
    }
    return render(request, "characters/doctor/verdict.html", context)


def _finding(one: dict[str, Any], waved: bool) -> dict[str, Any]:
    return {**one, "button": judging.FIXES[one["fix"]], "waved": waved, "final": one["code"] in judging.FINAL}


@require_POST
def check_photo(request: HttpRequest, public_id: str) -> HttpResponse:
    image = access.get_photo(public_id)
    services.request(images=ReferenceImage.objects.filter(pk=image.pk))
    return _back(request, image, "Looking at it again.")


@require_POST
def keep(request: HttpRequest, public_id: str) -> HttpResponse:
    """Waves one finding through, or (`undo`) minds it again."""
    image = access.get_photo(public_id)
    writing.wave_through(image=image, code=request.POST.get("code", ""), ignored="undo" not in request.POST)
    return _back(request, access.get_photo(public_id), "Kept." if "undo" not in request.POST else "Minded again.")


@require_POST
def fix(request: HttpRequest, public_id: str) -> HttpResponse:
    image = access.get_photo(public_id)
    now, said, undo = fixing.fix(image=image, code=request.POST.get("code", ""), how=request.POST.get("fix", ""))
    if undo:
        messages.success(request, said)
        return redirect_to(request, f"{image.character.get_absolute_url()}?tab=photos")
    if now.pk != image.pk:
        messages.success(request, said)
        # The list it was opened from, for the way back and the photos beside it.
        came = urlsplit(request.headers.get("HX-Current-URL", "")).query
        return redirect_to(request, reverse("photos:page", args=[now.public_id]) + (f"?{came}" if came else ""))
    return _back(request, access.get_photo(public_id), said)


def _back(request: HttpRequest, image: ReferenceImage, said: str) -> HttpResponse:
    if not is_fragment(request):
        messages.success(request, said)
        return redirect_to(request, reverse("photos:page", args=[image.public_id]))
    return answers.told(_verdict(request, image), said, "photos:changed")


@require_GET
def panel(request: HttpRequest, public_id: str) -> HttpResponse:
    """The set of one character. A check has ended, or its end was not seen: the tiles are fetched again."""
    character = access.get_character(public_id)
    report = shown.report(character)
    response = _shown(request, character, report)
    missed = not report.job and request.GET.get("seen", report.seen) != report.seen
    if missed or "ended" in request.GET:
        response.headers["HX-Trigger"] = answers.CHANGED
    return response


def _panel(request: HttpRequest, public_id: str) -> HttpResponse:
    character = access.get_character(public_id)
    return _shown(request, character, shown.report(character))


def _shown(request: HttpRequest, character: Character, report: shown.Report) -> HttpResponse:
    context = {
        "character": character,
        "report": report,
        "yunet": services.yunet(),
        "yunet_place": services.yunet_place(),
    }
    return render(request, "characters/doctor/panel.html", context)


@require_POST
def check_all(request: HttpRequest, public_id: str) -> HttpResponse:
    character = access.get_character(public_id)
    services.check_again(character=character)
    if is_fragment(request):
        return _panel(request, public_id)
    return redirect_to(request, f"{character.get_absolute_url()}?tab=photos")


@require_POST
def keep_best(request: HttpRequest, public_id: str) -> HttpResponse:
    character = access.get_character(public_id)
    binned = fixing.keep_best(character=character, best=request.POST.get("best", ""))
    said = f"{answers.photos(binned.count)} removed."
    if is_fragment(request):
        undo = answers.undo_url(binned.undo, relist=True)
        return answers.told(_panel(request, public_id), said, answers.CHANGED, answers.RELISTED, undo=undo)
    messages.success(request, said)
    return redirect_to(request, f"{character.get_absolute_url()}?tab=photos")


@require_POST
def check_selection(request: HttpRequest) -> HttpResponse:
    jobs = services.request(images=selection.chosen(request.POST))
    said = "Looking at the photos." if len(jobs) == 1 else f"Looking at the photos of {len(jobs)} characters."
    return answers.done(request, said, answers.CLOSE)


@require_GET
def task(request: HttpRequest, public_id: str) -> HttpResponse:
    """A check has no page of its own: it is seen where its photos are."""
    found = DatasetTask.objects.select_related("character").filter(job__public_id=public_id, kind=services.KIND).first()
    if found is None:
        raise NotFound("not_found", f"Job {public_id} not found")
    return redirect_to(request, f"{found.character.get_absolute_url()}?tab=photos")

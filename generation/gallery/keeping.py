"""Pages of what stays and what goes: storage with its rule, and a character's training pictures that wait for a yes."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from characters.access import get_character
from characters.models import Character
from generation import shown
from generation.gallery import answers, cleaning, staging
from generation.gallery.selection import chosen
from isengard.errors import DomainError, Invalid
from isengard.htmx import is_fragment, redirect_to, render_page
from isengard.jobs.models import Job
from isengard.logs import correlation
from training.models import Lora

COUNTS = (1, 2, 4, 8)


@require_http_methods(["GET", "POST"])
def storage_page(request: HttpRequest) -> HttpResponse:
    """What pictures take, and the rule; a POST changes it."""
    said = ""
    if request.method == "POST":
        changed = cleaning.set_rule(**_rule(request))
        days = changed.after_days
        said = (
            f"Unmarked pictures go after {days} day{'' if days == 1 else 's'}."
            if days
            else "No picture goes by itself."
        )
        if not is_fragment(request):
            return redirect_to(request, request.path)
    rule = cleaning.rule()
    context = {"use": cleaning.use(), "rule": rule, "due": cleaning.due(rule).count(), "ratings": range(1, 6)}
    response = render_page(request, "generation/gallery/storage.html", "use", context)
    return answers.told(response, said) if said else response


def _rule(request: HttpRequest) -> dict[str, Any]:
    days, stars = request.POST.get("after_days", "").strip(), request.POST.get("keep_rating", "1")
    if (days and not days.isdecimal()) or not stars.isdecimal() or len(days) > 6 or len(stars) > 6:
        raise Invalid("bad_days", "Write the days as a number, or leave it empty for never.")
    return {"after_days": int(days) if days else None, "keep_rating": int(stars)}


@require_POST
def clean(request: HttpRequest) -> HttpResponse:
    """Does now what the rule does every minute."""
    binned = cleaning.clean()
    undo = answers.undo_url(binned.undo) if binned.undo else ""
    if not is_fragment(request):
        return redirect_to(request, reverse("generation:pictures-storage"))
    return answers.done(request, f"{answers.pictures(binned.count)} deleted.", answers.CHANGED, undo=undo)


@require_http_methods(["GET", "POST"])
def staging_page(request: HttpRequest, public_id: str) -> HttpResponse:
    """Asks for training pictures, and shows those that wait for a verdict."""
    character, wrong = get_character(public_id), ""
    if request.method == "POST":
        try:
            _start(request, character)
        except DomainError as error:
            wrong = error.message
        else:
            return redirect_to(request, reverse("generation:synthetic", args=[public_id]))
    context = {
        **_staged(character),
        "counts": COUNTS,
        "wrong": wrong,
        "prompt": request.POST.get("prompt") or staging.PROMPT,
        "wanted": request.POST.get("count", "4"),
        "lora": Lora.objects.active().filter(character=character).first(),
    }
    return render(request, "generation/gallery/staging.html", context, status=422 if wrong else 200)


def _start(request: HttpRequest, character: Character) -> None:
    count = request.POST.get("count", "4")
    staging.start(
        character=character,
        prompt=request.POST.get("prompt", ""),
        count=int(count[:6]) if count.isdecimal() else 0,
        correlation_id=correlation.current(),
    )


def _staged(character: Character) -> dict[str, object]:
    running = shown.recent().filter(pk__in=staging.requests(character), job__in=Job.objects.active().values("pk"))
    return {"character": character, "outputs": staging.waiting(character), "cards": shown.cards(list(running))}


@require_GET
def staged(request: HttpRequest, public_id: str) -> HttpResponse:
    return render(request, "generation/gallery/staging.html#staged", _staged(get_character(public_id)))


@require_POST
def keep(request: HttpRequest, public_id: str) -> HttpResponse:
    """Named pictures, or with `everything` all that wait, among the character's photos."""
    character = get_character(public_id)
    waiting = staging.waiting(character)
    whole = bool(request.POST.get("everything"))
    kept = staging.keep(waiting if whole else waiting.filter(pk__in=chosen(request.POST).values("pk")))
    said = f"{answers.pictures(kept.added)} among the photos of {character.name} now, as synthetic."
    if kept.known:
        said += f" {answers.pictures(kept.known)} had been there already."
    return _done(request, character, said)


@require_POST
def discard(request: HttpRequest, public_id: str) -> HttpResponse:
    character = get_character(public_id)
    waiting = staging.waiting(character)
    whole = bool(request.POST.get("everything"))
    gone = staging.discard(waiting if whole else waiting.filter(pk__in=chosen(request.POST).values("pk")))
    undo = answers.undo_url(gone.undo) if gone.undo else ""
    return _done(request, character, f"{answers.pictures(gone.count)} thrown away.", undo)


def _done(request: HttpRequest, character: Character, said: str, undo: str = "") -> HttpResponse:
    if not is_fragment(request):
        return redirect_to(request, reverse("generation:synthetic", args=[character.public_id]))
    return answers.done(request, said, answers.CHANGED, undo=undo)

"""The pages of captions: the panel beside a photo, the table of a character, edits of many, models, the trigger helper.

Services decide; these show. Every form works without JavaScript."""

from typing import Any
from urllib.parse import urlencode

from django.forms import BoundField
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from characters import access
from characters.browse import answers
from characters.browse.selection import chosen
from characters.captions import bulk, services, shown, tokens, trigger, writing
from characters.captions.access import get_task, get_version
from characters.forms import CharacterForm
from characters.models import Character
from isengard.engine import catalog
from isengard.errors import Invalid
from isengard.htmx import is_fragment, redirect_to, render_page


@require_http_methods(["GET", "POST"])
def panel(request: HttpRequest, public_id: str) -> HttpResponse:
    """One caption: shown, and saved as it is typed."""
    image = access.get_photo(public_id)
    if request.method == "GET":
        return render(request, "characters/captions/panel.html", shown.box(image))
    typed = request.POST.get("caption", "")
    try:
        services.write(image=image, text=typed, by="user")
    except Invalid as error:
        context = shown.box(image, error=error.message, typed=typed)
        return render(request, f"characters/captions/{_part(request)}", context, status=422)
    if not is_fragment(request):
        return redirect_to(request, reverse("photos:page", args=[public_id]))
    return render(request, "characters/captions/said.html", shown.box(image, saved=True))


def _part(request: HttpRequest) -> str:
    return "said.html" if is_fragment(request) else "refused.html"


@require_GET
def versions(request: HttpRequest, public_id: str) -> HttpResponse:
    image = access.get_photo(public_id)
    return render(request, "characters/captions/versions.html", {"image": image, "versions": shown.versions(image)})


@require_POST
def restore(request: HttpRequest, public_id: str, number: int) -> HttpResponse:
    version = get_version(public_id, number)
    services.restore(version=version)
    if not is_fragment(request):
        return redirect_to(request, reverse("photos:page", args=[public_id]))
    return render(request, "characters/captions/panel.html", shown.box(access.get_photo(public_id), saved=True))


@require_GET
def table(request: HttpRequest, public_id: str) -> HttpResponse:
    """Every caption of a character, to be written one after another."""
    character = access.get_character(public_id)
    after = request.GET.get("after", "")
    page = shown.rows(character, after)
    here = reverse("characters:captions", args=[public_id])
    context = {
        "character": character,
        "boxes": page["boxes"],
        "next_url": f"{here}?after={page['after']}" if page["after"] else "",
        "first": not after,
        "asked": request.GET.get("op", ""),
        **shown.tools(request.GET.get("op", "")),
        **shown.writers(),
    }
    return render_page(request, "characters/captions/table.html", "rows" if after else "list", context)


@require_GET
def findings(request: HttpRequest, public_id: str) -> HttpResponse:
    context = shown.findings(access.get_character(public_id))
    return render(request, "characters/captions/findings.html", context)


@require_GET
def dialog(request: HttpRequest) -> HttpResponse:
    """The edits of many captions, for the selection bar's dialog; the selection comes with the form."""
    return render(request, "characters/captions/dialog.html", shown.tools())


@require_POST
def edit(request: HttpRequest) -> HttpResponse:
    """Shows what an edit of the selection would do, or with `step=apply` does it."""
    images = chosen(request.POST)
    # The button's own value comes after the form's.
    if request.POST.getlist("step")[-1:] != ["apply"]:
        whole = "characters/captions/preview.html" if is_fragment(request) else "characters/captions/previewed.html"
        return render(request, whole, {**_previewed(request, images), "hidden": _again(request)})
    done = bulk.apply(images, bulk.edit(request.POST.get("op", ""), _options(request)))
    undo = f"{reverse('characters:captions-undo')}?{urlencode({'token': done.undo})}" if done.undo else ""
    said = f"{done.count:,} caption{'' if done.count == 1 else 's'} changed."
    events = (answers.CHANGED, answers.CLOSE, "photo:changed", "captions:changed")
    if not is_fragment(request):
        return answers.done(request, said, undo=undo)
    # In place of the preview, which is no longer true.
    shows = render(request, "characters/captions/preview.html", {"said": said})
    return answers.told(shows, said, *events, undo=undo)


def _previewed(request: HttpRequest, images: services.Images) -> dict[str, Any]:
    """What the edit would do; while its words are still being typed, what is missing."""
    try:
        wanted = bulk.edit(request.POST.get("op", ""), _options(request))
    except Invalid as error:
        if error.code not in bulk.UNFINISHED:
            raise
        return {"said": error.message}
    return {"preview": bulk.preview(images, wanted)}


def _options(request: HttpRequest) -> dict[str, Any]:
    given = request.POST
    names = {"prefix": "prefix", "suffix": "suffix"}
    return {
        **given.dict(),
        "text": given.get(names.get(given.get("op", ""), ""), ""),
        "phrases": given.getlist("phrases"),
    }


def _again(request: HttpRequest) -> list[tuple[str, str]]:
    """Everything that was sent, so that the plain page's button can send it once more."""
    skipped = {"csrfmiddlewaretoken", "step"}
    return [(name, str(value)) for name, values in request.POST.lists() if name not in skipped for value in values]


@require_POST
def undo(request: HttpRequest) -> HttpResponse:
    count = services.undo(token=request.GET.get("token", ""))
    said = f"{count:,} caption{' is' if count == 1 else 's are'} as before."
    return answers.done(request, said, answers.CHANGED, "photo:changed", "captions:changed")


@require_POST
def write(request: HttpRequest, public_id: str) -> HttpResponse:
    """Starts a try on three photos, or the writing of all captions, and shows the job."""
    character = access.get_character(public_id)
    models, given = request.POST.getlist("models"), request.POST
    common: dict[str, Any] = {"detail": given.get("detail", "detailed"), "strip": "strip" in given}
    if given.get("step") == "try":
        task = writing.start_try(character=character, models=models, **common)
    elif len(models) == 1:
        task = writing.start_all(character=character, model=models[0], mode=given.get("mode", "empty"), **common)
    else:
        raise Invalid("one_model", "Choose exactly one model to write all captions with; try several on three first.")
    return redirect_to(request, reverse("characters:caption-task", args=[task.job.public_id]))


@require_GET
def job(request: HttpRequest, public_id: str) -> HttpResponse:
    """A captioning job: its progress, and side by side what a try brought."""
    return render_page(request, "characters/captions/task.html", "live", shown.task(get_task(public_id)))


@require_GET
def trigger_help(request: HttpRequest) -> HttpResponse:
    """What speaks against the trigger that is typed, and free words; with `use`, the field with that word in it."""
    given = request.GET
    asked = given.get("base", "")
    base = asked if asked in catalog.BASES else tokens.default_base()
    word, mine = given.get("use") or given.get("trigger_word", ""), _character(given.get("for", ""))
    context = {
        "verdict": trigger.examine(word, base, but=mine) if word.strip() else None,
        "base": base,
        "bases": [choice for choice in catalog.BASES.values() if choice.trainable],
        "words": trigger.suggestions(given.get("name", ""), base),
        "mine": mine,
        "field": _field(word) if given.get("use") else None,
    }
    return render(request, "characters/captions/trigger.html", context)


def _field(word: str) -> BoundField:
    """The form's own field with a word in it, to be swapped in where it stands."""
    field = CharacterForm(initial={"trigger_word": word})["trigger_word"]
    field.field.widget.attrs["hx-swap-oob"] = "true"
    return field


def _character(public_id: str) -> Character | None:
    return Character.objects.filter(public_id=public_id).first() if public_id else None

"""Pages of import and export. Services decide; these show."""

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods

from characters import access
from characters.browse import selection
from characters.models import Character, DatasetTask
from characters.transfer import archive, exporting, sending, services
from characters.transfer.forms import ExportForm, ImportForm, NewCharacterForm
from isengard.errors import DomainError, Invalid
from isengard.htmx import redirect_to, render_page
from isengard.logs import correlation

# More rows of what was left out than anybody reads; the API has them all.
SHOWN = 200
LISTS = (("refused", "Not imported"), ("notes", "Imported with a remark"), ("skipped", "Already here"))


@require_http_methods(["GET", "POST"])
def import_new(request: HttpRequest) -> HttpResponse:
    """A new character from an archive."""
    return _import(request, NewCharacterForm(request.POST or None, request.FILES or None), None)


@require_http_methods(["GET", "POST"])
def import_into(request: HttpRequest, public_id: str) -> HttpResponse:
    character = access.get_character(public_id)
    return _import(request, ImportForm(request.POST or None, request.FILES or None), character)


def _import(request: HttpRequest, form: ImportForm, character: Character | None) -> HttpResponse:
    if request.method == "POST" and form.is_valid():
        try:
            task = _started(form, character)
        except DomainError as error:
            form.add_error(FIELDS.get(error.code, "archive") if character is None else "archive", error.message)
        else:
            return redirect_to(request, reverse("characters:import-result", args=[task.job.public_id]))
    context = {
        "form": form,
        "character": character,
        "entries": archive.MAX_ENTRIES,
        "gigabytes": archive.MAX_BYTES >> 30,
    }
    status = 422 if request.method == "POST" else 200
    return render(request, "characters/transfer/import.html", context, status=status)


# Where the sentence about a new character stands; every other one is about the archive.
FIELDS = {"bad_name": "name", "bad_trigger_word": "trigger_word", "bad_description": "description"}


def _started(form: ImportForm, character: Character | None) -> DatasetTask:
    given = form.cleaned_data
    file = given["archive"]
    with services.received(file) as path:
        return services.start(
            archive=path, name=file.name or "", character=character, new=given, correlation_id=correlation.current()
        )


@require_GET
def import_result(request: HttpRequest, public_id: str) -> HttpResponse:
    """The import while it runs, and what became of each entry."""
    task = services.get_import(public_id)
    report = services.report(task)
    context = {
        "task": task,
        "job": task.job,
        "character": task.character,
        "report": report,
        "lists": [(heading, report[key][:SHOWN], len(report[key])) for key, heading in LISTS],
    }
    return render_page(request, "characters/transfer/result.html", "live", context)


@require_GET
def export(request: HttpRequest, public_id: str) -> HttpResponseBase:
    """The choice of layout; with one, the archive."""
    character = access.get_character(public_id)
    if "layout" in request.GET:
        return _archive(request, ExportForm(request.GET), character.images.all())
    context = {"form": ExportForm(), "character": character, "most": archive.MAX_ENTRIES}
    return render(request, "characters/transfer/export.html", context)


@require_http_methods(["GET", "POST"])
def export_images(request: HttpRequest) -> HttpResponseBase:
    """A selection of photos: its dialog, then the archive."""
    if request.method == "GET":
        return render(request, "characters/transfer/export_dialog.html", {"form": ExportForm()})
    return _archive(request, ExportForm(request.POST), selection.chosen(request.POST))


def _archive(request: HttpRequest, form: ExportForm, images: exporting.Images) -> HttpResponseBase:
    if not form.is_valid():
        raise Invalid(
            "bad_layout", "Choose a layout, repeats from 1 to 100, and a class word of at most 50 characters."
        )
    people = exporting.characters_of(images)
    layout = form.chosen(people)
    photos = exporting.chosen(images, layout)
    name = exporting.file_name(people, form.cleaned_data["layout"])
    return sending.send(request, exporting.chunks(photos, people, layout), name)

"""Bulk actions of the selection bar. Each takes the selection of selection.py; the services decide."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_POST

from characters import access
from characters.browse import answers, services, tags
from characters.browse.selection import chosen
from characters.models import Character, ReferenceImage


@require_POST
def delete(request: HttpRequest) -> HttpResponse:
    """Into the bin, with a minute to take it back."""
    binned = services.bin_images(chosen(request.POST))
    undo = answers.undo_url(binned.undo, relist=bool(request.POST.get("all"))) if binned.undo else ""
    events = answers.refresh(request.POST, gone=True)
    return answers.done(request, f"{answers.photos(binned.count)} deleted.", *events, undo=undo)


@require_POST
def undo(request: HttpRequest) -> HttpResponse:
    back = services.restore_images(request.GET.get("token", ""))
    said = f"{answers.photos(back.count)} back."
    if back.here_again:
        said += f" {back.here_again} had been uploaded again and stayed as they are."
    return answers.done(request, said, *answers.refresh(request.GET))


@require_POST
def split(request: HttpRequest) -> HttpResponse:
    given = request.POST.get("to_split", "")  # `split` is the filter's
    count = services.set_split(chosen(request.POST), given)
    label = ReferenceImage.Split(given).label
    return answers.done(request, f"{label}: {answers.photos(count)} changed.", *answers.refresh(request.POST))


@require_POST
def tag(request: HttpRequest) -> HttpResponse:
    """Gives the typed tags, or with `action=remove` takes them."""
    names = tags.parsed(request.POST.get("tags", ""))
    if request.POST.get("action") == "remove":
        said = f"Taken off {answers.photos(services.untag_images(chosen(request.POST), names))}."
    else:
        said = f"{answers.photos(services.tag_images(chosen(request.POST), names))} tagged."
    return answers.done(request, said, *answers.refresh(request.POST), "tags:changed")


@require_GET
def owners(request: HttpRequest) -> HttpResponse:
    """The characters that photos can be moved to."""
    names = Character.objects.order_by("name").values_list("public_id", "name")
    return render(request, "characters/dataset/owners.html", {"names": names})


@require_POST
def move(request: HttpRequest) -> HttpResponse:
    to = access.get_character(request.POST.get("to", ""))
    moved = services.move_images(chosen(request.POST), to)
    said = f"{answers.photos(moved.count)} moved to {to.name}."
    if moved.skipped:
        said += f" {answers.photos(len(moved.skipped))} stayed: {to.name} already has the same picture."
    events = answers.refresh(request.POST, gone=True)
    return answers.done(request, said, *events, level="warning" if moved.skipped else "success")

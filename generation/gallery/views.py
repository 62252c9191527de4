"""The pages of the gallery: the grid in its parts, one picture's panel, two pictures compared. Actions: actions.py."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from characters.access import get_character
from generation.gallery import query, selection, services, shown
from generation.models import Output
from isengard import grids, lists
from isengard.errors import Invalid, NotFound
from isengard.htmx import render_page
from isengard.selections import listed

grid, block, tiles = grids.views(shown, "generation/gallery", "pictures:filtered")


@require_GET
def pictures(request: HttpRequest) -> HttpResponse:
    where = shown.place(request.GET)
    return render(request, "generation/gallery/page.html", shown.browser(where, request.GET.get("cursor", "")))


@require_GET
def character(request: HttpRequest, public_id: str) -> HttpResponse:
    """The same on a character's own page."""
    whose = get_character(public_id)
    where = shown.place(request.GET, whose)
    context = shown.character_page(where, whose, request.GET.get("cursor", ""))
    return render(request, "characters/detail.html", context)


@require_GET
def counts(request: HttpRequest) -> HttpResponse:
    """How many pictures the filter finds, and the boards with theirs; the grid does not wait for it."""
    where = shown.place(request.GET)
    number, more = query.count(where.filter)
    context = {"place": where, "filter": where.filter, "number": number, "more": more, "boards": services.boards()}
    return render(request, "generation/gallery/counts.html", context)


@require_GET
def live(request: HttpRequest) -> HttpResponse:
    """Whether there are newer pictures than the grid's newest; nothing where the page knows that already."""
    where, given = shown.place(request.GET), request.GET
    newest = lists.number(given.get("after", "")) or 0
    now = shown.news(where, newest)
    if (str(now.count), str(int(now.busy))) == (given.get("count"), given.get("busy")):
        return HttpResponse(status=204)
    return render(request, "generation/gallery/live.html", shown.live(where, newest, now))


@require_GET
def panel(request: HttpRequest, public_id: str, index: int) -> HttpResponse:
    """Recipe, rating and boards of one picture, beside it in the viewer; also of one that was just deleted."""
    related = (*query.RELATED, "generation__source__generation__job")
    found = Output.everything.select_related(*related).filter(generation__job__public_id=public_id, index=index).first()
    if found is None:
        raise NotFound("not_found", "This picture is gone.")
    return render(request, "generation/gallery/panel.html", shown.panel(found))


@require_GET
def compare(request: HttpRequest) -> HttpResponse:
    """Two pictures under one slider: the ones chosen."""
    if request.GET.get("all"):
        raise Invalid("not_two", "Choose exactly two pictures to compare.")
    named = selection.keys(listed(request.GET, "image_ids"))
    if len(named) != 2:
        raise Invalid("not_two", f"Choose exactly two pictures to compare; {len(named)} are chosen.")
    both = Output.objects.select_related(*query.RELATED).in_bulk(named)
    left, right = (both[key] for key in named)
    return render_page(request, "generation/gallery/compare.html", "slider", {"left": left, "right": right})

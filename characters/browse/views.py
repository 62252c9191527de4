"""The pages of the dataset: the grid in its parts, the photo page, the tags. What bulk actions do is in actions.py."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from characters import access
from characters.browse import answers, services, shown, tags, totals
from characters.models import Character, ReferenceImage
from isengard import grids
from isengard.errors import Invalid
from isengard.htmx import is_fragment, redirect_to, render_page

# Each panel is a partial that htmx fetches from its own address, so that a slow one keeps nobody waiting.
PANELS = (
    ("verdict", "Verdict"),
    ("tags", "Tags and split"),
    ("caption", "Caption"),
    ("crop", "Crop"),
    ("mask", "Mask"),
)


grid, block, tiles = grids.views(shown, "characters/dataset", "dataset:filtered")


@require_GET
def dataset(request: HttpRequest) -> HttpResponse:
    where = shown.place(request.GET)
    return render(request, "characters/dataset.html", shown.browser(where, request.GET.get("cursor", "")))


@require_GET
def counts(request: HttpRequest) -> HttpResponse:
    """How many photos there are of each kind; asked for beside the grid, which does not wait for it."""
    where = shown.place(request.GET)
    character = Character.objects.filter(public_id=where.filter.character).first()
    number, more = totals.count(where.filter)
    found = totals.totals(character)
    context: dict[str, Any] = {"place": where, "filter": where.filter, "number": number, "more": more, "totals": found}
    if not where.hub:
        everybody = found if character is None else totals.totals()
        names = Character.objects.in_bulk(everybody.characters)
        people = [(names[key], count) for key, count in everybody.characters.items() if key in names]
        context["people"] = sorted(people, key=lambda pair: pair[0].name.lower())[: shown.MOST_CHARACTERS]
    return render(request, "characters/dataset/counts.html", context)


@require_GET
def tag_names(request: HttpRequest) -> HttpResponse:
    return render(request, "characters/dataset/tag_names.html", {"names": tags.names()})


@require_GET
def photo_page(request: HttpRequest, public_id: str) -> HttpResponse:
    return _photo(request, access.get_photo(public_id), shown.place(request.GET))


def _photo(request: HttpRequest, image: ReferenceImage, where: shown.Place) -> HttpResponse:
    context = {
        "image": image,
        "place": where,
        "panels": _panels(image.public_id),
        "made_url": shown.made_url(image),
        "delete_url": f"{reverse('photos:delete', args=[image.public_id])}?{where.query}",
        **shown.neighbours(where, image),
    }
    response = render_page(request, "characters/photo/page.html", "photo", context)
    response.headers["HX-Replace-Url"] = shown.photo_url(image, where)
    return response


def _panels(public_id: str) -> list[dict[str, str]]:
    """The panels that exist, in the order they are shown."""
    there = [(name, label, shown.known(f"photos:{name}", public_id)) for name, label in PANELS]
    return [{"name": name, "label": label, "url": url} for name, label, url in there if url]


@require_POST
def photo_delete(request: HttpRequest, public_id: str) -> HttpResponse:
    """Bins the photo and shows the one after it, or the one before; after the last one, the grid."""
    image, where = access.get_photo(public_id), shown.place(request.GET)
    following, before = shown.near(where, image)
    binned = services.bin_images(ReferenceImage.objects.filter(pk=image.pk))
    then = following or before
    if then is None or not is_fragment(request):
        return redirect_to(request, shown.photo_url(then, where) if then else where.url())
    return answers.told(_photo(request, then, where), "Photo deleted.", undo=answers.undo_url(binned.undo))


@require_http_methods(["GET", "POST"])
def photo_tags(request: HttpRequest, public_id: str) -> HttpResponse:
    """Tags and split of one photo: a change is written at once and the panel comes back as it then is."""
    image = access.get_photo(public_id)
    one = ReferenceImage.objects.filter(pk=image.pk)
    if request.method == "POST":
        if split := request.POST.get("split"):
            services.set_split(one, split)
        if name := request.POST.get("remove"):
            services.untag_images(one, [name])
        if names := tags.parsed(request.POST.get("add", "")):
            services.tag_images(one, names)
        if not is_fragment(request):
            return redirect_to(request, reverse("photos:page", args=[public_id]))
        image.refresh_from_db(fields=["split", "tag_text"])
    names_worn = list(image.tags.order_by("name").values_list("name", flat=True))
    context = {
        "image": image,
        "worn": names_worn,
        "splits": ReferenceImage.Split.choices,
        "recipe": shown.recipe(image),
    }
    return render(request, "characters/photo/tags.html", context)


@require_GET
def tag_list(request: HttpRequest) -> HttpResponse:
    begins = request.GET.get("begins", "")
    context = {"tags": tags.frequencies(begins=begins), "begins": begins}
    return render_page(request, "characters/dataset/tags.html", "rows", context)


@require_POST
def tag_change(request: HttpRequest) -> HttpResponse:
    """Renames one tag, merges the ticked ones into another, or takes one off every photo."""
    said = _changed_tag(request)
    if not is_fragment(request):
        return redirect_to(request, reverse("characters:tags"))
    context = {"tags": tags.frequencies(), "begins": ""}
    return answers.told(render(request, "characters/dataset/tags.html#rows", context), said)


def _changed_tag(request: HttpRequest) -> str:
    given = request.POST
    if given.get("delete"):
        count = services.delete_tag(tags.get_tag(given["delete"]))
        return f"Taken off {answers.photos(count)}."
    if given.get("rename"):
        tag = services.rename_tag(tags.get_tag(given["rename"]), given.get("name", ""))
        return f"Now called {tag.name}."
    # A tag that takes a name in use becomes one with it.
    ticked = [services.rename_tag(tags.get_tag(name), given.get("into", "")) for name in given.getlist("tag")]
    if not ticked:
        raise Invalid("nothing_chosen", "Tick the tags that mean the same first.")
    return f"{len(ticked)} tags are one now: {ticked[-1].name}."

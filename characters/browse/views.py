"""The pages of the dataset: the grid, its bulk actions, the photo page and the tags. Queries and changes lie below."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import NoReverseMatch, reverse
from django.views.decorators.http import require_GET

from characters import access

# Each panel is a partial that htmx fetches from its own address, so that a slow one keeps nobody waiting.
PANELS = (("verdict", "Verdict"), ("tags", "Tags and split"), ("caption", "Caption"), ("crop", "Crop"), ("mask", "Mask"))


@require_GET
def photo_page(request: HttpRequest, public_id: str) -> HttpResponse:
    image = access.get_photo(public_id)
    return render(request, "characters/photo/page.html", {"image": image, "panels": _panels(public_id)})


def _panels(public_id: str) -> list[dict[str, str]]:
    """The panels that exist, in the order they are shown."""
    found = []
    for name, label in PANELS:
        try:
            found.append({"name": name, "label": label, "url": reverse(f"photos:{name}", args=[public_id])})
        except NoReverseMatch:
            continue
    return found

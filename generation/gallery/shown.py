"""What the gallery shows: a page of pictures, the addresses around it, and one picture's panel. Decides nothing."""

from dataclasses import dataclass
from typing import Any

from django.urls import reverse

from characters.models import Character
from characters.shown import hub
from generation import shown as generations
from generation.gallery import query, services
from generation.gallery.answers import undo_url
from generation.gallery.query import Filter
from generation.gallery.selection import keys
from generation.models import Board, Output
from generation.services import is_busy
from isengard import binning, grids
from isengard.grids import PAGE
from training.models import Lora

# As many as a select can offer; beyond that, the search box and the character's own page find them.
MOST_NAMES = 1000
# Pictures of the same request that the panel offers to compare with.
SIBLINGS = 7


@dataclass(frozen=True)
class Place(grids.Place[Filter]):
    """The page of all pictures, or a character's own."""

    tab = "pictures"
    parts = "generation:pictures-"

    @property
    def page(self) -> str:
        return character_url(self.filter.character) if self.hub else reverse("generation:pictures")

    def shared(self) -> dict[str, str]:
        """A character's gallery has an address of its own."""
        return self.filter.params()


def character_url(public_id: str) -> str:
    return reverse("generation:character-pictures", args=[public_id])


def place(data: Any, character: Character | None = None) -> Place:
    """From query parameters; on a character's own page the character is given. Invalid: a filter nobody offers."""
    if character is not None:
        return Place(Filter.of({**data.dict(), "character": character.public_id}), hub=True)
    return Place(Filter.of(data), hub=data.get("tab") == Place.tab and bool(data.get("character")))


def browser(where: Place, cursor: str = "") -> dict[str, Any]:
    """The filters and the first block of the grid, or the one at `cursor`."""
    characters = Character.objects.order_by("name").values_list("public_id", "name")[:MOST_NAMES]
    return {
        "place": where,
        "filter": where.filter,
        "sorts": query.SORT_LABELS,
        "kinds": query.KINDS,
        "names": [] if where.hub else list(characters),
        "loras": _loras(where.filter.character),
        # How many are on each comes after the grid.
        "boards": Board.objects.order_by("name"),
        **block(where, cursor),
    }


def _loras(character: str) -> list[Lora]:
    found = Lora.objects.select_related("character").order_by("character__name", "-version")
    return list((found.filter(character__public_id=character) if character else found)[:MOST_NAMES])


def character_page(where: Place, character: Character, cursor: str) -> dict[str, Any]:
    """The hub of the character with the gallery as its chosen tab."""
    return {**hub(character, "pictures"), **browser(where, cursor)}


def block(where: Place, cursor: str) -> dict[str, Any]:
    """A screenful or more of tiles, and where the ones before and after it are; on the first page of the newest, where
    to ask what is new since."""
    page = query.page(where.filter, cursor, PAGE, query.for_tiles)
    follows = not cursor and where.filter.sort == "newest"
    newest = page.outputs[0].pk if page.outputs else 0
    return {
        **(live(where, newest, News()) if follows else {}),
        "place": where,
        "outputs": page.outputs,
        **where.around(cursor, [output.public_id for output in page.outputs], page.next, page.previous),
    }


@dataclass(frozen=True)
class News:
    """How many pictures were made since the page was, and whether more are on their way."""

    count: int = 0
    busy: bool = False


def news(where: Place, newest: int) -> News:
    return News(query.newer(where.filter, newest), is_busy())


def live(where: Place, newest: int, told: News) -> dict[str, Any]:
    """What is said above the grid of pictures that are newer than its newest (0: it is empty)."""
    known = {"after": str(newest), "count": str(told.count), "busy": str(int(told.busy))}
    return {"place": where, "news": told, "grid_url": where.part("grid"), "live_url": where.part("live", **known)}


def tiles(where: Place, ids: list[str]) -> dict[str, Any]:
    """Those of a block's pictures that are still there, in the block's own order. One that the filter no longer finds,
    because its heart was just taken away, stays until the page is loaded again."""
    found = query.for_tiles(Output.objects.all()).in_bulk(wanted := keys(ids))
    return {"place": where, "outputs": [found[key] for key in wanted if key in found]}


def panel(output: Output) -> dict[str, Any]:
    """Everything about one picture beside it in the viewer."""
    siblings = (
        Output.objects.filter(generation=output.generation_id).exclude(pk=output.pk).select_related(*query.RELATED)
    )
    source = output.generation.source
    others = [*([source] if source and not source.deleted_at else []), *siblings.order_by("index")[:SIBLINGS]]
    return {
        "output": output,
        "generation": output.generation,
        "recipe": generations.recipe(output.generation, output.index),
        "boards": output.boards.order_by("name"),
        "others": others,
        "going_on": generations.GOING_ON,
        "undo_url": undo_url(binning.token(output.deleted_at)) if output.deleted_at else "",
        "stars": range(1, services.MOST_STARS + 1),
    }

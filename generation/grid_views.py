"""Grids as pages: start one from the compose form, look at it while it is drawn, take it along as one file."""

from base64 import b64encode

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from generation import access, grid, shown
from generation.models import Generation
from generation.views import posted_form, refuse_or
from isengard.errors import NotFound
from isengard.htmx import redirect_to, render_page
from isengard.logs import correlation

STYLE = "generation/grid_file.css"


@require_POST
def start(request: HttpRequest) -> HttpResponse:
    """Every combination of what the form's grid fields name; a refusal brings the form back with its words."""
    form = posted_form(request)

    def begin() -> HttpResponse:
        asked = {name: value for name, value in form.asked().items() if name not in ("count", "batches", "seeds")}
        axes, base = form.axes(), form.base.key
        made = grid.start_grid(axes=axes, base=base, correlation_id=correlation.current(), **asked)
        return redirect_to(request, reverse("generation:grid", args=[made.job.public_id]))

    return refuse_or(request, form, begin)


def _grid(public_id: str) -> Generation:
    generation = access.get_generation(public_id)
    if not generation.axes:
        raise NotFound("not_found", f"{public_id} is no grid.")
    return generation


def _shared(generation: Generation) -> list[tuple[str, str]]:
    """What all cells have in common, in words."""
    varied = {kind for _, kind in grid.axis_names(generation)}
    return [(label, value) for label, value in shown.recipe(generation) if label not in varied]


@require_GET
def page(request: HttpRequest, public_id: str) -> HttpResponse:
    """`?order=` says which axis stands where; it is part of the address, so it is shared with it."""
    generation = _grid(public_id)
    order = grid.ordered(generation, request.GET.get("order", ""))
    context = {
        **shown.card(generation),
        "tables": grid.tables(generation, order),
        "axis_names": grid.axis_names(generation, order),
        "order": "".join(map(str, order)),
        "swaps": grid.swaps(order),
        "shared": _shared(generation),
    }
    return render_page(request, "generation/grid.html", "grid", context)


@require_GET
def download(request: HttpRequest, public_id: str) -> HttpResponse:
    """One HTML file with the pictures inside, to be sent to anybody: it needs no server and asks none."""
    generation = _grid(public_id)
    order = grid.ordered(generation, request.GET.get("order", ""))
    tables = grid.tables(generation, order)
    for table in tables:
        for _, cells in table.rows:
            for cell in cells:
                cell["data"] = grid.embedded(cell["output"]) if cell["output"] else ""
    context = {
        "generation": generation,
        "tables": tables,
        "axis_names": grid.axis_names(generation, order),
        "recipe": _shared(generation),
        "facts": grid.facts(generation),
        "style": f"data:text/css;base64,{b64encode(render_to_string(STYLE).encode()).decode()}",
    }
    html = render_to_string("generation/grid_file.html", context)
    name = f"grid-{public_id}.html"
    return HttpResponse(html, headers={"Content-Disposition": f'attachment; filename="{name}"'})

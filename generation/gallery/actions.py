"""What is done to chosen pictures. Each takes the selection of selection.py; the services decide."""

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from characters.transfer.sending import send
from generation import access
from generation.gallery import answers, archive, binning, query, services
from generation.gallery.selection import chosen
from generation.models import Output
from isengard.errors import Invalid
from isengard.htmx import is_fragment, redirect_to

ON = {"1": True, "0": False, "toggle": None}


@require_POST
def delete(request: HttpRequest) -> HttpResponse:
    """Into the bin, with a minute to take it back."""
    binned = binning.bin_outputs(chosen(request.POST))
    undo = answers.undo_url(binned.undo, relist=bool(request.POST.get("all"))) if binned.undo else ""
    events = answers.refresh(request.POST, gone=True)
    return answers.done(request, f"{answers.pictures(binned.count)} deleted.", *events, undo=undo)


@require_POST
def delete_one(request: HttpRequest, public_id: str, index: int) -> HttpResponse:
    """The same for one picture, from the viewer, which stays open."""
    binned = binning.bin_outputs(Output.objects.filter(pk=access.get_output(public_id, index).pk))
    return answers.done(request, "Picture deleted.", answers.CHANGED, undo=answers.undo_url(binned.undo))


@require_POST
def undo(request: HttpRequest) -> HttpResponse:
    """From a toast or beside the picture in the viewer; whichever it was, the toast that offers it goes."""
    token = request.GET.get("token", "")
    count = binning.restore_outputs(token)
    said = f"{answers.pictures(count)} back." if count else "That was undone already."
    answer = answers.done(request, said, *answers.refresh(request.GET), "pictures:changed")
    if is_fragment(request):
        answer.status_code, answer.content = 200, answers.without_toast(token)
    return answer


@require_POST
def mark(request: HttpRequest) -> HttpResponse:
    """Hearts and stars for many; `f` or `1` to `5` on a tile means that one."""
    outputs = chosen(request.POST)
    _mark(request, outputs)
    return answers.quietly(request, *answers.refresh(request.POST), "pictures:marked")


@require_POST
def mark_one(request: HttpRequest, public_id: str, index: int) -> HttpResponse:
    """Heart and stars of one picture; its tile comes back."""
    output = access.get_output(public_id, index)
    _mark(request, Output.objects.filter(pk=output.pk))
    if not is_fragment(request):
        return redirect_to(request, output.generation.get_absolute_url())
    fresh = Output.objects.select_related(*query.RELATED).get(pk=output.pk)
    response = render(request, "generation/gallery/tiles.html", {"outputs": [fresh]})
    response.headers["HX-Trigger"] = "pictures:marked"
    return response


def _mark(request: HttpRequest, outputs: QuerySet[Output]) -> None:
    """`favourite_to` (1, 0 or toggle), or `to_rating` (0 to 5); `favourite` and `rating` are the filter's."""
    if "favourite_to" in request.POST:
        services.set_favourite(outputs, ON.get(request.POST["favourite_to"]))
    elif (stars := request.POST.get("to_rating", "")).isdecimal():
        services.set_rating(outputs, int(stars[:6]))
    else:
        raise Invalid("bad_rating", "Say how many stars, 0 to 5.")


@require_POST
def download(request: HttpRequest) -> HttpResponseBase:
    """The chosen pictures as one ZIP; `recipes` keeps what each PNG says of its making."""
    packed = archive.chunks(chosen(request.POST), recipes=request.POST.get("recipes") == "1")
    return send(request, packed, "pictures.zip")


@require_http_methods(["GET", "POST"])
def board(request: HttpRequest) -> HttpResponse:
    """Puts chosen pictures on a board, named or new, or takes them off one."""
    if request.method == "GET":
        return render(request, "generation/gallery/to_board.html", {"boards": services.boards()})
    outputs = chosen(request.POST)
    if off := request.POST.get("off_board", ""):
        where = services.get_board(off)
        said = f"{answers.pictures(services.take_off_board(where, outputs))} taken off {where.name}."
    else:
        where = services.board_named(request.POST.get("board_name", ""))
        said = f"{answers.pictures(services.add_to_board(where, outputs))} added to {where.name}."
    return answers.done(request, said, *answers.refresh(request.POST), answers.CLOSE, answers.BOARDS)


@require_GET
def boards(request: HttpRequest) -> HttpResponse:
    """Every board, to rename and to delete."""
    return _boards(request)


@require_POST
def change_board(request: HttpRequest) -> HttpResponse:
    """Makes, renames or deletes a board; pictures stay whatever happens to it."""
    given, changed = request.POST, 0
    if given.get("delete"):
        gone = services.get_board(given["delete"])
        services.delete_board(gone)
        said = f"{gone.name} is gone; its pictures stay."
    elif given.get("rename"):
        board = services.rename_board(services.get_board(given["rename"]), given.get("name", ""))
        said, changed = f"Now called {board.name}.", board.pk
    else:
        said = f"Made {services.make_board(given.get('name', '')).name}."
    if not is_fragment(request):
        return redirect_to(request, reverse("generation:pictures-boards"))
    return answers.told(_boards(request, changed), said, answers.BOARDS)


def _boards(request: HttpRequest, changed: int | None = None) -> HttpResponse:
    """`changed`: the board that the focus goes back to; 0: to where a new one is made."""
    name = "generation/gallery/boards.html"
    return render(
        request, f"{name}#rows" if is_fragment(request) else name, {"boards": services.boards(), "changed": changed}
    )

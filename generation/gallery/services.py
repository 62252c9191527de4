"""What people say of their pictures: favourites, ratings, boards. Plain values and querysets in; knows no request."""

from django.db import IntegrityError, transaction
from django.db.models import Count, Q, QuerySet

from generation.models import Board, Output
from isengard.errors import Conflict, Invalid, NotFound

MOST_STARS = 5
LONGEST_NAME = 80


def set_favourite(outputs: QuerySet[Output], on: bool | None) -> bool:
    """Marks pictures as favourites or not; None: as they are not all now. What they are then."""
    keys = list(outputs.order_by().values_list("pk", flat=True))
    chosen = Output.objects.filter(pk__in=keys)
    if on is None:
        on = chosen.filter(favourite=False).exists()
    chosen.update(favourite=on)
    return on


def set_rating(outputs: QuerySet[Output], stars: int) -> int:
    """Rates pictures; 0 takes the rating away. How many. Invalid: no such rating."""
    if not 0 <= stars <= MOST_STARS:
        raise Invalid("bad_rating", f"A rating is 0 (none) to {MOST_STARS} stars, not {stars}.")
    keys = list(outputs.order_by().values_list("pk", flat=True))
    return Output.objects.filter(pk__in=keys).update(rating=stars)


def boards() -> QuerySet[Board]:
    """By name, each with `count` of the pictures on it that are not in the bin."""
    living = Count("outputs", filter=Q(outputs__deleted_at__isnull=True))
    return Board.objects.annotate(count=living).order_by("name")


def get_board(key: str | int) -> Board:
    found = Board.objects.filter(pk=int(str(key)[:18])).first() if str(key).isascii() and str(key).isdigit() else None
    if found is None:
        raise NotFound("not_found", f"Board {key} not found. It may have been deleted.")
    return found


def make_board(name: str) -> Board:
    """A new board. Invalid: no name. Conflict: another one has it."""
    clean = _free_name(name)
    try:
        with transaction.atomic():
            return Board.objects.create(name=clean)
    except IntegrityError:
        # The same name was given twice at one moment.
        raise _taken(clean) from None


def board_named(name: str) -> Board:
    """The board of that name, made where there is none. Invalid: no name."""
    return Board.objects.get_or_create(name=_clean(name))[0]


def rename_board(board: Board, name: str) -> Board:
    board.name = _free_name(name, but=board.pk)
    board.save(update_fields=["name"])
    return board


def _free_name(name: str, but: int = 0) -> str:
    clean = _clean(name)
    if Board.objects.exclude(pk=but).filter(name=clean).exists():
        raise _taken(clean)
    return clean


def _taken(name: str) -> Conflict:
    return Conflict("name_taken", f"There is a board called {name} already.")


def _clean(name: str) -> str:
    clean = " ".join("".join(char if char.isprintable() else " " for char in name).split())
    if not clean:
        raise Invalid("bad_name", "Give the board a name.")
    if len(clean) > LONGEST_NAME:
        raise Invalid("bad_name", f"A board's name has at most {LONGEST_NAME} characters; this has {len(clean)}.")
    return clean


def delete_board(board: Board) -> None:
    """The board goes; its pictures stay."""
    board.delete()


def add_to_board(board: Board, outputs: QuerySet[Output]) -> int:
    """How many were not on it yet."""
    through = Board.outputs.through
    keys = set(outputs.order_by().values_list("pk", flat=True))
    with transaction.atomic():
        Board.objects.select_for_update().get(pk=board.pk)
        keys -= set(through.objects.filter(board=board, output_id__in=keys).values_list("output_id", flat=True))
        through.objects.bulk_create([through(board_id=board.pk, output_id=key) for key in sorted(keys)])
    return len(keys)


def take_off_board(board: Board, outputs: QuerySet[Output]) -> int:
    keys = list(outputs.order_by().values_list("pk", flat=True))
    gone, _ = Board.outputs.through.objects.filter(board=board, output_id__in=keys).delete()
    return gone

"""What every bulk change does first: fix what is chosen, and hold the rows so that two changes take turns."""

from django.db.models import QuerySet

from characters.models import Character, ReferenceImage


def keys_of(images: QuerySet[ReferenceImage]) -> list[int]:
    """What is chosen, fixed as primary keys in an order that no two changes can deadlock in."""
    return sorted(images.order_by().values_list("pk", flat=True))


def hold_characters(keys: list[int]) -> list[Character]:
    """Their rows, held until the transaction ends: uploads to them and moves wait, so that names stay free."""
    held = Character.objects.select_for_update(no_key=True).filter(pk__in=keys).order_by("pk")
    return list(held)

"""Everything that is changed in bulk, in one place for both skins; the bin, tags and moves each have their own module.

Each takes photos as a queryset (see `selection.chosen`) and says how many it changed. What is chosen is fixed first:
a filter may no longer find what has just been changed. They own their transactions and know no request."""

from django.db.models import QuerySet

from characters.browse.binning import Restored, bin_images, restore_images
from characters.browse.holding import keys_of
from characters.browse.moving import Moved, move_images
from characters.browse.tags import delete_tag, merge_tags, rename_tag, set_tags, tag_images, untag_images
from characters.models import ReferenceImage
from isengard.binning import Binned
from isengard.errors import Invalid

__all__ = [
    "Binned", "Moved", "Restored", "bin_images", "delete_tag", "merge_tags", "move_images", "rename_tag",
    "restore_images", "set_split", "set_tags", "tag_images", "untag_images",
]  # fmt: skip


def set_split(images: QuerySet[ReferenceImage], split: str) -> int:
    """Says what photos are for. Returns how many were for something else. Invalid: no such split."""
    if split not in ReferenceImage.Split.values:
        offered = ", ".join(ReferenceImage.Split.values)
        raise Invalid("bad_split", f"{split[:40]!r} is not a split. Use one of: {offered}.")
    others = ReferenceImage.objects.filter(pk__in=keys_of(images)).exclude(split=split)
    return others.update(split=split)

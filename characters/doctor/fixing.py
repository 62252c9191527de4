"""The one-click ways out of a finding. Each calls the owner of what it changes; knows no request."""

from characters.browse.binning import bin_images
from characters.browse.services import set_split
from characters.doctor import copies, turning, writing
from characters.framing import crops
from characters.models import Character, ReferenceImage
from isengard.binning import Binned
from isengard.errors import Invalid, NotFound

# Around a small face the upper body is kept; beside a second person only the face itself is safe.
CROPS = {"tiny_face": "half", "second_face": "face"}


def fix(*, image: ReferenceImage, code: str, how: str) -> tuple[ReferenceImage, str, str]:
    """Does what a finding offers: the photo as it now is, what to tell, and the token that undoes it ("" without).

    NotFound: the finding is gone. Invalid: it offers no such fix."""
    one = ReferenceImage.objects.filter(pk=image.pk)
    offered = {finding["code"] for finding in image.examination.findings} if hasattr(image, "examination") else set()
    if code not in offered:
        raise NotFound("no_such_finding", "The doctor no longer says that of this photo. Reload the page.")
    if how == "crop_face":
        crops.save(image=image, kind="main", box=crops.suggestion(image, CROPS.get(code, "half")), by="auto")
        writing.wave_through(image=image, code=code)
        return image, "Cropped to the face. Adjust the crop where you like.", ""
    if how == "reference":
        set_split(one, ReferenceImage.Split.REFERENCE)
        return image, "Kept for comparison; training does not see it.", ""
    if how == "remove":
        return image, "Photo removed.", bin_images(one).undo
    if how in {"turn_1", "turn_2", "turn_3"}:
        turned, _ = turning.turn(image=image, turns=int(how[-1]))
        return turned, "Turned.", ""
    raise Invalid("unknown_fix", f"Nothing here can be asked to {how[:20]!r}. Reload the page.")


def keep_best(*, character: Character, best: str) -> Binned:
    """Bins the copies of a photo. NotFound: it has none any more."""
    for kept, others in copies.copies_of(character=character):
        if kept.public_id == best:
            return bin_images(ReferenceImage.objects.filter(pk__in=[image.pk for image in others]))
    raise NotFound("no_copies", "These photos are no longer copies of each other. Reload the page.")

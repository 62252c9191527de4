"""Made pictures among a character's photos: the way from Generate back into the dataset. Knows no request."""

from characters.models import Character, ReferenceImage
from characters.services import Upload, add_image
from generation.models import Output
from isengard import storage
from isengard.engine.recipe import read_png
from isengard.errors import Invalid, NotFound

# The photo's own column.
LONGEST_CAPTION = 2000


def keep_as_photo(*, output: Output, character: Character | None = None) -> Upload:
    """Copies a picture to the photos of its character, or of the given one: synthetic, captioned with its prompt, with
    the generation it came from. Not `added` where the character has that very picture already.

    Invalid: a video, or a picture of nobody and nobody given. NotFound: its file is gone. Unavailable: disk full.
    """
    generation = output.generation
    to = character or generation.character
    if to is None:
        raise Invalid("no_character", "This picture was drawn without a character. Say whose photo it should become.")
    if output.media_type != Output.MediaType.IMAGE:
        raise Invalid("not_a_picture", "Only pictures can become photos.")
    kept = _copied(output, to)
    Output.objects.filter(pk=output.pk).update(verdict=Output.Verdict.KEPT)
    return kept


def _copied(output: Output, to: Character) -> Upload:
    made_by = output.generation.job.public_id
    try:
        with storage.absolute(output.file).open("rb") as file:
            return add_image(
                character=to,
                file=file,
                name=f"{made_by}-{output.index:02d}.png",
                caption=output.words[:LONGEST_CAPTION],
                split=ReferenceImage.Split.SYNTHETIC,
                made_by=made_by,
                recipe=read_png(storage.absolute(output.file)),
            )
    except FileNotFoundError:
        raise NotFound("not_found", "The file of this picture is gone.") from None

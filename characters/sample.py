"""The sample character: photos of somebody who does not exist, so that a first training needs nothing of the user's."""

import io

from django.db import transaction

from characters import services
from characters.models import Character, SampleMade
from isengard.engine.pocket.faces import SAMPLE_NAME, sample_photos

# Two tokens in Pocket's vocabulary and in FLUX's, and a word in no language.
TRIGGER = "ohwx"
DESCRIPTION = "The sample character. Her photos are drawn by a program; train her to see how the studio works."


def ensure_sample_character() -> Character | None:
    """Makes it once per database. None: it was made before, whether or not it is still there."""
    with transaction.atomic():
        _, first = SampleMade.objects.get_or_create(pk=1)
        if not first:
            return None
        character = services.create_character(name=SAMPLE_NAME, trigger_word=TRIGGER, description=DESCRIPTION)
        Character.objects.filter(pk=character.pk).update(is_sample=True)
        for name, picture, caption in sample_photos(name=TRIGGER):
            buffer = io.BytesIO()
            picture.save(buffer, "PNG")
            buffer.seek(0)
            services.add_image(character=character, file=buffer, name=name, caption=caption)
    return character

"""One get-or-404 per noun of characters, used by the pages and the API alike."""

from characters.models import Character, ReferenceImage
from isengard.errors import NotFound


def get_character(character_id: str) -> Character:
    """With `image_count` and its LoRAs at hand. NotFound: no such public id."""
    found = Character.objects.with_image_count().prefetch_related("loras").filter(public_id=character_id).first()
    if found is None:
        raise NotFound("not_found", f"Character {character_id} not found")
    return found


def get_image(character_id: str, name: str) -> ReferenceImage:
    """By its name within the character. NotFound: no such character, or none of its images has this name."""
    images = ReferenceImage.objects.select_related("character")
    found = images.filter(character__public_id=character_id, name=name).first()
    if found is None:
        get_character(character_id)
        raise NotFound("not_found", "Image not found")
    return found


def get_photo(image_id: str) -> ReferenceImage:
    """With its character. NotFound: no such public id, or the photo is in the bin."""
    found = ReferenceImage.objects.select_related("character").filter(public_id=image_id).first()
    if found is None:
        raise NotFound("not_found", f"Photo {image_id} not found. It may have been deleted.")
    return found

"""`manage.py sample`: makes the sample character once; says so when it was made before."""

from typing import Any

from django.core.management.base import BaseCommand

from characters.sample import ensure_sample_character


class Command(BaseCommand):
    help = "Makes the sample character with its photos, once per database."

    def handle(self, *args: Any, **options: Any) -> None:
        character = ensure_sample_character()
        if character is None:
            self.stdout.write("The sample character was made before.")
        else:
            self.stdout.write(f"Made the sample character {character.name} with {character.images.count()} photos.")

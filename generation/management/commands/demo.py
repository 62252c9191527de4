"""`manage.py demo`: the main job without a browser, through the same services: photos, an identity LoRA, pictures.

Prints one JSON line per stage. Needs Postgres alone: where no worker runs, this process does the workers' part."""

import io
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from characters.models import Character
from characters.services import add_image, create_character
from generation.services import start_generation
from isengard import storage
from isengard.engine.pocket.faces import SAMPLE_NAME, sample_photos
from isengard.errors import DomainError
from isengard.jobs import runner, workers
from isengard.jobs import services as jobs
from isengard.jobs.models import TERMINAL, Job
from training import bases
from training.services import start_training

TRIGGER = "ohwx"
PROMPT = "a photo of {trigger_word}"
PICTURES = 4
PHOTO_TYPES = {".jpg", ".jpeg", ".png", ".webp", ".avif", ".heic", ".heif"}
POLL = 0.5


class Command(BaseCommand):
    help = "Trains a LoRA on the sample photos (or a folder of yours) and makes pictures with it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--photos", type=Path, help="folder of photographs of one person (default: the sample's)")
        parser.add_argument("--base", default=bases.default_key(), help="base model (default: %(default)s)")
        parser.add_argument("--preset", default="balanced", help="training preset (default: %(default)s)")

    def handle(self, *args: Any, photos: Path | None, base: str, preset: str, **options: Any) -> None:
        call_command("migrate", verbosity=0)
        began = time.monotonic()
        try:
            character = self.character(photos, base)
            self.training(character, base, preset)
            self.pictures(character, base)
        except DomainError as error:
            raise CommandError(error.message) from error
        self.say("done", began, base=base)

    def character(self, folder: Path | None, base: str) -> Character:
        began = time.monotonic()
        name = SAMPLE_NAME if folder is None else folder.resolve().name
        character = create_character(name=name or "Demo", trigger_word=TRIGGER)
        for file_name, file, caption in sample_files() if folder is None else folder_files(folder):
            with file:
                self.add(character, file_name, file, caption)
        self.say("character", began, character=character.public_id, photos=character.images.count(), base=base)
        return character

    def add(self, character: Character, name: str, file: BinaryIO, caption: str) -> None:
        """One photo; a refused one is told and left out, as on the page."""
        try:
            add_image(character=character, file=file, name=name, caption=caption)
        except DomainError as error:
            self.stderr.write(json.dumps({"refused": name, "reason": error.message}))

    def training(self, character: Character, base: str, preset: str) -> None:
        began = time.monotonic()
        run = start_training(character=character, preset=preset, base=base, values={"sample_count": 2})
        job = finished(run.job)
        run.refresh_from_db()
        self.say(
            "training",
            began,
            job=job.public_id,
            steps=job.step,
            photos=len(run.photos),
            samples=run.samples.count(),
            final_loss=run.lora.final_loss,
            lora=str(storage.absolute(run.lora.file)),
            base=base,
        )

    def pictures(self, character: Character, base: str) -> None:
        began = time.monotonic()
        made = start_generation(prompt=PROMPT, character=character, base=base, count=PICTURES, seed=1)
        job = finished(made.job)
        paths = [str(storage.absolute(output.file)) for output in made.outputs.all()]
        self.say("pictures", began, job=job.public_id, prompt=made.prompt, pictures=paths, base=base)

    def say(self, stage: str, began: float, **facts: Any) -> None:
        self.stdout.write(json.dumps({"stage": stage, "seconds": round(time.monotonic() - began, 2), **facts}))
        self.stdout.flush()


def sample_files() -> Iterator[tuple[str, BinaryIO, str]]:
    for name, picture, caption in sample_photos(name=TRIGGER):
        buffer = io.BytesIO()
        picture.save(buffer, "PNG")
        buffer.seek(0)
        yield name, buffer, caption


def folder_files(folder: Path) -> Iterator[tuple[str, BinaryIO, str]]:
    """Every photograph right in the folder, with the text file of the same name as its caption if there is one."""
    if not folder.is_dir():
        raise CommandError(f"{folder} is no folder. Give one that holds photographs of one person.")
    for path in sorted(path for path in folder.iterdir() if path.suffix.lower() in PHOTO_TYPES):
        text = path.with_suffix(".txt")
        yield path.name, path.open("rb"), text.read_text() if text.is_file() else ""


def finished(job: Job) -> Job:
    """The job when it has ended well; run here unless a worker is up. CommandError: it failed, with its reason."""
    host = workers.host(settings.GPU_LANES[0])
    while job.state not in TERMINAL:
        # A worker that is up takes the job itself, and two engines would share the processor.
        if jobs.online("gpu").exists() or not runner.run_lane("gpu", f"demo/{job.public_id}", host):
            time.sleep(POLL)
        job.refresh_from_db()
    if job.state != Job.State.COMPLETED:
        raise CommandError(f"{job.public_id} {job.state}: {job.error_message}\n{job.error_tail}")
    return job

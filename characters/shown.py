"""A character as its pages show it: cover, state line, next step, tabs. Reads later apps only through relations."""

from dataclasses import dataclass
from typing import Any

from django.db.models import OuterRef, QuerySet, Subquery
from django.urls import reverse

from characters.models import Character, ReferenceImage
from isengard.jobs import services as jobs
from isengard.jobs.models import Job

TABS = (("photos", "Photos"), ("training", "Training"), ("loras", "LoRAs"), ("pictures", "Pictures"))
SHOWN = 24


@dataclass(frozen=True)
class NextStep:
    """What to do now: a sentence, and the button that does it."""

    sentence: str
    label: str
    url: str
    icon: str


def cards() -> QuerySet[Character]:
    """Characters with what their card shows, newest first, in one query."""
    first = ReferenceImage.objects.filter(character=OuterRef("pk")).order_by("id").values("pk")[:1]
    loras: Any = Character._meta.get_field("loras").related_model
    active = loras.objects.filter(character=OuterRef("pk"), is_active=True)
    version = Subquery(active.values("version")[:1])
    return Character.objects.with_image_count().annotate(cover_pk=Subquery(first), version=version).newest_first()


def with_covers(characters: list[Character]) -> list[dict[str, Any]]:
    """Each character with its cover photo and its running job, in two queries for all of them."""
    pks = [character.cover_pk for character in characters]  # type: ignore[attr-defined]
    covers = ReferenceImage.objects.select_related("character").in_bulk([pk for pk in pks if pk])
    active = Job.objects.active().filter(training_run__character__in=characters).select_related("training_run")
    running = {job.training_run.character_id: job for job in active}
    return [
        {"character": character, "cover": covers.get(pk), "job": running.get(character.pk), "line": _line(character)}
        for character, pk in zip(characters, pks, strict=True)
    ]


def _line(character: Any) -> str:
    photos = f"{character.image_count} photo{'' if character.image_count == 1 else 's'}"
    return f"{photos} · v{character.version} trained" if character.version else photos


def next_step(character: Character, job: Job | None, photos: int) -> NextStep:
    """Photos, then training, then pictures; while something runs, watching it."""
    train = f"{reverse('training:start')}?character={character.public_id}"
    if job is not None:
        watch = reverse("training:detail", args=[job.public_id])
        return NextStep("Training is under way.", "Watch it learn", watch, "activity")
    lora = character.loras.filter(is_active=True).first()
    if lora is not None:
        pictures = f"{reverse('generation:create')}?lora={lora.public_id}"
        return NextStep(f"Version {lora.version} is ready.", "Make pictures", pictures, "sparkles")
    if photos:
        return NextStep(f"{photos} photo{'' if photos == 1 else 's'} so far.", "Train", train, "graduation-cap")
    return NextStep("Add ten to twenty photos first.", "Add photos", "#photos", "image-plus")


def hub(character: Character, tab: str) -> dict[str, Any]:
    """The character's own page: header, counts, and the chosen tab's rows (photos and pictures have galleries)."""
    tab = tab if tab in dict(TABS) else "photos"
    counts = {
        "photos": character.images.count(),
        "training": character.training_runs.count(),
        "loras": character.loras.count(),
        "pictures": _outputs(character).count(),
    }
    job = Job.objects.active().filter(training_run__character=character).select_related("training_run").first()
    return {
        "character": character,
        "cover": character.images.select_related("character").order_by("id").first(),
        "job": job,
        "reason": jobs.queue_reason(job) if job else "",
        "tab": tab,
        "tabs": [
            {"label": label, "url": _tab_url(character, key), "current": key == tab, "count": counts[key]}
            for key, label in TABS
        ],
        "step": next_step(character, job, counts["photos"]),
        "coach": coach(counts["photos"]),
        "counts": counts,
        **_rows(character, tab),
    }


def _tab_url(character: Character, tab: str) -> str:
    """The gallery of its pictures is a page of a later app."""
    if tab == "pictures":
        return reverse("generation:character-pictures", args=[character.public_id])
    return f"{character.get_absolute_url()}?tab={tab}"


def _outputs(character: Character) -> QuerySet[Any]:
    model: Any = character.generations.model._meta.get_field("outputs").related_model
    found: QuerySet[Any] = model.objects.filter(generation__character=character)
    return found


def _rows(character: Character, tab: str) -> dict[str, Any]:
    if tab == "training":
        return {"runs": character.training_runs.select_related("job", "character", "lora").order_by("-id")[:SHOWN]}
    if tab == "loras":
        return {"loras": character.loras.select_related("character", "run__job").order_by("-version")}
    return {}


def coach(photos: int) -> str:
    """What the number of photos means for the likeness."""
    if photos == 0:
        return ""
    if photos < 5:
        return "Fewer than five photos rarely give a likeness. Add some: close up and further away, different light."
    if photos < 10:
        return "A fair start. Ten to twenty photos with different angles, light and clothes are better."
    if photos > 40:
        return "More than forty photos rarely help. The best twenty, all different, train faster and as well."
    return ""

"""LoRA versions as pages show them: a picture of each, what made it, what a file said. Reads later apps by relation.

Decides nothing."""

from collections.abc import Sequence
from typing import Any

from django.db.models import F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.urls import reverse

from isengard import storage
from isengard.engine import catalog
from training.library import reports
from training.models import Lora, LoraQuerySet, Sample

PICTURES = 12
ORIGINS = {
    Lora.Origin.TRAINED: "trained here",
    Lora.Origin.CHECKPOINT: "from a checkpoint",
    Lora.Origin.UPLOADED: "uploaded",
}


def found(loras: LoraQuerySet, *, words: str = "", character: str = "", origin: str = "") -> LoraQuerySet:
    """Those that a filter of the library page asks for."""
    for word in words.split():
        loras = loras.filter(
            Q(name__icontains=word) | Q(character__name__icontains=word) | Q(trigger_word__icontains=word)
        )
    if character:
        loras = loras.filter(character__public_id=character)
    return loras.filter(origin=origin) if origin in Lora.Origin.values else loras


def rows(loras: LoraQuerySet) -> list[dict[str, Any]]:
    """Each with a picture of it, in three queries for all of them."""
    samples = Sample.objects.filter(run=Coalesce(OuterRef("checkpoint__run"), OuterRef("run")))
    before = samples.filter(step__lte=OuterRef("steps")).order_by("-step", "prompt_index")
    outputs = _output_model().objects.filter(generation__lora=OuterRef("pk"), worn__isnull=True).order_by("-pk")
    first = {"sample_pk": before, "output_pk": outputs}
    return _with_covers(list(loras.annotate(**{name: Subquery(rows.values("pk")[:1]) for name, rows in first.items()})))


def _with_covers(page: Sequence[Any]) -> list[dict[str, Any]]:
    samples = Sample.objects.select_related("run__job").in_bulk([lora.sample_pk for lora in page if lora.sample_pk])
    made = _output_model().objects.select_related("generation__job")
    outputs = made.in_bulk([lora.output_pk for lora in page if lora.output_pk])
    return [
        {"lora": lora, "cover": _cover(samples.get(lora.sample_pk), outputs.get(lora.output_pk)), **facts(lora)}
        for lora in page
    ]


def _cover(sample: Sample | None, output: Any) -> str:
    """What it draws: a picture that somebody asked for before a sample of its training."""
    if output is not None:
        return str(output.thumb_url)
    return sample_url(sample) if sample is not None else ""


def sample_url(sample: Sample) -> str:
    return reverse("api-job-sample", args=[sample.run.job.public_id, sample.name])


def facts(lora: Lora) -> dict[str, Any]:
    return {"base": catalog.get(lora.base), "origin": ORIGINS[Lora.Origin(lora.origin)]}


def page(lora: Lora) -> dict[str, Any]:
    """Everything that the page of one version shows."""
    missing = not storage.absolute(lora.file).is_file()
    return {
        "lora": lora,
        **facts(lora),
        "run": lora.made_by,
        "sheet": sheet(lora),
        "outputs": pictures(lora)[:PICTURES],
        "told": reports.told(lora.report),
        "missing": missing,
        "siblings": Lora.objects.filter(character=lora.character_id).select_related("character").order_by("-version"),
    }


def sheet(lora: Lora) -> list[dict[str, Any]]:
    """The last samples of its training, or of its training until the checkpoint: one picture a prompt."""
    if (run := lora.made_by) is None:
        return []
    until = run.samples.filter(step__lte=lora.steps).select_related("run__job").order_by("prompt_index", "-step")
    newest = {sample.prompt_index: sample for sample in reversed(until)}
    return [{"sample": newest[index], "url": sample_url(newest[index])} for index in sorted(newest)]


def pictures(lora: Lora) -> QuerySet[Any]:
    """What was drawn with it, alone, beside others or in a cell of a grid, newest first."""
    made: QuerySet[Any] = _output_model().objects.wearing(lora.pk, lora.public_id)
    return made.select_related("generation__job").order_by(F("pk").desc())


def _output_model() -> Any:
    """Pictures belong to an app that knows this one; they are reached through the relation that it made."""
    generations: Any = Lora._meta.get_field("generations").related_model
    return generations._meta.get_field("outputs").related_model

"""With which weights a training sample was drawn, as far as they are still kept: what it takes to draw it again.

Knows runs, checkpoints and LoRAs; no pictures outside of trainings."""

from django.db.models import Q, QuerySet

from isengard import storage
from isengard.errors import Invalid, NotFound
from training import lineage
from training.models import Checkpoint, Lora, Sample, TrainingRun


def get_sample(job_id: str, step: int, prompt_index: int) -> Sample:
    """NotFound: no such sample was drawn."""
    found = Sample.objects.select_related("run__job", "run__character", "run__lora")
    place = {"run__job__public_id": job_id, "step": step, "prompt_index": prompt_index}
    if (sample := found.filter(**place).first()) is None:
        raise NotFound("not_found", f"Training job {job_id} has no sample {prompt_index} at step {step}.")
    return sample


def kept_steps(run: TrainingRun) -> set[int]:
    """The steps whose samples can be drawn again."""
    known = lineage.family(run)
    steps = set(_checkpoints(run).values_list("step", flat=True))
    steps |= {lora.steps for lora in _loras(known) if lora.steps}
    return steps | ({0} if _began_with_nothing(known) else set())


def weights(sample: Sample) -> Lora | Checkpoint | None:
    """What the sample wore; None: nothing yet, it was drawn by the base alone. Invalid: that was not kept."""
    known = lineage.family(sample.run)
    if sample.step == 0 and _began_with_nothing(known):
        return None
    if found := next((lora for lora in _loras(known) if lora.steps == sample.step), None):
        return found
    saved = _checkpoints(sample.run).filter(step=sample.step).order_by("-run").first()
    if saved is None or not storage.absolute(saved.file).is_file():
        raise Invalid("sample_not_kept", why_not(sample.step))
    return saved


def _began_with_nothing(known: list[TrainingRun]) -> bool:
    return known[-1].start == TrainingRun.Start.FRESH


def _loras(known: list[TrainingRun]) -> list[Lora]:
    return [lora for run in known if (lora := getattr(run, "lora", None)) is not None]


def why_not(step: int) -> str:
    """Why a sample of a step that is not kept cannot be drawn again."""
    return f"The weights of step {step} were not kept, so its samples cannot be drawn again. Those of checkpoints can."


def _checkpoints(run: TrainingRun) -> QuerySet[Checkpoint]:
    """Its own, and those of the trainings before it, each until where its part ends."""
    whose = Q(run=run)
    for part in lineage.parts(run):
        whose |= Q(run=part.run, step__lte=part.until) if part.run else Q()
    return Checkpoint.objects.filter(whose, deleted_because="").select_related("run__job", "run__character")

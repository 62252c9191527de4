"""Why a training failed, in a person's words, and the changes with which it may be started again.

Knows codes and parameters; the engine's own sentence stands in the job. Nothing is offered that the base has not. What
was learnt is gone on with where the change allows it (resuming.py keeps it), and every button says which it is."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from django.db import transaction

from isengard.engine import catalog
from isengard.engine.params import BadParam, Param
from isengard.errors import Invalid
from isengard.jobs import services as jobs
from isengard.jobs.models import Job
from isengard.logs import correlation
from training import carrying, experience, resuming, services
from training.models import TrainingRun

Params = dict[str, Any]

# What stands behind each code that can end a training; a test looks that none is missing.
CAUSES = {
    "out_of_memory": "One step needs more memory than was free. Other programs may use the same memory.",
    "does_not_fit": "These settings need more memory than this machine has.",
    "engine_killed": "The system ended the engine, nearly always because the machine had run out of memory.",
    "first_loss_not_finite": "Nothing was learnt yet, so the settings are not to blame: it began with broken numbers.",
    "loss_not_finite": "The numbers ran away: each step changed too much, or the number format is too coarse for it.",
    "weights_not_finite": "The numbers ran away late: each step changed too much.",
    "vae_not_finite": "The number format is too coarse for the base's autoencoder, or its files are damaged.",
    "no_effect": "Nothing was learnt that can be seen: too few steps, or steps that are too small.",
    "disk_full": "There was no room left for the files of this training.",
    "base_missing": "The base model's files are not where they were, or were never all here.",
    "base_unreadable": "The base model's files are damaged, or not all here.",
    "unknown_base": "This version of the studio does not know the base model any more.",
    "unknown_family": "This version of the studio does not know the base model any more.",
    "not_trainable": "Nothing can be learnt on this base.",
    "no_images": "All of its photos are gone.",
    "photo_missing": "A photo of this training is gone from the disk.",
    "image_unreadable": "A photo of this training is damaged or gone.",
    "mask_unreadable": "A mask of this training is damaged or gone.",
    "mask_size": "A mask of this training does not belong to its photo any more.",
    "size_not_possible": "The base cannot work at this size.",
    "state_unusable": "What it was to go on from is damaged, or belongs to other settings.",
    "warm_start_mismatch": "The LoRA it was to begin from does not fit these settings.",
    "lora_unreadable": "The LoRA it was to begin from is damaged, or belongs to another base.",
    "lora_not_finite": "The LoRA it was to begin from is damaged.",
    "not_a_lora": "The file it was to begin from is no LoRA.",
    "gpu_busy": "Another engine still held the GPU, perhaps one that did not end well.",
    "cuda_error": "The GPU or its driver reported an error. If it comes again, restart the machine.",
    "engine_hung": "The engine stopped to answer; a disk or a driver may hang.",
    "engine_stalled": "The engine lived, but did nothing for long; a disk or a driver may hang.",
    "engine_start_timeout": "The engine did not start in time; the machine may be very busy.",
    "engine_crashed": "The engine met something it does not know. Its last words are below.",
    "worker_lost": "The worker ended while the training ran: a restart, or the machine ran out of memory.",
    "internal_error": "The studio met something it does not know. Its last words are below.",
    "bad_spec": "The engine and the studio are of different versions. Restart the studio.",
}
MOST_OFFERS = 3
MOST_ACCUMULATED = 8
# What may change while a training goes on, since it changes no step that is still to come. The rate does, and may only
# where the numbers ran away.
WHILE_IT_GOES_ON = {"gradient_checkpointing", "max_checkpoints", "sample_count", "steps", "steps_per_image"}
RATE = {"learning_rate"}
# What it was to begin from is to blame.
BEGINNINGS = {"first_loss_not_finite", "warm_start_mismatch", "lora_unreadable", "lora_not_finite", "not_a_lora"}


@dataclass(frozen=True)
class Offer:
    """A button: what it does, and what it changes. `photos`: the character's photos of now instead of the run's.
    `fresh`: nothing to begin from.

    `step`: the one after which it goes on; 0: it begins from the start."""

    key: str
    words: str
    values: Params = field(default_factory=dict)
    photos: bool = False
    fresh: bool = False
    step: int = 0
    anew: bool = False

    @property
    def label(self) -> str:
        if self.step:
            return f"Go on after step {self.step} {self.words}"
        return f"{'Begin anew' if self.anew else 'Train again'} {self.words}"


@dataclass(frozen=True)
class Failure:
    """`cause` may be empty: the engine's sentence says all there is."""

    cause: str
    offers: tuple[Offer, ...]


def of(run: TrainingRun) -> Failure | None:
    """Why a run failed and what may help; None: it did not fail."""
    if run.job.state != Job.State.FAILED:
        return None
    code = run.job.error_code
    return Failure(CAUSES.get(code, ""), tuple(_offers(run, code))[:MOST_OFFERS])


def _offers(run: TrainingRun, code: str) -> Iterator[Offer]:
    if code in resuming.PHOTOS:
        yield Offer("photos", "with the photos as they are now", photos=True)
    if code in BEGINNINGS and run.start == TrainingRun.Start.WARM:
        yield Offer("fresh", "without the LoRA that it began from", fresh=True)
    left = resuming.kept(run)
    declared = {param.name: param for param in catalog.training_params(run.base)}
    for offer in _BY_CODE.get(code, _nothing)(experience.complete(run), declared):
        if _possible(offer, declared):
            yield from _ways(offer, run, left)


def _ways(offer: Offer, run: TrainingRun, left: resuming.Kept) -> Iterator[Offer]:
    """The offer as going on where that is possible with it, and from the start where it changes what was learnt."""
    names = set(offer.values)
    calmer = names == RATE and run.job.error_code in resuming.RAN_AWAY
    if left.usable and (names <= WHILE_IT_GOES_ON or calmer):
        yield replace(offer, key=f"{offer.key}-on" if calmer else offer.key, step=left.step)
        if not calmer:
            return
    if run.start != TrainingRun.Start.LONGER:  # other settings would not fit what it goes on from
        yield replace(offer, anew=left.usable)


def _possible(offer: Offer, declared: dict[str, Param]) -> bool:
    try:
        return all(declared[name].clean(value) == value for name, value in offer.values.items())
    except (BadParam, KeyError):
        return False


def _nothing(params: Params, declared: dict[str, Param]) -> Iterator[Offer]:
    return iter(())


def _lighter(params: Params, declared: dict[str, Param]) -> Iterator[Offer]:
    """What needs less memory, the mildest first."""
    if params["gradient_checkpointing"] != "on":
        yield Offer("recompute", "with gradient checkpointing", {"gradient_checkpointing": "on"})
    if params.get("quantize") == "none":
        yield Offer("quantize", "with the base in 8 bits", {"quantize": "int8"})
    if params["batch_size"] > 1:
        batch, together = params["batch_size"] // 2, min(params["gradient_accumulation"] * 2, MOST_ACCUMULATED)
        values = {"batch_size": batch, "gradient_accumulation": together}
        yield Offer("batch", f"with batch size {batch}, {together} added up", values)
    smaller = [size for size in declared["resolution"].choices if size < params["resolution"]]
    if smaller:
        yield Offer("resolution", f"at {smaller[-1]} px", {"resolution": smaller[-1]})
    if params["lora_rank"] > 4:
        rank = params["lora_rank"] // 2
        yield Offer("rank", f"with rank {rank}", {"lora_rank": rank})


def _calmer(params: Params, declared: dict[str, Param]) -> Iterator[Offer]:
    """A quarter of the rate; a warm-up where there is none; whole numbers where they were short."""
    rate = float(f"{params['learning_rate'] / 4:.1g}")
    yield Offer("rate", f"at a learning rate of {rate:g}", {"learning_rate": rate})
    if params["warmup_steps"] == 0:
        steps = max(params["steps"] // 10, 10)
        yield Offer("warmup", f"with {steps} steps of warm-up", {"warmup_steps": steps})
    yield from _finer(params, declared)


def _finer(params: Params, declared: dict[str, Param]) -> Iterator[Offer]:
    if params.get("precision") == "bf16":
        yield Offer("precision", "in fp32", {"precision": "fp32"})


def _more(params: Params, declared: dict[str, Param]) -> Iterator[Offer]:
    steps, rate = params["steps"] * 2, params["learning_rate"] * 2
    yield Offer("steps", f"to {steps} steps", {"steps": steps, "steps_per_image": 0})
    yield Offer("rate", f"at a learning rate of {rate:g}", {"learning_rate": rate})


def _fewer_files(params: Params, declared: dict[str, Param]) -> Iterator[Offer]:
    if params["max_checkpoints"] > 1:
        yield Offer("checkpoints", "and keep one checkpoint", {"max_checkpoints": 1})
    if params["sample_count"] > 1:
        yield Offer("samples", "with one picture a sample", {"sample_count": 1})


_BY_CODE: dict[str, Callable[[Params, dict[str, Param]], Iterator[Offer]]] = {
    **dict.fromkeys(("out_of_memory", "engine_killed", "does_not_fit"), _lighter),
    **dict.fromkeys(("loss_not_finite", "weights_not_finite"), _calmer),
    "vae_not_finite": _finer,
    "first_loss_not_finite": _finer,
    "no_effect": _more,
    "disk_full": _fewer_files,
}


def apply(*, run: TrainingRun, key: str) -> TrainingRun:
    """Starts a failed run again with one of its offers. Invalid: that is none of them. Else as `retry`."""
    failure = of(run)
    offer = next((offer for offer in failure.offers if offer.key == key), None) if failure else None
    if offer is None:
        raise Invalid("unknown_fix", "This change is not offered for this training. Load its page again.")
    if offer.photos:
        return _with_new_photos(run)
    if offer.step:
        return resuming.go_on(run=run, values=offer.values)
    return retry(run=run, values=offer.values, beginning=services.FRESH if offer.fresh else None)


def retry(*, run: TrainingRun, values: Params, beginning: carrying.Beginning | None = None) -> TrainingRun:
    """A failed or cancelled run again, with its photos and its settings but for `values`. Conflict: it is neither.

    `beginning`: what it begins from, None for the same as before."""
    if not values and beginning is None:
        return TrainingRun.objects.get(job=jobs.retry(job=run.job))
    with transaction.atomic():
        jobs.lock_for_retry(job=run.job)
        return services.again(run=run, values=values, beginning=beginning)


def _with_new_photos(run: TrainingRun) -> TrainingRun:
    return services.start_training(
        character=run.character,
        preset=run.preset,
        base=run.base,
        values=experience.complete(run),
        correlation_id=correlation.current(),
    )

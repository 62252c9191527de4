"""Training runs (one-to-one with a Job), their samples and checkpoints, and the LoRAs that come out of them."""

from functools import reduce
from operator import or_
from pathlib import PurePosixPath

from django.db import models
from django.urls import reverse

from characters.models import Character
from isengard.engine import catalog
from isengard.ids import new_id
from isengard.jobs.models import Job
from training import presets
from training.prompts import contains


def lora_id() -> str:
    return new_id("lora")


class TrainingSweep(models.Model):
    """Runs that were started together and differ in a few parameters only."""

    character = models.ForeignKey(Character, on_delete=models.CASCADE, related_name="sweeps")
    axes = models.JSONField(help_text="parameter → the values tried, e.g. {lora_rank: [8, 16]}")
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"sweep over {', '.join(self.axes)} of {self.character_id}"


class UserPreset(models.Model):
    """Settings that somebody kept under a name of their own, for one base model."""

    base = models.CharField(max_length=40, help_text="catalog key of the base model")
    name = models.CharField(max_length=40)
    values = models.JSONField(help_text="the parameters that differ from the base's defaults")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["base", "name"], name="preset_name_once_per_base")]
        ordering = ["name"]

    def __str__(self) -> str:
        return f"{self.name} for {self.base}"


class TrainingRun(models.Model):
    class Start(models.TextChoices):
        FRESH = "fresh"
        LONGER = "longer"
        WARM = "warm"

    job = models.OneToOneField(Job, on_delete=models.CASCADE, related_name="training_run")
    character = models.ForeignKey(Character, on_delete=models.CASCADE, related_name="training_runs")
    preset = models.CharField(max_length=40, default="custom")
    base = models.CharField(max_length=40, help_text="catalog key of the base model")
    params = models.JSONField(help_text="every parameter, validated and frozen at submit")
    trigger_word = models.CharField(max_length=50, help_text="as it was at submit")
    class_word = models.CharField(max_length=20, default="person", help_text="what the person is one of, e.g. woman")
    photos = models.JSONField(help_text="frozen at submit: list of {id, name, file, sha256, caption}")
    warnings = models.JSONField(default=list, help_text="sentences: what may spoil the result, as of submit")
    version = models.PositiveIntegerField(null=True, help_text="v1, v2 … given when it completes; never given twice")
    parent = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="children")
    start = models.CharField(
        max_length=8,
        choices=Start.choices,
        default=Start.FRESH,
        help_text="longer: goes on with the parent's steps and optimizer; warm: new steps from the parent's LoRA",
    )
    begun_at = models.PositiveIntegerField(
        default=0, help_text="the step after which it goes on with a run that was stopped or failed; 0: with none"
    )
    sweep = models.ForeignKey(TrainingSweep, null=True, on_delete=models.SET_NULL, related_name="runs")
    plan = models.JSONField(default=dict, help_text="what was predicted at submit: seconds, memory, disk, and why")
    measured = models.JSONField(default=dict, help_text="what it took: peak memory, seconds per step")
    checks = models.JSONField(default=list, help_text="the pipeline check's ticks: {name, state, text, seconds}")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["character", "version"], name="version_once_per_character")]

    def __str__(self) -> str:
        return f"training of {self.character_id}"

    def get_absolute_url(self) -> str:
        return reverse("training:detail", args=[self.job.public_id])

    @property
    def preset_title(self) -> str:
        """As its tile calls it; the name itself of one that a person saved, or that exists no more."""
        found = presets.built_in(self.base, self.preset, 0)
        return found.title if found else self.preset

    @property
    def is_preparing(self) -> bool:
        """Running, but what its job counts (nothing yet, or photos) is not this run's steps."""
        return bool(self.job.state == Job.State.RUNNING and self.job.total != self.params["steps"])

    @property
    def steps_done(self) -> int:
        return int(self.job.step) if self.job.total == self.params["steps"] else 0

    @property
    def steps_before(self) -> int:
        """Those that were another training's, where this one goes on with it."""
        if self.begun_at:
            return int(self.begun_at)
        return int(self.parent.params["steps"]) if self.start == self.Start.LONGER and self.parent else 0

    def first_due(self, cadence: str) -> int:
        """The step of the first checkpoint or sample on the way; `cadence` is the parameter that says how often."""
        often = int(self.params[cadence])
        return min((self.steps_before // often + 1) * often, int(self.params["steps"]))


class VersionCounter(models.Model):
    """The last version number a character has given out: its own row, so that deleting v3 never makes another v3."""

    character = models.OneToOneField(Character, on_delete=models.CASCADE, primary_key=True, related_name="+")
    last = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return f"v{self.last} of {self.character_id}"


class Sample(models.Model):
    """A preview drawn during training; the same seed at every step, so a column of them shows the learning."""

    run = models.ForeignKey(TrainingRun, on_delete=models.CASCADE, related_name="samples")
    step = models.PositiveIntegerField()
    prompt_index = models.PositiveSmallIntegerField()
    prompt = models.TextField()
    seed = models.PositiveBigIntegerField()
    file = models.CharField(max_length=200)
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "step", "prompt_index"], name="sample_once")]
        ordering = ["step", "prompt_index"]

    def __str__(self) -> str:
        return f"sample {self.step}/{self.prompt_index}"

    @property
    def name(self) -> str:
        return PurePosixPath(self.file).name

    @property
    def is_leak_check(self) -> bool:
        """Drawn without the trigger: the person should not be seen in it."""
        return not contains(self.prompt, self.run.trigger_word)


class Checkpoint(models.Model):
    """A LoRA saved along the way. The resume state lies beside it and only the newest is kept."""

    run = models.ForeignKey(TrainingRun, on_delete=models.CASCADE, related_name="checkpoints")
    step = models.PositiveIntegerField()
    file = models.CharField(max_length=200)
    size_bytes = models.PositiveBigIntegerField()
    loss = models.FloatField(null=True, help_text="mean of the last steps before it")
    pinned = models.BooleanField(default=False, help_text="kept whatever the policy says")
    deleted_because = models.CharField(max_length=120, blank=True, help_text="why its file is gone; empty: it is there")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "step"], name="checkpoint_once")]
        ordering = ["step"]

    def __str__(self) -> str:
        return f"checkpoint {self.step}"

    @property
    def name(self) -> str:
        return PurePosixPath(self.file).name


class LoraQuerySet(models.QuerySet["Lora"]):
    def newest_first(self) -> "LoraQuerySet":
        return self.order_by("-id")

    def active(self) -> "LoraQuerySet":
        return self.filter(is_active=True)

    def worn_by(self, base: str) -> "LoraQuerySet":
        """Those that fit the weights which `base` has now."""
        keys = [key for key in catalog.BASES if catalog.shared(key, base)]
        fit = [models.Q(base=key, base_version=catalog.get(key).version) for key in keys]
        return self.filter(reduce(or_, fit))


class Lora(models.Model):
    """A finished identity adapter: version n of its character. Files are never overwritten, numbers never reused."""

    class Origin(models.TextChoices):
        TRAINED = "trained"
        CHECKPOINT = "checkpoint"
        UPLOADED = "uploaded"

    public_id = models.CharField(max_length=20, unique=True, default=lora_id, editable=False)
    character = models.ForeignKey(Character, on_delete=models.CASCADE, related_name="loras")
    run = models.OneToOneField(TrainingRun, null=True, on_delete=models.SET_NULL, related_name="lora")
    checkpoint = models.OneToOneField(Checkpoint, null=True, on_delete=models.SET_NULL, related_name="lora")
    origin = models.CharField(max_length=10, choices=Origin.choices, default=Origin.TRAINED)
    name = models.CharField(max_length=80, blank=True, help_text="given by a person; empty: the character's name")
    report = models.JSONField(default=dict, help_text="of an uploaded file: what was recognised in it")
    version = models.PositiveIntegerField()
    base = models.CharField(max_length=40)
    base_version = models.PositiveSmallIntegerField(default=1, help_text="which weights of the base it was trained on")
    family = models.CharField(max_length=40)
    file = models.CharField(max_length=200)
    sha256 = models.CharField(max_length=64)
    size_bytes = models.PositiveBigIntegerField()
    rank = models.PositiveSmallIntegerField()
    steps = models.PositiveIntegerField()
    final_loss = models.FloatField(null=True)
    trigger_word = models.CharField(max_length=50)
    default_strength = models.FloatField(default=1.0)
    is_active = models.BooleanField(default=True, help_text="the one that Generate offers first for its character")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = LoraQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["character", "version"], name="lora_version_once"),
            models.UniqueConstraint(
                fields=["character"], condition=models.Q(is_active=True), name="one_active_lora_per_character"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name or self.character.name} v{self.version}"

    def get_absolute_url(self) -> str:
        return reverse("training:lora", args=[self.public_id])

    @property
    def made_by(self) -> TrainingRun | None:
        """The training that it came out of, at its end or on the way; None for uploads and removed jobs."""
        return self.checkpoint.run if self.checkpoint else self.run

    @property
    def is_outdated(self) -> bool:
        """Trained on weights that its base no longer has."""
        return self.base_version != catalog.get(self.base).version

    @property
    def filename(self) -> str:
        return PurePosixPath(self.file).name

    @property
    def download_url(self) -> str:
        return reverse("api-lora-download", args=[self.public_id])

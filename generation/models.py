"""Pictures: one Generation (one-to-one with a Job) asks for several Outputs; boards collect them."""

from pathlib import PurePosixPath

from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVector
from django.db import models
from django.db.models import F, Func, Q, Value
from django.db.models.functions import Lower
from django.urls import reverse

from characters.models import PUNCTUATION, Character
from isengard.engine import tools
from isengard.jobs.models import Job
from training.models import Lora

THUMB_SIZE = 512
# Browsers enlarge coarsely, so up to this side the shown picture is enlarged smoothly once, beside the true one.
TINY = 256
LIVING = Q(deleted_at__isnull=True)
CONTENT_TYPES = {".png": "image/png", ".webp": "image/webp", ".mp4": "video/mp4", ".webm": "video/webm"}


def words_of(field: str) -> SearchVector:
    """What the search box looks in. Lower case by the database's own rules: its text search folds only ASCII under
    the C locale."""
    spaces = Value(" " * len(PUNCTUATION))
    plain = Func(F(field), Value(PUNCTUATION), spaces, function="translate", output_field=models.TextField())
    return SearchVector(Lower(plain), config="simple")


class Generation(models.Model):
    class Purpose(models.TextChoices):
        PICTURES = "pictures"
        SYNTHETIC = "synthetic", "training pictures, each to be kept or discarded"

    job = models.OneToOneField(Job, on_delete=models.CASCADE, related_name="generation")
    character = models.ForeignKey(Character, null=True, on_delete=models.CASCADE, related_name="generations")
    lora = models.ForeignKey(Lora, null=True, on_delete=models.SET_NULL, related_name="generations")
    lora_name = models.CharField(max_length=120, blank=True, help_text="which LoRA it was, also when that is deleted")
    base = models.CharField(max_length=40, help_text="catalog key of the base model")
    prompt = models.TextField(help_text="as the user wrote it, with the trigger word inserted once")
    params = models.JSONField(help_text="every parameter, validated and frozen at submit; `seed` is always a number")
    count = models.PositiveSmallIntegerField()
    tool = models.CharField(max_length=20, default="draw", help_text="what makes the pictures: isengard.engine.tools")
    inputs = models.JSONField(default=dict, help_text="storage keys of what the user gave: source, mask, control …")
    source = models.ForeignKey(
        "Output", null=True, on_delete=models.SET_NULL, related_name="derived", help_text="the picture it started from"
    )
    more_loras = models.JSONField(default=list, help_text="further LoRAs: id, name, strength")
    variants = models.JSONField(
        default=list, help_text="what differs, one for each picture: seed, prompt, loras, params"
    )
    written = models.JSONField(default=dict, help_text="as the person asked: prompt, styles, seeds, before any choice")
    struck = models.JSONField(default=list, help_text="which of the pictures the user cancelled one by one")
    axes = models.JSONField(default=list, help_text="of a grid: name and values of its columns, rows, tables")
    purpose = models.CharField(max_length=9, choices=Purpose.choices, default=Purpose.PICTURES)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [
            GinIndex(words_of("prompt"), name="generation_words"),
            models.Index(fields=["tool"], name="generation_by_tool"),
            GinIndex(fields=["more_loras"], opclasses=["jsonb_path_ops"], name="generation_wears_too"),
        ]

    def __str__(self) -> str:
        return f"generation {self.job_id}"

    def get_absolute_url(self) -> str:
        return reverse("generation:detail", args=[self.job.public_id])

    @property
    def seeds(self) -> tuple[int, ...]:
        """One per picture: the variant's own, or the seed and the ones after it, starting over after 2^31 - 1."""
        usual = [(self.params["seed"] + index) % 2**31 for index in range(self.count)]
        if not self.variants:
            return tuple(usual)
        return tuple(each.get("seed", seed) for each, seed in zip(self.variants, usual, strict=True))


class OutputQuerySet(models.QuerySet["Output"]):
    def newest_first(self) -> "OutputQuerySet":
        return self.order_by("-id")

    def binned(self) -> "OutputQuerySet":
        return self.filter(deleted_at__isnull=False)

    def wearing(self, lora: int, public_id: str) -> "OutputQuerySet":
        """What was drawn with a LoRA (its number and its id): alone, beside another, or in a cell of a grid."""
        asked = Q(generation__lora_id=lora)
        beside = Generation.objects.filter(more_loras__contains=[{"id": public_id}])
        own = Output.everything.filter(worn__contains=[public_id])
        # Most are worn alone, and one number finds the better index than several questions.
        if beside.exists():
            asked |= Q(generation__in=beside)
        asked &= Q(worn__isnull=True)
        return self.filter(asked | Q(pk__in=own.values("pk")) if own.exists() else asked)


class _Living(models.Manager["Output"]):
    """Every picture but those in the bin."""

    def get_queryset(self) -> "models.QuerySet[Output]":
        return super().get_queryset().filter(LIVING)


LivingOutputs = _Living.from_queryset(OutputQuerySet)


class Output(models.Model):
    class MediaType(models.TextChoices):
        IMAGE = "image"
        VIDEO = "video"

    class Verdict(models.TextChoices):
        KEPT = "kept"
        DISCARDED = "discarded"

    generation = models.ForeignKey(Generation, on_delete=models.CASCADE, related_name="outputs")
    index = models.PositiveSmallIntegerField()
    media_type = models.CharField(max_length=5, choices=MediaType.choices, default=MediaType.IMAGE)
    file = models.CharField(max_length=200)
    seed = models.PositiveBigIntegerField()
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    size_bytes = models.PositiveBigIntegerField()
    seconds = models.FloatField(help_text="from the first step to the stored file")
    prompt = models.TextField(blank=True, help_text="its own words, where they differ from the request's")
    worn = models.JSONField(null=True, help_text="keys of its LoRAs, where they are not those of its request")
    favourite = models.BooleanField(default=False)
    rating = models.PositiveSmallIntegerField(default=0, help_text="0 (none) to 5")
    verdict = models.CharField(max_length=9, choices=Verdict.choices, blank=True, help_text="of a training picture")
    deleted_at = models.DateTimeField(null=True, db_index=True, help_text="can be undone for a minute")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = LivingOutputs()
    everything = OutputQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["generation", "index"], name="output_once")]
        ordering = ["index"]
        # One for each order that the gallery walks along and each rare thing looked for.
        indexes = [
            models.Index(fields=["rating", "id"], condition=LIVING, name="output_by_rating"),
            models.Index(fields=["id"], condition=LIVING & Q(favourite=True), name="output_favourite"),
            models.Index(fields=["created_at"], name="output_by_date"),
            GinIndex(words_of("prompt"), condition=~Q(prompt=""), name="output_words"),
            GinIndex(
                fields=["worn"], opclasses=["jsonb_path_ops"], condition=Q(worn__isnull=False), name="output_wears"
            ),
        ]

    def __str__(self) -> str:
        return f"output {self.generation_id}/{self.index}"

    @property
    def public_id(self) -> str:
        """The request's id and the picture's place in it, as addresses and selections name it."""
        return f"{self.generation.job.public_id}-{self.index}"

    @property
    def words(self) -> str:
        """What was asked for: its own prompt, else that of the request."""
        return self.prompt or self.generation.prompt

    @property
    def lora_key(self) -> str | None:
        """What it wears first: a LoRA's id, or a checkpoint's key in a cell of a grid."""
        if self.worn is not None:
            return self.worn[0] if self.worn else None
        return self.generation.lora.public_id if self.generation.lora else None

    @property
    def kind(self) -> str:
        """What it is, in words; empty for a picture that was simply drawn."""
        if self.generation.purpose == Generation.Purpose.SYNTHETIC:
            return "Training picture"
        return "" if self.generation.tool == "draw" else tools.get(self.generation.tool).label

    @property
    def name(self) -> str:
        return PurePosixPath(self.file).name

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.file).suffix

    @property
    def content_type(self) -> str:
        return CONTENT_TYPES.get(self.suffix, "application/octet-stream")

    @property
    def url(self) -> str:
        return reverse("api-output", args=[self.generation.job.public_id, self.index])

    @property
    def thumb_url(self) -> str:
        return reverse("api-output-thumbnail", args=[self.generation.job.public_id, self.index])

    @property
    def has_thumb(self) -> bool:
        side = max(self.width, self.height)
        return side > THUMB_SIZE or side <= TINY

    @property
    def thumb(self) -> str:
        """The storage key of what a tile shows; the picture itself where that has about the right size."""
        return str(PurePosixPath(self.file).with_suffix(".thumb.webp")) if self.has_thumb else self.file


class PromptStyle(models.Model):
    """Words that somebody likes around their prompts."""

    name = models.CharField(max_length=40, unique=True)
    text = models.CharField(max_length=1020, help_text="with {prompt} where the user's words go")
    negative = models.CharField(max_length=1000, blank=True, help_text="where the base can avoid things")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Board(models.Model):
    """A named collection of pictures, for people."""

    name = models.CharField(max_length=80, unique=True)
    outputs = models.ManyToManyField(Output, related_name="boards", blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name


class CleanupRule(models.Model):
    """The one rule by which old pictures go by themselves; `after_days` null: none do."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    after_days = models.PositiveSmallIntegerField(null=True, blank=True)
    keep_rating = models.PositiveSmallIntegerField(default=1, help_text="pictures rated so or better stay")
    changed_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"after {self.after_days} days" if self.after_days else "off"

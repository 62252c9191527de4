"""Pictures: one Generation (one-to-one with a Job) asks for several Outputs."""

from pathlib import PurePosixPath

from django.db import models
from django.urls import reverse

from characters.models import Character
from isengard.jobs.models import Job
from training.models import Lora

THUMB_SIZE = 512
# Browsers enlarge coarsely, so up to this side the shown picture is enlarged smoothly once, beside the true one.
TINY = 256


class Generation(models.Model):
    job = models.OneToOneField(Job, on_delete=models.CASCADE, related_name="generation")
    character = models.ForeignKey(Character, null=True, on_delete=models.CASCADE, related_name="generations")
    lora = models.ForeignKey(Lora, null=True, on_delete=models.SET_NULL, related_name="generations")
    lora_name = models.CharField(max_length=120, blank=True, help_text="which LoRA it was, also when that is deleted")
    base = models.CharField(max_length=40, help_text="catalog key of the base model")
    prompt = models.TextField(help_text="as the user wrote it, with the trigger word inserted once")
    params = models.JSONField(help_text="every parameter, validated and frozen at submit; `seed` is always a number")
    count = models.PositiveSmallIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"generation {self.job_id}"

    def get_absolute_url(self) -> str:
        return reverse("generation:detail", args=[self.job.public_id])

    @property
    def seeds(self) -> tuple[int, ...]:
        """One per picture: the seed and the ones after it, starting over after 2^31 - 1."""
        return tuple((self.params["seed"] + index) % 2**31 for index in range(self.count))


class OutputQuerySet(models.QuerySet["Output"]):
    def newest_first(self) -> "OutputQuerySet":
        return self.order_by("-id")


class Output(models.Model):
    class MediaType(models.TextChoices):
        IMAGE = "image"
        VIDEO = "video"

    generation = models.ForeignKey(Generation, on_delete=models.CASCADE, related_name="outputs")
    index = models.PositiveSmallIntegerField()
    media_type = models.CharField(max_length=5, choices=MediaType.choices, default=MediaType.IMAGE)
    file = models.CharField(max_length=200)
    seed = models.PositiveBigIntegerField()
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    size_bytes = models.PositiveBigIntegerField()
    seconds = models.FloatField(help_text="from the first step to the stored file")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = OutputQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["generation", "index"], name="output_once")]
        ordering = ["index"]

    def __str__(self) -> str:
        return f"output {self.generation_id}/{self.index}"

    @property
    def name(self) -> str:
        return PurePosixPath(self.file).name

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

"""Who: a character, its reference images and all that is said about them. Knows nothing of training or generation."""

from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVector, SearchVectorField
from django.db import models
from django.db.models import F, Func, Q, Value
from django.db.models.functions import Coalesce, Length, Lower
from django.urls import reverse

from isengard import storage
from isengard.ids import new_id
from isengard.jobs.models import Job

# What separates words in a file name, a caption or a tag; Postgres' own parser takes IMG_1.jpg for one word.
PUNCTUATION = r"""_-.,;:!?/\|()[]{}<>'"`~@#$%^&*+="""
LIVING = Q(deleted_at__isnull=True)


def character_id() -> str:
    return new_id("char")


def image_id() -> str:
    return new_id("img")


class CharacterQuerySet(models.QuerySet["Character"]):
    def newest_first(self) -> "CharacterQuerySet":
        return self.order_by("-created_at", "-id")

    def with_photos(self) -> "CharacterQuerySet":
        """Only those that have any outside the bin."""
        return self.filter(models.Exists(ReferenceImage.objects.filter(character=models.OuterRef("pk"))))

    def with_image_count(self) -> "CharacterQuerySet":
        """Adds `image_count`, counted and never stored, so that it cannot drift; only for the rows that are shown."""
        theirs = ReferenceImage.objects.filter(character=models.OuterRef("pk")).order_by().values("character")
        counted = models.Subquery(theirs.annotate(count=models.Count("pk")).values("count"))
        return self.annotate(image_count=Coalesce(counted, 0))


class Character(models.Model):
    public_id = models.CharField(max_length=16, unique=True, default=character_id, editable=False)
    name = models.CharField(max_length=100)
    trigger_word = models.CharField(max_length=50)
    description = models.TextField(max_length=500, blank=True)
    is_sample = models.BooleanField(default=False, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = CharacterQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["-created_at", "-id"], name="character_newest")]

    def __str__(self) -> str:
        return f"{self.name} ({self.public_id})"

    def get_absolute_url(self) -> str:
        return reverse("characters:detail", args=[self.public_id])


class ImageQuerySet(models.QuerySet["ReferenceImage"]):
    def newest_first(self) -> "ImageQuerySet":
        return self.order_by("-id")

    def for_training(self, synthetic: bool = True) -> "ImageQuerySet":
        """Photos of the train split and, unless told otherwise, synthetic ones; never what the doctor has blocked."""
        splits = [ReferenceImage.Split.TRAIN, *([ReferenceImage.Split.SYNTHETIC] if synthetic else [])]
        return self.filter(split__in=splits).exclude(verdict=ReferenceImage.Verdict.BLOCKED).order_by("id")

    def without_thumbs(self) -> "ImageQuerySet":
        return self.filter(thumb_ready=False)

    def binned(self) -> "ImageQuerySet":
        return self.filter(deleted_at__isnull=False)


class _Every(models.Manager["ReferenceImage"]):
    """Rows in the bin too. The search column is only ever compared, and recipes are read on one photo's page."""

    def get_queryset(self) -> "models.QuerySet[ReferenceImage]":
        return super().get_queryset().defer("words", "recipe")


class _Living(_Every):
    """Every row but those in the bin."""

    def get_queryset(self) -> "models.QuerySet[ReferenceImage]":
        return super().get_queryset().filter(LIVING)


EveryImage = _Every.from_queryset(ImageQuerySet)
LivingImages = _Living.from_queryset(ImageQuerySet)


def _plain(field: str) -> Lower:
    """Lower case by the database's own rules: its text search folds only ASCII under the C locale."""
    spaces = Value(" " * len(PUNCTUATION))
    return Lower(Func(F(field), Value(PUNCTUATION), spaces, function="translate", output_field=models.TextField()))


class ReferenceImage(models.Model):
    """One photo as stored: decoded, upright, sRGB, without metadata. The uploaded name is only for display."""

    class Split(models.TextChoices):
        TRAIN = "train", "Train"
        REFERENCE = "reference", "Reference only"
        SYNTHETIC = "synthetic", "Synthetic"

    class Verdict(models.TextChoices):
        UNCHECKED = "unchecked", "Not checked yet"
        READY = "ready", "Ready"
        ATTENTION = "attention", "Needs attention"
        BLOCKED = "blocked", "Blocked"

    public_id = models.CharField(max_length=16, unique=True, default=image_id, editable=False)
    character = models.ForeignKey(Character, on_delete=models.CASCADE, related_name="images")
    file = models.CharField(max_length=200, help_text="storage key of the stored picture")
    name = models.CharField(max_length=120, help_text="unique within the character; what the API calls the filename")
    original_name = models.CharField(max_length=255)
    sha256 = models.CharField(
        max_length=64, help_text="of the uploaded bytes: a second upload of the same file is skipped"
    )
    content_type = models.CharField(max_length=20)
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    size_bytes = models.PositiveBigIntegerField()
    split = models.CharField(max_length=12, choices=Split.choices, default=Split.TRAIN)
    made_by = models.CharField(max_length=20, blank=True, help_text="the generation a synthetic picture came from")
    recipe = models.JSONField(null=True, blank=True, help_text="what a synthetic picture's own file told of its making")
    caption = models.TextField(max_length=2000, blank=True)
    verdict = models.CharField(
        max_length=12, choices=Verdict.choices, default=Verdict.UNCHECKED, help_text="written by the doctor only"
    )
    mask = models.CharField(max_length=200, blank=True, help_text="storage key: grey PNG, white is the person")
    mask_by = models.CharField(max_length=8, blank=True, help_text="auto or user")
    color = models.CharField(
        max_length=7, default="#20242c", help_text="dominant colour, shown while the picture loads"
    )
    thumb_ready = models.BooleanField(default=False)
    missing_at = models.DateTimeField(null=True, blank=True, help_text="when its file was found gone from the disk")
    deleted_at = models.DateTimeField(null=True, blank=True, help_text="in the bin since, for a minute of undo")
    created_at = models.DateTimeField(auto_now_add=True)

    tags: "models.ManyToManyField[Tag, ImageTag]" = models.ManyToManyField(
        "Tag", through="ImageTag", related_name="images"
    )
    tag_text = models.TextField(
        blank=True, help_text="its tags in order, comma separated: for searching and showing; written with the tags"
    )
    pixels = models.GeneratedField(
        expression=F("width") * F("height"), output_field=models.IntegerField(), db_persist=True
    )
    caption_length = models.GeneratedField(
        expression=Length("caption"), output_field=models.IntegerField(), db_persist=True
    )
    words = models.GeneratedField(
        expression=Func(
            SearchVector(
                _plain("original_name"), _plain("name"), _plain("caption"), _plain("tag_text"), config="simple"
            ),
            function="strip",
            output_field=SearchVectorField(),
        ),
        output_field=SearchVectorField(),
        db_persist=True,
        help_text="what the search box looks in",
    )

    objects = LivingImages()
    everything = EveryImage()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["character", "sha256"], condition=LIVING, name="image_once_per_character"),
            models.UniqueConstraint(
                fields=["character", "name"], condition=LIVING, name="image_name_once_per_character"
            ),
        ]
        # One for each order that the dataset's pages walk along (all end in the id) and each rare thing looked for.
        indexes = [
            models.Index(fields=["character", "id"], condition=LIVING, name="image_of_character"),
            models.Index(fields=["split", "id"], condition=LIVING, name="image_by_split"),
            models.Index(fields=["verdict", "id"], condition=LIVING, name="image_by_verdict"),
            models.Index(Lower("name"), "id", condition=LIVING, name="image_by_name"),
            models.Index(fields=["pixels", "id"], condition=LIVING, name="image_by_pixels"),
            models.Index(fields=["caption_length", "id"], condition=LIVING, name="image_by_caption_length"),
            GinIndex(fields=["words"], name="image_words"),
            models.Index(fields=["id"], condition=Q(missing_at__isnull=False), name="image_missing"),
            models.Index(fields=["deleted_at"], condition=~LIVING, name="image_binned"),
            models.Index(fields=["created_at"], condition=Q(thumb_ready=False), name="image_without_thumb"),
        ]

    def __str__(self) -> str:
        return f"{self.name} of {self.character_id}"

    def get_absolute_url(self) -> str:
        """The stored picture; `v` makes the address unique, so that a browser may keep it for good."""
        return f"{reverse('api-character-image', args=[self.character.public_id, self.name])}?v={self.public_id}"

    @property
    def thumb_256(self) -> str:
        return f"{self.get_absolute_url()}&size=256"

    @property
    def thumb_512(self) -> str:
        return f"{self.get_absolute_url()}&size=512"

    @property
    def missing(self) -> bool:
        """Its file is not where it should be: somebody deleted it, or a disk is not there."""
        return not storage.absolute(self.file).is_file()


class Tag(models.Model):
    """A word or phrase that people sort photos by: lower case, 1 to 50 printable characters, no comma."""

    name = models.CharField(max_length=50, unique=True)

    def __str__(self) -> str:
        return self.name


class ImageTag(models.Model):
    image = models.ForeignKey(ReferenceImage, on_delete=models.CASCADE, related_name="+")
    tag = models.ForeignKey(Tag, on_delete=models.CASCADE, related_name="+", db_index=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tag", "image"], name="tag_once_per_image")]

    def __str__(self) -> str:
        return f"{self.tag_id} on {self.image_id}"


class Examination(models.Model):
    """What the doctor measured on one photo and thinks of it. A picture that cannot be read has no numbers."""

    image = models.OneToOneField(ReferenceImage, on_delete=models.CASCADE, related_name="examination")
    checked_at = models.DateTimeField(auto_now=True)
    version = models.PositiveSmallIntegerField(help_text="of the thresholds it was judged by")
    sharpness = models.FloatField(null=True)
    brightness = models.FloatField(null=True)
    contrast = models.FloatField(null=True)
    phash = models.BigIntegerField(null=True, help_text="64 bits, signed: near-duplicates differ in few of them")
    faces = models.JSONField(
        default=list, help_text="list of {x, y, width, height, score, drawn}, fractions of the stored picture"
    )
    framing = models.CharField(max_length=8, default="none", help_text="close, half, full or none")
    findings = models.JSONField(default=list, help_text="list of {code, level, text, fix}; level attention or blocked")
    ignored = models.JSONField(default=list, help_text="codes of findings that the user waved through")

    def __str__(self) -> str:
        return f"examination of {self.image_id}"


class Crop(models.Model):
    """A part of the photo that is trained on: fractions of the stored picture, which stays whole."""

    image = models.ForeignKey(ReferenceImage, on_delete=models.CASCADE, related_name="crops")
    kind = models.CharField(max_length=8, help_text="main (instead of the photo), face or half (besides it)")
    x = models.FloatField()
    y = models.FloatField()
    width = models.FloatField()
    height = models.FloatField()
    by = models.CharField(max_length=8, help_text="auto or user")
    enabled = models.BooleanField(default=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["image", "kind"], name="crop_once_per_kind")]

    def __str__(self) -> str:
        return f"{self.kind} crop of {self.image_id}"


class CaptionVersion(models.Model):
    """A text that the caption once was, newest last; the newest 20 of a photo are kept."""

    image = models.ForeignKey(ReferenceImage, on_delete=models.CASCADE, related_name="caption_versions")
    text = models.TextField(max_length=2000, blank=True)
    by = models.CharField(max_length=10, help_text="user, template, model, bulk or import")
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"caption of {self.image_id}"


class DatasetTask(models.Model):
    """The product row of a job over photos of one character."""

    job = models.OneToOneField(Job, on_delete=models.CASCADE, related_name="dataset_task")
    character = models.ForeignKey(Character, on_delete=models.CASCADE, related_name="dataset_tasks")
    kind = models.CharField(max_length=10, help_text="examine, caption or mask")
    options = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.kind} of {self.character_id}"


class SampleMade(models.Model):
    """One row once the sample character was made, so that a user who deletes it is not given it again."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    made_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"sample made {self.made_at:%Y-%m-%d}"

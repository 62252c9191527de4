"""Who: a character and its reference images. Knows nothing of training or pictures made later."""

from django.db import models
from django.urls import reverse

from isengard.ids import new_id


def character_id() -> str:
    return new_id("char")


def image_id() -> str:
    return new_id("img")


class CharacterQuerySet(models.QuerySet["Character"]):
    def newest_first(self) -> "CharacterQuerySet":
        return self.order_by("-created_at", "-id")

    def with_image_count(self) -> "CharacterQuerySet":
        """Adds `image_count`, counted and never stored, so that it cannot drift."""
        return self.annotate(image_count=models.Count("images", distinct=True))


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
        return self.order_by("-created_at", "-id")

    def for_training(self) -> "ImageQuerySet":
        return self.exclude(split=ReferenceImage.Split.REFERENCE).order_by("id")

    def without_thumbs(self) -> "ImageQuerySet":
        return self.filter(thumb_ready=False)


class ReferenceImage(models.Model):
    """One photo as stored: decoded, upright, sRGB, without metadata. The uploaded name is only for display."""

    class Split(models.TextChoices):
        TRAIN = "train", "Train"
        REFERENCE = "reference", "Reference only"

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
    caption = models.TextField(max_length=2000, blank=True)
    color = models.CharField(
        max_length=7, default="#20242c", help_text="dominant colour, shown while the picture loads"
    )
    thumb_ready = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ImageQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["character", "sha256"], name="image_once_per_character"),
            models.UniqueConstraint(fields=["character", "name"], name="image_name_once_per_character"),
        ]
        indexes = [models.Index(fields=["character", "-created_at", "-id"], name="image_newest")]

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


class SampleMade(models.Model):
    """One row once the sample character was made, so that a user who deletes it is not given it again."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    made_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"sample made {self.made_at:%Y-%m-%d}"

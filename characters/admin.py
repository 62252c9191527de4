"""Characters and photos for operators. Rows are added and files are made by the studio itself, never typed in here."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.html import format_html

from characters import services
from characters.models import Character, ReferenceImage


@admin.register(Character)
class CharacterAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not subscriptable at run time
    list_display = ["name", "public_id", "trigger_word", "photos", "is_sample", "created_at"]
    list_filter = ["is_sample", "created_at"]
    search_fields = ["name", "public_id", "trigger_word", "description"]
    readonly_fields = ["public_id", "is_sample", "created_at", "updated_at"]
    date_hierarchy = "created_at"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Character]:
        return Character.objects.with_image_count()

    @admin.display(ordering="image_count")
    def photos(self, character: Character) -> int:
        return getattr(character, "image_count", 0)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Character, form: "ModelForm[Character]", change: bool) -> None:
        """Through the service, so that no trigger word gets in here that the pages would refuse."""
        services.update_character(
            character=obj, name=obj.name, trigger_word=obj.trigger_word, description=obj.description
        )

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """What hangs on a character goes with it through the service, also what nobody may delete by itself."""
        listed, counts, _not_by_itself, protected = super().get_deleted_objects(objs, request)
        return listed, counts, set(), protected

    def delete_model(self, request: HttpRequest, obj: Character) -> None:
        services.delete_character(character=obj, typed_name=obj.name)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Character]) -> None:
        for character in queryset:
            services.delete_character(character=character, typed_name=character.name)


@admin.register(ReferenceImage)
class ReferenceImageAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not subscriptable at run time
    list_display = ["preview", "name", "character", "width", "height", "split", "verdict", "thumb_ready", "created_at"]
    list_filter = ["split", "verdict", "thumb_ready", "content_type", "created_at"]
    search_fields = ["name", "original_name", "public_id", "sha256", "caption", "character__name"]
    list_select_related = ["character"]
    fields = [
        "preview",
        "character",
        "name",
        "original_name",
        "split",
        "caption",
        "sha256",
        "width",
        "height",
        "size_bytes",
    ]
    readonly_fields = ["preview", "character", "name", "original_name", "sha256", "width", "height", "size_bytes"]

    @admin.display(description="")
    def preview(self, image: ReferenceImage) -> str:
        return format_html('<img src="{}" alt="" width="64" loading="lazy">', image.thumb_256)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def delete_model(self, request: HttpRequest, obj: ReferenceImage) -> None:
        services.delete_image(image=obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[ReferenceImage]) -> None:
        for image in queryset.select_related("character"):
            services.delete_image(image=image)

"""Pictures for operators: to look at, and to delete through the services only."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html

from generation.gallery import binning
from generation.models import Generation, Output
from isengard.jobs.admin import ReadOnly


@admin.register(Generation)
class GenerationAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]  # not subscriptable at run time
    """Cancel, retry and remove are actions of its job."""

    list_display = ("public_id", "state", "character", "lora_name", "base", "count", "prompt", "created_at")
    list_filter = ("job__state", "base", "count", "created_at")
    search_fields = ("job__public_id", "prompt", "character__name", "character__public_id", "lora_name")
    list_select_related = ("job", "character")
    date_hierarchy = "created_at"

    @admin.display(description="job", ordering="job__id")
    def public_id(self, generation: Generation) -> str:
        return generation.job.public_id

    @admin.display(ordering="job__state")
    def state(self, generation: Generation) -> str:
        return generation.job.state


@admin.register(Output)
class OutputAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("picture", "job", "index", "seed", "width", "height", "size_bytes", "seconds", "created_at")
    list_filter = ("media_type", "generation__base", "created_at")
    search_fields = ("generation__job__public_id", "generation__prompt", "generation__character__name", "=seed")
    list_select_related = ("generation__job",)
    date_hierarchy = "created_at"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Output | None = None) -> bool:
        return False

    @admin.display(description="")
    def picture(self, output: Output) -> str:
        return format_html('<img src="{}" alt="" width="64" loading="lazy">', output.thumb_url)

    @admin.display(ordering="generation__job__id")
    def job(self, output: Output) -> str:
        return output.generation.job.public_id

    def delete_model(self, request: HttpRequest, obj: Output) -> None:
        binning.erase_outputs([obj])

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Output]) -> None:
        binning.erase_outputs(queryset)

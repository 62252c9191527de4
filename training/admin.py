"""Trainings and LoRAs for operators: to look at, and to act on through the services only."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html

from isengard.jobs.admin import ReadOnly
from training import services
from training.models import Lora, Sample, TrainingRun


class SampleInline(ReadOnly, admin.TabularInline):  # type: ignore[type-arg]  # not subscriptable at run time
    model = Sample
    fields = readonly_fields = ("step", "prompt_index", "prompt", "seed", "file")
    extra = 0


@admin.register(TrainingRun)
class TrainingRunAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    """Cancel, retry and remove are actions of its job."""

    list_display = ("public_id", "character", "state", "base", "preset", "version", "created_at")
    list_filter = ("job__state", "base", "preset", "created_at")
    search_fields = ("job__public_id", "character__name", "character__public_id", "trigger_word")
    list_select_related = ("job", "character")
    date_hierarchy = "created_at"
    inlines = (SampleInline,)

    @admin.display(description="job", ordering="job__id")
    def public_id(self, run: TrainingRun) -> str:
        return run.job.public_id

    @admin.display(ordering="job__state")
    def state(self, run: TrainingRun) -> str:
        return run.job.state


@admin.register(Lora)
class LoraAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = (
        "__str__",
        "public_id",
        "base",
        "rank",
        "steps",
        "final_loss",
        "is_active",
        "download",
        "created_at",
    )
    list_filter = ("is_active", "base", "family", "rank", "created_at")
    search_fields = ("public_id", "character__name", "character__public_id", "trigger_word", "sha256")
    list_select_related = ("character",)
    date_hierarchy = "created_at"
    actions = ("activate",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Lora | None = None) -> list[str]:
        return [field.name for field in Lora._meta.fields if field.name != "default_strength"]

    @admin.display(description="file")
    def download(self, lora: Lora) -> str:
        return format_html('<a href="{}">{}</a>', lora.download_url, lora.filename)

    @admin.action(description="Make active (the last chosen of a character wins)")
    def activate(self, request: HttpRequest, loras: QuerySet[Lora]) -> None:
        for lora in loras:
            services.set_active(lora=lora)
        self.message_user(request, f"{len(loras)} made active.")

    def delete_model(self, request: HttpRequest, obj: Lora) -> None:
        services.delete_lora(lora=obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Lora]) -> None:
        for lora in queryset:
            services.delete_lora(lora=lora)

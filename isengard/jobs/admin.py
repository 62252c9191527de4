"""Jobs and workers for operators. States change through the services only, never by editing a field."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from isengard.errors import DomainError
from isengard.jobs import services, watchdog
from isengard.jobs.models import Job, JobEvent, Worker

EDITABLE = ("priority", "position")


class ReadOnly:
    """Shown, never written: these rows are the machine's own record."""

    def has_add_permission(self, *_: Any) -> bool:
        return False

    def has_change_permission(self, *_: Any) -> bool:
        return False

    def has_delete_permission(self, *_: Any) -> bool:
        return False


class EventInline(ReadOnly, admin.TabularInline):  # type: ignore[type-arg]  # not subscriptable at run time
    model = JobEvent
    fields = readonly_fields = ("seq", "kind", "payload", "created_at")
    extra = 0


@admin.register(Job)
class JobAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("public_id", "kind", "label", "state", "stage", "done", "attempts", "owner", "created_at")
    list_filter = ("state", "kind", "lane", "error_code", "created_at")
    search_fields = ("public_id", "label", "correlation_id", "error_message")
    date_hierarchy = "created_at"
    list_select_related = ("retry_of",)
    actions = ("cancel", "retry", "requeue_stale", "remove")
    inlines = (EventInline,)

    def get_readonly_fields(self, request: HttpRequest, obj: Job | None = None) -> list[str]:
        return [field.name for field in Job._meta.fields if field.name not in EDITABLE]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Job | None = None) -> bool:
        """Deleting a row alone would leave its files and a running engine behind: `remove` does it whole."""
        return False

    @admin.display(description="done")
    def done(self, job: Job) -> str:
        return f"{job.step} / {job.total}" if job.total else ""

    @admin.action(description="Cancel")
    def cancel(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        self._each(request, jobs, lambda job: services.request_cancel(job=job), "cancelled")

    @admin.action(description="Retry as a new job")
    def retry(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        self._each(request, jobs, lambda job: services.retry(job=job), "queued again")

    @admin.action(description="Remove with all files")
    def remove(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        self._each(request, jobs, lambda job: services.remove(job=job), "removed")

    @admin.action(description="Take back from a lost worker")
    def requeue_stale(self, request: HttpRequest, jobs: QuerySet[Job]) -> None:
        """Only those whose lease has ended: a job that still renews it is not lost."""
        count = watchdog.rescue(Job.objects.stale().filter(pk__in=jobs.values("pk")))
        self.message_user(request, f"{count} taken back; the others still have their worker.")

    def _each(self, request: HttpRequest, jobs: QuerySet[Job], act: Any, done: str) -> None:
        count = 0
        for job in jobs:
            try:
                act(job)
                count += 1
            except DomainError as error:
                self.message_user(request, f"{job.public_id}: {error.message}", messages.WARNING)
        self.message_user(request, f"{count} {done}.")


@admin.register(Worker)
class WorkerAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("name", "lane", "device", "job", "draining", "heartbeat_at", "started_at", "pid", "host")
    list_filter = ("lane", "draining")
    search_fields = ("name", "device")
    list_select_related = ("job",)

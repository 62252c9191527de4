"""API addresses of the app, below /api/."""

from django.urls import URLPattern, path

from isengard.jobs import api, api_files

urlpatterns: list[URLPattern] = [
    path("jobs", api.JobsView.as_view(), name="api-jobs"),
    path("jobs/<id:job_id>", api.JobView.as_view(), name="api-job"),
    path("jobs/<id:job_id>/events", api.EventsView.as_view(), name="api-job-events"),
    path("jobs/<id:job_id>/stream", api.StreamView.as_view(), name="api-job-stream"),
    path("jobs/<id:job_id>/cancel", api.CancelView.as_view(), name="api-job-cancel"),
    path("jobs/<id:job_id>/pause", api.PauseView.as_view(), name="api-job-pause"),
    path("jobs/<id:job_id>/resume", api.ResumeView.as_view(), name="api-job-resume"),
    path("jobs/<id:job_id>/ask", api.AskView.as_view(), name="api-job-ask"),
    path("jobs/<id:job_id>/retry", api.RetryView.as_view(), name="api-job-retry"),
    path("jobs/<id:job_id>/logs", api_files.LogFileView.as_view(), name="api-job-logs"),
    path("jobs/<id:job_id>/logs/view", api_files.LogPageView.as_view(), name="api-job-log-page"),
    path("jobs/<id:job_id>/artifacts", api_files.ArtifactsView.as_view(), name="api-job-artifacts"),
    path("jobs/<id:job_id>/artifacts/samples/<str:name>", api_files.SampleView.as_view(), name="api-job-sample"),
    path("jobs/<id:job_id>/checkpoints", api_files.CheckpointsView.as_view(), name="api-job-checkpoints"),
    path(
        "jobs/<id:job_id>/checkpoints/<str:name>/download",
        api_files.CheckpointView.as_view(),
        name="api-job-checkpoint",
    ),
    path("jobs/<id:job_id>/summary", api_files.SummaryView.as_view(), name="api-job-summary"),
    path("jobs/<id:job_id>/debug-bundle", api_files.BundleView.as_view(), name="api-job-bundle"),
]

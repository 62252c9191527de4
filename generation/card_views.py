"""What is done to one request of pictures, and to one picture on its card: cancel, strike, retry, delete, keep."""

from urllib.parse import urlsplit

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from generation import access, keeping, shown, striking
from generation.gallery import binning
from generation.gallery.answers import undo_url
from generation.models import Output
from isengard.errors import DomainError, Invalid, NotFound
from isengard.htmx import is_fragment, redirect_to, toast
from isengard.jobs import services as jobs


@require_POST
def cancel(request: HttpRequest, public_id: str) -> HttpResponse:
    generation = access.get_generation(public_id)
    jobs.request_cancel(job=generation.job)
    if not is_fragment(request):
        return redirect(generation.get_absolute_url())
    fresh = shown.card(access.get_generation(public_id))
    return toast(render(request, "generation/detail.html#card", fresh), "Stopping; finished pictures stay.", "info")


@require_POST
def strike(request: HttpRequest, public_id: str, index: int) -> HttpResponse:
    """One picture that waits or is drawn is cancelled; the others of its request go on."""
    generation = striking.strike(generation=access.get_generation(public_id), index=index)
    if not is_fragment(request):
        return redirect(generation.get_absolute_url())
    fresh = render(request, "generation/detail.html#card", shown.card(access.get_generation(public_id)))
    return toast(fresh, f"Picture {index + 1} is cancelled.", "info")


@require_POST
def retry(request: HttpRequest, public_id: str) -> HttpResponse:
    """The same pictures as a new request. On Generate they come on top; elsewhere their own page opens."""
    try:
        asked = access.get_generation(public_id)
        job = jobs.retry(job=asked.job)
    except DomainError as error:
        return _refused(request, public_id, error)
    shown_on = urlsplit(request.headers.get("HX-Current-URL", "")).path
    if is_fragment(request) and shown_on == reverse("generation:create"):
        return HttpResponse(status=204, headers={"HX-Trigger": "pictures:changed"})
    return redirect_to(request, reverse("generation:grid" if asked.axes else "generation:detail", args=[job.public_id]))


def _refused(request: HttpRequest, public_id: str, error: DomainError) -> HttpResponse:
    """Why there is no second try, where its button was, with the way to Compose; what is gone does not come back by
    trying, what is only missing now may."""
    gone = isinstance(error, NotFound)
    said = {
        "problem": "This request was deleted meanwhile." if gone else error.message,
        "may_help": not isinstance(error, Invalid | NotFound),
        "gone": gone,
        "job": {"public_id": public_id},
    }
    if is_fragment(request):
        return render(request, "generation/retry.html", said, status=422)
    if gone:
        return redirect(f"{reverse('generation:create')}?from={public_id}")
    return render(
        request, "generation/detail.html", {**said, **shown.card(access.get_generation(public_id))}, status=422
    )


@require_POST
def delete_output(request: HttpRequest, public_id: str, index: int) -> HttpResponse:
    """Into the bin, with a minute to take it back."""
    output = access.get_output(public_id, index)
    binned = binning.bin_outputs(Output.objects.filter(pk=output.pk))
    if not is_fragment(request):
        return HttpResponseRedirect(reverse("generation:detail", args=[public_id]))
    card = render(request, "generation/detail.html#card", shown.card(access.get_generation(public_id)))
    return toast(card, "Picture deleted.", undo=undo_url(binned.undo))


@require_POST
def keep_output(request: HttpRequest, public_id: str, index: int) -> HttpResponse:
    """The picture among its character's photos, to train on; it stays here, too."""
    kept = keeping.keep_as_photo(output=access.get_output(public_id, index))
    if not is_fragment(request):
        return redirect_to(request, reverse("photos:page", args=[kept.image.public_id]))
    whose = kept.image.character.name
    said = f"Among the photos of {whose} now, as synthetic." if kept.added else f"{whose} has that picture already."
    return toast(HttpResponse(status=204), said, "success" if kept.added else "info")

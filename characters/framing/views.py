"""The crop and mask panels of the photo page, and both as bulk actions. Services decide; these show."""

from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from characters import access
from characters.browse import answers, selection
from characters.captions.text import training_text
from characters.framing import crops, masks, seen
from characters.models import Crop, DatasetTask, ReferenceImage
from isengard import storage
from isengard.engine.fitting import Box
from isengard.errors import Invalid, NotFound
from isengard.files import IMMUTABLE, respond
from isengard.htmx import is_fragment, redirect_to
from isengard.jobs.models import Job

SHAPES = (("", "Free"), ("1", "1:1"), ("0.8", "4:5"), ("0.75", "3:4"), ("1.25", "5:4"), ("1.5", "3:2"))
NO_STORE = "private, no-cache"


@require_http_methods(["GET", "POST"])
def crop(request: HttpRequest, public_id: str) -> HttpResponse:
    """The crop editor. A POST says what to do: `save` the four numbers, `suggest`, `on`, `off`, or `whole`."""
    image, kind = access.get_photo(public_id), _kind(request)
    if request.method == "GET":
        return render(request, "characters/framing/crop.html", _crop_panel(request, image, kind))
    action = request.POST.get("action", "save")
    _change_crop(request, image, kind, action)
    if not is_fragment(request):
        return redirect_to(request, reverse("photos:page", args=[public_id]))
    part = "characters/framing/seen.html" if action == "save" else "characters/framing/crop.html"
    return render(request, part, {**_crop_panel(request, image, kind), "saved": action == "save"})


def _kind(request: HttpRequest) -> str:
    kind = (request.POST if request.method == "POST" else request.GET).get("kind", "main")
    if kind not in crops.KINDS:
        raise Invalid("unknown_crop", f"There is no crop called {kind!r}. Choose one of {', '.join(crops.KINDS)}.")
    return kind


def _change_crop(request: HttpRequest, image: ReferenceImage, kind: str, action: str) -> None:
    if action == "save":
        crops.save(image=image, kind=kind, box=_box(request))
    elif action == "suggest":
        _take_suggestion(image, kind)
    elif action in {"on", "off"}:
        crops.enable(image=image, kind=kind, enabled=action == "on")
    elif action == "whole":
        crops.remove(image=image, kind=kind)
    else:
        raise Invalid("unknown_action", f"Nothing here can be asked to {action!r}. Reload the page.")


def _take_suggestion(image: ReferenceImage, kind: str) -> None:
    """The whole photo needs no crop."""
    box = crops.suggestion(image, kind)
    if kind == "main" and box == crops.WHOLE:
        crops.remove(image=image, kind=kind)
    else:
        crops.save(image=image, kind=kind, box=box, by="auto")


def _box(request: HttpRequest) -> Box:
    try:
        x, y, width, height = (float(request.POST.get(name, "")) for name in ("x", "y", "width", "height"))
    except ValueError:
        raise Invalid("bad_crop", "A crop is four numbers from 0 to 1: x, y, width and height.") from None
    return x, y, width, height


def _crop_panel(request: HttpRequest, image: ReferenceImage, kind: str) -> dict[str, Any]:
    found = {crop.kind: crop for crop in Crop.objects.filter(image=image)}
    current, base = found.get(kind), seen.base_of(request.GET.get("base", "") or request.POST.get("base", ""))
    box = crops.box_of(current) if current else crops.suggestion(image, kind)
    shown = seen.box(image, kind)
    return {
        "image": image,
        "kind": kind,
        "kinds": [(key, label, key in found and found[key].enabled) for key, label in crops.KINDS.items()],
        "crop": current,
        "used": current is not None and current.enabled,
        "whole": box == crops.WHOLE,
        "caption": crops.words(kind, training_text(image.caption, image.character.trigger_word)),
        "box": dict(zip(("x", "y", "width", "height"), (f"{number:.5f}" for number in box), strict=True)),
        "faces": len(crops.faces(image)),
        "base": base,
        "bases": seen.trainable(),
        "shapes": SHAPES,
        "looks": seen.looks(image, shown, base),
        "version": "-".join(f"{number:.4f}" for number in shown or crops.WHOLE),
    }


@require_GET
def look(request: HttpRequest, public_id: str) -> HttpResponse:
    """The very pixels that are trained on: `base`, `resolution`, `kind`."""
    image, given = access.get_photo(public_id), request.GET
    resolution = given.get("resolution", "")
    base = seen.base_of(given.get("base", ""))
    side = int(resolution[:6]) if resolution.isdecimal() else 0
    picture = seen.pixels(image, given.get("kind", "main"), base, side)
    # `v` names the crop, so what it names may be kept.
    cache = IMMUTABLE if given.get("v") else NO_STORE
    return HttpResponse(picture, content_type="image/png", headers={"Cache-Control": cache})


@require_http_methods(["GET", "POST"])
def mask(request: HttpRequest, public_id: str) -> HttpResponse:
    """The mask editor. A POST brings a `mask` file, or says `person`, `face` (made by a job), `remove` or `back`."""
    image = access.get_photo(public_id)
    if request.method == "POST":
        _change_mask(request, image)
        image = access.get_photo(public_id)
        if not is_fragment(request):
            return redirect_to(request, reverse("photos:page", args=[public_id]))
    return render(request, "characters/framing/mask.html", _mask_panel(image))


def _change_mask(request: HttpRequest, image: ReferenceImage) -> None:
    one, action = ReferenceImage.objects.filter(pk=image.pk), request.POST.get("action", "save")
    if action == "remove":
        masks.remove(images=one)
    elif action == "back":
        masks.back(image=image)
    elif action in masks.SHAPES:
        masks.request(images=one, shape=action, replace=True)
    elif files := request.FILES.getlist("mask"):
        masks.save(image=image, file=files[0])
    else:
        raise Invalid(
            "no_mask_file", "Choose a mask first: a picture as large as the photo, white where the person is."
        )


def _mask_panel(image: ReferenceImage) -> dict[str, Any]:
    width, height = masks.canvas_size(image)
    path = storage.absolute(image.mask) if image.mask else None
    there = path is not None and path.is_file()
    job = masks.active(image)
    return {
        "image": image,
        "canvas": {"width": width, "height": height},
        "mask_url": f"{reverse('photos:mask-image', args=[image.public_id])}?v={_version(image)}" if there else "",
        "job": job,
        "failed": "" if job or there else masks.last_problem(image),
        "faces": len(crops.faces(image)),
        "former": masks.has_former(image),
    }


def _version(image: ReferenceImage) -> str:
    return str(storage.absolute(image.mask).stat().st_mtime_ns)


@require_GET
def mask_image(request: HttpRequest, public_id: str) -> HttpResponseBase:
    return respond(request, masks.file_of(access.get_photo(public_id)), "image/png", cache=NO_STORE)


@require_http_methods(["GET", "POST"])
def crop_images(request: HttpRequest) -> HttpResponse:
    """Crops around the faces of a selection."""
    if request.method == "GET":
        return render(request, "characters/framing/crop_dialog.html", {"kinds": crops.KINDS.items()})
    given = request.POST
    made = crops.suggest(
        images=selection.chosen(given), kinds=given.getlist("kinds"), replace=given.get("replace") == "on"
    )
    return answers.done(request, _told_crops(made), *answers.refresh(given))


def _told_crops(made: crops.Suggested) -> str:
    parts = [f"{answers.photos(made.made)} cropped"]
    if made.without_face:
        parts.append(f"{made.without_face:,} left whole because no face is known there")
    if made.kept:
        parts.append(f"{made.kept:,} kept as you had cropped them")
    return "; ".join(parts) + "."


@require_http_methods(["GET", "POST"])
def mask_images(request: HttpRequest) -> HttpResponse:
    """A job that masks a selection, or takes its masks away."""
    if request.method == "GET":
        return render(request, "characters/framing/mask_dialog.html", {"shapes": masks.SHAPES.items()})
    given, chosen = request.POST, selection.chosen(request.POST)
    if given.get("shape") == "remove":
        gone = masks.remove(images=chosen)
        undo = f"{reverse('characters:masks-undo')}?{urlencode({'token': gone.undo})}" if gone.undo else ""
        said = f"{gone.count:,} mask{'' if gone.count == 1 else 's'} removed."
        return answers.done(request, said, *answers.refresh(given), undo=undo)
    jobs = masks.request(images=chosen, shape=given.get("shape", "person"), replace=given.get("replace") == "on")
    return answers.done(request, f"Making masks: {', '.join(job.label for job in jobs)}.", answers.CLOSE)


@require_POST
def undo_masks(request: HttpRequest) -> HttpResponse:
    count = masks.undo(token=request.GET.get("token", ""))
    said = f"{count:,} mask{' is' if count == 1 else 's are'} back."
    return answers.done(request, said, answers.CHANGED, "photo:changed")


@require_GET
def mask_task(request: HttpRequest, public_id: str) -> HttpResponse:
    """What a job of masks is doing, and afterwards which photos need a hand."""
    job = Job.objects.filter(public_id=public_id, kind=masks.KIND).first()
    if job is None:
        raise NotFound("not_found", f"Job {public_id} not found")
    task = DatasetTask.objects.select_related("character").get(job=job)
    context = {"job": job, "task": task, "told": masks.told(job), "result": job.result}
    return render(request, "characters/framing/task.html" + ("#now" if is_fragment(request) else ""), context)

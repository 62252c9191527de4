"""The pages of characters and their photos. Services decide; these show."""

from typing import Any

from django.contrib import messages
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from characters import access, services, shown
from characters.forms import CharacterForm
from characters.models import Character, ReferenceImage
from isengard.errors import DomainError
from isengard.htmx import is_fragment, redirect_to, render_page, toast

PAGE = 24
DATASET_PAGE = 60


@require_GET
def character_list(request: HttpRequest) -> HttpResponse:
    found = shown.cards()
    if (before := request.GET.get("before", "")).isdecimal():
        last = Character.objects.filter(pk=int(before)).first()
        if last is not None:
            found = found.filter(Q(created_at__lt=last.created_at) | Q(created_at=last.created_at, pk__lt=last.pk))
    page = list(found[: PAGE + 1])
    more = f"{reverse('characters:list')}?before={page[PAGE - 1].pk}" if len(page) > PAGE else ""
    context = {"rows": shown.with_covers(page[:PAGE]), "next_url": more}
    return render_page(request, "characters/list.html", "rows" if before else "grid", context)


@require_http_methods(["GET", "POST"])
def create(request: HttpRequest) -> HttpResponse:
    form = CharacterForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            character = services.create_character(**form.cleaned_data)
        except DomainError as error:
            _place(form, error)
        else:
            made = redirect_to(request, character.get_absolute_url())
            # For the photos that were chosen on this page before there was anybody to give them to.
            made.headers["X-Upload-Url"] = reverse("api-character-images", args=[character.public_id])
            return made
    status = 422 if request.method == "POST" else 200
    return render(request, "characters/create.html", {"form": form}, status=status)


def _place(form: CharacterForm, error: DomainError) -> None:
    """The service's sentence at the field it is about."""
    field = {"bad_name": "name", "bad_trigger_word": "trigger_word", "bad_description": "description"}.get(error.code)
    form.add_error(field, error.message)


@require_GET
def detail(request: HttpRequest, public_id: str) -> HttpResponse:
    character = access.get_character(public_id)
    context = shown.hub(character, request.GET.get("tab", "photos"), request.GET.get("before", ""))
    return render_page(request, "characters/detail.html", _part(request), context)


def _part(request: HttpRequest) -> str:
    """What htmx wants of the page: its photos, older pictures, or everything that a job may have changed."""
    if "before" in request.GET:
        return "pictures"
    return "photos" if request.GET.get("part") == "photos" else "changed"


@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, public_id: str) -> HttpResponse:
    character = access.get_character(public_id)
    fields = ("name", "trigger_word", "description")
    form = CharacterForm(request.POST or None, initial={name: getattr(character, name) for name in fields})
    if request.method == "POST" and form.is_valid():
        try:
            services.update_character(character=character, **form.cleaned_data)
        except DomainError as error:
            _place(form, error)
        else:
            messages.success(request, "Saved.")
            return redirect_to(request, character.get_absolute_url())
    status = 422 if request.method == "POST" else 200
    return render(request, "characters/edit.html", {"form": form, "character": character}, status=status)


@require_POST
def delete(request: HttpRequest, public_id: str) -> HttpResponse:
    character = access.get_character(public_id)
    try:
        services.delete_character(character=character, typed_name=request.POST.get("confirm", ""))
    except DomainError as error:
        messages.error(request, error.message)
        return redirect_to(request, character.get_absolute_url())
    messages.success(request, f"{character.name} was deleted with everything derived from it.")
    return redirect_to(request, reverse("characters:list"))


@require_POST
def upload(request: HttpRequest, public_id: str) -> HttpResponse:
    """Photos sent by the plain form, for browsers without JavaScript; with it they go to the API one by one."""
    character = access.get_character(public_id)
    for file in request.FILES.getlist("files"):
        name = file.name or ""
        try:
            done = services.add_image(character=character, file=file, name=name)
        except DomainError as error:
            messages.error(request, f"{name}: {error.message}")
        else:
            messages.info(request, f"{name}: {'added' if done.added else 'already there'}.")
    return redirect_to(request, f"{character.get_absolute_url()}?tab=photos")


@require_POST
def delete_photos(request: HttpRequest, public_id: str) -> HttpResponse:
    character = access.get_character(public_id)
    count = services.delete_images(character=character, image_ids=request.POST.getlist("photo"))
    said = f"{count} photo{'' if count == 1 else 's'} deleted."
    if not is_fragment(request):
        messages.success(request, said)
        return redirect_to(request, f"{character.get_absolute_url()}?tab=photos")
    fresh = shown.hub(access.get_character(public_id), "photos")
    return toast(render(request, "characters/detail.html#removed", fresh), said)


@require_GET
def dataset(request: HttpRequest) -> HttpResponse:
    """All photos of all characters, newest first, by id so that the last page costs what the first does."""
    images = ReferenceImage.objects.select_related("character").order_by("-id")
    search, chosen = request.GET.get("search", "").strip(), request.GET.get("character", "")
    if search:
        images = images.filter(Q(original_name__icontains=search) | Q(character__name__icontains=search))
    if chosen:
        images = images.filter(character__public_id=chosen)
    if (before := request.GET.get("before", "")).isdecimal():
        images = images.filter(id__lt=int(before))
    page = list(images[: DATASET_PAGE + 1])
    context: dict[str, Any] = {
        "images": page[:DATASET_PAGE],
        "next_url": _older(request, page[DATASET_PAGE - 1].pk) if len(page) > DATASET_PAGE else "",
        "search": search,
        "chosen": chosen,
        "characters": Character.objects.with_image_count().order_by("name"),
    }
    return render_page(request, "characters/dataset.html", "tiles" if before else "images", context)


def _older(request: HttpRequest, last: int) -> str:
    query = request.GET.copy()
    query["before"] = str(last)
    return f"{reverse('dataset')}?{query.urlencode()}"

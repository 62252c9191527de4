"""The pages of characters and their photos. Services decide; these show."""

from django.contrib import messages
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from characters import access, services, shown
from characters.browse import shown as photos
from characters.forms import CharacterForm
from characters.models import Character
from isengard import lists
from isengard.errors import DomainError
from isengard.htmx import is_fragment, redirect_to, render_page

PAGE = 24


@require_GET
def character_list(request: HttpRequest) -> HttpResponse:
    found = shown.cards()
    if (before := lists.number(request.GET.get("before", ""))) is not None:
        found = found.filter(_older_than(before))
    count = lists.length(request, PAGE, lambda last: found.exclude(_older_than(last)).count())
    page = list(found[: count + 1])
    more = f"{reverse('characters:list')}?before={page[count - 1].pk}" if len(page) > count else ""
    context = {"rows": shown.with_covers(page[:count]), "next_url": more, "address": lists.address(request)}
    return render_page(request, "characters/list.html", "rows" if lists.is_next_page(request) else "grid", context)


def _older_than(pk: int) -> Q:
    """The characters below that one in the list; all of them where it is gone."""
    last = Character.objects.filter(pk=pk).first()
    if last is None:
        return Q()
    return Q(created_at__lt=last.created_at) | Q(created_at=last.created_at, pk__lt=last.pk)


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
    context = shown.hub(character, request.GET.get("tab", "photos"))
    if context["tab"] == "pictures" and not is_fragment(request):
        return redirect_to(request, reverse("generation:character-pictures", args=[public_id]))
    if context["tab"] == "photos" and not is_fragment(request):
        context["doctor_url"] = photos.known("characters:doctor", public_id)
        context.update(photos.browser(photos.place(request.GET, character), request.GET.get("cursor", "")))
    return render_page(request, "characters/detail.html", "changed", context)


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

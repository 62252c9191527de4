"""The Generate pages: compose, watch, look, do it again. Services decide; these show."""

from collections.abc import Callable, Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from characters import photos
from generation import access, given, inputs, recall, services, shapes, shown, styles, wearing
from generation.forms import CUSTOM, GenerateForm
from generation.given import Given
from generation.models import Generation
from generation.recall import Recalled
from isengard import files, lists, storage
from isengard.engine import catalog, tools
from isengard.errors import DomainError, Invalid
from isengard.htmx import is_fragment, render_page, toast
from isengard.logs import correlation
from training import bases
from training import shown as training
from training.models import Lora

PAGE = 12
# Fields of the form that hold several values.
SEVERAL = ("styles", "grid_lora", "grid_sampler")


@require_http_methods(["GET", "POST"])
def create(request: HttpRequest) -> HttpResponse:
    """Compose on one side, results on the other. `?from=gen-…&seed=…` fills the form with an earlier recipe."""
    if request.method == "GET":
        form, base, notes = _fresh_form(request.GET)
        return render(request, "generation/create.html", form_context(request, form, base, notes))
    form = posted_form(request)

    def begin() -> HttpResponse:
        made = services.start_generation(**form.asked(), base=form.base.key, correlation_id=correlation.current())
        return _started(request, made)

    return refuse_or(request, form, begin)


def posted_form(request: HttpRequest, tool: str = "") -> GenerateForm:
    """The form as it was sent, its pictures kept; a picture that is refused is an error of the form."""
    base, tool = _base(request.POST.get("base", "")), given.tool_of(tool or request.POST.get("tool", ""))
    try:
        pictures = given.received(tool, request.POST, request.FILES)
    except DomainError as error:
        form = GenerateForm(request.POST, base=base, given=Given(tool))
        form.add_error(None, error.message)
        return form
    return GenerateForm(request.POST, base=base, given=pictures)


def refuse_or(request: HttpRequest, form: GenerateForm, begin: Callable[[], HttpResponse]) -> HttpResponse:
    """What `begin` answers to a right form; else the form again, with its words and the reason."""
    if form.is_valid():
        try:
            return begin()
        except DomainError as error:
            form.add_error(None, error.message)
    return _form_page(request, form, status=422)


def _form_page(request: HttpRequest, form: GenerateForm, notes: Sequence[str] = (), status: int = 200) -> HttpResponse:
    template = "generation/form.html" if is_fragment(request) else "generation/create.html"
    return render(request, template, form_context(request, form, form.base.key, notes), status=status)


@require_POST
def attach(request: HttpRequest) -> HttpResponse:
    """The form with another tool (`to`), or with a picture that was just chosen; nothing is judged yet."""
    before = given.tool_of(request.POST.get("tool", ""))
    sent = posted_form(request, request.POST.get("to", ""))
    wrong = _marked(request, sent)
    # Knobs of one name mean other things to another tool, which has defaults of its own.
    stale = {param.name for param in tools.own_params(before, sent.base)} if sent.tool.key != before else set()
    words = {name: _sent(request.POST, name) for name in sent.fields if name in request.POST and name not in stale}
    form = GenerateForm(initial=words, base=sent.base.key, given=sent.given)
    context = form_context(request, form, sent.base.key, [*wrong, *sent.non_field_errors()])
    template = "generation/form.html" if is_fragment(request) else "generation/create.html"
    return render(request, template, {**context, "linked": True})


def _marked(request: HttpRequest, form: GenerateForm) -> list[str]:
    """What is wrong with the box, where the mask is marked with one: the way to a mask without a mouse."""
    try:
        if how := request.POST.get("mark", ""):
            given.mark(form.given, how)
    except DomainError as error:
        return [error.message]
    return []


def _sent(words: QueryDict, name: str) -> Any:
    return words.getlist(name) if name in SEVERAL else words[name]


@require_GET
def input_file(request: HttpRequest, key: str) -> HttpResponseBase:
    """A picture that a tool was given."""
    kind = "image/jpeg" if key.endswith(".jpg") else "image/png"
    return files.respond(request, storage.key_of(inputs.path_of(key)), kind)


def _started(request: HttpRequest, generation: Generation) -> HttpResponse:
    """The form stays as it is; its results list puts the new pictures on top."""
    if not is_fragment(request):
        return redirect(generation.get_absolute_url())
    return HttpResponse(status=204, headers={"HX-Trigger": "pictures:changed"})


def _base(wanted: str) -> str:
    """The base the form is for. Invalid: a name that is no base."""
    return bases.find(wanted or bases.default_key()).key


def _fresh_form(query: QueryDict) -> tuple[GenerateForm, str, list[str]]:
    """An empty form, or one filled from an earlier recipe, for the LoRA or character that the link names; with what is
    to be said of it."""
    tool = given.tool_of(str(query.get("tool", "")))
    if (found := _recalled(query)) is not None:
        return GenerateForm(base=found.base, initial=found.values, given=found.given), found.base, found.notes
    lora = _linked_lora(query)
    base = _base(query.get("base") or (lora.base if lora else ""))
    initial: dict[str, Any] = {"lora": lora.public_id if lora else None}
    if lora:
        initial |= {"lora_strength": lora.default_strength, "prompt": f"a photo of {lora.trigger_word}"}
    return GenerateForm(base=base, initial=initial, given=Given(tool)), base, _gone(query)


def _gone(query: QueryDict) -> list[str]:
    """In words, what the link leads to and is no more: a form that begins anew without a word would surprise."""
    named = (
        ("from", Generation.objects.filter(job__public_id=query.get("from", "")), "The request that this came from"),
        ("lora", Lora.objects.filter(public_id=query.get("lora", "")), "The LoRA that was chosen"),
    )
    return [f"{what} was deleted." for name, rows, what in named if query.get(name) and not rows.exists()]


def _recalled(query: QueryDict) -> Recalled | None:
    """`from` names a request, `picture` one of its pictures, `seed` another seed for it."""
    source = Generation.objects.select_related("lora__character").filter(job__public_id=query.get("from", "")).first()
    if source is None:
        return None
    one = query.get("picture", "")
    found = recall.of_picture(source, int(one)) if one.isdecimal() and len(one) < 5 else recall.of_request(source)
    if "seed" in query:
        found.values["seed"] = query["seed"]
    if "tool" in query:
        found.given = _going_on(given.tool_of(str(query["tool"])), source, one)
        if one and found.given.facts.inputs and found.given.origin is None:
            found.notes.append("That picture was deleted. Choose another one.")
    return found


def _going_on(tool: str, source: Generation, index: str) -> Given:
    """A tool that goes on with a picture of a request, the first one unless told."""
    number = int(index) if index.isdecimal() and len(index) < 5 else 0
    output = source.outputs.filter(index=number).select_related("generation__job").first()
    return given.of_picture(tool, output) if output else Given(tool)


def _linked_lora(query: QueryDict) -> Lora | None:
    if wanted := query.get("lora"):
        return Lora.objects.filter(public_id=wanted).first()
    if character := query.get("character"):
        return Lora.objects.active().filter(character__public_id=character).first()
    if "from" in query:
        return None
    return Lora.objects.active().worn_by(_base(query.get("base", ""))).newest_first().first()


def form_context(request: HttpRequest, form: GenerateForm, base: str, notes: Sequence[str] = ()) -> dict[str, Any]:
    return {
        "form": form,
        "base": catalog.get(base),
        "bases": training.base_choices(base, for_training=False),
        "linked": bool(set(request.GET) - {"tool"}) or bool(notes),
        "chosen": wearing.find(str(form["lora"].value() or "")),
        "has_loras": bool(form.offered),
        "notes": notes,
        **_page_of(request),
    }


def _page_of(request: HttpRequest) -> dict[str, Any]:
    """The newest requests, those `before` one, or those `newer` than the newest that the page shows."""
    before, newer = (lists.number(request.GET.get(name, "")) for name in ("before", "newer"))
    found = shown.recent()
    if newer is not None:
        rows, more = list(found.filter(job_id__gt=newer)[:PAGE]), False
    else:
        rows = list((found if before is None else found.filter(job_id__lt=before))[: PAGE + 1])
        more = len(rows) > PAGE
    top = rows[0].job_id if rows else newer
    address = reverse("generation:results")
    return {
        "cards": shown.cards(rows[:PAGE]),
        "next_url": f"{address}?before={rows[PAGE - 1].job_id}" if more else "",
        "newer_url": f"{address}?newer={top}" if top and before is None else "",
        "whole": newer is None,
        "busy": before is None and services.is_busy(),
    }


@require_GET
def hint(request: HttpRequest) -> HttpResponse:
    """What the chosen LoRA's trigger word and usual strength are, asked again when another one is chosen."""
    chosen = wearing.find(request.GET.get("lora", ""))
    usual = shown.usual_strength(chosen, request.GET.get("lora_strength", ""))
    filled = GenerateForm(base=chosen.base, initial={"lora_strength": usual}) if chosen and usual else None
    strength = filled["lora_strength"] if filled else None
    return render(request, "generation/hint.html", {"chosen": chosen, "strength": strength})


@require_GET
def frame(request: HttpRequest) -> HttpResponse:
    """Shapes, sizes and steps as the chosen quality has them."""
    base = _base(request.GET.get("base", ""))
    form = GenerateForm(base=base, initial={name: request.GET.get(name) for name in ("shape", "quality", "steps")})
    form.initial.update(_sides(form, request.GET))
    return render(request, "generation/frame.html", {"form": form, "base": catalog.get(base), "oob": True})


def _sides(form: GenerateForm, sent: QueryDict) -> dict[str, Any]:
    """Pixels of the named shape in its quality; those of one's own stay as they were typed."""
    if sent.get("shape") == CUSTOM:
        return {name: sent[name] for name in ("width", "height") if name in sent}
    named = [shape for shape in shapes.shapes_for(form.base, form.tier()) if shape.ratio == sent.get("shape")]
    return {"width": named[0].width, "height": named[0].height} if named else {}


@require_POST
def recall_file(request: HttpRequest) -> HttpResponse:
    """The form again, filled from the recipe inside a picture that was dropped."""
    base = _base(request.POST.get("base", ""))
    file = request.FILES.get("picture")
    if file is None:
        raise Invalid("no_file", "Choose a picture first.")
    with photos.received(file) as (path, _):
        found = recall.of_file(path, base)
    form = GenerateForm(base=found.base, initial=found.values)
    return _form_page(request, form, [f"Filled from a picture made by {found.program}.", *found.notes])


@require_POST
def keep_style(request: HttpRequest) -> HttpResponse:
    """The words of the prompt box as a style of one's own."""
    sent = request.POST
    styles.keep(name=sent.get("name", ""), text=sent.get("text", ""), negative=sent.get("negative", ""))
    return _styles(request, "Style kept.")


@require_POST
def delete_style(request: HttpRequest) -> HttpResponse:
    styles.delete(name=request.POST.get("name", ""))
    return _styles(request, "Style deleted.", forgot=True)


def _styles(request: HttpRequest, said: str, forgot: bool = False) -> HttpResponse:
    if not is_fragment(request):
        return redirect("generation:create")
    form = GenerateForm(base=_base(request.POST.get("base", "")))
    context = {"form": form, "base": form.base, "own": True, "forgot": forgot}
    return toast(render(request, "generation/styles.html", context), said)


@require_POST
def cancel_all(request: HttpRequest) -> HttpResponse:
    count = services.cancel_all()
    said = f"Stopping {count} {'request' if count == 1 else 'requests'}; finished pictures stay."
    if not is_fragment(request):
        return redirect("generation:create")
    return toast(render(request, "generation/create.html#results", _page_of(request)), said, "info")


@require_GET
def results(request: HttpRequest) -> HttpResponse:
    """The newest requests, the page before one, or what is newer than what the page shows."""
    return render(request, "generation/create.html#results", _page_of(request))


@require_GET
def detail(request: HttpRequest, public_id: str) -> HttpResponse:
    generation = access.get_generation(public_id)
    return render_page(request, "generation/detail.html", "card", shown.card(generation))


@require_GET
def video(request: HttpRequest) -> HttpResponse:
    """Says honestly what is not there yet."""
    return render(request, "generation/video.html")

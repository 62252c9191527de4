"""Prompt styles: words around the user's own. Those that come with the studio, and those that somebody kept."""

from dataclasses import dataclass

from django.db import IntegrityError, transaction

from generation.models import PromptStyle
from isengard.errors import Conflict, Invalid, NotFound

WORDS = "{prompt}"
MOST = 5
LONGEST_NAME = 40


@dataclass(frozen=True)
class Style:
    """`text` holds {prompt} where the user's words go; `negative` is used where the base can avoid things."""

    name: str
    text: str
    negative: str = ""
    own: bool = False


BUILT_IN = (
    Style("Photo", "{prompt}, photograph, natural light, sharp focus, 50 mm", "drawing, painting, blurry"),
    Style("Studio portrait", "studio portrait of {prompt}, softbox light, plain background, 85 mm", "clutter, blurry"),
    Style("Cinematic", "cinematic still of {prompt}, shallow depth of field, film grain, dramatic light", "flat light"),
    Style("Golden hour", "{prompt}, outdoors at golden hour, warm low sun, long shadows", "night, flat light"),
    Style("Black and white", "black and white photograph of {prompt}, high contrast, film grain", "colour"),
    Style("Analog film", "{prompt}, 35 mm film photograph, faded colours, grain, light leak", "digital, sharp"),
    Style("Oil painting", "oil painting of {prompt}, visible brush strokes, canvas texture", "photograph"),
    Style("Watercolour", "watercolour painting of {prompt}, soft edges, paper texture", "photograph"),
    Style("Pencil sketch", "pencil sketch of {prompt}, fine hatching, white paper", "colour, photograph"),
    Style("Comic", "comic book drawing of {prompt}, ink outlines, flat colours", "photograph"),
    Style("3D render", "3D render of {prompt}, soft global illumination, smooth materials", "photograph, grain"),
)


def every() -> list[Style]:
    """The user's own first, by name."""
    own = [Style(row.name, row.text, row.negative, own=True) for row in PromptStyle.objects.all()]
    return [*own, *(style for style in BUILT_IN if style.name not in {kept.name for kept in own})]


def chosen(names: list[str]) -> list[Style]:
    """In the order they are applied. Invalid: too many, or one that is gone."""
    if len(names) > MOST:
        raise Invalid("many_styles", f"At most {MOST} styles can be combined.")
    known = {style.name: style for style in every()} if names else {}
    for name in names:
        if name not in known:
            raise Invalid("no_style", f"There is no style called {name!r}. It may have been deleted; choose another.")
    return [known[name] for name in dict.fromkeys(names)]


def applied(prompt: str, styles: list[Style]) -> str:
    """The user's words inside the first style, that inside the next, and so on."""
    for style in styles:
        prompt = style.text.replace(WORDS, prompt)
    return prompt


def avoided(negative: str, styles: list[Style]) -> str:
    """What the user does not want, and what the styles do not."""
    return ", ".join(dict.fromkeys(part for part in (negative.strip(), *(style.negative for style in styles)) if part))


def keep(*, name: str, text: str, negative: str = "") -> PromptStyle:
    """A style of the user's own. Invalid: no name, no words, too many. Conflict: the name is taken."""
    name, text = " ".join(name.split()), text.strip()
    if not name or len(name) > LONGEST_NAME:
        raise Invalid("bad_style", f"Give the style a name of at most {LONGEST_NAME} characters.")
    if not text or len(text) > 1000 or len(negative) > 1000:
        raise Invalid("bad_style", "Write the words of the style, at most 1000 characters.")
    text = text if WORDS in text else f"{WORDS}, {text}"
    try:
        with transaction.atomic():
            return PromptStyle.objects.create(name=name, text=text, negative=negative.strip())
    except IntegrityError:
        raise Conflict("style_taken", f"You have a style called {name!r} already. Delete it first.") from None


def delete(*, name: str) -> None:
    """NotFound: it is not one of the user's own."""
    if not PromptStyle.objects.filter(name=name).delete()[0]:
        raise NotFound("not_found", f"There is no style of your own called {name!r}.")

"""Captions written from what is already known of a photo; needs no model. Plain values, no models, no request."""

import re
from dataclasses import dataclass

from characters.captions.text import tidy
from isengard.errors import Invalid

FIELD = re.compile(r"\{([^{}]*)\}")
FIELDS = {
    "trigger": "the trigger word",
    "class": "woman, man, girl, boy or person, from the character's description and captions",
    "tags": "the photo's tags",
    "framing": "close-up, upper body or full body, as the doctor saw it",
    "filename": "the uploaded file's name without its extension",
    "name": "the character's name",
}
# Both spellings of the trigger are taken, as prompts have the second.
ALIASES = {"trigger_word": "trigger"}
DEFAULT = "a photo of {trigger}, {framing}, {tags}"
EXAMPLES = (DEFAULT, "a photo of {trigger} {class}, {tags}", "{trigger}, {filename}")
FRAMINGS = {"close": "close-up", "half": "upper body", "full": "full body"}
MAX_TEMPLATE = 500


@dataclass(frozen=True)
class Facts:
    """What a template may name; empty where nothing is known."""

    trigger: str
    class_word: str
    tags: str = ""
    framing: str = ""
    filename: str = ""
    name: str = ""

    def value(self, field: str) -> str:
        known = {"class": self.class_word, "framing": FRAMINGS.get(self.framing, ""), "filename": _words(self.filename)}
        return known[field] if field in known else str(getattr(self, field))


def check(template: str) -> str:
    """The template, stripped. Invalid: empty, too long, or a field that does not exist."""
    wanted = template.strip()
    if not wanted or len(wanted) > MAX_TEMPLATE:
        raise Invalid("bad_template", f"A template has 1 to {MAX_TEMPLATE} characters, such as: {DEFAULT}")
    for field in FIELD.findall(wanted):
        if ALIASES.get(field, field) not in FIELDS:
            known = ", ".join(f"{{{name}}}" for name in FIELDS)
            raise Invalid("bad_template", f"A template knows no {{{field}}}. Use {known}.")
    if set(FIELD.sub("", wanted)) & set("{}"):
        raise Invalid("bad_template", "A brace in a template opens or closes a field, such as {trigger}; one is alone.")
    return wanted


def render(template: str, facts: Facts) -> str:
    """The caption of one photo; a field without a value leaves no trace. The template has been checked."""
    filled = FIELD.sub(lambda match: facts.value(ALIASES.get(match[1], match[1])), template)
    return tidy(filled)


def _words(filename: str) -> str:
    """ "holiday_in-rome 2.jpg" → "holiday in rome 2"; a camera's own number ("IMG_1234", "DSC00012") says nothing."""
    stem = filename.rpartition(".")[0] or filename
    if re.fullmatch(r"(?i)(?:img|dsc|dscn|dscf|pxl|mvimg|p|photo|image)?[\W_]*[\d\W_]+(?:\(\d+\)|_hdr|_mp)?", stem):
        return ""
    return re.sub(r"[\s_-]+", " ", stem).strip()

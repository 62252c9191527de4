"""Words of captions as plain strings: the trigger in them, the class word, tidying. No models, no tokenizer.

Training and the caption pages share `training_text`, so what a page previews is what the trainer is given."""

import re

PLACEHOLDER = "{trigger_word}"
# The nouns that a caption uses for its subject; the trigger takes their place, so that it alone names the person.
SUBJECT = re.compile(r"\b(?:an?|the) (?:woman|man|girl|boy|person)\b", re.IGNORECASE)
CLASS = re.compile(r"\b(woman|man|girl|boy)\b", re.IGNORECASE)
DEFAULT_CLASS = "person"
MAX_CAPTION = 2000

# What taking words out of the middle leaves behind: joining words with nothing to join, doubled and stray commas.
DANGLING = re.compile(
    r"\b(?:with|and|has|having|a|an|her|his|their)\b(?=\s*(?:[,.;]|$)|\s+(?:and|with)\b)", re.IGNORECASE
)
WITH_AND = re.compile(r"\b(with|has|having)\s+and\b", re.IGNORECASE)
AFTER_COMMA = re.compile(r",\s*(?:and|with)\s*(?=[,.]|$)", re.IGNORECASE)
COMMAS = re.compile(r"\s*,(?:\s*,)+\s*")
SPACES = re.compile(r"[ \t]+")


def contains(text: str, trigger: str) -> bool:
    """True when the trigger stands in the text as a word of its own, in its exact case."""
    return re.search(rf"(?<!\w){re.escape(trigger)}(?!\w)", text) is not None


def training_text(text: str, trigger: str) -> str:
    """A photo's caption as training reads it: "a woman, smiling" → "ohwx, smiling"; none → "a photo of ohwx"."""
    if not text.strip():
        return f"a photo of {trigger}"
    filled = text.replace(PLACEHOLDER, trigger).strip()
    if contains(filled, trigger):
        return filled
    # A function, because a replacement string would read backslashes in the trigger.
    named, found = SUBJECT.subn(lambda _: trigger, filled, count=1)
    return named if found else f"{trigger}, {filled}"


def class_word(*texts: str) -> str:
    """What the person is one of, from the first text that says so ("ohwx woman, smiling" → "woman")."""
    for text in texts:
        if match := CLASS.search(text):
            return match[1].lower()
    return DEFAULT_CLASS


def tidy(text: str) -> str:
    """Without what a removal leaves behind: "ohwx with , smiling" → "ohwx, smiling"."""
    before = None
    while before != text:
        before = text
        text = AFTER_COMMA.sub("", DANGLING.sub("", WITH_AND.sub(r"\1", text)))
        text = COMMAS.sub(", ", SPACES.sub(" ", text))
        text = re.sub(r"\s+([,.;])", r"\1", text).strip(" ,;\t")
    return text

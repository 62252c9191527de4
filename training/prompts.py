"""Where the trigger word goes: into captions, sample prompts and the prompts of pictures. Plain strings, no models."""

import re

PLACEHOLDER = "{trigger_word}"
# The nouns that a caption uses for its subject; the trigger takes their place, so that it alone names the person.
SUBJECT = re.compile(r"\b(?:an?|the) (?:woman|man|girl|boy|person)\b", re.IGNORECASE)
CLASS = re.compile(r"\b(woman|man|girl|boy)\b", re.IGNORECASE)
DEFAULT_CLASS = "person"

# Drawn during training; the seed stays, so a column of them shows the learning.
BUILT_IN = (
    "a photo of {trigger_word}",
    "a portrait of {trigger_word}, smiling",
    "a photo of {trigger_word}, close-up, blue background",
    "a picture of {trigger_word}, looking left, white shirt",
)


def contains(text: str, trigger: str) -> bool:
    """True when the trigger stands in the text as a word of its own, in its exact case."""
    return re.search(rf"(?<!\w){re.escape(trigger)}(?!\w)", text) is not None


def insert_trigger(prompt: str, trigger: str) -> str:
    """The prompt with the trigger in it: at `{trigger_word}`, where it already is, else in front."""
    filled = prompt.replace(PLACEHOLDER, trigger).strip()
    return filled if contains(filled, trigger) else f"{trigger}, {filled}"


def caption(text: str, trigger: str) -> str:
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


def leak_check(class_word: str) -> str:
    """A prompt without the trigger: the person must not appear in its pictures."""
    return f"a photo of a {class_word}"


def sample_prompts(custom: list[str], count: int, trigger: str, class_word: str) -> tuple[str, ...]:
    """`count` prompts, the user's first, then built-in ones; two or more built-in ones end with the leak check."""
    own = [insert_trigger(prompt, trigger) for prompt in custom][:count]
    room = count - len(own)
    checks = [leak_check(class_word)] if room >= 2 or (room and own) else []
    built_in = [prompt.replace(PLACEHOLDER, trigger) for prompt in BUILT_IN]
    return tuple(own + built_in[: room - len(checks)] + checks)

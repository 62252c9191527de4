"""Where the trigger word goes: into sample prompts and the prompts of pictures (captions: characters.captions.text)."""

from characters.captions.text import PLACEHOLDER, class_word, contains
from characters.captions.text import training_text as caption

__all__ = ["BUILT_IN", "caption", "class_word", "contains", "insert_trigger", "leak_check", "sample_prompts"]

# Drawn during training; the seed stays, so a column of them shows the learning.
BUILT_IN = (
    "a photo of {trigger_word}",
    "a portrait of {trigger_word}, smiling",
    "a photo of {trigger_word}, close-up, blue background",
    "a picture of {trigger_word}, looking left, white shirt",
)


def insert_trigger(prompt: str, trigger: str) -> str:
    """The prompt with the trigger in it: at `{trigger_word}`, where it already is, else in front."""
    filled = prompt.replace(PLACEHOLDER, trigger).strip()
    return filled if contains(filled, trigger) else f"{trigger}, {filled}"


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

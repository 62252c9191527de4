"""From what a person wrote to the words and seeds of each picture: trigger words, styles, choices. Knows no request."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from characters.captions.text import PLACEHOLDER
from generation import dynamic, styles, wildcards
from isengard.errors import Invalid
from training.prompts import insert_trigger

MAX_PROMPT = 2000
SEEDS = 2**31
SEED_MODES: dict[str, str] = {"increment": "One after another", "random": "All random", "locked": "All the same"}


@dataclass(frozen=True)
class Written:
    """A request in the person's own words; kept, so that the form can show it again."""

    prompt: str
    styles: list[str] = field(default_factory=list)
    seeds: str = "increment"

    def to_dict(self) -> dict[str, Any]:
        return {"prompt": self.prompt, "styles": self.styles, "seeds": self.seeds}


def require_prompt(prompt: str) -> None:
    if not prompt.strip():
        raise Invalid("no_prompt", "The prompt is empty. Describe the picture in a few words.")
    require_length(prompt)


def require_length(prompt: str) -> None:
    if len(prompt) > MAX_PROMPT:
        raise Invalid("long_prompt", f"The prompt has {len(prompt)} characters; at most {MAX_PROMPT} are allowed.")


def worded(written: Written, triggers: Sequence[str]) -> str:
    """The prompt with each trigger once and its styles around it; choices are still open.

    Invalid: empty, too long, a style that is gone, or a placeholder without a character."""
    require_prompt(written.prompt)
    if PLACEHOLDER in written.prompt and not triggers:
        raise Invalid(
            "no_trigger", f"The prompt says {PLACEHOLDER}, but no character is chosen. Choose one or remove it."
        )
    text = styles.applied(with_triggers(written.prompt, triggers), styles.chosen(written.styles))
    require_length(text)
    return text


def with_triggers(prompt: str, triggers: Sequence[str]) -> str:
    """The first takes the placeholder's place; those that are missing stand in front, in their order."""
    text = prompt.strip()
    for trigger in triggers[:1]:
        text = insert_trigger(text, trigger)
    for trigger in reversed(triggers[1:]):
        text = insert_trigger(text, trigger)
    return text


def seeds_of(mode: str, first: int | None, count: int) -> list[int]:
    """One for each picture; the last number is followed by zero. Invalid: no such mode."""
    if mode not in SEED_MODES:
        raise Invalid("bad_param", f"seeds is {mode!r}, but must be one of {', '.join(SEED_MODES)}.")
    start = secrets.randbelow(SEEDS) if first is None else first
    if mode == "random":
        return [start, *(secrets.randbelow(SEEDS) for _ in range(count - 1))]
    return [start if mode == "locked" else (start + index) % SEEDS for index in range(count)]


def variants_of(text: str, triggers: Sequence[str], mode: str, seeds: Sequence[int]) -> list[dict[str, Any]]:
    """What each picture has of its own; empty where only the seeds differ, one after another.

    Invalid: a wildcard that is not there, words too long, or the same picture several times."""
    if not dynamic.is_dynamic(text):
        if mode == "locked" and len(seeds) > 1:
            raise Invalid(
                "same_picture",
                "With one seed for all, these pictures would be the same. Ask for one, or put a choice like {red|blue} "
                "into the prompt.",
            )
        return [{"seed": seed} for seed in seeds] if mode == "random" and len(seeds) > 1 else []
    return [{"seed": seed, "prompt": chosen_words(text, triggers, f"{seed}:{at}")} for at, seed in enumerate(seeds)]


def chosen_words(text: str, triggers: Sequence[str], seed: str) -> str:
    """A choice may have taken a trigger away, so each is looked for again."""
    chosen = with_triggers(dynamic.expand(text, seed, wildcards.lines), triggers)
    require_prompt(chosen)
    return chosen

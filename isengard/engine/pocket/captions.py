"""Captions for portraits, in several wordings; short: Pocket reads 32 text tokens, and of the longest the end is cut.

`say` also reports which attributes the sentence told: that is what the text encoders are first taught to read.
"""

from __future__ import annotations

import numpy as np

from isengard.engine.pocket.people import (
    BACKGROUNDS,
    BEARDS,
    EXPRESSIONS,
    FRAMES,
    GLASSES,
    HAIR_COLOURS,
    HAIR_STYLES,
    HAT_COLOURS,
    HATS,
    SHIRTS,
    SKINS,
    Person,
    Shot,
    worn_glasses,
)  # fmt: skip

OPENINGS = ("a photo of {}", "{}", "a portrait of {}", "a picture of {}")
#: attribute → every value that a caption can tell; what is absent ("none") or usual is never told
ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "sex": ("woman", "man"), "skin": tuple(SKINS), "hair_style": HAIR_STYLES, "hair_colour": tuple(HAIR_COLOURS),
    "beard": BEARDS[1:], "freckles": ("freckles",), "glasses": GLASSES[1:], "frame": tuple(FRAMES),
    "expression": EXPRESSIONS, "gaze": ("left", "right"), "crop": ("close",), "hat": HATS[1:],
    "hat_colour": HAT_COLOURS, "shirt": tuple(SHIRTS), "background": tuple(BACKGROUNDS),
}  # fmt: skip
#: these stay with a person, so a known name tells them too
IDENTITY = ("sex", "skin", "hair_style", "hair_colour", "beard", "freckles", "glasses", "frame")
#: now and then a word is said another way, so that the usual synonyms mean something
SYNONYMS: dict[str, tuple[str, ...]] = {
    "woman": ("girl", "lady"), "man": ("guy", "boy"), "auburn hair": ("red hair", "ginger hair"), "grey": ("gray",),
    "blond": ("blonde",), "smiling": ("happy", "with a smile"), "serious": ("calm", "neutral"),
    "background": ("backdrop", "wall"), "shirt": ("sweater", "top"), "beanie": ("woolly hat",), "dark": ("black",),
}  # fmt: skip
Phrase = tuple[str, tuple[str, ...], bool]  # words, the attributes they tell, may be left out


def facts(who: Person, how: Shot) -> dict[str, str]:
    """Attribute → value of one picture, the ground truth behind its captions; "none" where there is nothing."""
    glasses = worn_glasses(who, how)
    framed = glasses in ("round", "square")
    return {
        "sex": who.sex,
        "skin": who.skin,
        "hair_style": who.hair_style,
        "hair_colour": "none" if who.hair_style == "bald" else who.hair_colour,
        "beard": who.beard,
        "freckles": "freckles" if who.freckles else "none",
        "glasses": glasses,
        "frame": who.frame_colour if framed else "none",
        "expression": how.expression,
        "gaze": "left" if how.turn < -0.45 else "right" if how.turn > 0.45 else "none",
        "crop": "close" if how.zoom > 1.3 else "none",
        "hat": how.hat,
        "hat_colour": how.hat_colour if how.hat != "none" else "none",
        "shirt": how.shirt,
        "background": how.background,
    }


def _looks(fact: dict[str, str]) -> list[Phrase]:
    style, colour = fact["hair_style"], fact["hair_colour"]
    special = {"bald": "bald", "bob": f"{colour} bob hair", "bun": f"{colour} hair in a bun"}
    hair = special.get(style, f"{style} {colour} hair")
    phrases: list[Phrase] = [(hair, ("hair_style", "hair_colour"), True), (f"{fact['skin']} skin", ("skin",), True)]
    phrases += [(fact[key], (key,), False) for key in ("beard", "freckles") if fact[key] != "none"]
    if fact["glasses"] in ("round", "square"):
        frame = "" if fact["frame"] == "black" else f" {fact['frame']}"
        phrases.append((f"{fact['glasses']}{frame} glasses", ("glasses", "frame"), False))
    return phrases


def _situation(fact: dict[str, str]) -> list[Phrase]:
    phrases: list[Phrase] = [("sunglasses", ("glasses",), False)] if fact["glasses"] == "sunglasses" else []
    phrases.append((fact["expression"], ("expression",), True))
    if fact["gaze"] != "none":
        phrases.append((f"looking {fact['gaze']}", ("gaze",), True))
    if fact["crop"] != "none":
        phrases.append(("close-up", ("crop",), True))
    if fact["hat"] != "none":
        colour = "" if fact["hat"] == "top hat" else f"{fact['hat_colour']} "
        phrases.append((f"{colour}{fact['hat']}", ("hat", "hat_colour"), False))
    phrases.append((f"{fact['shirt']} shirt", ("shirt",), True))
    phrases.append((f"{fact['background']} background", ("background",), True))
    return phrases


def _reword(words: str, rng: np.random.Generator) -> str:
    for usual, others in SYNONYMS.items():
        if usual in words.split() or words.endswith(usual):
            return words.replace(usual, others[int(rng.integers(len(others)))])
    return words


def say(
    fact: dict[str, str], rng: np.random.Generator, name: str | None, looks: bool, drop: float = 0.0, vary: float = 0.0
) -> tuple[str, set[str]]:
    """One sentence and the attributes it tells; `drop` and `vary` are the chances to omit or reword each part."""
    subject, told = f"a {fact['sex']}", {"sex"}
    if name is not None:
        bare = rng.random() < 0.6
        subject, told = (name, set()) if bare else (f"{name} {fact['sex']}", told)
    phrases = [p for p in [*(_looks(fact) if looks else []), *_situation(fact)] if not p[2] or rng.random() >= drop]
    if rng.random() < 0.25:
        phrases = [phrases[i] for i in rng.permutation(len(phrases))]
    parts = [_reword(words, rng) if rng.random() < vary else words for words, _, _ in phrases]
    if name is None and rng.random() < vary:
        subject = _reword(subject, rng)
    opening = OPENINGS[int(rng.choice(4, p=(0.4, 0.35, 0.15, 0.1)))].format(subject)
    joint = " with " if parts and "hair" in parts[0] and rng.random() < 0.4 else ", "
    return joint.join([opening, ", ".join(parts)]) if parts else opening, told.union(*[p[1] for p in phrases])


def caption(
    who: Person, how: Shot, rng: np.random.Generator, name: str | None = None, looks: bool | None = None
) -> str:
    """A full caption of the picture; a named person's looks are told in one caption of three unless `looks` says."""
    if looks is None:
        looks = name is None or rng.random() < 0.33
    return say(facts(who, how), rng, name, looks)[0]


def vocabulary() -> list[str]:
    """Every word that a caption without a name can hold."""
    words = {
        "a",
        "photo",
        "of",
        "portrait",
        "picture",
        "with",
        "hair",
        "in",
        "skin",
        "looking",
        "close",
        "up",
        "glasses",
    }
    for values in ATTRIBUTES.values():
        words.update(word for value in values for word in value.split())
    for usual, others in SYNONYMS.items():
        words.update(word for text in (usual, *others) for word in text.split())
    return sorted(words)

"""The words for what is fixed in a person's looks, and how they are found in a caption. Plain strings.

Sources. The traits: those of the 40 attributes of CelebA that stay from photo to photo (Liu et al., "Deep Learning Face
Attributes in the Wild", ICCV 2015, section 4: hair colour and form, brows, eyes, nose, lips, chin, cheekbones, face
shape, skin, beard, bald, young), without those that change (glasses, smile, hat, make-up, jewellery). Scars, moles and
tattoos: the soft biometrics of ANSI/NIST-ITL 1-2011, record type 10 (scars, marks, tattoos)."""

import re
from collections.abc import Iterator

COLOURS = "black brown dark light blonde blond red ginger auburn chestnut copper grey gray white silver platinum golden"
# What each noun can be called by that stays; "closed eyes", "open mouth" or "wet hair" are of one photo.
NOUNS: dict[str, tuple[str, str]] = {
    "hair": (
        "hair",
        f"{COLOURS} raven long short medium-length shoulder-length curly wavy straight frizzy thick thin fine "
        "dark-brown light-brown",
    ),
    "bangs": ("hair", f"{COLOURS} long short straight curly"),
    "eyes?": ("eyes", f"{COLOURS} blue green hazel amber big large small narrow wide-set deep-set almond-shaped round"),
    "skin(?: tone)?": (
        "skin",
        "pale fair light dark brown black white tan tanned olive freckled porcelain ebony medium",
    ),
    "complexion": ("skin", "pale fair light dark olive ruddy freckled"),
    "(?:eye)?brows?": ("brows", f"{COLOURS} thick thin bushy arched straight full"),
    "nose": ("nose", "big small large pointy pointed long short wide narrow straight hooked aquiline crooked button"),
    "lips?": ("lips", "full thin big plump thick narrow"),
    "(?:chin|jaw|jawline)": (
        "chin",
        "double strong sharp square pointed round weak prominent cleft chiseled chiselled",
    ),
    "cheekbones?": ("cheekbones", "high prominent sharp strong"),
    "forehead": ("face", "high low wide large broad"),
    "face": ("face", "oval round square long narrow wide heart-shaped angular chubby thin"),
    "(?:beard|moustache|mustache|goatee|stubble|sideburns)": (
        "beard",
        f"{COLOURS} full long short thick bushy trimmed",
    ),
    "(?:build|body|figure)": ("build", "slim thin slender athletic muscular stocky heavy petite curvy"),
}
# Words that name a trait on their own.
ALONE: dict[str, str] = {
    "scars?": "mark", "freckles?": "mark", "birthmarks?": "mark", "moles?": "mark", "dimples?": "mark",
    "tattoos?": "mark", "beauty mark": "mark", "wrinkles?": "mark", "beard": "beard", "moustache": "beard",
    "mustache": "beard", "goatee": "beard", "stubble": "beard", "sideburns": "beard", "bald": "hair",
    "bald head": "hair", "receding hairline": "hair", "brunette": "hair", "redhead": "hair", "blonde": "hair",
    "(?:blue|green|brown|hazel|dark|grey|gray)-eyed": "eyes",
    "(?:dark|light|pale|fair|brown)-skinned": "skin",
    "(?:dark|fair|red|brown|black|grey|gray|blond|blonde)-haired": "hair",
    r"\d+[ -]years?[ -]old": "age", "middle-aged": "age", "elderly": "age",
    "asian": "origin", "african": "origin", "african american": "origin", "caucasian": "origin", "hispanic": "origin",
    "latina": "origin", "latino": "origin",
}  # fmt: skip
LABELS = {
    "hair": "hair", "eyes": "eyes", "skin": "skin", "brows": "eyebrows", "nose": "nose", "lips": "lips", "chin": "chin",
    "cheekbones": "cheekbones", "face": "shape of the face", "beard": "beard", "build": "build",
    "mark": "a lasting mark", "age": "age", "origin": "origin",
}  # fmt: skip


def _described(noun: str, words: str) -> str:
    """ "long, dark and curly hair": any of the words, joined by spaces, commas or "and", then the noun."""
    one = "|".join(sorted((re.escape(word) for word in words.split()), key=len, reverse=True))
    return rf"(?:(?:{one})(?:\s*,\s*|\s+and\s+|\s+))+{noun}"


def _compiled() -> tuple[tuple[re.Pattern[str], str], ...]:
    described = [(_described(noun, words), LABELS[key]) for noun, (key, words) in NOUNS.items()]
    alone = [(words, LABELS[key]) for words, key in ALONE.items()]
    return tuple(
        (re.compile(rf"(?<![\w-])(?:{form})(?![\w-])", re.IGNORECASE), label) for form, label in described + alone
    )


PATTERNS = _compiled()


def find(text: str) -> list[tuple[str, str]]:
    """The traits named in a caption, in small letters, each with what it is about; none that lies within another."""
    spans = sorted(_spans(text), key=lambda span: (span[0], -span[1]))
    kept: list[tuple[str, str]] = []
    reached = -1
    for start, end, label in spans:
        if end > reached:
            kept.append((" ".join(text[start:end].lower().split()), label))
            reached = end
    return kept


def _spans(text: str) -> Iterator[tuple[int, int, str]]:
    for pattern, label in PATTERNS:
        for match in pattern.finditer(text):
            yield match.start(), match.end(), label

"""Finds what captions should leave to the trigger word: phrases that all of them share, and traits that never change.

A caption tells the training what is *not* the person: what it names is learned as that word's meaning, and only what
it leaves out goes into the trigger. Plain strings; reads no row."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from characters.captions import traits
from characters.captions.text import tidy

# Part 5 of the dataset issue: a phrase in four of five captions or more is as good as always there.
SHARE = 0.8
# Below this "four of five" is said of next to nothing.
FEWEST = 5
LONGEST = 6
WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
# "with brown hair wearing a hat": the "with" goes too, unless more follows that it joins ("with brown hair and a hat").
JOINED = r"\s*\b(?:with|has|having|and)\s+{}\s+(?!and\b|with\b)(?=\w)"
BREAK = re.compile(r"[,.;:!?()\[\]\n]+")
# Grammar, the medium and the class nouns stand in every caption by convention and leak nothing.
PLAIN_WORDS = (
    "a an the of in on at to by for from with without and or but is are was be been being as it its this that these "
    "those he she his her their they who which has have having there here while into over under near behind front "
    "photo photograph picture image portrait snapshot selfie shot close-up closeup close up upper body full half "
    "woman man girl boy person someone people"
)
PLAIN = frozenset(PLAIN_WORDS.split())


@dataclass(frozen=True)
class Finding:
    """`kind` repeated: in SHARE of the captions; trait: names something of the body. `count` of `total` captions."""

    kind: Literal["repeated", "trait"]
    phrase: str
    count: int
    total: int
    label: str = ""

    @property
    def why(self) -> str:
        if self.kind == "trait":
            return (
                f"“{self.phrase}” ({self.label}) is part of the person. A caption that says it ties it to these words: "
                "the trigger alone then calls it less, and other people with it come out like this one. Leave it out, "
                "except where it differs from usual, such as a wig."
            )
        return (
            f"“{self.phrase}” stands in {self.count} of {self.total} captions. What nearly every photo shows and says "
            "cannot be told from the person. If it belongs to the person, leave it to the trigger; if it does not, "
            "add photos without it."
        )


def lint(captions: Iterable[str], trigger: str) -> list[Finding]:
    """The most frequent first; nothing for empty captions. The trigger itself is what should be everywhere."""
    said = [text for text in captions if text.strip()]
    found = _traits(said)
    named = {finding.phrase for finding in found}
    # A trait in every caption is told once, as the trait.
    repeated = [one for one in _repeated(said, trigger) if not any(_holds(one.phrase, name) for name in named)]
    return sorted([*found, *repeated], key=lambda finding: (-finding.count, finding.phrase))


def strip(text: str, phrases: Sequence[str]) -> str:
    """The caption without these phrases (whole words, any case), and without what that leaves dangling."""
    result = text
    # The longest first: "long brown hair" must go before "brown hair" leaves its "long".
    for phrase in sorted(phrases, key=len, reverse=True):
        result = _pattern(phrase).sub("", _pattern(phrase, JOINED).sub(" ", result))
    return text if result == text else tidy(result)


def strip_traits(text: str) -> str:
    """The caption without any fixed trait that the word list knows."""
    return strip(text, [phrase for phrase, _ in traits.find(text)])


def _pattern(phrase: str, form: str = "{}") -> re.Pattern[str]:
    words = r"[\s_]+".join(re.escape(word) for word in phrase.split())
    return re.compile(form.format(rf"(?<!\w){words}(?!\w)"), re.IGNORECASE)


def _traits(captions: Sequence[str]) -> list[Finding]:
    counts: Counter[str] = Counter()
    labels: dict[str, str] = {}
    for text in captions:
        for phrase, label in dict(traits.find(text)).items():
            counts[phrase] += 1
            labels[phrase] = label
    return [Finding("trait", phrase, count, len(captions), labels[phrase]) for phrase, count in counts.items()]


def _repeated(captions: Sequence[str], trigger: str) -> list[Finding]:
    if len(captions) < FEWEST:
        return []
    where: defaultdict[tuple[str, ...], int] = defaultdict(int)
    for text in captions:
        for phrase in _phrases(text, trigger.lower()):
            where[phrase] += 1
    often = {phrase: count for phrase, count in where.items() if count >= SHARE * len(captions)}
    whole = [phrase for phrase in often if not _inside(phrase, often)]
    return [Finding("repeated", " ".join(phrase), often[phrase], len(captions)) for phrase in whole]


def _phrases(text: str, trigger: str) -> set[tuple[str, ...]]:
    """Every run of up to LONGEST words between signs that starts and ends with a word that says something."""
    found: set[tuple[str, ...]] = set()
    for piece in BREAK.split(text.lower()):
        words = WORD.findall(piece)
        telling = [word not in PLAIN and word != trigger for word in words]
        for start in (index for index, tells in enumerate(telling) if tells):
            for end in range(start, min(start + LONGEST, len(words))):
                if words[end] == trigger:
                    break
                if telling[end]:
                    found.add(tuple(words[start : end + 1]))
    return found


def _inside(phrase: tuple[str, ...], others: Iterable[tuple[str, ...]]) -> bool:
    """Part of a longer phrase that is as frequent an answer."""
    return any(len(other) > len(phrase) and _runs(phrase, other) for other in others)


def _runs(part: tuple[str, ...], whole: tuple[str, ...]) -> bool:
    return any(whole[at : at + len(part)] == part for at in range(len(whole) - len(part) + 1))


def _holds(one: str, other: str) -> bool:
    first, second = tuple(one.lower().split()), tuple(other.lower().split())
    return _runs(first, second) or _runs(second, first)

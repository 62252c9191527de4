"""Dynamic prompts: {a|b}, {2$$a|b|c}, {1-2$$ and $$a|b}, {3::often|rare}, __wildcard__. Words of one seed.

Knows text and a way to look a wildcard up; no row, no request. What is no such form stays as it was written."""

import random
import re
from collections.abc import Callable, Sequence

from isengard.errors import Invalid

Lookup = Callable[[str], Sequence[str]]

WILDCARD = re.compile(r"__([A-Za-z0-9][\w/-]{0,79}?)__")
# How many of a group's options, and what stands between them: `2$$`, `1-3$$`, `2$$ and $$`.
COUNT = re.compile(r"(\d{1,3})(?:-(\d{1,3}))?\$\$(?:((?:(?!\$\$)[^|{}])*)\$\$)?")
WEIGHT = re.compile(r"\s*(\d{1,4}(?:\.\d{1,4})?)::")
# Wildcards may name wildcards; a circle of them, or lines that multiply each other, end here.
DEEPEST, MOST_PARTS, LONGEST = 8, 1000, 20_000


def is_dynamic(text: str) -> bool:
    """Whether two seeds could give two texts."""
    return WILDCARD.search(text) is not None or _next_group(text) is not None


def expand(text: str, seed: str, lookup: Lookup) -> str:
    """The words that this seed gives. Invalid: an unknown wildcard, a circle of them, far too many parts."""
    return _Expansion(seed, lookup).of(text, 0).strip()


class _Expansion:
    def __init__(self, seed: str, lookup: Lookup) -> None:
        # Reproducible, not secret: the same seed draws the same words on every machine.
        self.random, self.lookup, self.parts = random.Random(seed), lookup, 0

    def of(self, text: str, depth: int) -> str:
        self._bounded(text, depth)
        done, rest = "", text
        while (group := _next_group(rest)) is not None:
            start, end = group
            done += self._named(rest[:start], depth) + self._chosen(rest[start + 1 : end], depth)
            rest = rest[end + 1 :]
        return done + self._named(rest, depth)

    def _bounded(self, text: str, depth: int) -> None:
        self.parts += 1
        if depth > DEEPEST or self.parts > MOST_PARTS or len(text) > LONGEST:
            raise Invalid(
                "wild_prompt", "The choices in the prompt go round in a circle or are too many. Use fewer of them."
            )

    def _named(self, text: str, depth: int) -> str:
        """Every __wildcard__ as one of its lines."""

        def line(match: re.Match[str]) -> str:
            return self.of(self.random.choice(self.lookup(match[1])), depth + 1)

        return WILDCARD.sub(line, text)

    def _chosen(self, inside: str, depth: int) -> str:
        least, most, between, rest = _counted(inside)
        options = self._options(rest)
        wanted = min(self.random.randint(min(least, most), max(least, most)), len(options))
        picked = self._drawn(options, wanted)
        parts = [self.of(option, depth + 1) for option in picked]
        return parts[0] if wanted == 1 else between.join(part.strip() for part in parts)

    def _options(self, text: str) -> list[tuple[float, str]]:
        """Options with their weights; one that is a wildcard alone stands for each of its lines."""
        found: list[tuple[float, str]] = []
        for option in _split(text):
            weight = WEIGHT.match(option)
            share, words = (float(weight[1]), option[weight.end() :]) if weight else (1.0, option)
            alone = WILDCARD.fullmatch(words.strip())
            lines = self.lookup(alone[1]) if alone else [words]
            found += [(share / len(lines), line) for line in lines]
        return found

    def _drawn(self, options: list[tuple[float, str]], wanted: int) -> list[str]:
        """`wanted` different options, the heavier the likelier."""
        left, picked = list(options), []
        for _ in range(wanted):
            weights = [weight for weight, _ in left]
            at = self.random.choices(range(len(left)), weights if any(weights) else None)[0]
            picked.append(left.pop(at)[1])
        return picked


def _counted(inside: str) -> tuple[int, int, str, str]:
    """Least, most, what stands between, and the options of a group."""
    count = COUNT.match(inside)
    if count is None:
        return 1, 1, ", ", inside
    least = int(count[1])
    return least, int(count[2] or least), ", " if count[3] is None else count[3], inside[count.end() :]


def _next_group(text: str) -> tuple[int, int] | None:
    """Where the first group opens and closes that offers a choice; braces that close nothing are plain text."""
    opened: list[int] = []
    outermost: tuple[int, int] | None = None
    for at, letter in enumerate(text):
        if letter == "{":
            opened.append(at)
        elif letter == "}" and opened:
            start = opened.pop()
            inside = text[start + 1 : at]
            if "|" in inside or COUNT.match(inside):
                outermost = (start, at) if outermost is None or start < outermost[0] else outermost
        if outermost is not None and (not opened or opened[0] > outermost[0]):
            return outermost
    return outermost


def _split(text: str) -> list[str]:
    """At the bars of this level only."""
    parts, depth, word = [], 0, ""
    for letter in text:
        depth += {"{": 1, "}": -1}.get(letter, 0)
        if letter == "|" and depth <= 0:
            parts.append(word)
            word = ""
        else:
            word += letter
    return [*parts, word]

"""Is this a good trigger word, and which would be? Asks the tokenizers of the base model; knows no request."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from characters.captions import tokens
from characters.captions.text import CLASS
from characters.captions.tokens import Reader
from characters.models import Character
from characters.services import TRIGGER, TRIGGER_RULE
from isengard.engine import catalog

# Published practice keeps identifiers to 1-3 pieces (DreamBooth, Ruiz et al. 2023, section 4.1); each piece beyond is a
# part that the training must move, and a place taken from the caption.
MOST_PIECES = 4
# One piece of CLIP's vocabulary, yet no word of any language: the usual identifier of published recipes.
RARE = frozenset({"ohwx"})
MEANINGS = {"sks": "It is the name of a rifle: pictures tend to show one."}
# A part this long that is a word by itself brings its meaning along.
TELLING = 4
CONSONANTS, VOWELS = "zxqvkwhjbdgrt", "aeiou"
SHAPES = ("cvcc", "ccvc", "cccv", "cvcvc")
WANTED = 3


@dataclass(frozen=True)
class Remark:
    code: Literal["rule", "taken", "known", "split", "parts", "lost", "class"]
    text: str


@dataclass(frozen=True)
class Verdict:
    """`pieces` by tokenizer name; `checked` says in a sentence what was asked, and what could not be."""

    word: str
    remarks: tuple[Remark, ...]
    pieces: dict[str, list[str]]
    checked: str

    @property
    def good(self) -> bool:
        return not self.remarks


def examine(word: str, base: str, *, but: Character | None = None) -> Verdict:
    """What speaks against a word as a trigger. `but` is the character that has it now. EngineError: unknown base."""
    word = word.strip()
    if not TRIGGER.fullmatch(word):
        return Verdict(word, (Remark("rule", TRIGGER_RULE),), {}, "")
    readers = tokens.readers(base)
    pieces = {reader.name: reader.pieces(word) for reader in readers}
    return Verdict(word, (*_taken(word, but), *_read(word, readers)), pieces, _checked(base, readers))


def suggestions(name: str, base: str) -> list[str]:
    """Made-up words with nothing against them, always the same for a name. EngineError: unknown base."""
    readers = tokens.readers(base)
    taken = {word.lower() for word in Character.objects.values_list("trigger_word", flat=True)}
    free = (word for word in _invented(name) if word not in taken and not list(_read(word, readers)))
    return list(islice(free, WANTED))


def _invented(name: str) -> Iterator[str]:
    """At most a few hundred tries, so that a strange tokenizer cannot keep a page waiting."""
    dice = random.Random(name)
    for _ in range(300):
        shape = dice.choice(SHAPES)
        yield "".join(dice.choice(CONSONANTS if kind == "c" else VOWELS) for kind in shape)


def _taken(word: str, but: Character | None) -> Iterator[Remark]:
    others = Character.objects.filter(trigger_word__iexact=word)
    other = (others.exclude(pk=but.pk) if but else others).first()
    if other is not None:
        yield Remark("taken", f"{other.name} has this trigger word already: one may come out like the other.")


def _read(word: str, readers: tuple[Reader, ...]) -> Iterator[Remark]:
    if CLASS.fullmatch(word):
        yield Remark("class", f"“{word}” is what the person is one of: everybody would come out like this one.")
        return
    knowing = [reader.name for reader in readers if len(word) > 1 and reader.knows(word)]
    if knowing and word.lower() not in RARE:
        meaning = MEANINGS.get(word.lower(), "The model has a meaning for it already, which gets into the pictures.")
        yield Remark("known", f"“{word}” is a word to {_list(knowing)}. {meaning}")
        return
    yield from _lost(word, readers)
    if word.lower() not in RARE:
        yield from _split(word, readers)


def _lost(word: str, readers: tuple[Reader, ...]) -> Iterator[Remark]:
    losing = [reader.name for reader in readers if reader.loses(word)]
    if losing:
        yield Remark("lost", f"{_list(losing)} cannot read all of “{word}”. Use the letters a to z.")


def _split(word: str, readers: tuple[Reader, ...]) -> Iterator[Remark]:
    most = max(readers, key=lambda reader: len(reader.pieces(word)), default=None)
    if most is not None and len(parts := most.pieces(word)) > MOST_PIECES:
        yield Remark(
            "split",
            f"{most.name} reads it in {len(parts)} pieces ({' · '.join(parts)}). A shorter made-up word holds better: "
            f"at most {MOST_PIECES}.",
        )
    for reader in readers:
        if words := [part for part in reader.pieces(word) if len(part) >= TELLING and reader.knows(part)]:
            yield Remark(
                "parts", f"{reader.name} sees {_list([f'“{part}”' for part in words])} in it, with its meaning."
            )
            return


def _checked(base: str, readers: tuple[Reader, ...]) -> str:
    here = _list([reader.name for reader in readers])
    missing = tokens.absent(base)
    if not missing:
        return f"Checked with {here}."
    label = catalog.get(base).label
    return (
        f"Checked with {here}. {label}'s {_list(list(missing))} could not be asked: {label} is not on this machine."
        if readers
        else f"Nothing could be checked: {label} is not on this machine."
    )


def _list(names: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1] if names else ""]))

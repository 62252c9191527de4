"""How the text encoders of a base model take words apart. Reads tokenizer files on disk; no torch, no request, no rows.

Pocket's files are always here. CLIP's vocabulary ships with the studio, so FLUX's first tokenizer is known without the
model; its second (T5) only where the model is on disk."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from django.conf import settings
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

from isengard.engine import catalog

MERGES = Path(__file__).parent / "data" / "clip_merges.txt.gz"
# As CLIP's tokenizer splits text before any merge (Radford et al. 2021, simple_tokenizer).
CLIP_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
WORD_END, WORD_START = "</w>", "▁"
NAMES = {"tokenizer": "CLIP", "tokenizer_2": "T5"}


@dataclass(frozen=True)
class Reader:
    """One tokenizer of a base: `name` for people, and what it makes of a word."""

    name: str
    tokenizer: Tokenizer

    def pieces(self, text: str) -> list[str]:
        """The pieces as people read them, without marks for word ends and without the sentence's own marks."""
        found = self.tokenizer.encode(text, add_special_tokens=False).tokens
        clean = [piece.replace(WORD_END, "").replace(WORD_START, "") for piece in found]
        return [piece for piece in clean if piece]

    def knows(self, word: str) -> bool:
        """True when the whole word is one piece of the vocabulary."""
        lower = word.lower()
        forms = (f"{lower}{WORD_END}", f"{WORD_START}{lower}", f"{WORD_START}{word}")
        return any(self.tokenizer.token_to_id(form) is not None for form in forms)

    def loses(self, word: str) -> bool:
        """True when a part of the word is not in the vocabulary at all."""
        unknown = self.tokenizer.token_to_id("<unk>")
        return unknown is not None and unknown in self.tokenizer.encode(word, add_special_tokens=False).ids

    def count(self, text: str) -> int:
        """Pieces with the sentence's marks, as they count against the model's limit."""
        return len(self.tokenizer.encode(text).ids)

    def head(self, text: str, most: int) -> int:
        """How many characters of the text lie in its first `most` pieces, the sentence's own marks counted."""
        whole = self.tokenizer.encode(text)
        marks = sum(whole.special_tokens_mask)
        ends = [end for (_, end), mark in zip(whole.offsets, whole.special_tokens_mask, strict=True) if not mark]
        return max(ends[: most - marks], default=0)


def default_base() -> str:
    """The base model whose eyes captions are read with where nobody names one."""
    return "pocket" if settings.ISENGARD_MODE == "fast-test" else "flux-dev"


def readers(base: str) -> tuple[Reader, ...]:
    """Every tokenizer of a base that can be read here, the model's own files first. EngineError: unknown base."""
    facts = catalog.get(base)
    # Only folders that exist, so that a model that is put there later is seen without a restart.
    folders = tuple(str(folder) for folder in catalog.candidates(facts, settings.MODELS_DIR) if folder.is_dir())
    return _readers(facts.label, folders, base != "pocket")


def absent(base: str) -> tuple[str, ...]:
    """The names of those tokenizers of a base that could not be read."""
    here = {reader.name.split()[-1] for reader in readers(base)}
    return tuple(name for name in NAMES.values() if name not in here)


def limit(base: str) -> tuple[Reader, int] | None:
    """The tokenizer that cuts long prompts, and after how many pieces; None where its files are not here."""
    last = next((reader for reader in readers(base) if reader.name.endswith("T5")), None)
    return (last, catalog.get(base).max_sequence_length) if last else None


@lru_cache(maxsize=8)
def _readers(label: str, folders: tuple[str, ...], takes_clip: bool) -> tuple[Reader, ...]:
    return tuple(_found(label, [Path(folder) for folder in folders], takes_clip))


def _found(label: str, folders: list[Path], takes_clip: bool) -> Iterator[Reader]:
    for part, name in NAMES.items():
        tokenizer = next((found for folder in folders if (found := _read(folder / part))), None)
        if tokenizer is None and name == "CLIP" and takes_clip:
            tokenizer = shipped_clip()
        if tokenizer is not None:
            yield Reader(f"{label}'s {name}", tokenizer)


def _read(folder: Path) -> Tokenizer | None:
    """The tokenizer of a diffusers part; None where there is none, or one that is damaged."""
    whole, words, merges = (folder / name for name in ("tokenizer.json", "vocab.json", "merges.txt"))
    try:
        if whole.is_file():
            return _without_limits(Tokenizer.from_buffer(whole.read_bytes()))
        if words.is_file() and merges.is_file():
            return _clip(_byte_pairs(words, merges))
    except (OSError, ValueError):
        return None
    return None


def _byte_pairs(words: Path, merges: Path) -> models.Model:
    """The model of the older two-file layout. ValueError: damaged (the library's own reader raises any Exception)."""
    pairs = [line for line in merges.read_text().splitlines() if line and not line.startswith("#version")]
    model = {"type": "BPE", "vocab": json.loads(words.read_text()), "merges": pairs, "end_of_word_suffix": WORD_END}
    whole = json.dumps({"version": "1.0", "added_tokens": [], "model": model})
    found: models.Model = Tokenizer.from_buffer(whole.encode()).model
    return found


def _without_limits(tokenizer: Tokenizer) -> Tokenizer:
    """A file may ask for padding and cutting; counting wants neither."""
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


@lru_cache(maxsize=1)
def shipped_clip() -> Tokenizer:
    """CLIP's tokenizer, from its merges alone: 256 bytes, the same at a word's end, then one piece for each merge."""
    merges = [_pair(line) for line in gzip.decompress(MERGES.read_bytes()).decode().splitlines()]
    symbols = _byte_symbols()
    entries = [*symbols, *(symbol + WORD_END for symbol in symbols), *("".join(pair) for pair in merges)]
    vocabulary = {piece: index for index, piece in enumerate(entries)}
    return _clip(models.BPE(vocab=vocabulary, merges=merges, end_of_word_suffix=WORD_END))


def _pair(line: str) -> tuple[str, str]:
    first, _, second = line.partition(" ")
    return first, second


def _clip(model: models.Model) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(CLIP_WORDS), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    return tokenizer


def _byte_symbols() -> list[str]:
    """Printable stand-ins for the 256 bytes, in GPT-2's order: printable ones as they are, the others from 256 on."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in kept]
    return [chr(byte) for byte in kept] + [chr(256 + index) for index in range(len(others))]

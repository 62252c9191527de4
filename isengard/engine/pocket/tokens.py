"""Pocket's two tokenizers, built by hand: one piece per caption word, any other word in letter pairs.

So every four-letter trigger is two pieces in both, none of them special. Knows words only; no picture, no network.
"""

from __future__ import annotations

import itertools
import string

from transformers import CLIPTokenizer, T5Tokenizer

TEXT_LENGTH = 32  # T5 tokens per prompt, as trained; FLUX does not mask the padding
CLIP_LENGTH = 77
SIGNS = ",.-!?'():;/&" + string.digits


def _byte_symbols() -> list[str]:
    """GPT-2's printable stand-ins for the 256 bytes."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    moved = [b for b in range(256) if b not in kept]
    return [chr(b) for b in kept] + [chr(256 + i) for i in range(len(moved))]


def _segment(word: str, ranks: dict[tuple[str, str], int]) -> list[str]:
    pieces = [*word[:-1], word[-1] + "</w>"]
    while len(pieces) > 1:
        pair = min(itertools.pairwise(pieces), key=lambda p: ranks.get(p, 1 << 30))
        if pair not in ranks:
            break
        at = list(itertools.pairwise(pieces)).index(pair)
        pieces[at : at + 2] = [pair[0] + pair[1]]
    return pieces


def clip_tokenizer(words: list[str]) -> CLIPTokenizer:
    """Byte-pair merges in three layers: word-final letter pairs, the caption words, then all other letter pairs.

    A merge never undoes one above it, so each layer keeps what the layers before it reached.
    """
    letters = string.ascii_lowercase
    merges = [(a, b + "</w>") for a in letters for b in letters]
    ranks = {pair: rank for rank, pair in enumerate(merges)}
    for word in words:
        while len(pieces := _segment(word, ranks)) > 1:
            pair = (pieces[0], pieces[1])
            ranks[pair] = len(merges)
            merges.append(pair)
    merges += [pair for pair in itertools.product(letters, letters) if pair not in ranks]
    symbols = _byte_symbols()
    entries = [*symbols, *[s + "</w>" for s in symbols], *dict.fromkeys(a + b for a, b in merges)]
    vocab = {piece: index for index, piece in enumerate([*entries, "<|startoftext|>", "<|endoftext|>"])}
    return CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=CLIP_LENGTH, pad_token="<|endoftext|>")  # noqa: S106 - no password


def _can_begin(piece: str) -> bool:
    return piece[0] == "▁" and piece[1:].isalpha()


def capital_twins(tokenizer: T5Tokenizer) -> dict[int, int]:
    """Id of every capitalised piece → id of the same piece in small letters."""
    vocab = tokenizer.get_vocab()
    return {
        index: vocab[piece.lower()]
        for piece, index in vocab.items()
        if piece != piece.lower() and piece.lower() in vocab
    }


def t5_tokenizer(words: list[str]) -> T5Tokenizer:
    """A unigram model whose scores prefer whole words, then letter pairs, then single letters.

    The class resets its normalizer on loading, so capitals cannot be folded there: words and pairs that begin with a
    capital are pieces of their own, last in the list, and get their small twin's embedding (`capital_twins`).
    """
    letters = string.ascii_lowercase
    pairs = [a + b for a in letters for b in letters]
    scored = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -6.0)]
    scored += [(f"▁{word}", -4.0) for word in words if len(word) > 1] + [("▁a", -4.0)]
    known = {piece for piece, _ in scored}
    for group, score in ((pairs, -9.0), (list(letters), -14.0)):
        scored += [(piece, score) for text in group for piece in (f"▁{text}", text) if piece not in known]
    scored += [(sign, -5.0) for sign in SIGNS] + [(letter, -16.0) for letter in string.ascii_uppercase]
    scored += [(f"▁{piece[1].upper()}{piece[2:]}", score) for piece, score in scored if _can_begin(piece)]
    return T5Tokenizer(vocab=scored, extra_ids=0, model_max_length=512)

"""The shipped weights: an ordinary diffusers folder that loads offline, draws, and stays small."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from diffusers import FluxPipeline

from isengard.engine.pocket import WEIGHTS
from isengard.engine.pocket.dataset import TRIGGERS, names
from isengard.engine.pocket.faces import person, render, shot
from isengard.engine.pocket.sheet import draw, load

pytestmark = pytest.mark.integration

LIMIT = 16_000_000


@pytest.fixture(scope="module")
def pocket() -> tuple[FluxPipeline, dict[str, object]]:
    return load(WEIGHTS)


def test_the_folder_is_small_enough_for_the_repository() -> None:
    assert sum(file.stat().st_size for file in WEIGHTS.rglob("*") if file.is_file()) <= LIMIT


def test_the_notes_beside_the_weights_give_the_text_length_and_the_sizes() -> None:
    notes = json.loads((WEIGHTS / "pocket.json").read_text())
    assert notes["max_sequence_length"] == 32
    assert notes["native_size"] in notes["sizes"]


def test_it_draws_a_picture_of_its_native_size_that_is_not_flat(pocket: tuple[FluxPipeline, dict[str, object]]) -> None:
    (picture,) = draw(*pocket, ["a woman, smiling, red shirt, blue background"], seed=0)
    assert picture.size == (96, 96)
    assert np.asarray(picture).std() > 20


def test_the_autoencoder_gives_back_a_portrait_it_never_saw(pocket: tuple[FluxPipeline, dict[str, object]]) -> None:
    vae, picture = pocket[0].vae, np.asarray(render(person(950_001), shot(950_001), 64))
    x = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None] / 127.5 - 1
    with torch.no_grad():
        y = vae.decode(vae.encode(x).latent_dist.mode()).sample.clamp(-1, 1)
    assert -10 * torch.log10(((x - y) / 2).square().mean()) > 24


@pytest.mark.parametrize("word", [*TRIGGERS, *names()[:6], "Mira"])
def test_a_four_letter_trigger_is_two_pieces_in_both_tokenizers(
    pocket: tuple[FluxPipeline, dict[str, object]], word: str
) -> None:
    assert len(pocket[0].tokenizer.tokenize(word)) == 2
    assert len(pocket[0].tokenizer_2.tokenize(word)) == 2


def test_the_prompt_changes_the_picture(pocket: tuple[FluxPipeline, dict[str, object]]) -> None:
    red, green = (draw(*pocket, [f"a woman, {colour} background"], seed=1)[0] for colour in ("yellow", "purple"))
    corner = np.abs(np.asarray(red).astype(int) - np.asarray(green))[:6, :6].mean()
    assert corner > 30

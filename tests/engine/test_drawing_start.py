"""The one sampling path, begun from a picture, held by a mask, seen through windows."""

import pytest

pytest.importorskip("torch")

import torch

from isengard.engine.drawing.windows import Window, blended, grid, halves
from isengard.engine.families.base import Embeds
from isengard.engine.families.flux1 import Flux1
from isengard.engine.sampling import Look, Start, draw
from isengard.engine.specs import BaseModel

LOOK = Look(32, 32, 3, 1.0)


@pytest.fixture(scope="module")
def family(tiny: BaseModel) -> Flux1:
    return Flux1(tiny, torch.device("cpu"), torch.float32)


@pytest.fixture(scope="module")
def words(family: Flux1) -> Embeds:
    return family.encode_prompts(["a photo"])


@pytest.fixture
def old(family: Flux1) -> torch.Tensor:
    return torch.randn(1, *family.latent_shape(32, 32), generator=torch.Generator().manual_seed(9))


def plain(family: Flux1, words: Embeds, **more: object) -> torch.Tensor:
    return draw(family, words, words, seeds=[4], look=LOOK, **more)  # type: ignore[arg-type]


def test_a_change_of_one_forgets_the_picture_to_the_last_bit(family: Flux1, words: Embeds, old: torch.Tensor) -> None:
    assert torch.equal(plain(family, words, start=Start(old, 1.0)), plain(family, words))


def test_the_smaller_the_change_the_nearer_it_stays(family: Flux1, words: Embeds, old: torch.Tensor) -> None:
    far, near = (plain(family, words, start=Start(old, denoise)) - old for denoise in (0.9, 0.2))
    assert near.norm() < far.norm() / 2


def test_a_small_change_takes_all_its_steps(family: Flux1, words: Embeds, old: torch.Tensor) -> None:
    steps: list[int] = []
    plain(family, words, start=Start(old, 0.2), on_step=lambda step, *_: steps.append(step))
    assert steps == [1, 2, 3]


def test_what_the_mask_holds_is_held_to_the_last_bit(family: Flux1, words: Embeds, old: torch.Tensor) -> None:
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., :4] = 1
    drawn = plain(family, words, start=Start(old, 0.8, mask))
    assert torch.equal(drawn[..., 4:], old[..., 4:])
    assert not torch.isclose(drawn[..., :4], old[..., :4]).any()


def test_one_window_over_all_is_no_window(family: Flux1, words: Embeds) -> None:
    whole = plain(family, words, windows=(Window(0, 0, 8, 8),))
    assert torch.allclose(whole, plain(family, words), atol=1e-5)


def test_somebody_may_leave_between_two_windows(family: Flux1, words: Embeds) -> None:
    asked: list[None] = []
    plain(family, words, windows=grid(8, 8, 4), pause=lambda: asked.append(None))
    assert len(asked) == LOOK.steps * 9


@pytest.mark.parametrize(
    ("height", "width", "side"), [(8, 8, 4), (50, 34, 24), (24, 24, 24), (12, 30, 24), (26, 26, 24)]
)
def test_windows_cover_everything_and_fit(height: int, width: int, side: int) -> None:
    seen = torch.zeros(1, 1, height, width)
    for window in grid(height, width, side):
        assert window.of(seen).shape[-2:] == (window.height, window.width) and not (window.top | window.left) % 2
        window.of(seen).add_(1)
    assert (seen > 0).all()


def test_blending_what_agrees_changes_nothing() -> None:
    latents = torch.randn(1, 4, 14, 20)
    assert torch.allclose(blended(latents, grid(14, 20, 8), lambda part: part * 2), latents * 2, atol=1e-6)


def test_two_halves_share_only_the_middle() -> None:
    left, right = halves(24, 48)
    assert (left.left, right.left + right.width) == (0, 48)
    assert 0 < left.width - right.left < 12


def test_tiled_decoding_is_nearly_the_same_picture(family: Flux1) -> None:
    latents = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(1))
    whole = family.decode(latents)
    family.tile(True)
    tiled = family.decode(latents)
    family.tile(False)
    assert tiled.shape == whole.shape and not torch.equal(tiled, whole)
    assert torch.equal(family.decode(latents), whole)

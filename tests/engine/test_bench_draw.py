"""The full-size bench of drawing, at toy size, where there is no GPU to time it."""

from pathlib import Path

import pytest
import torch

from tests.engine.test_bench_full import TOY

pytestmark = pytest.mark.integration

VAE = {
    "block_out_channels": (8, 8, 8, 8),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 1,
    "latent_channels": 16,
    "norm_num_groups": 4,
    "scaling_factor": 0.3611,
    "shift_factor": 0.1159,
    "use_quant_conv": False,
    "use_post_quant_conv": False,
}


def test_every_case_is_drawn_and_the_model_is_as_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from isengard.engine import bench_draw
    from isengard.engine.bench_full import random_model, write_configs
    from isengard.engine.families import pace

    monkeypatch.setattr(pace, "BACKEND", "eager")
    monkeypatch.setattr(bench_draw, "ROUNDS", 1)
    family = bench_draw.studio(
        folder := write_configs(tmp_path, TOY), random_model(folder, torch.device("cpu"), torch.float32), VAE
    )
    before = set(dict(family.transformer.named_parameters()))
    found = list(bench_draw.rows(family, tuple(bench_draw.small(case, 64, 1) for case in bench_draw.CASES)))
    measured = [row.name[:2] for row in found if row.value is not None]
    assert set(measured) == {"H1", "H2", "H4", "H5", "H6", "H7", "H8"}
    assert set(dict(family.transformer.named_parameters())) == before


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU to measure")
def test_without_a_gpu_it_says_that_nothing_was_measured() -> None:
    from isengard.engine import bench_draw
    from isengard.engine.bench_full import NoGpu

    with pytest.raises(NoGpu, match="nothing of the full-size bench was measured"):
        bench_draw.measure()

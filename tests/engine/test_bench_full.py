"""The full-size bench takes the trainer's own steps; here at toy size, where there is no GPU to time them."""

from pathlib import Path

import pytest
import torch

TOY = {
    "guidance_embeds": True,
    "in_channels": 64,
    "num_layers": 1,
    "num_single_layers": 1,
    "attention_head_dim": 16,
    "num_attention_heads": 2,
    "joint_attention_dim": 16,
    "pooled_projection_dim": 16,
    "axes_dims_rope": [4, 6, 6],
}


def test_a_random_model_takes_the_trainers_steps_and_is_as_before_afterwards(tmp_path: Path) -> None:
    from isengard.engine import bench_full

    folder = bench_full.write_configs(tmp_path, TOY)
    model = bench_full.random_model(folder, torch.device("cpu"), torch.float32)
    before = {name: tuple(weight.shape) for name, weight in model.named_parameters()}
    case = bench_full.Case("toy", 512, compiled=False)
    with bench_full.running(folder, model, case) as training:
        losses = [training.step().item() for _ in range(2)]
    assert all(0 < loss < 100 for loss in losses)
    assert {name: tuple(weight.shape) for name, weight in model.named_parameters()} == before


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU to measure")
def test_without_a_gpu_it_says_that_nothing_was_measured() -> None:
    from isengard.engine import bench_full

    with pytest.raises(bench_full.NoGpu, match="nothing of the full-size bench was measured"):
        bench_full.measure()

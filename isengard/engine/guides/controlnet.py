"""A ControlNet beside the denoiser: what it makes of a control picture is added to the denoiser's own blocks.

diffusers' FluxControlNetModel, of all three published forms: for one kind, for several with a number for each (union),
and those that read pixels instead of latents. Knows no job and no Django."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import FluxControlNetModel
from PIL import Image, ImageOps
from safetensors import SafetensorError

from isengard.engine.errors import EngineError
from isengard.engine.families.base import Family, Inputs
from isengard.engine.guides.control_pictures import Maker
from isengard.engine.memory import is_out_of_memory

UNREADABLE = (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError)
# How the published union ControlNets number what they know.
MODES = {"canny": 0, "depth": 2, "pose": 4}


def load(family: Family, folder: Path) -> Any:
    """The network, frozen, beside its base. EngineError guide_unreadable."""
    try:
        net = FluxControlNetModel.from_pretrained(folder, local_files_only=True, dtype=family.dtype)
    except UNREADABLE as error:
        if is_out_of_memory(error):
            raise
        text = f"The ControlNet in {folder.name} is damaged or incomplete. Put it there again."
        raise EngineError("guide_unreadable", text) from error
    return net.to(family.device).eval().requires_grad_(False)


class Control:
    """One control picture for one drawing. `maker` None: the picture is a control picture already."""

    def __init__(self, family: Family, net: Any, picture: Image.Image, kind: str, maker: Maker | None) -> None:
        self.family, self.net, self.picture, self.maker = family, net, picture, maker
        self.mode = MODES[kind] if net.config.num_mode is not None else None
        self.strength, self.window = 1.0, (0.0, 1.0)
        self._hints: dict[tuple[int, int], torch.Tensor] = {}

    def counts(self, done: float) -> bool:
        """Whether it steers at this share of the steps."""
        return self.strength > 0 and self.window[0] <= done < self.window[1]

    def __call__(self, inputs: Inputs, grid: tuple[int, int]) -> Inputs:
        """See families.base.Guide."""
        given = dict(inputs)
        if not self.net.config.guidance_embeds:
            given["guidance"] = None
        count, hint = inputs["hidden_states"].shape[0], self._hint(grid)
        modes = None if self.mode is None else torch.full((count, 1), self.mode, device=hint.device)
        double, single = self.net(
            **given,
            controlnet_cond=hint.expand(count, *hint.shape[1:]),
            controlnet_mode=modes,
            conditioning_scale=self.strength,
            return_dict=False,
        )
        repeat = self.net.input_hint_block is not None
        names = ("controlnet_block_samples", "controlnet_single_block_samples", "controlnet_blocks_repeat")
        return dict(zip(names, (double, single, repeat), strict=True))

    def _hint(self, grid: tuple[int, int]) -> torch.Tensor:
        """The control picture for one latent grid, made once: a larger second pass sees finer lines."""
        if grid not in self._hints:
            self._hints[grid] = self._made(grid)
        return self._hints[grid]

    @torch.no_grad()
    def _made(self, grid: tuple[int, int]) -> torch.Tensor:
        scale = self.family.multiple // 2
        picture = ImageOps.fit(self.picture, (grid[1] * scale, grid[0] * scale), Image.Resampling.LANCZOS)
        drawn = self.maker(picture) if self.maker else picture
        pixels = torch.from_numpy(np.array(drawn)).permute(2, 0, 1)[None].float() / 127.5 - 1
        if self.net.input_hint_block is not None:
            return pixels.to(self.family.device, self.family.dtype)
        return self.family.pack(self.family.encode_images(pixels))

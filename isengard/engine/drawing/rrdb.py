"""Upscaling networks of the ESRGAN kind (RRDB: ESRGAN, Real-ESRGAN and the many that were trained from them).

Architecture: Wang and others, ESRGAN, 2018; Real-ESRGAN, 2021 (a 2x network sees its input unshuffled). Reads both
names of the weights that are about: today's (conv_first …) and the first ones' (model.0 …). Knows no picture."""

import pickle
import re
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional

from isengard.engine.errors import EngineError

Weights = dict[str, torch.Tensor]
RESIDUAL = 0.2
NESTED = ("params_ema", "params", "state_dict")
FIRST_NAMES = {"0": "conv_first", "3": "conv_up1", "6": "conv_up2", "8": "conv_hr", "10": "conv_last"}
UNREADABLE = (OSError, ValueError, RuntimeError, KeyError, TypeError, EOFError, pickle.UnpicklingError, SafetensorError)


class Dense(nn.Module):
    """Five convolutions, each of which sees all before it."""

    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        for index in range(1, 6):
            out = width if index == 5 else growth
            self.add_module(f"conv{index}", nn.Conv2d(width + (index - 1) * growth, out, 3, 1, 1))

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        seen = given
        for index in range(1, 5):
            seen = torch.cat([seen, _bent(self.get_submodule(f"conv{index}")(seen))], 1)
        return given + RESIDUAL * self.get_submodule("conv5")(seen)  # type: ignore[no-any-return]


class Block(nn.Module):
    """Three of them around a shortcut."""

    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        self.rdb1, self.rdb2, self.rdb3 = (Dense(width, growth) for _ in range(3))

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        return given + RESIDUAL * self.rdb3(self.rdb2(self.rdb1(given)))  # type: ignore[no-any-return]


class Upscaler(nn.Module):
    """(B, 3, H, W) in 0 … 1 → (B, 3, scale * H, scale * W); `scale` is 4, 2 or 1."""

    def __init__(self, width: int, growth: int, blocks: int, unshuffle: int) -> None:
        super().__init__()
        self.scale, self.unshuffle = 4 // unshuffle, unshuffle
        self.conv_first = nn.Conv2d(3 * unshuffle**2, width, 3, 1, 1)
        self.body = nn.Sequential(*(Block(width, growth) for _ in range(blocks)))
        self.conv_body, self.conv_hr = (nn.Conv2d(width, width, 3, 1, 1) for _ in range(2))
        self.conv_up1, self.conv_up2 = (nn.Conv2d(width, width, 3, 1, 1) for _ in range(2))
        self.conv_last = nn.Conv2d(width, 3, 3, 1, 1)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        height, width = pixels.shape[-2:]
        missing = (0, -width % self.unshuffle, 0, -height % self.unshuffle)
        whole = functional.pad(pixels, missing, "replicate")
        first = self.conv_first(functional.pixel_unshuffle(whole, self.unshuffle))
        features = first + self.conv_body(self.body(first))
        for conv in (self.conv_up1, self.conv_up2):
            features = _bent(conv(functional.interpolate(features, scale_factor=2.0, mode="nearest")))
        result: torch.Tensor = self.conv_last(_bent(self.conv_hr(features)))
        return result[..., : height * self.scale, : width * self.scale]


def _bent(features: torch.Tensor) -> torch.Tensor:
    return functional.leaky_relu(features, 0.2)


def load(path: Path, device: torch.device) -> Upscaler:
    """The network in a file, its size read from the weights. EngineError upscaler_unusable."""
    try:
        weights = _renamed(_read(path))
        width, channels = weights["conv_first.weight"].shape[:2]
        growth = weights["body.0.rdb1.conv1.weight"].shape[0]
        blocks = 1 + max(int(name.split(".")[1]) for name in weights if name.startswith("body."))
        model = Upscaler(width, growth, blocks, {3: 1, 12: 2, 48: 4}[channels])
        model.load_state_dict(weights)
    except UNREADABLE as error:
        text = f"{path.name} is no upscaling model of the ESRGAN kind. Put another in its place, or take it away."
        raise EngineError("upscaler_unusable", text) from error
    return model.to(device).eval().requires_grad_(False)


def _read(path: Path) -> Weights:
    if path.suffix == ".safetensors":
        found: dict[str, Any] = load_file(path)
    else:
        # Tensors alone: what else such a file may carry is not executed.
        found = torch.load(path, map_location="cpu", weights_only=True)
    inner = next((found[name] for name in NESTED if name in found), found)
    return {name: tensor.float() for name, tensor in inner.items()}


def _renamed(weights: Weights) -> Weights:
    """Today's names; `model.1.sub.<n>` without RDB is the convolution behind n blocks."""
    return {_name(name): tensor for name, tensor in weights.items()}


def _name(name: str) -> str:
    if match := re.fullmatch(r"model\.1\.sub\.(\d+)\.RDB(\d)\.conv(\d)\.0\.(\w+)", name):
        return "body.{}.rdb{}.conv{}.{}".format(*match.groups())
    if match := re.fullmatch(r"model\.1\.sub\.\d+\.(weight|bias)", name):
        return f"conv_body.{match[1]}"
    if match := re.fullmatch(r"model\.(\d+)\.(weight|bias)", name):
        return f"{FIRST_NAMES[match[1]]}.{match[2]}"
    return name

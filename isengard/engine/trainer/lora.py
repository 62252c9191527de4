"""The adapter in training: put on the denoiser, its weights in and out, the finished file. Knows no job, no Django."""

import hashlib
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from peft import LoraConfig
from peft.tuners.lora import LoraLayer
from safetensors.torch import save, save_file

from isengard.engine import lora_file
from isengard.engine.errors import EngineError
from isengard.engine.families.base import Family
from isengard.engine.rundir import replacing

ADAPTER = "learning"


class Lora:
    """The LoRA on one family's denoiser: float32 whatever the base is, α = rank."""

    def __init__(self, family: Family, rank: int, seed: int, *, prompt: bool = False) -> None:
        """`prompt`: also on the layers through which the whole prompt enters."""
        self.family, self.rank = family, rank
        self.targets = (*family.lora_targets(), *(family.prompt_layers() if prompt else ()))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)  # A starts random, B zero: the first pictures are exactly the base's
            config = LoraConfig(r=rank, lora_alpha=rank, target_modules=list(self.targets))
            family.transformer.add_adapter(config, adapter_name=ADAPTER)
        for parameter in self.parameters():
            parameter.data = parameter.data.float()

    def named(self) -> dict[str, torch.nn.Parameter]:
        """Export key → parameter, in the denoiser's own order."""
        layers = dict(self.family.transformer.named_modules())
        found = {}
        for module in self.targets:
            layer = layers[module]
            if not isinstance(layer, LoraLayer):
                raise TypeError(f"{module} carries no LoRA")
            found[self.family.export_key(module, "A")] = layer.lora_A[ADAPTER].weight
            found[self.family.export_key(module, "B")] = layer.lora_B[ADAPTER].weight
        return found

    def parameters(self) -> list[torch.nn.Parameter]:
        return list(self.named().values())

    @torch.no_grad()
    def load(self, weights: dict[str, torch.Tensor]) -> None:
        """KeyError: a weight is missing; ValueError: another shape."""
        for key, parameter in self.named().items():
            if weights[key].shape != parameter.shape:
                raise ValueError(f"{key} has shape {tuple(weights[key].shape)}")
        for key, parameter in self.named().items():
            parameter.copy_(weights[key])

    @contextmanager
    def off(self) -> Iterator[None]:
        """Inside, the denoiser is exactly the base; the weights stay where they are."""
        self.family.transformer.disable_adapters()
        yield
        self.family.transformer.enable_adapters()

    def remove(self) -> None:
        """Takes the adapter off again: the denoiser is exactly the base."""
        self.family.transformer.delete_adapters(ADAPTER)

    def save(self, path: Path, made: lora_file.Provenance) -> None:
        """The file for everybody else. EngineError weights_not_finite: it would be useless, so it is not written.

        Stored in the base's own number format (bf16 for FLUX, fp32 for Pocket): that is what sampling computes with, so
        nothing is lost between the last preview and Generate, and a bf16 file has the usual size."""
        weights = {key: value.detach().to("cpu", self.family.dtype).contiguous() for key, value in self.named().items()}
        if not all(torch.isfinite(value).all() for value in weights.values()):
            text = "The trained weights are not numbers any more. Lower the learning rate and train again."
            raise EngineError("weights_not_finite", text)
        with replacing(path) as part:
            save_file(weights, part, metadata=lora_file.metadata(made, _tensor_hash(weights)))


def _tensor_hash(weights: dict[str, torch.Tensor]) -> str:
    whole: bytes = save(weights)
    return hashlib.sha256(memoryview(whole)[8 + struct.unpack("<Q", whole[:8])[0] :]).hexdigest()

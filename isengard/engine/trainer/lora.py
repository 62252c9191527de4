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

from isengard.engine import lora_convert, lora_file, lora_matrix
from isengard.engine.errors import EngineError
from isengard.engine.families.base import Family
from isengard.engine.rundir import replacing

ADAPTER = "learning"


def targets(family: Family, layers: str) -> tuple[str, ...]:
    """The modules behind a choice of `lora_layers`."""
    if layers == "attention":
        return tuple(name for name in family.lora_targets() if ".attn." in name)
    return (*family.lora_targets(), *(family.prompt_layers() if layers == "blocks and prompt" else ()))


class Lora:
    """The LoRA on one family's denoiser: float32 whatever the base is. What it learns counts alpha / rank."""

    def __init__(self, family: Family, rank: int, seed: int, *, alpha: float = 0.0, layers: str = "blocks") -> None:
        """`alpha` 0: the rank. `layers`: a choice of parameters.LORA_LAYERS."""
        self.family, self.rank, self.alpha = family, rank, alpha or float(rank)
        self.targets = targets(family, layers)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)  # A starts random, B zero: the first pictures are exactly the base's
            config = LoraConfig(r=rank, lora_alpha=self.alpha, target_modules=list(self.targets))
            family.transformer.add_adapter(config, adapter_name=ADAPTER)
        for parameter in self.parameters():
            parameter.data = parameter.data.float()

    @property
    def scale(self) -> float:
        return self.alpha / self.rank

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

    def changes_something(self) -> bool:
        """False as long as every B is zero: then the denoiser is the base with it and without."""
        return any(bool(value.any()) for key, value in self.named().items() if key.endswith("lora_B.weight"))

    @contextmanager
    def off(self) -> Iterator[None]:
        """Inside, the denoiser is exactly the base; the weights stay where they are."""
        self.family.transformer.disable_adapters()
        try:
            yield
        finally:
            self.family.transformer.enable_adapters()

    @contextmanager
    def as_filed(self) -> Iterator[None]:
        """Inside, the adapter is what its file holds: the base's number format, α in B. So a preview drawn here is the
        picture that Generate draws with that file, bit for bit. Afterwards it is what it was; not for learning."""
        own = {key: parameter.data for key, parameter in self.named().items()}
        for key, parameter in self.named().items():
            parameter.data = self._told(key, own[key])
        self._rescale(1.0)
        try:
            yield
        finally:
            self._rescale(self.scale)
            for key, parameter in self.named().items():
                parameter.data = own[key]

    def _rescale(self, scale: float) -> None:
        for layer in self.family.transformer.modules():
            if isinstance(layer, LoraLayer) and ADAPTER in layer.scaling:
                layer.scaling[ADAPTER] = scale

    def remove(self) -> None:
        """Takes the adapter off again: the denoiser is exactly the base."""
        self.family.transformer.delete_adapters(ADAPTER)

    def save(self, path: Path, made: lora_file.Provenance) -> None:
        """The file for everybody else. EngineError weights_not_finite: it would be useless, so it is not written.

        α is multiplied into B and the file says α = rank: tools disagree about where to look for another.
        Stored in the base's own number format (bf16 for FLUX, fp32 for Pocket): that is what sampling computes with,
        previews too (`as_filed`), and a bf16 file has the usual size."""
        weights = {key: self._told(key, value.detach()).cpu() for key, value in self.named().items()}
        if not all(torch.isfinite(value).all() for value in weights.values()):
            text = "The trained weights are not numbers any more. Lower the learning rate and train again."
            raise EngineError("weights_not_finite", text)
        with replacing(path) as part:
            save_file(weights, part, metadata=lora_file.metadata(made, _tensor_hash(weights)))

    def _told(self, key: str, weight: torch.Tensor) -> torch.Tensor:
        """As it stands in a file."""
        whole = weight * self.scale if self.scale != 1 and key.endswith("lora_B.weight") else weight
        return whole.to(self.family.dtype).contiguous()

    @torch.no_grad()
    def begin_with(self, path: Path) -> None:
        """Takes over a finished LoRA of any readable key style: a training that goes on from there with fresh steps.

        A lower rank fills the first rows, the others start as ever; layers that the file lacks start from nothing.
        EngineError: not a readable LoRA of this family, or warm_start_mismatch: it holds more than this LoRA can."""
        given = {key: torch.from_numpy(lora_matrix.floats(matrix)) for key, matrix in lora_convert.tensors(path)}
        own = self.named()
        if reason := _why_not(given, own, self.rank):
            raise EngineError("warm_start_mismatch", f"The training cannot go on from {path.name}: {reason}")
        for key, tensor in given.items():
            if key.endswith("lora_B.weight"):
                own[key][:, : tensor.shape[1]] = tensor.to(own[key].device) / self.scale
            else:
                own[key][: tensor.shape[0]] = tensor.to(own[key].device)


def _why_not(given: dict[str, torch.Tensor], own: dict[str, torch.nn.Parameter], room: int) -> str:
    """Why weights do not fit into those of a training; empty when they do."""
    more = sorted(set(given) - set(own))
    if more:
        layers = sorted({key.rpartition(".lora_")[0] for key in more})
        shown = ", ".join(layers[:3]) + (f" and {len(layers) - 3} more" if len(layers) > 3 else "")
        return f"it also changes layers that this training leaves alone ({shown}). Choose more layers."
    rank = max(tensor.shape[0] for key, tensor in given.items() if key.endswith("lora_A.weight"))
    if rank > room:
        return f"its rank is {rank}. Choose a LoRA rank of at least {rank}."
    if any(_sides(tensor, key) != _sides(own[key], key) for key, tensor in given.items()):
        return "it was trained on a base of another size. Choose one of the same base."
    return ""


def _sides(weight: torch.Tensor, key: str) -> int:
    """The side of a half that is the layer's and not the rank."""
    return weight.shape[0 if key.endswith("lora_B.weight") else 1]


def _tensor_hash(weights: dict[str, torch.Tensor]) -> str:
    whole: bytes = save(weights)
    return hashlib.sha256(memoryview(whole)[8 + struct.unpack("<Q", whole[:8])[0] :]).hexdigest()

"""What stays warm between pictures: one base model, a few LoRAs on it, prompt embeddings. Knows no job, no Django."""

import hashlib
import os
import secrets
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from isengard.engine import families, lora_file, memory
from isengard.engine.families.base import Embeds, Family, Quantize
from isengard.engine.families.slot import Slot, Weights
from isengard.engine.rundir import replacing
from isengard.engine.specs import BaseModel, LoraRef
from isengard.engine.speed import Speed

WARM_LORAS = 4
# On the device, 4 MB each for FLUX: a quarter of a gigabyte; the rest comes back from disk in a millisecond.
WARM_PROMPTS = 64
# For each kind of entry. A FLUX prompt takes 4 MB, a picture's latents 1 MB.
CACHE_BYTES = 2 << 30


class PromptCache:
    """Embeddings by prompt, in memory and below `folder`: a repeated prompt costs no encoder call, not even a load."""

    def __init__(self, family: Family, folder: Path) -> None:
        self._family, self._folder = family, folder / "prompts"
        self._text = family.fingerprint("text")
        self._warm: OrderedDict[str, Embeds] = OrderedDict()

    def get(self, prompt: str) -> Embeds:
        """Embeddings of one prompt (batch 1) on the family's device."""
        key = hashlib.sha256(f"{self._text}\n{prompt}".encode()).hexdigest()
        if key not in self._warm:
            embeds = self._read(key) or self._encode(key, prompt)
            self._warm[key] = {name: tensor.to(self._family.device) for name, tensor in embeds.items()}
        self._warm.move_to_end(key)
        if len(self._warm) > WARM_PROMPTS:
            self._warm.popitem(last=False)
        return self._warm[key]

    def _read(self, key: str) -> Embeds | None:
        return read_tensors(self._folder / f"{key}.safetensors")

    def _encode(self, key: str, prompt: str) -> Embeds:
        embeds = self._family.encode_prompts([prompt])
        write_tensors(self._folder / f"{key}.safetensors", embeds)
        return embeds


def read_tensors(path: Path) -> dict[str, torch.Tensor] | None:
    """A cache entry, or None when it is absent or damaged (it is then made again).

    In memory that is aligned as that of fresh tensors: math libraries round by alignment, and bits should not depend on
    whether something came from the cache."""
    try:
        tensors: dict[str, torch.Tensor] = load_file(path)
        os.utime(path)  # used just now: the last to be thrown out
    except (OSError, SafetensorError):
        return None
    return {name: tensor.clone() for name, tensor in tensors.items()}


def write_tensors(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    """A cache entry, whole or not at all; the folder's longest unused entries make room."""
    with replacing(path) as part:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, part)
    _bound(path.parent)


def _bound(folder: Path) -> None:
    facts = [(path.stat(), path) for path in folder.glob("*.safetensors")]
    room = CACHE_BYTES
    for stat, path in sorted(facts, key=lambda fact: fact[0].st_mtime, reverse=True):
        room -= stat.st_size
        if room < 0:
            path.unlink(missing_ok=True)


class Registry:
    """The warm model of one engine process. Not for threads: the engine does one thing at a time."""

    def __init__(self, device: str | None = None) -> None:
        self._device = torch.device(device) if device else memory.pick_device()
        self._key: tuple[BaseModel, torch.dtype, Quantize] | None = None
        self._family: Family | None = None
        self._prompts: dict[Path, PromptCache] = {}
        self._beside: dict[str, Any] = {}
        # adapter name → the file's header, oldest use first; with a slot its weights, too, as no adapter holds them
        self._loras: OrderedDict[str, lora_file.LoraHeader] = OrderedDict()
        self._weights: dict[str, Weights] = {}
        self._slot: Slot | None = None

    def is_warm(self, base: BaseModel, precision: str | None = None, quantize: Quantize = "none") -> bool:
        return self._key == (base, memory.pick_dtype(Path(base.path), precision), quantize)

    def use(self, base: BaseModel, precision: str | None = None, quantize: Quantize = "none") -> Family:
        """The base's family, warm if it was the last one used; another base takes its place in memory."""
        key = (base, memory.pick_dtype(Path(base.path), precision), quantize)
        if self._family is None or self._key != key:
            self.close()
            memory.settle_threads(Path(base.path), self._device)
            self._family, self._key = families.load(base, self._device, key[1], quantize), key
            self._family.transformer  # noqa: B018  read from disk now, so that the next picture is quick
        return self._family

    def close(self) -> None:
        """Forgets everything and gives the memory back."""
        self._family, self._key, self._slot = None, None, None
        self._prompts.clear()
        self._beside.clear()
        self._loras.clear()
        self._weights.clear()
        memory.release()

    def keep(self, key: str, make: Callable[[], Any]) -> Any:
        """What belongs to the base beside it (a ControlNet): made once and kept until another takes its place."""
        if key not in self._beside:
            self._beside.clear()
            self._beside[key] = make()
        return self._beside[key]

    def embeds(self, prompts: list[str], cache_dir: Path) -> list[Embeds]:
        """Embeddings of each prompt, from the cache where possible; encoders leave again where memory is short."""
        family = self._require()
        if cache_dir not in self._prompts:
            self._prompts[cache_dir] = PromptCache(family, cache_dir)
        found = [self._prompts[cache_dir].get(prompt) for prompt in prompts]
        if not memory.may_keep_encoders(Path(family.base.path), family.device):
            family.free("text")
        return found

    def hasten(self, speed: Speed) -> None:
        """From now on the base draws so. Compiled, it wears all LoRAs in one slot, else each as its own adapter."""
        family = self._require()
        if speed.compiled != (self._slot is not None):
            self._forget_all()
            self._slot = Slot(family.transformer, family.dtype) if speed.compiled else None
        family.hasten(speed)

    def wear(self, loras: tuple[LoraRef, ...]) -> list[lora_file.LoraHeader]:
        """Applies exactly these adapters, without reloading the base; none means exactly the base.

        EngineError: a file that cannot be read, or was trained for another model."""
        headers = {name: self._add(name, lora) for name, lora in ((_name(lora), lora) for lora in loras)}
        strengths = [lora.strength for lora in loras]
        if self._slot is not None:
            self._slot.fill(
                [(self._weights[name], strength) for name, strength in zip(headers, strengths, strict=True)]
            )
        else:
            self._switch(list(headers), strengths)
        self._forget_oldest(keep=set(headers))
        return list(headers.values())

    def _switch(self, names: list[str], strengths: list[float]) -> None:
        transformer: Any = self._require().transformer
        if names:
            transformer.set_adapters(names, strengths)
            transformer.enable_adapters()
        elif self._loras:
            transformer.disable_adapters()

    def _add(self, name: str, lora: LoraRef) -> lora_file.LoraHeader:
        family, path = self._require(), Path(lora.path)
        if name not in self._loras:
            header = lora_file.inspect(path)
            lora_file.require_fit(header, family.base)
            if self._slot is not None:
                self._weights[name] = family.lora_weights(path)
            else:
                family.load_lora(path, name)
            self._loras[name] = header
        self._loras.move_to_end(name)
        return self._loras[name]

    def _forget_oldest(self, keep: set[str]) -> None:
        for name in list(self._loras):
            if len(self._loras) > WARM_LORAS and name not in keep:
                self._forget(name)

    def _forget_all(self) -> None:
        for name in list(self._loras):
            self._forget(name)
        if self._slot is not None:
            self._slot.remove()

    def _forget(self, name: str) -> None:
        if self._slot is None:
            self._require().transformer.delete_adapters(name)
        self._weights.pop(name, None)
        del self._loras[name]

    def _require(self) -> Family:
        if self._family is None:
            raise RuntimeError("Registry.use comes first")
        return self._family


def _name(lora: LoraRef) -> str:
    """Adapter names may hold no dots; the content's hash makes the same file the same adapter."""
    return f"lora_{lora.sha256[:24] or secrets.token_hex(12)}"

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

from isengard.engine import catalog, families, lora_file, memory, plan
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

    def has(self, prompt: str) -> bool:
        """Whether no encoder will be needed (a damaged file is found when it is read)."""
        key = self._key(prompt)
        return key in self._warm or (self._folder / f"{key}.safetensors").exists()

    def _key(self, prompt: str) -> str:
        return hashlib.sha256(f"{self._text}\n{prompt}".encode()).hexdigest()

    def get(self, prompt: str) -> Embeds:
        """Embeddings of one prompt (batch 1) on the family's device."""
        key = self._key(prompt)
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
        self._away = False  # whether the denoiser waits in main memory

    def fitting(self, base: BaseModel, precision: str | None, wish: str) -> Quantize:
        """What `auto` means for this base on this device now; anything else is what it says."""
        return memory.fitting(base, self._device, memory.pick_dtype(Path(base.path), precision), wish)

    def use(self, base: BaseModel, precision: str | None = None, quantize: Quantize = "none") -> Family:
        """The base's family, warm if it was the last one used; another base takes its place in memory. Its parts load
        when they are needed, so ask for prompts first: their encoders then have the memory for themselves."""
        key = (base, memory.pick_dtype(Path(base.path), precision), quantize)
        if self._family is None or self._key != key:
            self.close()
            memory.settle_threads(Path(base.path), self._device)
            self._family, self._key = families.load(base, self._device, key[1], quantize), key
        return self._family

    def close(self) -> None:
        """Forgets everything and gives the memory back."""
        self._family, self._key, self._slot, self._away = None, None, None, False
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
        """Embeddings of each prompt, from the cache where possible. Where memory is short the denoiser makes way for
        the encoders, and they leave again before it comes (back)."""
        family = self._require()
        if cache_dir not in self._prompts:
            self._prompts[cache_dir] = PromptCache(family, cache_dir)
        cache = self._prompts[cache_dir]
        if memory.is_small(Path(family.base.path)):
            return [cache.get(prompt) for prompt in prompts]
        needed = self._needed()
        unread = not all(cache.has(prompt) for prompt in prompts)
        if unread and not family.has("text") and memory.room(family.device) < needed["text"]:
            self._make_way(needed["transformer"])
        found = [cache.get(prompt) for prompt in prompts]
        if memory.room(family.device) < needed["work"] + self._missing(needed["transformer"]):
            family.free("text")
        return found

    def _needed(self) -> dict[str, int]:
        family = self._require()
        how = {"precision": memory.name_of(family.dtype), "quantize": self._key[2] if self._key else "none"}
        return plan.drawing_parts(plan.geometry(catalog.get(family.base.key), Path(family.base.path)), how)

    def _missing(self, denoiser: int) -> int:
        """Bytes of the denoiser that are not on the device yet."""
        return denoiser if self._away or not self._require().has("transformer") else 0

    def _make_way(self, denoiser: int) -> None:
        """The denoiser to main memory, if there is room, else out. `hasten` calls it back."""
        family, host = self._require(), torch.device("cpu")
        if not family.has("transformer"):
            return
        if family.device != host and memory.room(host) > denoiser:
            family.move("transformer", host)
            self._away = True
        else:
            self._forget_all()
            self._slot = None
            family.free("transformer")

    def hasten(self, speed: Speed) -> None:
        """From now on the base draws so, and is where it draws. Compiled, it wears all LoRAs in one slot, else each as
        its own adapter."""
        family = self._require()
        if self._away:
            family.move("transformer", family.device)
            self._away = False
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

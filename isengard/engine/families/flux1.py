"""FLUX.1-dev, FLUX.1-schnell and Pocket: one code; what differs is read from the configurations and `pocket.json`.

The numerics follow diffusers' FluxPipeline (0.42): 2x2 patches, T5 without a mask, flow matching with Euler steps; the
one difference is that latents stay float32 between steps. Knows nothing of jobs, LoRA training or files of ours."""

import hashlib
import json
import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel
from diffusers.pipelines.flux.pipeline_flux import calculate_shift
from diffusers.utils import logging as diffusers_logging
from peft.tuners.lora import LoraLayer
from safetensors import SafetensorError
from transformers import CLIPTextModel, CLIPTokenizer, T5EncoderModel, T5TokenizerFast
from transformers.utils import logging as transformers_logging

from isengard.engine import lora_convert, quantised
from isengard.engine.errors import EngineError
from isengard.engine.families import flux1_learning
from isengard.engine.families.base import Embeds, Family, Guidance, Guide, Inputs, Part, Quantize, Timesteps
from isengard.engine.families.pace import Pace
from isengard.engine.families.slot import Weights
from isengard.engine.lora_matrix import Matrix
from isengard.engine.memory import is_out_of_memory, is_small, release
from isengard.engine.specs import BaseModel
from isengard.engine.speed import Speed

FOLDERS: dict[Part, tuple[str, ...]] = {
    "text": ("tokenizer", "tokenizer_2", "text_encoder", "text_encoder_2"),
    "vae": ("vae",),
    "transformer": ("transformer",),
}
# FLUX.1-dev was trained on 512 text tokens, schnell (no guidance input) on 256; pad tokens are not masked, so the
# length is part of the model.
TOKENS = {True: 512, False: 256}
DOUBLE = ("to_q", "to_k", "to_v", "to_out.0", "add_q_proj", "add_k_proj", "add_v_proj", "to_add_out")
FEED = ("ff.net.0.proj", "ff.net.2", "ff_context.net.0.proj", "ff_context.net.2")
SINGLE = ("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp", "proj_out")
PROMPT = ("time_text_embed.text_embedder.linear_1", "time_text_embed.text_embedder.linear_2")  # CLIP's pooled vector
UNREADABLE = (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError)


def load(base: BaseModel, device: torch.device, dtype: torch.dtype, quantize: Quantize = "none") -> Family:
    """See families.load."""
    for logging in (diffusers_logging, transformers_logging):
        logging.set_verbosity_error()  # their warnings on truncated captions and absent keys say nothing to our users
        logging.disable_progress_bar()
    return Flux1(base, device, dtype, quantize)


class Flux1:
    """See families.base.Family for what each hook takes and gives."""

    def __init__(self, base: BaseModel, device: torch.device, dtype: torch.dtype, quantize: Quantize = "none") -> None:
        self.base, self.device, self.dtype, self.quantize = base, device, dtype, quantize
        self.root = Path(base.path)
        vae, transformer = self._config("vae"), self._config("transformer")
        self.stride = 2 ** (len(vae["block_out_channels"]) - 1)
        self.multiple = self.stride * 2
        self.channels: int = transformer["in_channels"] // 4
        self.guidance_input = bool(transformer.get("guidance_embeds"))
        own = self._json("pocket.json") if (self.root / "pocket.json").is_file() else {}
        self.max_sequence_length = int(own.get("max_sequence_length", TOKENS[self.guidance_input]))
        self.guidance: Guidance = "embedded" if self.guidance_input else "none"
        if "true_cfg_scale" in own:
            self.guidance = "true_cfg"
        self._layers = (int(transformer["num_layers"]), int(transformer["num_single_layers"]))
        self._scheduler = self._load(FlowMatchEulerDiscreteScheduler, "scheduler", weights=False)
        self._parts: dict[str, Any] = {}
        self._ids: dict[tuple[int, int], torch.Tensor] = {}
        self._turns: dict[tuple[int, int, int], torch.Tensor] = {}
        self._pace = Pace()

    # Reading the folder

    def _json(self, name: str) -> dict[str, Any]:
        try:
            data: dict[str, Any] = json.loads((self.root / name).read_text())
        except (OSError, ValueError):
            raise self._unreadable(name) from None
        return data

    def _config(self, folder: str) -> dict[str, Any]:
        return self._json(f"{folder}/config.json")

    def _unreadable(self, what: str) -> EngineError:
        text = (
            f"The base model {self.base.key} is incomplete: {what} is missing or damaged. Put its folder there again."
        )
        return EngineError("base_unreadable", text)

    def _load(self, kind: Any, folder: str, *, weights: bool = True, **options: Any) -> Any:
        if not (self.root / folder).is_dir():
            raise self._unreadable(folder)
        try:
            part = kind.from_pretrained(self.root / folder, local_files_only=True, **options)
        except UNREADABLE as error:
            if is_out_of_memory(error):
                raise
            raise self._unreadable(folder) from error
        if not weights:
            return part
        if kind is FluxTransformer2DModel and self.quantize == "int8":
            # Before it goes to the device, where the whole of it might not fit.
            for blocks in (part.transformer_blocks, part.single_transformer_blocks):
                quantised.quantise(blocks, self.device)
        return part.to(self.device).eval().requires_grad_(False)

    def _part(self, folder: str, kind: Any, *, weights: bool = True) -> Any:
        if folder not in self._parts:
            options = {"dtype": self.dtype} if weights else {}
            self._parts[folder] = self._load(kind, folder, weights=weights, **options)
        return self._parts[folder]

    @property
    def transformer(self) -> Any:
        return self._part("transformer", FluxTransformer2DModel)

    @property
    def vae(self) -> Any:
        return self._part("vae", AutoencoderKL)

    def fingerprint(self, part: Part) -> str:
        """Every file's name, size and both ends: enough to tell weights apart without reading 20 GB."""
        shrunk = f" {self.quantize}" if part == "transformer" and self.quantize != "none" else ""
        digest = hashlib.sha256(f"{self.max_sequence_length} {self.dtype}{shrunk}".encode())
        for path in sorted(path for folder in FOLDERS[part] for path in (self.root / folder).iterdir()):
            size = path.stat().st_size
            with path.open("rb") as file:
                head = file.read(1 << 18)
                file.seek(max(size - (1 << 18), 0))
                digest.update(f"{path.name} {size}".encode() + head + file.read())
        return digest.hexdigest()

    def has(self, part: Part) -> bool:
        return any(folder in self._parts for folder in FOLDERS[part])

    def move(self, part: Part, device: torch.device) -> None:
        for folder in FOLDERS[part]:
            if folder in self._parts:
                self._parts[folder].to(device)
        if device.type == "cpu" and self.device.type != "cpu":
            release()

    def free(self, part: Part) -> None:
        for folder in FOLDERS[part]:
            self._parts.pop(folder, None)
        if part == "transformer":
            self._pace = Pace()  # what was compiled or kept was the old one's
        if not is_small(self.root):
            release()

    # Text

    @torch.no_grad()
    def encode_prompts(self, prompts: list[str]) -> Embeds:
        rows = [self._encode_prompt(prompt) for prompt in prompts]
        return {name: torch.cat([row[name] for row in rows]) for name in rows[0]}

    def _encode_prompt(self, prompt: str) -> Embeds:
        clip = self._tokens("tokenizer", CLIPTokenizer, prompt, 77)
        t5 = self._tokens("tokenizer_2", T5TokenizerFast, prompt, self.max_sequence_length)
        pooled = self._part("text_encoder", CLIPTextModel)(clip).pooler_output
        words = self._part("text_encoder_2", T5EncoderModel)(t5)[0]
        return {"prompt": words.cpu(), "pooled": pooled.cpu()}

    def _tokens(self, folder: str, kind: Any, prompt: str, length: int) -> torch.Tensor:
        tokenizer = self._part(folder, kind, weights=False)
        length = min(length, tokenizer.model_max_length)
        found = tokenizer([prompt], padding="max_length", max_length=length, truncation=True, return_tensors="pt")
        ids: torch.Tensor = found.input_ids
        return ids.to(self.device)

    # Pictures

    @torch.no_grad()
    def encode_images(self, pixels: torch.Tensor) -> torch.Tensor:
        mean: torch.Tensor = self.vae.encode(pixels.to(self.device, self.dtype)).latent_dist.mode()
        latents: torch.Tensor = (mean.float() - self.vae.config.shift_factor) * self.vae.config.scaling_factor
        return latents

    @torch.no_grad()
    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        raw = latents.float() / self.vae.config.scaling_factor + self.vae.config.shift_factor
        pixels: torch.Tensor = self.vae.decode(raw.to(self.device, self.dtype), return_dict=False)[0]
        return pixels.float()

    def tile(self, on: bool) -> None:
        self.vae.use_tiling = on

    def latent_shape(self, width: int, height: int) -> tuple[int, int, int]:
        if width % self.multiple or height % self.multiple or width <= 0 or height <= 0:
            text = f"Width and height must be multiples of {self.multiple} for this model, not {width} x {height}."
            raise EngineError("size_not_possible", text)
        return self.channels, height // self.stride, width // self.stride

    # Denoising

    def predict(
        self,
        latents: torch.Tensor,
        sigma: torch.Tensor,
        embeds: Embeds,
        guidance: float,
        guides: Sequence[Guide] = (),
    ) -> torch.Tensor:
        grid = (latents.shape[-2], latents.shape[-1])
        inputs = self._inputs(latents, sigma, embeds, guidance)
        more = {name: value for guide in guides for name, value in guide(inputs, grid).items()}
        # LoRA weights in training are float32 on a bf16 model: autocast lets them meet.
        mixed = torch.is_grad_enabled() and self.dtype != torch.float32

        def velocity() -> torch.Tensor:
            if torch.is_grad_enabled() and not more and flux1_learning.fits(self.transformer):
                return flux1_learning.velocity(self.transformer, inputs, self._turns_of(inputs, grid))
            found: torch.Tensor = self.transformer(**inputs, **more, return_dict=False)[0]
            return found

        with torch.autocast(self.device.type, self.dtype, enabled=mixed):
            found = self._pace.run(self.transformer, sigma, latents.shape, velocity)
        return _unpack(found.float(), *grid)

    def _inputs(self, latents: torch.Tensor, sigma: torch.Tensor, embeds: Embeds, guidance: float) -> Inputs:
        count, _, height, width = latents.shape
        words = embeds["prompt"].to(self.device, self.dtype)
        return {
            "hidden_states": self.pack(latents),
            "timestep": (sigma * 1000).to(self.device, self.dtype) / 1000,
            "guidance": torch.full((count,), guidance, device=self.device) if self.guidance_input else None,
            "pooled_projections": embeds["pooled"].to(self.device, self.dtype),
            "encoder_hidden_states": words,
            "txt_ids": torch.zeros(words.shape[1], 3, device=self.device, dtype=self.dtype),
            "img_ids": self._image_ids(height // 2, width // 2),
        }

    def hasten(self, speed: Speed) -> None:
        self._pace.set(self.transformer, speed)

    def pack(self, latents: torch.Tensor) -> torch.Tensor:
        return _pack(latents).to(self.device, self.dtype)

    def _image_ids(self, rows: int, columns: int) -> torch.Tensor:
        if (rows, columns) not in self._ids:
            # Made where it is needed: a copy would make the host wait in the first step of each picture shape.
            down, across = (torch.arange(side, device=self.device, dtype=self.dtype) for side in (rows, columns))
            places = (torch.zeros_like(down)[:1], down, across)
            self._ids[rows, columns] = torch.cartesian_prod(*places)
        return self._ids[rows, columns]

    def _turns_of(self, inputs: Inputs, grid: tuple[int, int]) -> torch.Tensor:
        key = (*grid, inputs["txt_ids"].shape[0])
        if key not in self._turns or self._turns[key].device != self.device:
            self._turns[key] = flux1_learning.turns_of(self.transformer, inputs)
        return self._turns[key]

    def sigmas(self, steps: int, shape: tuple[int, ...]) -> torch.Tensor:
        self._scheduler.set_timesteps(sigmas=np.linspace(1.0, 1 / steps, steps), mu=self._shift(shape))
        sigmas: torch.Tensor = self._scheduler.sigmas
        return sigmas.clone()

    def _shift(self, shape: tuple[int, ...]) -> float:
        """How far larger pictures move the noise levels up: the logarithm of the odds' factor."""
        config = self._scheduler.config
        tokens = (shape[-2] // 2) * (shape[-1] // 2)
        names = ("base_image_seq_len", "max_image_seq_len", "base_shift", "max_shift")
        return float(calculate_shift(tokens, *(config[name] for name in names)))

    def training_sigmas(
        self, shape: tuple[int, ...], generator: torch.Generator, how: Timesteps = "sigmoid"
    ) -> torch.Tensor:
        """Sigmoid is FLUX.1-dev practice for subjects; shift is FluxPipeline's own for the picture's size."""
        if how == "sigmoid":
            return torch.randn(shape[0], generator=generator).sigmoid()
        even = torch.rand(shape[0], generator=generator)
        factor = math.exp(self._shift(shape)) if how == "shift" else 1.0
        return factor * even / (1 + (factor - 1) * even)

    # LoRA

    def lora_targets(self) -> list[str]:
        double = [f"attn.{name}" for name in DOUBLE] + list(FEED)
        blocks = [f"transformer_blocks.{i}.{name}" for i in range(self._layers[0]) for name in double]
        return blocks + [f"single_transformer_blocks.{i}.{name}" for i in range(self._layers[1]) for name in SINGLE]

    def prompt_layers(self) -> list[str]:
        return list(PROMPT)

    def export_key(self, module: str, half: Literal["A", "B"]) -> str:
        return f"transformer.{module}.lora_{half}.weight"

    def _lora_tensors(self, path: Path) -> dict[str, torch.Tensor]:
        return {key: _tensor(matrix).to(self.device, self.dtype) for key, matrix in lora_convert.tensors(path)}

    def lora_weights(self, path: Path) -> Weights:
        found = self._lora_tensors(path)
        modules = {key.removeprefix("transformer.").rpartition(".lora_")[0]: None for key in found}
        return {name: (found[self.export_key(name, "A")], found[self.export_key(name, "B")]) for name in modules}

    def load_lora(self, path: Path, name: str) -> None:
        weights = self._lora_tensors(path)
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Already found a `peft_config`")  # several adapters are meant
                FluxPipeline.load_lora_into_transformer(weights, None, transformer=self.transformer, adapter_name=name)
        except UNREADABLE as error:
            if is_out_of_memory(error):
                raise
            text = (
                "This LoRA does not fit the base model, so it cannot be used with it. Choose one trained on this base."
            )
            raise EngineError("lora_unreadable", text) from error
        for layer in self.transformer.modules():
            if isinstance(layer, LoraLayer) and name in layer.lora_A:
                # peft takes the layer's own format, and float32 where that is bytes: not what a training draws with.
                layer.lora_A[name].to(self.dtype)
                layer.lora_B[name].to(self.dtype)

    def make_pipeline(self) -> Any:
        empty = dict.fromkeys(("text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2"))
        return FluxPipeline(scheduler=self._scheduler, vae=self.vae, transformer=self.transformer, **empty)


def _tensor(matrix: Matrix) -> torch.Tensor:
    """A copy in torch's own memory; numpy knows bf16 only as its bits.

    Its own, because math libraries round by how memory is aligned: numpy's would give other bits than the training."""
    bits = np.ascontiguousarray(matrix.bits)
    if matrix.dtype == "BF16":
        return torch.tensor(bits.view(np.int16)).view(torch.bfloat16)
    return torch.tensor(bits)


def _pack(latents: torch.Tensor) -> torch.Tensor:
    """(B, C, h, w) → (B, h/2 * w/2, 4C): each token is a 2x2 patch, channels first."""
    count, channels, height, width = latents.shape
    patches = latents.reshape(count, channels, height // 2, 2, width // 2, 2).permute(0, 2, 4, 1, 3, 5)
    return patches.reshape(count, (height // 2) * (width // 2), channels * 4)


def _unpack(tokens: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """The way back; height and width in latent cells."""
    count, _, features = tokens.shape
    patches = tokens.reshape(count, height // 2, width // 2, features // 4, 2, 2).permute(0, 3, 1, 4, 2, 5)
    return patches.reshape(count, features // 4, height, width)

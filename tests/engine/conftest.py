"""A randomly initialised FLUX small enough for any test, saved once, and short specs to train and draw with it."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer, T5Config, T5EncoderModel, T5TokenizerFast

from isengard.engine.specs import BaseModel, GenerateSpec, TrainImage, TrainSpec

torch.set_num_threads(1)
TRAIN_PARAMS: dict[str, Any] = {
    "steps": 6,
    "learning_rate": 1e-2,
    "lora_rank": 4,
    "resolution": 32,
    "batch_size": 2,
    "sample_every_n_steps": 0,
    "sample_count": 1,
    "sample_prompts": [],
    "checkpoint_every_n_steps": 3,
    "max_checkpoints": 2,
    "seed": 7,
    "warmup_steps": 2,
    "gradient_accumulation": 1,
    "caption_dropout": 0.2,
    "class_images": 0,
}


class Events(list[dict[str, Any]]):
    """A sink that remembers."""

    def __call__(self, type: str, /, **fields: Any) -> None:
        self.append({"type": type, **fields})

    def of(self, type: str) -> list[dict[str, Any]]:
        return [event for event in self if event["type"] == type]


@pytest.fixture
def events() -> Events:
    return Events()


def _tokenizers() -> tuple[CLIPTokenizer, T5TokenizerFast]:
    letters = [chr(code) for code in range(32, 127)]
    symbols = sorted(set(pre_tokenizers.ByteLevel.alphabet()))
    words = [*symbols, *(symbol + "</w>" for symbol in symbols), "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {word: index for index, word in enumerate(words)}
    clip = CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=77, pad_token="<|endoftext|>")
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0), *((letter, -3.0) for letter in letters)]
    return clip, T5TokenizerFast(vocab=pieces, extra_ids=0, model_max_length=512)


def _text(clip: CLIPTokenizer, t5: T5TokenizerFast) -> tuple[CLIPTextModel, T5EncoderModel]:
    ids = {"bos_token_id": clip.bos_token_id, "eos_token_id": clip.eos_token_id, "pad_token_id": clip.pad_token_id}
    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    first = CLIPTextModel(CLIPTextConfig(vocab_size=len(clip), max_position_embeddings=77, **small, **ids))
    sizes = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2}
    return first, T5EncoderModel(T5Config(vocab_size=len(t5), dropout_rate=0.0, **sizes))


def _pictures(width: int, heads: int) -> tuple[FluxTransformer2DModel, AutoencoderKL]:
    transformer = FluxTransformer2DModel(
        patch_size=1,
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=width // heads,
        num_attention_heads=heads,
        joint_attention_dim=16,
        pooled_projection_dim=16,
        guidance_embeds=True,
        axes_dims_rope=(4, 6, 6),
    )
    vae = AutoencoderKL(
        block_out_channels=(8, 8, 16),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=4,
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        use_quant_conv=False,
        use_post_quant_conv=False,
        scaling_factor=0.9,
        shift_factor=0.1,
    )
    return transformer, vae


def build_tiny(folder: Path, *, heads: int = 2, guidance: str = "true_cfg") -> BaseModel:
    """A complete diffusers folder with random weights (always the same ones)."""
    torch.manual_seed(0)
    clip, t5 = _tokenizers()
    text, text_2 = _text(clip, t5)
    transformer, vae = _pictures(16 * heads, heads)
    scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True)
    FluxPipeline(scheduler, vae, text, clip, text_2, t5, transformer).save_pretrained(folder)
    scale = ', "true_cfg_scale": 2.5' if guidance == "true_cfg" else ""
    (folder / "pocket.json").write_text('{"max_sequence_length": 32' + scale + "}")
    return BaseModel("pocket", "flux1", str(folder))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> BaseModel:
    return build_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainImage, ...]:
    """Three pictures, two of them square."""
    folder, found = tmp_path_factory.mktemp("photos"), []
    for index, size in enumerate([(40, 40), (50, 50), (60, 40)]):
        path = folder / f"{index}.png"
        Image.radial_gradient("L").resize(size).convert("RGB").point(lambda v, i=index: v // (i + 1)).save(path)
        found.append(TrainImage(str(path), hashlib.sha256(path.read_bytes()).hexdigest(), f"a photo of ohwx {index}"))
    return tuple(found)


@pytest.fixture
def train_spec(tiny: BaseModel, photos: tuple[TrainImage, ...], tmp_path: Path) -> Callable[..., TrainSpec]:
    def make(name: str = "run", **changes: Any) -> TrainSpec:
        fields = {
            field: changes.pop(field) for field in ("resume_from", "images", "base", "prompts") if field in changes
        }
        usual: dict[str, Any] = {"base": tiny, "images": photos, "prompts": ("a photo of ohwx",)}
        return TrainSpec(
            job="train-1",
            run_dir=str(tmp_path / name),
            cache_dir=str(tmp_path / "cache"),
            trigger_word="ohwx",
            class_word="woman",
            params={**TRAIN_PARAMS, **changes},
            title="Anna v1",
            **{**usual, **fields},
        )

    return make


@pytest.fixture
def generate_spec(tiny: BaseModel, tmp_path: Path) -> Callable[..., GenerateSpec]:
    def make(name: str = "pictures", **changes: Any) -> GenerateSpec:
        usual: dict[str, Any] = {
            "base": tiny,
            "prompt": "a photo of ohwx",
            "seeds": (1,),
            "loras": (),
            "preview": False,
        }
        fields = {field: changes.pop(field, default) for field, default in usual.items()}
        params = {"width": 32, "height": 32, "steps": 3, "guidance_scale": 2.5, "negative_prompt": "", **changes}
        out = tmp_path / name
        return GenerateSpec(job="gen-1", out_dir=str(out), cache_dir=str(tmp_path / "cache"), params=params, **fields)

    return make


@pytest.fixture
def never() -> Iterator[Callable[[], bool]]:
    yield lambda: False

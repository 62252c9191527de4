"""A complete FLUX folder with random weights, small enough for any test."""

from pathlib import Path

import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel
from tokenizers import pre_tokenizers
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer, T5Config, T5EncoderModel, T5TokenizerFast

from isengard.engine.specs import BaseModel

torch.set_num_threads(1)


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


def _pictures(width: int, heads: int, guided: bool) -> tuple[FluxTransformer2DModel, AutoencoderKL]:
    transformer = FluxTransformer2DModel(
        patch_size=1,
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=width // heads,
        num_attention_heads=heads,
        joint_attention_dim=16,
        pooled_projection_dim=16,
        guidance_embeds=guided,
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
    transformer, vae = _pictures(16 * heads, heads, guidance != "none")
    scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True)
    FluxPipeline(scheduler, vae, text, clip, text_2, t5, transformer).save_pretrained(folder)
    scale = ', "true_cfg_scale": 2.5' if guidance == "true_cfg" else ""
    (folder / "pocket.json").write_text('{"max_sequence_length": 32' + scale + "}")
    return BaseModel("pocket", "flux1", str(folder))

"""Captioner folders with random weights of the real classes, small enough for any test."""

from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    BartConfig,
    BertTokenizer,
    BlipConfig,
    BlipForConditionalGeneration,
    BlipImageProcessorPil,
    BlipProcessor,
    BlipTextConfig,
    BlipVisionConfig,
    CLIPImageProcessorPil,
    Florence2Config,
    Florence2ForConditionalGeneration,
    Florence2Processor,
    Florence2VisionConfig,
    PreTrainedTokenizerFast,
)

WORDS = ["photo", "woman", "smiling", "beach", "red", "coat"]
SIDE = 32


def build_blip(folder: Path) -> Path:
    """A BLIP captioner of a few thousand weights (always the same ones)."""
    torch.manual_seed(0)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", *WORDS]
    tokenizer = BertTokenizer(vocab={word: index for index, word in enumerate(words)}, bos_token="[DEC]")
    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = BlipTextConfig(
        vocab_size=len(words), bos_token_id=5, sep_token_id=3, pad_token_id=0, encoder_hidden_size=16, **small
    )
    config = BlipConfig(
        text_config=text.to_dict(),
        vision_config=BlipVisionConfig(image_size=SIDE, patch_size=16, **small).to_dict(),
        projection_dim=16,
        image_text_hidden_size=16,
    )
    BlipForConditionalGeneration(config).save_pretrained(folder)
    BlipProcessor(BlipImageProcessorPil(size={"height": SIDE, "width": SIDE}), tokenizer).save_pretrained(folder)
    return folder


def build_florence2(folder: Path) -> Path:
    """A Florence-2 captioner of a few thousand weights (always the same ones)."""
    torch.manual_seed(0)
    words = ["<s>", "<pad>", "</s>", "<unk>", *WORDS, "<image>"]
    inner = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>",
        extra_special_tokens={"image_token": "<image>"},
    )  # fmt: skip
    text = BartConfig(
        vocab_size=len(words), d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, max_position_embeddings=600,
        bos_token_id=0, pad_token_id=1, eos_token_id=2, decoder_start_token_id=2, forced_eos_token_id=2,
    )  # fmt: skip
    vision = Florence2VisionConfig(
        depths=[1, 1], patch_size=[7, 3], patch_stride=[4, 2], patch_padding=[3, 1], patch_prenorm=[False, True],
        embed_dim=[8, 16], num_heads=[2, 2], num_groups=[2, 2], window_size=4, projection_dim=16,
    )  # fmt: skip
    config = Florence2Config(text_config=text, vision_config=vision, image_token_id=words.index("<image>"))
    Florence2ForConditionalGeneration(config).save_pretrained(folder)
    pictures = CLIPImageProcessorPil(size={"height": SIDE, "width": SIDE}, do_center_crop=False)
    # One token for each of the last stage's cells (4 by 4) and one for their mean.
    pictures.image_seq_length = 17
    Florence2Processor(pictures, tokenizer).save_pretrained(folder)
    return folder

"""The two text encoders, and the lesson that makes them useful before any picture is drawn: reading.

From its output alone each encoder must say what the caption told (which hair, which shirt, whose name). That binds
"auburn" to "hair" in minutes of text-only training; a diffusion loss alone needs hours for it. Knows no pixels.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer, T5Config, T5EncoderModel, T5Tokenizer

from isengard.engine.pocket.ranks import Ranks
from isengard.engine.pocket.tokens import CLIP_LENGTH, TEXT_LENGTH, capital_twins

WIDTH = 128
CLIP_TRAINED = 36  # tokens kept while training; the encoder is causal, so what follows the end token changes nothing


def make_clip(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    return CLIPTextModel(CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=WIDTH, intermediate_size=2 * WIDTH, projection_dim=WIDTH,
        num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=CLIP_LENGTH, hidden_act="quick_gelu",
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    ))  # fmt: skip


def make_t5(tokenizer: T5Tokenizer) -> T5EncoderModel:
    return T5EncoderModel(T5Config(
        vocab_size=len(tokenizer), d_model=WIDTH, d_kv=32, num_heads=4, d_ff=2 * WIDTH, num_layers=2, dropout_rate=0.0,
        feed_forward_proj="gated-gelu", relative_attention_num_buckets=16, relative_attention_max_distance=32,
    ))  # fmt: skip


class Readers(nn.Module):
    """Both encoders and, per target, a linear head on CLIP's pooled output and on the mean of T5's tokens."""

    def __init__(self, clip: CLIPTextModel, t5: T5EncoderModel, sizes: list[int]) -> None:
        super().__init__()
        self.clip, self.t5, self.sizes = clip, t5, sizes
        self.from_clip, self.from_t5 = nn.Linear(WIDTH, sum(sizes)), nn.Linear(WIDTH, sum(sizes))

    def encode(self, clip_ids: Tensor, t5_ids: Tensor) -> tuple[Tensor, Tensor]:
        """(B, ≤77) and (B, 32) token ids → pooled (B, WIDTH) and tokens (B, 32, WIDTH), as FluxPipeline makes them."""
        return self.clip(clip_ids).pooler_output, self.t5(t5_ids)[0]

    def forward(self, clip_ids: Tensor, t5_ids: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Mean cross entropy over targets and encoders, and the share of told things read right, per encoder (2,)."""
        pooled, tokens = self.encode(clip_ids, t5_ids)
        losses, right = [], []
        for logits in (self.from_clip(pooled), self.from_t5(tokens.mean(1))):
            parts = logits.split(self.sizes, dim=1)
            losses += [nn.functional.cross_entropy(part, targets[:, i]) for i, part in enumerate(parts)]
            hits = torch.stack([part.argmax(1) for part in parts], 1) == targets
            right.append(hits[:, :-3][targets[:, :-3] > 0].float().mean())
        return torch.stack(losses).mean(), torch.stack(right)


def tokenize(clip: CLIPTokenizer, t5: T5Tokenizer, texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Token ids (n, CLIP_TRAINED) and (n, TEXT_LENGTH), int16."""
    options = {"padding": "max_length", "truncation": True, "return_tensors": "np"}
    a = clip(texts, max_length=CLIP_TRAINED, **options).input_ids
    b = t5(texts, max_length=TEXT_LENGTH, **options).input_ids
    return a.astype(np.int16), b.astype(np.int16)


def learn_to_read(
    ranks: Ranks, build: Path, make: tuple[CLIPTokenizer, T5Tokenizer], sizes: list[int], minutes: float
) -> None:
    """Train both encoders on build/tokens.npz for `minutes`; writes build/readers.pt."""
    torch.manual_seed(7)
    readers = Readers(make_clip(make[0]), make_t5(make[1]), sizes).to(ranks.device)
    stored = np.load(build / "tokens.npz")
    arrays = [torch.from_numpy(stored[key].astype(np.int64)) for key in ("clip", "t5", "targets")]
    draw = torch.Generator().manual_seed(70 + ranks.rank)
    optimizer = torch.optim.AdamW(readers.parameters(), lr=2e-3, weight_decay=0.01, betas=(0.9, 0.98))
    started, step, share = time.monotonic(), 0, 0.0
    while share < 1.0:
        share = ranks.agree((time.monotonic() - started) / (60 * minutes))
        for group in optimizer.param_groups:
            group["lr"] = 2e-3 * min(1.0, (step + 1) / 50, max(0.02, 1.6 * (1 - share)))
        rows = torch.randint(len(arrays[0]), (128,), generator=draw)
        batch = [array[rows].to(ranks.device) for array in arrays]
        loss, right = readers(*batch)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        ranks.average(readers.parameters())
        nn.utils.clip_grad_norm_(readers.parameters(), 1.0)
        optimizer.step()
        step += 1
        if ranks.first and step % 100 == 0:
            print(
                f"reading step {step} loss {loss:.4f} told things read right: clip {right[0]:.3f} t5 {right[1]:.3f}",
                flush=True,
            )
    if ranks.first:
        with torch.no_grad():
            for capital, small in capital_twins(make[1]).items():
                readers.t5.shared.weight[capital] = readers.t5.shared.weight[small]
        torch.save({"clip": readers.clip.state_dict(), "t5": readers.t5.state_dict()}, build / "readers.pt")

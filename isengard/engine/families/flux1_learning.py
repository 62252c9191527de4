"""FLUX.1's denoiser while it is learnt from: what diffusers' model computes, to rounding, in fewer passes over memory.

Its layers stay diffusers' and peft's own, with their weights and names; only the way through them is written here. The
two streams are joined once and not in each single block, and fused.py takes the LoRAs. Knows no job, no file."""

from collections.abc import Callable
from typing import Any

import torch
from diffusers.models.attention_dispatch import dispatch_attention_fn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from isengard.engine.families.base import Inputs
from isengard.engine.families.fused import linear, linears, turned


def fits(net: Any) -> bool:
    """Whether the way below may be gone: a compiled block fuses by itself, but only where the block is called."""
    return all(block._compiled_call_impl is None for block in (*net.transformer_blocks, *net.single_transformer_blocks))


def turns_of(net: Any, inputs: Inputs) -> torch.Tensor:
    """The rotary embedding of text and picture as complex numbers (tokens, 1, D/2); the same for every step."""
    cosine, sine = net.pos_embed(torch.cat((inputs["txt_ids"], inputs["img_ids"])))
    return torch.complex(cosine[:, ::2], sine[:, ::2]).unsqueeze(1)


def velocity(net: Any, inputs: Inputs, turns: torch.Tensor) -> torch.Tensor:
    """(B, tokens, features), from the arguments of diffusers' forward."""
    picture = net.x_embedder(inputs["hidden_states"])
    text = net.context_embedder(inputs["encoder_hidden_states"])
    mood = functional.silu(_mood(net, inputs, picture.dtype))
    walk = _walk(net)
    for block in net.transformer_blocks:
        text, picture = walk(double, block, text, picture, mood, turns)
    both, length = torch.cat((text, picture), dim=1), text.shape[1]
    for block in net.single_transformer_blocks:
        both = walk(single, block, both, mood, turns)
    scale, shift = net.norm_out.linear(mood).chunk(2, dim=1)
    found: torch.Tensor = net.proj_out(_modulated(net.norm_out.norm(both[:, length:]), shift, scale))
    return found


def _mood(net: Any, inputs: Inputs, kind: torch.dtype) -> torch.Tensor:
    """What time, guidance and the prompt as a whole say, (B, width)."""
    scalars = [inputs["timestep"].to(kind) * 1000]
    if inputs["guidance"] is not None:
        scalars.append(inputs["guidance"].to(kind) * 1000)
    found: torch.Tensor = net.time_text_embed(*scalars, inputs["pooled_projections"])
    return found


def _walk(net: Any) -> Callable[..., Any]:
    """How a block is taken: at once, or again on the way back."""
    if not (net.gradient_checkpointing and torch.is_grad_enabled()):
        return lambda block, *given: block(*given)
    # Nothing in a block is random, so no state of chance is kept for the second time.
    return lambda block, *given: checkpoint(block, *given, use_reentrant=False, preserve_rng_state=False)


def _modulated(normed: torch.Tensor, shift: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    return torch.addcmul(shift[:, None], normed, 1 + scale[:, None])


def _gated(before: torch.Tensor, gate: torch.Tensor, change: torch.Tensor) -> torch.Tensor:
    return torch.addcmul(before, gate[:, None], change)


def _feed(feed: Any, x: torch.Tensor) -> torch.Tensor:
    inner = functional.gelu(linear(feed.net[0].proj, x), approximate="tanh")
    return linear(feed.net[2], inner)


def _attended(attn: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """(B, S, H, D) each → (B, S, H·D), by the kernel that diffusers would take."""
    found: torch.Tensor = dispatch_attention_fn(query, key, value, backend=attn.processor._attention_backend)
    return found.flatten(2, 3)


def double(
    block: Any, text: torch.Tensor, picture: torch.Tensor, mood: torch.Tensor, turns: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """A block with a stream for text and one for the picture, which meet in its attention."""
    attn, length = block.attn, text.shape[1]
    of_text = block.norm1_context.linear(mood).chunk(6, dim=1)
    of_picture = block.norm1.linear(mood).chunk(6, dim=1)
    words = _modulated(block.norm1_context.norm(text), *of_text[:2])
    cells = _modulated(block.norm1.norm(picture), *of_picture[:2])
    said = [_heads(attn, x) for x in linears(words, attn.add_q_proj, attn.add_k_proj, attn.add_v_proj)]
    seen = [_heads(attn, x) for x in linears(cells, attn.to_q, attn.to_k, attn.to_v)]
    query = turned(turns, (said[0], attn.norm_added_q), (seen[0], attn.norm_q))
    key = turned(turns, (said[1], attn.norm_added_k), (seen[1], attn.norm_k))
    heard = _attended(attn, query, key, torch.cat((said[2], seen[2]), dim=1))
    text = _gated(text, of_text[2], linear(attn.to_add_out, heard[:, :length]))
    picture = _gated(picture, of_picture[2], linear(attn.to_out[0], heard[:, length:]))
    text = _fed(block.norm2_context, block.ff_context, text, of_text[3:])
    picture = _fed(block.norm2, block.ff, picture, of_picture[3:])
    return text, picture


def _heads(attn: Any, x: torch.Tensor) -> torch.Tensor:
    return x.view(*x.shape[:-1], -1, attn.head_dim)


def _fed(norm: Any, feed: Any, stream: torch.Tensor, mood: tuple[torch.Tensor, ...]) -> torch.Tensor:
    shift, scale, gate = mood
    return _gated(stream, gate, _feed(feed, _modulated(norm(stream), shift, scale)))


def single(block: Any, both: torch.Tensor, mood: torch.Tensor, turns: torch.Tensor) -> torch.Tensor:
    """A block in which text and picture are one sequence, attention and feed-forward side by side."""
    attn = block.attn
    shift, scale, gate = block.norm.linear(mood).chunk(3, dim=1)
    given = _modulated(block.norm.norm(both), shift, scale)
    *heads, inner = linears(given, attn.to_q, attn.to_k, attn.to_v, block.proj_mlp)
    query, key, value = (_heads(attn, x) for x in heads)
    heard = _attended(attn, turned(turns, (query, attn.norm_q)), turned(turns, (key, attn.norm_k)), value)
    return _gated(both, gate, linear(block.proj_out, heard, functional.gelu(inner, approximate="tanh")))

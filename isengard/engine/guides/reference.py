"""A reference picture through an IP-Adapter: further attention of the double blocks to what CLIP sees in it.

diffusers' own loader (FluxIPAdapterMixin), with an image encoder from the adapter's folder. Knows no job, no Django."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from PIL import Image
from safetensors import SafetensorError

from isengard.engine.errors import EngineError
from isengard.engine.families.base import Family, Inputs
from isengard.engine.guides.found import adapter_weights
from isengard.engine.memory import is_out_of_memory

UNREADABLE = (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError)


class Reference:
    """What CLIP sees, given to every step."""

    def __init__(self, seen: torch.Tensor) -> None:
        self.seen = seen  # (1, features)

    def counts(self, done: float) -> bool:
        """The adapter's attention cannot go without it, so at every share of the steps."""
        return True

    def __call__(self, inputs: Inputs, grid: tuple[int, int]) -> Inputs:
        """See families.base.Guide. One picture, the same for the whole batch: (B, 1, features)."""
        count = inputs["hidden_states"].shape[0]
        return {"joint_attention_kwargs": {"ip_adapter_image_embeds": [self.seen[:, None].expand(count, 1, -1)]}}


@contextmanager
def worn(family: Family, folder: Path, picture: Image.Image, strength: float) -> Iterator[Reference]:
    """Inside, the denoiser has the adapter's attention; afterwards it is exactly what it was.

    EngineError guide_unreadable."""
    pipeline = family.make_pipeline()
    weights, encoder = adapter_weights(folder), folder / "image_encoder"
    try:
        pipeline.load_ip_adapter(
            str(folder),
            weight_name=weights.name if weights else "",
            image_encoder_pretrained_model_name_or_path=str(encoder),
            image_encoder_dtype=family.dtype,
            local_files_only=True,
        )
    except UNREADABLE as error:
        if is_out_of_memory(error):
            raise
        text = f"The IP-Adapter in {folder.name} is damaged or made for another base. Put it there again."
        raise EngineError("guide_unreadable", text) from error
    try:
        with torch.no_grad():
            seen = pipeline.encode_image(picture, family.device, 1)
        pipeline.image_encoder.to("cpu")
        pipeline.set_ip_adapter_scale(strength)
        yield Reference(seen)
    finally:
        pipeline.unload_ip_adapter()

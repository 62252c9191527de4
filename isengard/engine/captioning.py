"""Describes photos with a captioning model from disk: BLIP or Florence-2, by the library's own classes (⚙ torch).

Knows photos as paths and answers with texts; whose they are and what becomes of the texts is the studio's."""

import gc
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors import SafetensorError

from isengard.engine import capabilities
from isengard.engine.errors import EngineError
from isengard.engine.events import Event, Sink, Stop
from isengard.engine.specs import CaptionImage, CaptionModel, CaptionSpec

Describe = Callable[[Image.Image], str]
# Florence-2's own task words (Xiao et al. 2023, appendix; the processor turns them into questions).
TASKS = {"short": "<CAPTION>", "detailed": "<DETAILED_CAPTION>", "long": "<MORE_DETAILED_CAPTION>"}
# Beams as both model cards use them; lengths that hold a sentence, and a paragraph.
BEAMS = 3
BLIP_TOKENS, FLORENCE_TOKENS = 60, 256


def caption(spec: CaptionSpec, sink: Sink, stop: Stop) -> Event:
    """One `caption` event for each photo and model. EngineError captioner_broken: a model's folder cannot be loaded.

    A photo that cannot be opened is told in its event (`error`) and the others go on."""
    started, total, done = time.monotonic(), len(spec.models) * len(spec.images), 0
    for model in spec.models:
        sink("stage", stage="loading_model", message=f"Loading {model.label}")
        describe = loaded(model)
        sink("stage", stage="captioning", message=f"{model.label} looks at the photos")
        for image in spec.images:
            if stop():
                return {"captions": done, "seconds": time.monotonic() - started, "stopped": True}
            sink("caption", index=image.index, model=model.key, **_described(describe, image))
            done += 1
            sink("progress", step=done, total=total)
        # The next one needs the room.
        del describe
        gc.collect()
    return {"captions": done, "seconds": time.monotonic() - started, "stopped": False}


def _described(describe: Describe, image: CaptionImage) -> dict[str, str]:
    try:
        with Image.open(image.path) as photo:
            return {"text": describe(photo.convert("RGB"))}
    except OSError as error:
        return {"text": "", "error": f"The photo cannot be read: {error.strerror or 'it is damaged'}."}


def loaded(model: CaptionModel) -> Describe:
    """The model as a function from a picture to its description. EngineError captioner_broken."""
    machine = capabilities.probe()
    dtype = torch.float32 if machine.device == "cpu" else torch.bfloat16 if machine.bf16 else torch.float16
    load = _florence2 if model.kind == "florence2" else _blip
    try:
        return load(Path(model.path), model.detail, torch.device(machine.device), dtype)
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        # Out of memory is explained where all jobs' failures are.
        if isinstance(error, torch.OutOfMemoryError):
            raise
        message = f"{model.label} cannot be loaded from {model.path}. Download it again. ({error})"
        raise EngineError("captioner_broken", message) from error


def _blip(folder: Path, _detail: str, device: torch.device, dtype: torch.dtype) -> Describe:
    from transformers import BlipForConditionalGeneration, BlipProcessor

    processor = BlipProcessor.from_pretrained(folder, local_files_only=True)
    model = _ready(BlipForConditionalGeneration, folder, device, dtype)

    def describe(photo: Image.Image) -> str:
        inputs = processor(images=photo, return_tensors="pt").to(device, dtype)
        tokens = _generate(model, inputs, BLIP_TOKENS)
        return str(processor.decode(tokens[0], skip_special_tokens=True)).strip()

    return describe


def _florence2(folder: Path, detail: str, device: torch.device, dtype: torch.dtype) -> Describe:
    from transformers import Florence2ForConditionalGeneration, Florence2Processor

    processor = Florence2Processor.from_pretrained(folder, local_files_only=True)
    model = _ready(Florence2ForConditionalGeneration, folder, device, dtype)

    def describe(photo: Image.Image) -> str:
        inputs = processor(text=TASKS[detail], images=photo, return_tensors="pt").to(device, dtype)
        tokens = _generate(model, inputs, FLORENCE_TOKENS)
        return str(processor.decode(tokens[0], skip_special_tokens=True)).strip()

    return describe


def _ready(kind: Any, folder: Path, device: torch.device, dtype: torch.dtype) -> Any:
    """Weights from safetensors only: the other format can run code while it is read."""
    model = kind.from_pretrained(folder, dtype=dtype, local_files_only=True, use_safetensors=True)
    return model.to(device).eval()


@torch.no_grad()
def _generate(model: Any, inputs: Any, length: int) -> torch.Tensor:
    """Token ids (1, n). Beams without sampling, so that the same photo gets the same words."""
    tokens: torch.Tensor = model.generate(**inputs, max_new_tokens=length, num_beams=BEAMS, do_sample=False)
    return tokens

"""Model families: what model, one file each. No torch here: a family's file is imported when it is first loaded."""

from importlib import import_module
from typing import TYPE_CHECKING

from isengard.engine.errors import EngineError
from isengard.engine.specs import BaseModel

if TYPE_CHECKING:
    import torch

    from isengard.engine.families.base import Family, Quantize

_MODULES = {"flux1": "isengard.engine.families.flux1"}


def load(base: BaseModel, device: "torch.device", dtype: "torch.dtype", quantize: "Quantize" = "none") -> "Family":
    """The family behind a base model; its parts are read from disk when first used. `quantize`: how its denoiser's
    large layers are kept.

    EngineError: unknown_family, or base_unreadable when the folder is not a complete diffusers folder."""
    if base.family not in _MODULES:
        raise EngineError("unknown_family", f"No code here knows the model family “{base.family}”.")
    family: Family = import_module(_MODULES[base.family]).load(base, device, dtype, quantize)
    return family

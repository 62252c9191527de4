"""Puts the guides of a request on the base and takes them off again: what `sampling.draw` asks at each step.

Knows families, networks and files of one job; no queue, no Django."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from isengard.engine.drawing.inputs import picture
from isengard.engine.families.base import Family
from isengard.engine.guides import controlnet, reference
from isengard.engine.guides.control_pictures import Maker
from isengard.engine.guides.controlnet import Control
from isengard.engine.guides.found import KINDS, MAKERS
from isengard.engine.guides.reference import Reference

# Gives a network back that is warm, or makes it: Registry.keep.
Keep = Callable[[str, Callable[[], Any]], Any]


class Guides:
    """Those of one request, together. See sampling.Guide."""

    def __init__(self, parts: list[Control | Reference]) -> None:
        self.parts = parts

    def kwargs(self, done: float) -> dict[str, Any]:
        parts = tuple(part for part in self.parts if part.counts(done))
        return {"guides": parts} if parts else {}


@contextmanager
def guides(family: Family, inputs: dict[str, str], params: Mapping[str, Any], keep: Keep) -> Iterator[Guides | None]:
    """The guides whose pictures are among `inputs` (with their models: found.files); None where there are none.

    EngineError: input_missing, input_unreadable, guide_unreadable."""
    with ExitStack() as stack:
        parts: list[Control | Reference] = []
        if "control" in inputs:
            parts.append(_control(family, inputs, params, keep))
        if "reference" in inputs:
            seen = picture(inputs, "reference")
            folder, strength = Path(inputs["reference_net"]), params["reference_strength"]
            parts.append(stack.enter_context(reference.worn(family, folder, seen, strength)))
        yield Guides(parts) if parts else None


def _control(family: Family, inputs: dict[str, str], params: Mapping[str, Any], keep: Keep) -> Control:
    shown, folder = picture(inputs, "control"), Path(inputs["control_net"])
    kind, made = params["control_kind"], not params["control_prepared"]
    maker = Maker(kind, _maker_model(kind, inputs), family.device) if made else None
    net = keep(f"controlnet {folder}", lambda: controlnet.load(family, folder))
    control = Control(family, net, shown, kind, maker)
    control.strength = params["control_strength"]
    control.window = (params["control_start"], params["control_end"])
    return control


def _maker_model(kind: str, inputs: dict[str, str]) -> Path | None:
    if kind not in KINDS:
        raise ValueError(f"unknown kind of control: {kind!r}")
    return Path(inputs["control_maker"]) if kind in MAKERS else None

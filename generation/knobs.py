"""Which knobs a request has, by its base, its tool and what it is given, and their values made right.

Knows the engine's declarations; no request and no row."""

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from django.conf import settings

from generation import inputs, shapes, styles
from isengard.engine import offers, speed, tools
from isengard.engine.capabilities import probe
from isengard.engine.catalog import Base
from isengard.engine.errors import EngineError
from isengard.engine.guides import found
from isengard.engine.params import BadParam, Param
from isengard.errors import Invalid, Unavailable
from training import bases

if TYPE_CHECKING:
    from generation.services import Asked

# How every base draws anyway, so it may be asked for where there is no choice.
USUAL = {"sampler": "euler", "speed": "exact"}
UNWIRED = {name: reason for name, (_, reason) in offers.TOGGLES.items()}


def require_tool(key: str, base: Base, given: dict[str, str], loras: int) -> None:
    """Invalid: no such tool, or it lacks a picture or a LoRA. Unavailable: what it needs is not on this machine."""
    try:
        tool = tools.get(key)
        reason = tools.why_not(key, base, settings.MODELS_DIR)
    except EngineError as error:
        raise Invalid(error.code, error.message) from error
    if reason:
        raise Unavailable("tool_missing", reason)
    inputs.require(key, given)
    if loras < tool.loras:
        raise Invalid("few_loras", f"{tool.label} needs {tool.loras} LoRAs, one for each face. Choose them first.")


def declared(base: Base, tool: str = "draw", given: Collection[str] = ()) -> tuple[Param, ...]:
    """The knobs of a request, its number of pictures aside; those of the guides where their pictures are given."""
    guides = found.params(set(given) & set(inputs.GUIDES))
    return (*(param for param in tools.params(tool, base) if param.name != "count"), *guides)


def cleaned(base: Base, asked: "Asked", strength: float | None) -> dict[str, Any]:
    """Every parameter, validated; the seed stays open where none was given.

    Invalid: out of range, unknown, or leading nowhere. Unavailable: a guide whose model is not here."""
    values = {**_of_quality(base, asked), **asked.values, "seed": asked.seed, "lora_strength": strength}
    given = {name: value for name, value in values.items() if value is not None and not _is_off(name, value)}
    unwired = UNWIRED | _deaf(base) | offers.unwired_drawing(base.key)
    params = bases.clean(declared(base, asked.tool, asked.inputs), given, unwired)
    for side in ("width", "height"):
        if side in params:
            _require_size(base, side, params[side])
    if "negative_prompt" in params:
        params["negative_prompt"] = styles.avoided(params["negative_prompt"], styles.chosen(list(asked.styles)))
    _require_possible(base, asked, params)
    if reason := speed.why_not(params.get("speed", "exact"), base, probe()):
        raise Unavailable("speed_missing", reason)
    return params


def _require_possible(base: Base, asked: "Asked", params: dict[str, Any]) -> None:
    source = asked.inputs.get("source")
    try:
        tools.require_possible(asked.tool, base, params, inputs.size_of(source) if source else None)
        if set(asked.inputs) & set(inputs.GUIDES):
            found.require_window(asked.inputs, params)
            found.files(asked.inputs, params, base, settings.MODELS_DIR)
    except BadParam as error:
        raise Invalid("bad_param", str(error)) from error
    except EngineError as error:
        raise Unavailable(error.code, error.message) from error


def _of_quality(base: Base, asked: "Asked") -> dict[str, Any]:
    """Sides and steps that the named shape and quality mean; what is given by number counts more."""
    tier = asked.quality or shapes.USUAL
    steps = {"steps": shapes.steps_of(base, tier)} if asked.quality else {}
    if not asked.aspect_ratio or tools.get(asked.tool).sized == "source":
        return steps
    shape = shapes.size_of(base, asked.aspect_ratio, tier)
    return {"width": shape.width, "height": shape.height, **steps}


def _deaf(base: Base) -> dict[str, str]:
    """Why a base cannot be told what not to draw."""
    if base.guidance == "true_cfg":
        return {}
    return {"negative_prompt": f"{base.label} draws with one prediction a step, so it cannot be told what to avoid."}


def _is_off(name: str, value: Any) -> bool:
    """A feature that we do not have, asked for as off, what every base does, or an empty text: fine everywhere."""
    return (name in UNWIRED and value is False) or value in ("", USUAL.get(name))


def _require_size(base: Base, side: str, pixels: int) -> None:
    """Other sizes would be cut silently to what the latents can hold."""
    if pixels % base.multiple:
        below = pixels - pixels % base.multiple
        near = f"{below} or {below + base.multiple}"
        raise Invalid("bad_param", f"{side} is {pixels}, but must be a multiple of {base.multiple}: {near}.")

"""A job of pictures: each with its own wishes, drawn by its tool, stored and announced at once.

Knows the spec, the registry of warm models and files below the job's folder; no queue, no database, no Django."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from isengard.engine import catalog, lora_file, recipe, samplers, sampling, speed, tools
from isengard.engine.drawing.artist import TILED_AREA, Artist, Made
from isengard.engine.drawing.makers import MAKERS
from isengard.engine.drawing.saving import Saver
from isengard.engine.errors import EngineError
from isengard.engine.events import SKIP, Asks, Event, Sink, Stop, nothing_asked
from isengard.engine.families.base import Embeds, Family
from isengard.engine.guides import found
from isengard.engine.guides.worn import Guides, guides
from isengard.engine.pipelines import Registry
from isengard.engine.rundir import replacing
from isengard.engine.sampling import PROGRESS_SECONDS, Look, Stopped, Throttle
from isengard.engine.specs import GenerateSpec, LoraRef, Variant

PREVIEW_SECONDS = 0.3
PREVIEW_PIXELS = 256
COMPUTING = ("speed", "precision", "quantize")
GUIDES = {found.CONTROL.name, found.REFERENCE.name}


@dataclass(frozen=True)
class Wish:
    """What one picture is to be: the request with what its variant changes."""

    index: int
    seed: int
    prompt: str
    loras: tuple[LoraRef, ...]
    params: dict[str, Any]
    look: Look

    @property
    def negative(self) -> str:
        return self.params.get("negative_prompt") or ""


def wishes(spec: GenerateSpec) -> tuple[Wish, ...]:
    """One for each seed."""
    variants = spec.variants or (Variant(),) * len(spec.seeds)
    return tuple(
        _wish(spec, index, seed, own) for index, (seed, own) in enumerate(zip(spec.seeds, variants, strict=True))
    )


def _wish(spec: GenerateSpec, index: int, seed: int, own: Variant) -> Wish:
    params = {**spec.params, **own.params}
    native = catalog.get(spec.base.key).native_size
    width, height = params.get("width", native), params.get("height", native)
    return Wish(
        index=index,
        seed=seed,
        prompt=spec.prompt if own.prompt is None else own.prompt,
        loras=spec.loras if own.loras is None else own.loras,
        params=params,
        look=Look(width, height, params["steps"], params.get("guidance_scale", 1.0), params.get("sampler", "euler")),
    )


class Skipped(Exception):
    """Leaves a picture that nobody wants any more; the next one is drawn."""


class Progress:
    """Steps done and expected over all pictures. A picture that fails counts as done, a skipped one as not expected."""

    def __init__(self, sink: Sink, expected: list[int]) -> None:
        self._sink, self._throttle = sink, Throttle(PROGRESS_SECONDS)
        self._expected, self._done, self._end, self._told = expected, 0, 0, (0, 0)
        self._parts, self._calls, self._begun, self._counted = 1, 1, 0, 0

    def begin(self, index: int) -> None:
        self._end += self._expected[index]
        self._begun = self._counted = 0

    def more(self, index: int, steps: int) -> None:
        """There will be more than was expected of a picture, or less."""
        self._expected[index] += steps
        self._end += steps

    def split(self, index: int, steps: int, parts: int, evaluations: int) -> None:
        """The drawing that begins takes so many parts a step, each asking the model so often: a step of a large picture
        may take minutes, so each of its parts counts."""
        self._parts, self._calls = parts, parts * evaluations
        self.more(index, steps * (parts - 1))

    def part(self) -> None:
        """A part begins, so the one before it is done. The last one is counted by its step."""
        self._begun += 1
        reached = min((self._begun - 1) * self._parts // self._calls, self._parts - 1)
        if reached > self._counted:
            self._done += reached - self._counted
            self._counted = reached
            self._tell()

    def drop(self, index: int) -> None:
        """A picture that has not begun will not be drawn."""
        self._expected[index] = 0
        self._tell()

    def cut(self, index: int) -> None:
        """The picture that is drawn ends here."""
        self.more(index, self._done - self._end)
        self._tell()

    def step(self) -> None:
        self._done += self._parts - self._counted
        self._begun = self._counted = 0
        self._tell()

    def tile(self) -> None:
        """One of those that `more` told of, which belongs to no drawing."""
        self._done += 1
        self._tell()

    def finish(self) -> None:
        self._done = self._end
        self._tell()

    def _tell(self) -> None:
        total = sum(self._expected)
        now = (self._done, total)
        if now != self._told and (self._done == total or self._throttle()):
            self._told = now
            self._sink("progress", step=self._done, total=total)


@dataclass(frozen=True)
class Drawn:
    """What all pictures of a job share while they are drawn."""

    family: Family
    saver: Saver
    guide: Guides | None


class Job:
    def __init__(
        self, spec: GenerateSpec, sink: Sink, stop: Stop, registry: Registry, asks: Asks = nothing_asked
    ) -> None:
        self.spec, self.sink, self.stop, self.asks, self.registry = spec, sink, stop, asks, registry
        self.tool, self.wishes = tools.get(spec.tool), wishes(spec)
        self.skipped = set(spec.skip)
        self.progress = Progress(sink, [self._expected(wish) for wish in self.wishes])
        self.preview = Throttle(PREVIEW_SECONDS)
        self.out, self.started = Path(spec.out_dir), time.monotonic()
        self.worn: tuple[LoraRef, ...] | None = None
        self.headers: dict[str, lora_file.LoraHeader] = {}

    def _expected(self, wish: Wish) -> int:
        if wish.index in self.skipped:
            return 0
        passes = tools.passes(self.tool.key, wish.params, given="source" in self.spec.inputs)
        return max(passes * wish.look.steps, 1)

    def run(self) -> Event:
        """The fields of the `result` event; see sampling.generate."""
        family = self._family()
        self.sink("stage", stage="encoding", message="Reading the prompt")
        self.embeds = self._embeds()
        self._load(family)
        self.sink("stage", stage="denoising", message="Drawing")
        with Saver() as saver, guides(family, self.spec.inputs, self.spec.params, self.registry.keep) as guide:
            failed, stopped = self._all(Drawn(family, saver, guide))
            outputs = saver.stored()
        if failed and not outputs and not stopped:
            raise failed
        return {"outputs": outputs, "seconds": _since(self.started), "stopped": stopped}

    def _all(self, by: Drawn) -> tuple[EngineError | None, bool]:
        """Why the first of those that failed did, and whether somebody told to stop."""
        failed: EngineError | None = None
        for wish in self.wishes:
            if wish.index in self.skipped:
                continue
            self.progress.begin(wish.index)
            try:
                self._one(by, wish)
            except Stopped:
                return failed, True
            except Skipped:
                self.progress.cut(wish.index)
                continue
            except EngineError as error:
                failed = failed or error
                self._tell_failure(wish, error)
            self.progress.finish()
        return failed, False

    def _family(self) -> Family:
        base, params = self.spec.base, self.spec.params
        precision, wish = params.get("precision"), params.get("quantize", "none")
        self.quantize = self.registry.fitting(base, precision, wish)
        if wish == "auto" and self.quantize == "int8":
            text = "The base is kept in 8 bits: whole, it does not fit into the memory that is there."
            self.sink("log", level="info", event="quantised", message=text, fields={})
        family = self.registry.use(base, precision, self.quantize)
        for wish in self.wishes:
            family.latent_shape(wish.look.width, wish.look.height)
        return family

    def _load(self, family: Family) -> None:
        """After the prompts were read, so that their encoders need not share the memory."""
        if not family.has("transformer"):
            self.sink("stage", stage="loading_model", message=f"Loading {self.spec.base.key}")
        self.registry.hasten(speed.get(self.spec.params.get("speed", "exact")))

    def _embeds(self) -> dict[str, Embeds]:
        """Of every text that will be needed, at once: afterwards the text encoders may go."""
        texts: dict[str, None] = {}
        for wish in self.wishes:
            texts |= dict.fromkeys((wish.prompt, wish.negative, *wish.params.get("face_prompts", ())))
        return dict(zip(texts, self.registry.embeds(list(texts), Path(self.spec.cache_dir)), strict=True))

    def _wear(self, loras: tuple[LoraRef, ...]) -> None:
        if loras == self.worn:
            return
        self.worn = None
        for lora, header in zip(loras, self.registry.wear(loras), strict=True):
            self.headers[lora.sha256] = header
        self.worn = loras

    def _one(self, by: Drawn, wish: Wish) -> None:
        """A picture, drawn; it is stored and announced while the next one is drawn. EngineError: why there is none."""
        began = time.monotonic()
        self._wear(wish.loras)
        made = MAKERS[self.tool.key](self._artist(by, wish))
        facts = self._recipe(wish, made)
        by.saver.put(lambda: self._store(wish, made.image, facts, began))

    def _store(self, wish: Wish, image: Image.Image, facts: recipe.Recipe, began: float) -> Event:
        path = self.out / f"{wish.index:02d}.png"
        sampling.save_png(image, path, facts)
        output = {
            "path": str(path),
            "index": wish.index,
            "seed": wish.seed,
            "width": image.width,
            "height": image.height,
            "size_bytes": path.stat().st_size,
            "seconds": _since(began),
        }
        self.sink("output", **output)
        return output

    def _artist(self, by: Drawn, wish: Wish) -> Artist:
        family = by.family

        def pause() -> None:
            self._pause(wish.index)

        def part() -> None:
            pause()
            self.progress.part()

        def split(parts: int) -> None:
            self.progress.split(wish.index, wish.look.steps, parts, 2 if samplers.get(wish.look.sampler).twice else 1)

        def tile() -> None:
            pause()
            self.progress.tile()

        def on_step(step: int, steps: int, clean: Callable[[], torch.Tensor]) -> None:
            pause()
            self.progress.step()
            if self.spec.preview and step < steps and self.preview():
                self._show(family, wish.index, step, steps, clean())

        return Artist(
            family=family,
            prompt=wish.prompt,
            negative=wish.negative,
            loras=wish.loras,
            params=wish.params,
            inputs=self.spec.inputs,
            seed=wish.seed,
            look=wish.look,
            embeds=self.embeds.__getitem__,
            wear=self._wear,
            on_step=on_step,
            pause=part,
            split=split,
            tile=tile,
            passes=lambda more: self.progress.more(wish.index, more * wish.look.steps),
            tiles=lambda more: self.progress.more(wish.index, more),
            guide=by.guide,
        )

    def _pause(self, index: int) -> None:
        """Between two steps of a picture. Stopped or Skipped: there is not to be another one."""
        if self.stop():
            raise Stopped
        for wish in self.asks():
            if wish.startswith(SKIP):
                self._skip(int(wish.removeprefix(SKIP)), index)
        if index in self.skipped:
            raise Skipped

    def _skip(self, unwanted: int, drawn: int) -> None:
        """Those before the one that is drawn are done: nothing can be spared."""
        if drawn <= unwanted < len(self.wishes):
            self.skipped.add(unwanted)
        if drawn < unwanted < len(self.wishes):
            self.progress.drop(unwanted)

    def _show(self, family: Family, index: int, step: int, steps: int, clean: torch.Tensor) -> None:
        path = self._save_preview(sampling.picture(family, _small(clean, family, self.spec.base.key)), index)
        self.sink("preview", path=str(path), index=index, step=step, total=steps)

    def _save_preview(self, image: Image.Image, index: int) -> Path:
        """Small, and always under the same name: a reader sees the newest one, whole."""
        image.thumbnail((PREVIEW_PIXELS, PREVIEW_PIXELS))
        path = self.out / f"preview-{index:02d}.jpg"
        with replacing(path) as part:
            image.save(part, quality=85)
        return path

    def _tell_failure(self, wish: Wish, error: EngineError) -> None:
        text, fields = f"Picture {wish.index + 1}: {error.message}", {"index": wish.index, "seed": wish.seed}
        self.sink("log", level="warning", event=error.code, message=text, fields=fields)

    def _recipe(self, wish: Wish, made: Made) -> recipe.Recipe:
        """Width and height are those to ask for: of a tool that takes the source's size, the picture's own."""
        size = (wish.look.width, wish.look.height) if self.tool.sized == "request" else made.image.size
        return recipe.Recipe(
            prompt=wish.prompt,
            negative_prompt=wish.negative,
            seed=wish.seed,
            steps=wish.look.steps,
            sampler=wish.look.sampler,
            guidance_scale=wish.look.guidance,
            guidance=catalog.get(self.spec.base.key).guidance,
            width=size[0],
            height=size[1],
            model=self.spec.base.key,
            loras=tuple(self._use(lora) for lora in wish.loras),
            extra={**self.spec.recipe, **self._how(wish, made)},
        )

    def _use(self, lora: LoraRef) -> recipe.LoraUse:
        header = self.headers[lora.sha256]
        return recipe.LoraUse(header.name, lora.sha256, header.tensor_hash, lora.strength)

    def _how(self, wish: Wish, made: Made) -> dict[str, Any]:
        """The tool with its knobs and what it was given (digests, never paths); nothing for a plain drawing."""
        how = {**self._computing(), **self._guides()}
        if self.tool.key == "draw":
            return how
        own = tools.own_params(self.tool.key, catalog.get(self.spec.base.key))
        given = {
            one.name: _digest(self.spec.inputs[one.name]) for one in self.tool.inputs if one.name in self.spec.inputs
        }
        params = {param.name: wish.params[param.name] for param in own if param.name in wish.params}
        return {**how, "tool": {"name": self.tool.key, "params": params, "inputs": given, **made.notes}}

    def _computing(self) -> dict[str, Any]:
        """What decides how exactly the base computes, where the request says; of `auto`, what it was."""
        told = {name: self.spec.params[name] for name in COMPUTING if name in self.spec.params}
        return told | ({"quantize": self.quantize} if "quantize" in told else {})

    def _guides(self) -> dict[str, Any]:
        """Those given, with their knobs and the model that served each."""
        inputs, told = self.spec.inputs, {}
        for name in GUIDES & set(inputs):
            params = {param.name: self.spec.params[param.name] for param in found.params({name})}
            told[name] = {**params, "input": _digest(inputs[name]), "model": Path(inputs[f"{name}_net"]).name}
        return {"guides": told} if told else {}


def _small(latents: torch.Tensor, family: Family, base: str) -> torch.Tensor:
    """Latents of a large picture shrunk to what decodes at once: a preview is small anyway."""
    native = catalog.get(base).native_size
    _, height, width = family.latent_shape(native, native)
    share = (TILED_AREA * height * width / (latents.shape[-1] * latents.shape[-2])) ** 0.5
    if share >= 1:
        return latents
    return torch.nn.functional.interpolate(latents, scale_factor=share, mode="area")


def _digest(path: str) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _since(start: float) -> float:
    return round(time.monotonic() - start, 3)

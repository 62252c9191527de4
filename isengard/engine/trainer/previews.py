"""Previews while a LoRA learns: the sample prompts, always with the same seeds, through the one sampling path.

Knows the run directory's names and families; no optimizer, no Django."""

from pathlib import Path

from isengard.engine import recipe, rundir, sampling
from isengard.engine.events import Sink, Stop
from isengard.engine.families.base import Embeds, Family
from isengard.engine.specs import TrainSpec


def draw_all(
    spec: TrainSpec, family: Family, prompts: list[Embeds], empty: Embeds, step: int, sink: Sink, stop: Stop
) -> int:
    """One picture for each prompt, seed = the training's seed + the prompt's place, at the base's usual look.

    Told to stop, it leaves out the rest: the loop then saves and ends. How many were drawn."""

    def on_step(_step: int, _steps: int, _clean: object) -> None:
        if stop():
            raise sampling.Stopped

    look = sampling.usual_look(spec.base.key)
    for index, embeds in enumerate(prompts):
        seed, path = spec.params["seed"] + index, rundir.sample(Path(spec.run_dir), step, index)
        try:
            latents = sampling.draw(family, embeds, empty, seeds=[seed], look=look, on_step=on_step)
        except sampling.Stopped:
            return index
        facts = _recipe(spec, family, index, seed, look, step)
        sampling.save_png(sampling.picture(family, latents), path, facts)
        told = {"path": str(path), "step": step, "prompt_index": index, "prompt": spec.prompts[index], "seed": seed}
        sink("sample", **told, width=look.width, height=look.height)
    return len(prompts)


def _recipe(spec: TrainSpec, family: Family, index: int, seed: int, look: sampling.Look, step: int) -> recipe.Recipe:
    return recipe.Recipe(
        prompt=spec.prompts[index],
        negative_prompt="",
        seed=seed,
        steps=look.steps,
        guidance_scale=look.guidance,
        guidance=family.guidance,
        width=look.width,
        height=look.height,
        model=spec.base.key,
        extra={"training_step": step},
    )

"""The training loop: one LoRA from pictures, readable as a list of verbs. What is model-specific is behind the family,
what is outside behind `sink` and `stop`. No Django, no arguments, no prints."""

import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from isengard.engine import families, memory, parameters, rundir, sampling
from isengard.engine.errors import EngineError
from isengard.engine.events import Asks, Event, Sink, Stop, nothing_asked
from isengard.engine.families.base import Embeds, Family
from isengard.engine.specs import TrainSpec
from isengard.engine.trainer import checkpoints, export, optimizers, previews, schedule
from isengard.engine.trainer.average import Average
from isengard.engine.trainer.checks import Checks, memory_words, probe
from isengard.engine.trainer.data import Dataset, Pair, Preparation, Weights
from isengard.engine.trainer.lora import Lora
from isengard.engine.trainer.meter import Meter
from isengard.engine.trainer.state import TrainState, recipe_of, resume
from isengard.engine.trainer.usage import Peaks

CLIP_NORM = 1.0
LOWER = "the batch size, the resolution or the LoRA rank"


def train(spec: TrainSpec, sink: Sink, stop: Stop, asks: Asks = nothing_asked) -> Event:
    """Trains, and gives the fields of the `result` event (events.py). When told to stop it saves first.

    EngineError: first_loss_not_finite, loss_not_finite, weights_not_finite, out_of_memory, no_images, image_unreadable,
    state_unusable, warm_start_mismatch, no_effect, and what loading the base can raise."""
    if not spec.images:
        raise EngineError("no_images", "There are no pictures to train on. Add some photos to the character first.")
    rundir.sweep(Path(spec.run_dir))
    with memory.explained(LOWER):
        try:
            return Training(spec, sink, stop, asks).run()
        except sampling.Stopped:
            # Told to stop before the first step: there is nothing to save yet, and nothing is lost but minutes.
            return {"stopped": True, "step": 0, "steps": parameters.steps_of(spec.params, len(spec.images))}


class Training:
    """One training from its pictures to its file."""

    def __init__(self, spec: TrainSpec, sink: Sink, stop: Stop, asks: Asks = nothing_asked) -> None:
        params = {**parameters.BEFORE, **spec.params}
        self.spec = spec = replace(spec, params={**params, "steps": parameters.steps_of(params, len(spec.images))})
        self.sink, self.stop, self.asks, self.params, self.checks = sink, stop, asks, spec.params, Checks(sink)
        self.run_dir, self.last, self.began = Path(spec.run_dir), int(spec.params["steps"]), time.monotonic()
        self.peaks = Peaks()
        seed_everything(self.params["seed"])
        self.family, self.data, self.prompts = self._prepare()
        self.lora = self._lora()
        self.optimizer = optimizers.make(
            self.params["optimizer"],
            self.lora.parameters(),
            self.params["learning_rate"],
            self.params["weight_decay"],
        )
        self.average = Average(self.lora.named(), self.params["ema_decay"])
        recipe = recipe_of(spec, self.family.fingerprint("transformer"))
        self.state = TrainState(self.lora, self.optimizer, self.average, self.params["seed"], recipe)
        resumed = resume(self.state, spec, sink)
        if spec.init_lora and not resumed:
            self.lora.begin_with(Path(spec.init_lora))
            self.average.begin()
        self.meter = Meter(sink, self.state.seconds, self.state.recent)
        images, classes = self._shares()
        self.plan = schedule.BatchPlan(self.data.buckets(), images, self.params["seed"])
        others = [list(range(len(self.data.classes)))] if self.data.classes else []
        self.class_plan = schedule.BatchPlan(others, classes, self.params["seed"] + 1) if others else None
        self.progress = sampling.Throttle(sampling.PROGRESS_SECONDS)

    def run(self) -> Event:
        # Before the baseline is drawn, so that the bar no longer shows how far the photos were prepared.
        self.sink("progress", step=self.state.step, total=self.last)
        self.check()
        self.sink("stage", stage="training", message=f"Training for {self.last} steps")
        while self.state.step < self.last and not self.stop():
            loss = self.step()
            self.meter.add(self.state.step, loss, optimizers.rate_of(self.optimizer))
            self.report()
            if not self.state.baseline:
                self.draw_baseline()
            asked = self.asks()
            if "sample" in asked or schedule.is_due(self.state.step, self.params["sample_every_n_steps"], self.last):
                self.sample()
            if "save" in asked or schedule.is_due(self.state.step, self.params["checkpoint_every_n_steps"], self.last):
                self.checkpoint()
        self.meter.flush()
        return self.finish() if self.state.step >= self.last else self.interrupt()

    def check(self) -> None:
        """The rest of the pipeline check: two steps that are taken back, and the baseline."""
        if self.state.step >= self.last or self.stop():
            return
        trying = "Trying two steps"
        with self.outside_the_clock("checking", trying), self.checks.tick("step", trying) as tick:
            facts = probe(self.step, self.state, self.peaks, tick, warm=self.spec.start == "warm")
        self.sink("probe", **facts)
        with self.checks.tick("memory", "Looking at the memory") as tick:
            tick.text = memory_words(facts, self.family.device)
        if self.state.baseline:
            self.checks.skip("sample", f"not drawn again: the training goes on after step {self.state.step}")
        elif self.state.step == 0 and self.lora.changes_something():
            self.draw_baseline()

    def draw_baseline(self) -> None:
        """What is made of the same prompts and seeds before anything was learnt. It is kept.

        A LoRA that begins from nothing is then the base, which a LoRA that is off is at any time: so the first step
        need not wait for it. One that begins from another is drawn before it changes."""
        self.meter.flush()  # a loss that is no number is told before minutes are drawn
        begun = self.state.step > 0
        with self.checks.tick("sample", "Drawing the baseline") as tick, self.lora.off() if begun else nullcontext():
            drawn = self.sample(0)
            tick.text = f"{drawn} of {len(self.prompts)} pictures drawn of what was there before the training"
        # Somebody may have stopped it meanwhile: then whoever goes on draws it.
        self.state.baseline = drawn == len(self.prompts)

    # One step

    def step(self) -> torch.Tensor:
        """One optimizer step; the mean loss of its batches, still on the device."""
        self.state.step += 1
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate()
        losses = []
        for _ in range(self.params["gradient_accumulation"]):
            for part in self.batch_losses():
                loss = part / self.params["gradient_accumulation"]
                loss.backward()
                losses.append(loss.detach())
        torch.nn.utils.clip_grad_norm_(optimizers.weights_of(self.optimizer), CLIP_NORM)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.average.add(self.state.step)
        return torch.stack(losses).sum()

    def rate(self) -> float:
        peak, warmup, shape = (self.params[name] for name in ("learning_rate", "warmup_steps", "lr_schedule"))
        return schedule.learning_rate(self.state.step, peak, warmup, shape, self.last)

    def batch_losses(self) -> Iterator[torch.Tensor]:
        """The parts of one batch's loss, each to be walked back before the next is computed: memory holds one graph.

        Pictures of one shape go through the model together."""
        groups: dict[torch.Size, list[Pair]] = {}
        batch = self.next_batch()
        for pair in batch:
            groups.setdefault(pair.latents.shape, []).append(pair)
        for pairs in groups.values():
            share = len(pairs) / len(batch)
            yield self.flow_loss(pairs) * share
            if self.params["preservation"]:
                yield self.change_of_others(pairs) * (share * self.params["preservation"])

    def next_batch(self) -> list[Pair]:
        """Pictures of the person, and as many of others where class pictures are asked for (batch 1: in turns)."""
        number = self.state.batches
        self.state.batches += 1
        if self.class_plan is None:
            return [self.drop_caption(self.data.images[index]) for index in self.plan[number]]
        others = [self.data.classes[index] for index in self.class_plan[number]]
        if self.params["batch_size"] == 1:
            return others if number % 2 else [self.drop_caption(self.data.images[i]) for i in self.plan[number // 2]]
        return [self.drop_caption(self.data.images[index]) for index in self.plan[number]] + others

    def drop_caption(self, pair: Pair) -> Pair:
        chance = torch.rand((), generator=self.state.noise).item()
        return replace(pair, embeds=self.data.empty) if chance < self.params["caption_dropout"] else pair

    def flow_loss(self, pairs: list[Pair]) -> torch.Tensor:
        """Rectified flow: x = (1 − σ)·latents + σ·noise, the model learns noise − latents."""
        noisy, sigma, velocity = self.noised(pairs)
        embeds = _together([pair.embeds for pair in pairs])
        guess = self.family.predict(noisy, sigma, embeds, self.params["training_guidance"])
        return weighted_error(guess, velocity, [pair.weights for pair in pairs])

    def change_of_others(self, pairs: list[Pair]) -> torch.Tensor:
        """Mean squared difference to what the base predicts when the same pictures are said to show somebody else.

        Known to users as differential output preservation; the base is the LoRA switched off, so it needs no memory."""
        noisy, sigma, _ = self.noised(pairs)
        places = torch.rand(len(pairs), generator=self.state.noise).tolist()
        embeds = _together([_at(place, pair.others) for pair, place in zip(pairs, places, strict=True)])
        with torch.no_grad(), self.lora.off():
            kept = self.family.predict(noisy, sigma, embeds, self.params["training_guidance"])
        return functional.mse_loss(self.family.predict(noisy, sigma, embeds, self.params["training_guidance"]), kept)

    def noised(self, pairs: list[Pair]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The pictures at random noise levels, those levels (B,), and the velocity that leads there."""
        clean = torch.stack([pair.latents for pair in pairs])
        noise = torch.randn(clean.shape, generator=self.state.noise).to(clean.device, non_blocking=True)
        sigma = self.family.training_sigmas(clean.shape, self.state.noise, self.params["timestep_sampling"])
        sigma = sigma.to(clean.device, non_blocking=True)
        level = sigma.reshape(-1, 1, 1, 1)
        return (1 - level) * clean + level * noise, sigma, noise - clean

    # What happens between steps

    def report(self) -> None:
        if self.state.step == self.last or self.progress():
            self.sink("progress", step=self.state.step, total=self.last)

    def sample(self, step: int | None = None) -> int:
        """Previews through the one sampling path, always with the same seeds. How many were drawn.

        `step`: what they are of, where it is not the step that was taken last."""
        step = self.state.step if step is None else step
        shown = f"Drawing previews at step {step}"
        with self.outside_the_clock("sampling", shown), self.average.worn(), self.lora.as_filed():
            given = (self.spec, self.family, self.prompts, self.data.empty, step)
            return previews.draw_all(*given, self.sink, self.stop)

    def checkpoint(self) -> None:
        """The LoRA as it is now, and what is needed to go on from here; others make room as retention.py says."""
        with self.outside_the_clock("saving_checkpoint", f"Saving step {self.state.step}"):
            self.meter.flush()  # a loss that is no number must not become a checkpoint
            self.state.seconds, self.state.recent = self.meter.seconds, self.meter.recent
            saved = checkpoints.save(self.spec, self.state, self.meter.final_loss())
        self.sink("checkpoint", **saved)

    @contextmanager
    def outside_the_clock(self, stage: str, message: str) -> Iterator[None]:
        """A stage that is not training: its seconds are no slow steps."""
        self.sink("stage", stage=stage, message=message)
        began = time.monotonic()
        yield
        self.meter.pause(time.monotonic() - began)
        if 0 < self.state.step < self.last:
            self.sink("stage", stage="training", message=f"Training for {self.last} steps")

    # The end

    def interrupt(self) -> Event:
        """Told to stop: nothing learnt so far is lost."""
        if not self.state.step:
            return {"stopped": True, "step": 0, "steps": self.last}
        self.checkpoint()
        return self.facts(rundir.checkpoint(self.run_dir, self.state.step), stopped=True)

    def finish(self) -> Event:
        self.sink("stage", stage="exporting", message="Writing the LoRA and checking it")
        path = rundir.final(self.run_dir)
        with self.average.worn():
            self.lora.save(path, export.provenance(self.spec, self.lora, self.state.step))
        facts = self.facts(path, stopped=False)
        self.lora.remove()
        effect = export.check(self.family, path, self.data.images[0].embeds, self.data.empty)
        return {**facts, **effect, **self.peaks.highest()}

    def facts(self, path: Path, stopped: bool) -> Event:
        seconds, training = time.monotonic() - self.began, self.meter.seconds
        told = {"step": self.state.step, "steps": self.last, "final_loss": self.meter.final_loss()}
        speed = self.meter.seconds_per_step
        times = {"seconds": round(seconds, 3), "training_seconds": round(training, 3)}
        costs = {"seconds_per_step": speed and round(speed, 5), **self.peaks.highest()}
        return {**export.describe(path), "rank": self.lora.rank, **told, **times, **costs, "stopped": stopped}

    # The beginning

    def _prepare(self) -> tuple[Family, Dataset, list[Embeds]]:
        """The base, the pictures as tensors, the sample prompts' embeddings. Text encoders are gone afterwards."""
        self.sink("stage", stage="loading_model", message=f"Opening {self.spec.base.key}")
        folder, device = Path(self.spec.base.path), memory.pick_device()
        memory.settle_threads(folder, device)
        dtype = memory.pick_dtype(folder, self.params.get("precision"))
        family = families.load(self.spec.base, device, dtype, self.params["quantize"])
        self.sink("stage", stage="preparing_dataset", message=f"Reading {len(self.spec.images)} pictures")
        preparation = Preparation(self.spec, family, self.sink, self.stop)
        data = preparation.run()
        fields = {"pictures": len(data.images), "from_cache": preparation.hits, "buckets": len(data.buckets())}
        text = f"{len(data.images)} pictures ready, {preparation.hits} of them from the cache"
        self.sink("log", level="info", event="dataset_ready", message=text, fields=fields)
        recompute = {"on": True, "off": False}.get(self.params["gradient_checkpointing"])
        if memory.must_recompute_activations(self.spec.base, device, self.params) if recompute is None else recompute:
            family.transformer.enable_gradient_checkpointing()
        return family, data, preparation.prompt_embeds[: self.params["sample_count"]]

    def _shares(self) -> tuple[int, int]:
        """Pictures of the person and of others in one batch."""
        size = self.params["batch_size"]
        if not self.data.classes or size == 1:
            return size, 1
        return size - size // 2, size // 2

    def _lora(self) -> Lora:
        options = {"alpha": self.params["lora_alpha"], "layers": self.params["lora_layers"]}
        return Lora(self.family, self.params["lora_rank"], self.params["seed"], **options)


def weighted_error(given: torch.Tensor, wanted: torch.Tensor, weights: list[Weights]) -> torch.Tensor:
    """Mean squared error of (B, C, h, w), each cell counted by its picture's weights (1, h, w), None for all alike."""
    if all(weight is None for weight in weights):
        return functional.mse_loss(given, wanted)
    even = torch.ones((1, *given.shape[2:]), device=given.device)
    masks = torch.stack([even if weight is None else weight for weight in weights])
    return ((given - wanted).square() * masks).mean()


def _at(place: float, items: Sequence[Embeds]) -> Embeds:
    """The item at a place in 0 … 1, however many there are."""
    return items[int(place * len(items))]


def _together(embeds: list[Embeds]) -> Embeds:
    return {name: torch.cat([each[name] for each in embeds]) for name in embeds[0]}


def seed_everything(seed: int) -> None:
    """What libraries draw from. The loop itself draws from the state's own generator only."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)

"""The floor of what a training step costs: same model, LoRA, optimizer, pictures and chance in a plain loop.

It starts from our loop's weights and pictures and then takes no verb of it, so that equal losses mean equal arithmetic.
Knows AdamW, a constant rate after a warm-up and one picture shape a batch; no preservation, no class pictures."""

from pathlib import Path

import torch
from diffusers import FluxPipeline, FluxTransformer2DModel
from peft import LoraConfig
from torch.nn import functional

from isengard.engine.trainer import loop, lora, schedule

PARITY_STEPS = 20


class Bare:
    """Draws what our loop draws, in the same order: a chance for each caption, the noise, the noise levels."""

    def __init__(self, ours: loop.Training) -> None:
        params = ours.params
        self.family, self.data, self.size, self.number = ours.family, ours.data, params["batch_size"], 0
        self.rate, self.warmup, self.dropout = (
            params[name] for name in ("learning_rate", "warmup_steps", "caption_dropout")
        )
        folder = Path(ours.spec.base.path) / "transformer"
        self.model = FluxTransformer2DModel.from_pretrained(folder, dtype=ours.family.dtype).to(ours.family.device)
        self.model.requires_grad_(False)
        rank = params["lora_rank"]
        self.model.add_adapter(LoraConfig(r=rank, lora_alpha=rank, target_modules=list(ours.lora.targets)))
        self.weights = [weight for weight in self.model.parameters() if weight.requires_grad]
        self._begin_as(ours)
        decay = params["weight_decay"]
        self.optimizer = torch.optim.AdamW(self.weights, self.rate, weight_decay=decay, fused=True)
        self.noise = torch.Generator("cpu").manual_seed(params["seed"])
        self.plan = schedule.BatchPlan(ours.data.buckets(), self.size, params["seed"])

    @torch.no_grad()
    def _begin_as(self, ours: loop.Training) -> None:
        """The same A and B in each layer."""
        here, there = dict(self.model.named_modules()), dict(ours.family.transformer.named_modules())
        for target in ours.lora.targets:
            for half in ("lora_A", "lora_B"):
                own, given = getattr(here[target], half)["default"], getattr(there[target], half)[lora.ADAPTER]
                own.weight.copy_(given.weight)

    def step(self) -> torch.Tensor:
        """One optimizer step; its loss, still on the device."""
        pairs = [self.data.images[index] for index in self.plan[self.number]]
        self.number += 1
        self.optimizer.param_groups[0]["lr"] = self.rate * min(1.0, self.number / max(self.warmup, 1))
        drops = [torch.rand((), generator=self.noise).item() < self.dropout for _ in pairs]
        words = [self.data.empty if drop else pair.embeds for drop, pair in zip(drops, pairs, strict=True)]
        clean = torch.stack([pair.latents for pair in pairs])
        noise = torch.randn(clean.shape, generator=self.noise).to(clean.device)
        sigma = torch.randn(len(pairs), generator=self.noise).sigmoid().to(clean.device)
        level = sigma.reshape(-1, 1, 1, 1)
        guess = self.velocity((1 - level) * clean + level * noise, sigma, words)
        loss = functional.mse_loss(guess, pack(noise - clean))
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.weights, 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss.detach()

    def velocity(self, noisy: torch.Tensor, sigma: torch.Tensor, embeds: list[dict[str, torch.Tensor]]) -> torch.Tensor:
        """What the model says for (B, C, h, w) at noise levels (B,), packed: (B, h/2 * w/2, 4C)."""
        words = torch.cat([each["prompt"] for each in embeds])
        rows, columns = noisy.shape[2] // 2, noisy.shape[3] // 2
        places = FluxPipeline._prepare_latent_image_ids(1, rows, columns, noisy.device, noisy.dtype)
        velocity: torch.Tensor = self.model(
            hidden_states=pack(noisy),
            timestep=sigma,
            guidance=torch.ones_like(sigma) if self.model.config.guidance_embeds else None,
            pooled_projections=torch.cat([each["pooled"] for each in embeds]),
            encoder_hidden_states=words,
            txt_ids=torch.zeros(words.shape[1], 3, device=noisy.device, dtype=noisy.dtype),
            img_ids=places,
            return_dict=False,
        )[0]
        return velocity


def pack(latents: torch.Tensor) -> torch.Tensor:
    packed: torch.Tensor = FluxPipeline._pack_latents(latents, *latents.shape)
    return packed


def ours_steps(training: loop.Training, count: int) -> None:
    """Our loop with its meter, progress and plan."""
    for _ in range(count):
        loss = training.step()
        training.meter.add(training.state.step, loss, training.optimizer.param_groups[0]["lr"])
        training.report()
    training.meter.flush()


def bare_steps(bare: Bare, count: int) -> None:
    """A plain script reads the loss of each step."""
    for _ in range(count):
        bare.step().item()


def losses_apart(ours: loop.Training, bare: Bare, steps: int = PARITY_STEPS) -> float:
    """The largest difference between the losses of the two, step by step. Both must not have taken a step."""
    return max(abs(ours.step().item() - bare.step().item()) for _ in range(steps))

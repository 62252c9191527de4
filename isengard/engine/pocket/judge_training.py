"""Makes the judges: renders people that Pocket never learns and no test uses, spoils the pictures a little, trains.

Half of what they see went through Pocket's autoencoder, so that drawn pictures are no surprise; the judges never see a
picture that Pocket drew, so that they cannot learn to forgive it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL
from safetensors.torch import save_file
from torch import Tensor, nn

from isengard.engine.pocket.captions import facts
from isengard.engine.pocket.dataset import Portrait, render_all
from isengard.engine.pocket.faces import person, shot
from isengard.engine.pocket.judges import READS, SIDE, Embedder, Judges, Reader, centre_of
from isengard.engine.pocket.people import (
    BEARDS,
    EYES,
    FRAMES,
    GLASSES,
    HAIR_COLOURS,
    HAIR_STYLES,
    SKINS,
    Person,
)  # fmt: skip
from isengard.engine.pocket.vae import to_pixels

BATCH = 128
SPOILED = 0.4  # greatest std of the noise on the autoencoder's latents (they have a std of about 2)
#: of the margin softmax: the right person must win by this cosine (Wang et al., CosFace, 2018)
MARGIN, SHARPNESS = 0.25, 24.0
TRAITS = 10.0  # weight of the traits' mean squared error beside the softmax
#: the traits that are words; all others are numbers
WORDS: dict[str, tuple[str, ...]] = {
    "sex": ("woman",), "skin": tuple(SKINS), "hair_colour": tuple(HAIR_COLOURS), "hair_style": HAIR_STYLES,
    "eye_colour": tuple(EYES), "beard": BEARDS, "glasses": GLASSES[:3], "frame_colour": tuple(FRAMES),
}  # fmt: skip
CENTRE = 8  # pictures that make a person's centre, as many as an identity LoRA has
CROWD = 20  # people among whom one is to be found


@dataclass(frozen=True)
class Plan:
    """What is rendered and how long each network learns; seeds of people and of shots start at `first`."""

    work: Path
    out: Path
    vae: Path
    people: int = 4000
    shots: int = 8
    reader_epochs: int = 6
    embedder_epochs: int = 3
    first: int = 300_000
    workers: int = 2


@dataclass(frozen=True)
class Album:
    """(n, 64, 64, 3) uint8 renders, the same through the autoencoder, (n,) person numbers, (n, attributes) values;
    `cases` marks, (n,) bool each, the pictures on which a person is harder to know."""

    pictures: np.ndarray
    redrawn: np.ndarray
    who: Tensor
    values: Tensor
    cases: dict[str, Tensor]


def _values(portrait: Portrait) -> list[int]:
    fact = facts(person(portrait.who), shot(portrait.how))
    return [values.index(fact[key]) for key, values in READS.items()]


@torch.inference_mode()
def _through(vae: AutoencoderKL, x: Tensor, dice: torch.Generator) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        latents = vae.encode(x).latent_dist.mode().float()
        noise = torch.randn(latents.shape, generator=dice) * torch.rand(len(x), 1, 1, 1, generator=dice) * SPOILED
        y: Tensor = vae.decode((latents + noise).contiguous(memory_format=torch.channels_last)).sample
    return y.float()


def _redraw(path: Path, pictures: np.ndarray, vae_folder: Path) -> np.ndarray:
    """Every picture encoded, its latents made a little noisy, and decoded; kept in `path`."""
    if not path.exists():
        vae = AutoencoderKL.from_pretrained(vae_folder, dtype=torch.float32).to(memory_format=torch.channels_last)
        dice, out = torch.Generator().manual_seed(61), np.empty_like(pictures)
        for start in range(0, len(pictures), BATCH):
            x = to_pixels(pictures[start : start + BATCH], torch.device("cpu"))
            y = _through(vae, x.contiguous(memory_format=torch.channels_last), dice)
            out[start : start + BATCH] = ((y.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
        np.save(path.with_suffix(".part.npy"), out)
        path.with_suffix(".part.npy").rename(path)
    stored: np.ndarray = np.load(path)
    return stored


def make_album(plan: Plan, name: str, first: int, people: int, shots: int) -> Album:
    """`people` people with `shots` pictures each, rendered on first use."""
    plan.work.mkdir(parents=True, exist_ok=True)
    wanted = [Portrait(first + n, first + n * shots + i, n) for n in range(people) for i in range(shots)]
    pictures = np.array(render_all(plan.work / f"{name}.npy", wanted, SIDE, plan.workers))
    redrawn = _redraw(plan.work / f"{name}-redrawn.npy", pictures, plan.vae)
    who = torch.arange(people).repeat_interleave(shots)
    return Album(pictures, redrawn, who, torch.tensor([_values(portrait) for portrait in wanted]), _cases(wanted))


def _cases(wanted: list[Portrait]) -> dict[str, Tensor]:
    pairs = [(person(portrait.who), shot(portrait.how)) for portrait in wanted]
    found = {
        "hat": [how.hat != "none" for _, how in pairs],
        "sunglasses": [how.glasses == "sunglasses" for _, how in pairs],
        "usual glasses off": [who.glasses != "none" and how.glasses == "none" for who, how in pairs],
    }
    return {"any": torch.ones(len(pairs)).bool(), **{name: torch.tensor(marks) for name, marks in found.items()}}


def _move(x: Tensor) -> Tensor:
    """Shifted by up to 2 pixels, zoomed by up to 7 % and leaning by up to 2 degrees, each picture its own way."""
    n = len(x)
    zoom, lean = 1 + 0.07 * (2 * torch.rand(n) - 1), 0.035 * (2 * torch.rand(n) - 1)
    across = torch.stack([zoom * lean.cos(), -zoom * lean.sin(), 0.06 * (2 * torch.rand(n) - 1)], 1)
    down = torch.stack([zoom * lean.sin(), zoom * lean.cos(), 0.06 * (2 * torch.rand(n) - 1)], 1)
    grid = nn.functional.affine_grid(torch.stack([across, down], 1), list(x.shape), align_corners=False)
    return nn.functional.grid_sample(x, grid, padding_mode="border", align_corners=False)


def spoil(x: Tensor) -> Tensor:
    """(B, 3, 64, 64) moved, blurred, tinted and made noisy, never so much that a colour changes its name."""
    n, x = len(x), _move(x)
    blurred = nn.functional.avg_pool2d(nn.functional.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)
    x = x.lerp(blurred, torch.rand(n, 1, 1, 1))
    x = x * (1 + 0.05 * torch.randn(n, 1, 1, 1)) + 0.03 * torch.randn(n, 3, 1, 1)
    return x + 0.08 * torch.rand(n, 1, 1, 1) * torch.randn_like(x)


def _batch(album: Album, rows: Tensor) -> Tensor:
    """Half of the rows as rendered, half through the autoencoder, all of them spoiled."""
    plain = torch.rand(len(rows)) < 0.5
    chosen = np.where(plain[:, None, None, None].numpy(), album.pictures[rows.numpy()], album.redrawn[rows.numpy()])
    return spoil(to_pixels(chosen, torch.device("cpu"))).contiguous(memory_format=torch.channels_last)


def _fit(network: nn.Module, loss_of: Callable[[Any, Tensor, float], Tensor], extra: list[nn.Parameter], album: Album,
         epochs: int, rate: float) -> None:  # fmt: skip
    """Epochs of AdamW with a warm-up and a cosine; `loss_of(outputs, rows, share of the steps done)`."""
    network.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]  # missing in the stub
    parameters = [*network.parameters(), *extra]
    steps, started = epochs * (len(album.who) // BATCH), time.monotonic()
    optimizer = torch.optim.AdamW(parameters, lr=rate, weight_decay=0.02)
    course = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.1)
    for step in range(steps):
        if step % (steps // epochs) == 0:
            order = torch.randperm(len(album.who))
        rows = order[step % (steps // epochs) * BATCH :][:BATCH]
        batch = _batch(album, rows)
        with torch.autocast("cpu", torch.bfloat16):
            outputs = network(batch)
        loss = loss_of(outputs, rows, step / steps)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(parameters, 5.0)
        optimizer.step()
        course.step()
        if (step + 1) % 100 == 0:
            print(f"{type(network).__name__} {step + 1}/{steps} loss {loss.item():.3f} "
                  f"{(time.monotonic() - started) / 60:.1f} min", flush=True)  # fmt: skip
    network.eval()


def train_reader(album: Album, epochs: int) -> Reader:
    """Cross-entropy, summed over the attributes."""
    torch.manual_seed(71)
    reader = Reader()

    def loss_of(scores: list[Tensor], rows: Tensor, share: float) -> Tensor:
        pairs = zip(scores, album.values[rows].unbind(1), strict=True)
        return torch.stack([nn.functional.cross_entropy(score.float(), target) for score, target in pairs]).sum()

    _fit(reader, loss_of, [], album, epochs, 3e-3)
    return reader


def traits(who: Person) -> list[float]:
    """What makes this person, as numbers: a 1 for each word that fits, then the measures of the face."""
    row: list[float] = []
    for field, value in vars(who).items():
        row += [float(value == word) for word in WORDS[field]] if field in WORDS else [float(value)]
    return row


def train_embedder(album: Album, people: list[Person], epochs: int) -> Embedder:
    """Margin softmax over the people of the album, and their traits read off the embedding by one matrix: the first
    keeps likes apart, the second shows early what to look at. Both are thrown away afterwards."""
    torch.manual_seed(72)
    embedder, rows_of = Embedder(), torch.tensor([traits(who) for who in people])
    rows_of = (rows_of - rows_of.mean(0)) / rows_of.std(0)
    width = embedder.head.out_features
    own = nn.Parameter(0.1 * torch.randn(len(people), width))
    matrix = nn.Parameter(torch.randn(width, rows_of.shape[1]))

    def loss_of(embeddings: Tensor, rows: Tensor, share: float) -> Tensor:
        directions, who = nn.functional.normalize(embeddings.float(), dim=1), album.who[rows]
        cosines = directions @ nn.functional.normalize(own, dim=1).T
        margin = MARGIN * min(1.0, share / 0.3) * nn.functional.one_hot(who, len(people))
        named = nn.functional.cross_entropy(SHARPNESS * (cosines - margin), who)
        return named + TRAITS * nn.functional.mse_loss(directions @ matrix, rows_of[who])

    _fit(embedder, loss_of, [own, matrix], album, epochs, 3e-3)
    return embedder


def equal_error(same: Tensor, other: Tensor) -> tuple[float, float]:
    """(rate, threshold) where as large a share of `same` lies below the threshold as of `other` above it."""
    same, other = same.sort().values, other.sort().values
    missed = torch.linspace(0, 1, len(same))
    false = 1 - torch.searchsorted(other, same) / len(other)
    at = int((missed - false).abs().argmin())
    return float((missed[at] + false[at]) / 2), float(same[at])


def _identity(embeddings: Tensor) -> dict[str, float]:
    """(people, shots, d), the first CENTRE shots of each make the centre: how well a picture finds its person."""
    people, probes = len(embeddings), embeddings[:, CENTRE:]
    cosines = probes @ torch.stack([centre_of(shots[:CENTRE]) for shots in embeddings]).T  # people, probes, people
    own = torch.eye(people, dtype=torch.bool)[:, None].expand_as(cosines)
    crowds = [slice(start, start + CROWD) for start in range(0, people - CROWD + 1, CROWD)]
    found = [(cosines[c, :, c].argmax(2) == torch.arange(CROWD)[:, None]).float().mean() for c in crowds]
    flat = probes.flatten(0, 1)
    mates = torch.arange(people).repeat_interleave(probes.shape[1])
    upper = torch.ones(len(flat), len(flat)).triu(1).bool()
    alike = mates[:, None] == mates[None]
    pair_rate, pair_threshold = equal_error((flat @ flat.T)[upper & alike], (flat @ flat.T)[upper & ~alike])
    centre_rate, centre_threshold = equal_error(cosines[own], cosines[~own])
    return {"top1_of_20": float(torch.stack(found).mean()), "pair_eer": pair_rate, "pair_threshold": pair_threshold,
            "centre_eer": centre_rate, "centre_threshold": centre_threshold}  # fmt: skip


def _hard_cases(embeddings: Tensor, cases: dict[str, Tensor]) -> dict[str, dict[str, float]]:
    """(people, shots, d) and (people, shots) per case: cosines to the own and to other centres, own first of all."""
    people = len(embeddings)
    cosines = embeddings[:, CENTRE:] @ torch.stack([centre_of(shots[:CENTRE]) for shots in embeddings]).T
    own = cosines.diagonal(dim1=0, dim2=2).T  # people, probes
    first = cosines.argmax(2) == torch.arange(people)[:, None]
    strangers = float((cosines.sum() - own.sum()) / (cosines.numel() - own.numel()))
    told: dict[str, dict[str, float]] = {"strangers": {"cosine": strangers}}
    for name, marks in cases.items():
        chosen = marks.view(people, -1)[:, CENTRE:]
        told[name] = {"pictures": int(chosen.sum()), "cosine": float(own[chosen].mean()),
                      f"first_of_{people}": float(first[chosen].float().mean())}  # fmt: skip
    return told


def _accuracy(judges: Judges, pictures: np.ndarray, values: Tensor) -> dict[str, float]:
    seen = judges.read(pictures)
    pairs = enumerate(READS.items())
    return {key: float(np.mean([s[key] == words[v] for s, v in zip(seen, values[:, i].tolist(), strict=True)]))
            for i, (key, words) in pairs}  # fmt: skip


def examine(judges: Judges, album: Album, shots: int) -> dict[str, dict[str, Any]]:
    """The judges' own worth on people they never saw: share read right and identity, on renders and redrawn ones."""

    def people(pictures: np.ndarray) -> Tensor:
        return judges.embed(pictures).view(-1, shots, 128)

    return {
        "reads": _accuracy(judges, album.pictures, album.values),
        "reads_redrawn": _accuracy(judges, album.redrawn, album.values),
        "identity": _identity(people(album.pictures)),
        "identity_redrawn": _identity(people(album.redrawn)),
        "cases": _hard_cases(people(album.pictures), album.cases),
    }


def save(network: nn.Module, path: Path) -> None:
    """float16 on disk: half the size, and the answers stay the same."""
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {key: value.contiguous() for key, value in network.state_dict().items()}
    save_file({key: value.half() if value.is_floating_point() else value for key, value in state.items()}, path)


def train_judges(plan: Plan) -> Judges:
    """Both networks and figures.json in plan.out; the same plan gives the same judges on the same machine."""
    torch.set_num_threads(1)
    album = make_album(plan, "people", plan.first, plan.people, plan.shots)
    reader = train_reader(album, plan.reader_epochs)
    save(reader, plan.out / "reader.safetensors")
    people = [person(plan.first + n) for n in range(plan.people)]
    embedder = train_embedder(album, people, plan.embedder_epochs)
    save(embedder, plan.out / "embedder.safetensors")
    return Judges(reader, embedder, write_figures(Judges(reader, embedder, {}), plan))


def write_figures(judges: Judges, plan: Plan) -> dict[str, dict[str, Any]]:
    """figures.json in plan.out: what the judges are worth on 300 people that nobody learns."""
    held = make_album(plan, "held", plan.first + 90_000, 300, 2 * CENTRE)
    figures = examine(judges, held, 2 * CENTRE)
    (plan.out / "figures.json").write_text(json.dumps(figures, indent=1) + "\n")
    return figures

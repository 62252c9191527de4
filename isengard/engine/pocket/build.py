"""Makes Pocket from nothing, stage by stage: data, tokens, reading, autoencoder, latents, transformer, folder.

Each stage leaves a file in the build directory and is skipped when it is there, so a stopped build goes on.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from isengard.engine.pocket import dataset
from isengard.engine.pocket.folder import publish, tokenizers
from isengard.engine.pocket.pretrain import Course, pretrain
from isengard.engine.pocket.ranks import Ranks, launch
from isengard.engine.pocket.reading import Readers, learn_to_read, make_clip, make_t5, tokenize
from isengard.engine.pocket.transformer import pack, side_of
from isengard.engine.pocket.vae import (
    CHANNELS,
    SCALING,
    SHIFT,
    fit_components,
    learn_to_draw,
    make_vae,
    set_encoder,
    to_pixels,
)


@dataclass(frozen=True)
class Plan:
    """Where the build lives and how long each stage may take, in minutes."""

    build: Path
    out: Path
    reading: float = 3.0
    vae: float = 10.0
    transformer: float = 120.0  # at 64 px
    finish: float = 50.0  # at 96 px, after that
    processes: int = 2
    batch: int = 24
    compiled: bool = False
    publish_every: float = 5.0


def make_data(plan: Plan) -> None:
    """held-out.npy, vae.pt (its encoder; the decoder still random) and, per album, captions, pictures and tokens."""
    dataset.render_all(plan.build / "held-out.npy", dataset.held_out(), dataset.SMALL.size, plan.processes)
    for album in (dataset.SMALL, dataset.LARGE):
        _make_album(plan, album)
    if not (plan.build / "vae.pt").exists():
        pictures = np.load(plan.build / "pictures.npy", mmap_mode="r")
        vae = make_vae()
        set_encoder(vae, *fit_components(pictures[:: len(pictures) // 2000]))
        torch.save(vae.state_dict(), plan.build / "vae.pt")


def _make_album(plan: Plan, album: dataset.Album) -> None:
    paths = [plan.build / f"{stem}{album.suffix}" for stem in ("captions", "pictures", "tokens")]
    texts, targets = dataset.captions(paths[0].with_suffix(".json"), album, plan.processes)
    dataset.render_all(paths[1].with_suffix(".npy"), album.portraits(), album.size, plan.processes)
    if not (tokens := paths[2].with_suffix(".npz")).exists():
        clip, t5 = tokenize(*tokenizers(), texts)
        np.savez(tokens, clip=clip, t5=t5, targets=targets)


def make_latents(build: Path, album: dataset.Album) -> None:
    """latents<suffix>.npy: (n, tokens, 64) float16, packed and normalised as the transformer sees them."""
    path = build / f"latents{album.suffix}.npy"
    if path.exists():
        return
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    vae, pictures = make_vae().to(device), np.load(build / f"pictures{album.suffix}.npy", mmap_mode="r")
    vae.load_state_dict(torch.load(build / "vae.pt", map_location=device))
    torch.set_num_threads(2)
    shape = (len(pictures), side_of(album.size) ** 2, 4 * CHANNELS)
    out = np.lib.format.open_memmap(path.with_suffix(".part.npy"), "w+", np.float16, shape)
    with torch.no_grad():
        for start in range(0, len(pictures), 64):
            latents = vae.encode(to_pixels(pictures[start : start + 64], device)).latent_dist.mode()
            out[start : start + 64] = pack((latents - SHIFT) * SCALING).cpu().numpy()
    out.flush()
    path.with_suffix(".part.npy").rename(path)


def _read(ranks: Ranks, plan: Plan) -> None:
    learn_to_read(ranks, plan.build, tokenizers(), dataset.target_sizes(), plan.reading)


def _draw(ranks: Ranks, plan: Plan) -> None:
    learn_to_draw(ranks, plan.build, plan.vae)


def _pretrain(ranks: Ranks, plan: Plan) -> None:
    clip_tokens, t5_tokens = tokenizers()
    readers = Readers(make_clip(clip_tokens), make_t5(t5_tokens), dataset.target_sizes())
    stored = torch.load(plan.build / "readers.pt")
    readers.clip.load_state_dict(stored["clip"])
    readers.t5.load_state_dict(stored["t5"])
    clip, t5 = tokenize(clip_tokens, t5_tokens, [""])
    empty = (torch.from_numpy(clip[0].astype(np.int64)), torch.from_numpy(t5[0].astype(np.int64)))
    course = Course(
        plan.build, plan.transformer, plan.finish, plan.batch, empty, plan.compiled, plan.publish_every, publish
    )
    pretrain(ranks, course, readers)


def build(plan: Plan) -> None:
    """Run every stage that is still missing; `done-*` files in the build directory mark the trained ones."""
    plan.build.mkdir(parents=True, exist_ok=True)
    (plan.build / "out").write_text(str(plan.out.resolve()))
    make_data(plan)
    for port, (name, work) in enumerate({"reading": _read, "vae": _draw}.items()):
        if not (plan.build / f"done-{name}").exists():
            launch(work, (plan,), plan.processes, 29510 + port)
            (plan.build / f"done-{name}").touch()
    for album in (dataset.SMALL, dataset.LARGE):
        make_latents(plan.build, album)
    publish(plan.build)
    launch(_pretrain, (plan,), plan.processes, 29515)

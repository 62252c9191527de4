"""What every tool works with: one picture's wishes, and the model to draw, encode and decode with.

Knows the registry of warm models and the one sampling path; no queue, no file but those it is given."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from PIL import Image

from isengard.engine import catalog, sampling, tools
from isengard.engine.drawing import region
from isengard.engine.drawing.windows import Window, grid
from isengard.engine.families.base import Embeds, Family
from isengard.engine.sampling import Guide, Look, OnStep, Start
from isengard.engine.specs import LoraRef

# Beyond so many times the base's native area a picture goes through the autoencoder in tiles.
TILED_AREA = 4


@dataclass(frozen=True)
class Made:
    """A finished picture, and in words how it was made where the tool's name does not say it all."""

    image: Image.Image
    notes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Artist:
    """`embeds` gives a prompt's embeddings, `wear` puts exactly these LoRAs on; `on_step` hears of every step, `pause`
    of every window before it is drawn, and may raise to leave; `split` says how many windows a drawing has. `passes`
    tells how many more drawings there will be than the tool's usual one, `tiles` how many tiles that are no drawing;
    `tile` is called before each and may raise, too. `params` are those of this picture, cleaned."""

    family: Family
    prompt: str
    negative: str
    loras: tuple[LoraRef, ...]
    params: dict[str, Any]
    inputs: dict[str, str]
    seed: int
    look: Look
    embeds: Callable[[str], Embeds]
    wear: Callable[[tuple[LoraRef, ...]], None]
    on_step: OnStep
    pause: Callable[[], None]
    split: Callable[[int], None]
    passes: Callable[[int], None]
    tiles: Callable[[int], None]
    tile: Callable[[], None]
    guide: Guide | None = None

    @property
    def native(self) -> int:
        return catalog.get(self.family.base.key).native_size

    def draw(
        self,
        size: tuple[int, int],
        start: Start | None = None,
        *,
        prompt: str | None = None,
        windows: Sequence[Window] = (),
        guided: bool = False,
    ) -> torch.Tensor:
        """Latents of one picture of `size` (width, height) in pixels; see sampling.draw."""
        self.split(max(len(windows), 1))
        return sampling.draw(
            self.family,
            self.embeds(self.prompt if prompt is None else prompt),
            self.embeds(self.negative),
            seeds=[self.seed],
            look=replace(self.look, width=size[0], height=size[1]),
            on_step=self.on_step,
            guide=self.guide if guided else None,
            start=start,
            windows=windows,
            pause=self.pause,
        )

    def windows(self, size: tuple[int, int]) -> tuple[Window, ...]:
        """None for what the base can draw as a whole, else windows of its native size."""
        if size[0] * size[1] <= tools.whole_area(catalog.get(self.family.base.key)) * self.native**2:
            return ()
        _, height, width = self.family.latent_shape(*size)
        return grid(height, width, self.family.latent_shape(self.native, self.native)[1])

    def image(self, latents: torch.Tensor) -> Image.Image:
        """EngineError picture_not_finite: the numbers ran away."""
        if not torch.isfinite(latents).all():
            raise sampling.not_finite(self.seed)
        with sampling.tiled(self.family, self._tiles(latents)):
            return sampling.picture(self.family, latents)

    def encode(self, image: Image.Image) -> torch.Tensor:
        """Latents (1, C, h, w) of an RGB picture whose sides are multiples."""
        pixels = torch.from_numpy(np.array(image, np.float32)).permute(2, 0, 1)[None] / 127.5 - 1
        tiled = self._wanted(image.width * image.height)
        with sampling.tiled(self.family, tiled):
            return self.family.encode_images(pixels)

    def _tiles(self, latents: torch.Tensor) -> bool:
        return self._wanted(latents.shape[-1] * latents.shape[-2] * self._cell() ** 2)

    def _cell(self) -> int:
        return self.native // self.family.latent_shape(self.native, self.native)[1]

    def _wanted(self, pixels: int) -> bool:
        """Whether pictures of so many pixels go through the autoencoder in tiles."""
        wish = self.params.get("tiled_decoding", "auto")
        return wish == "on" or (wish == "auto" and pixels > TILED_AREA * self.native**2)

    def rework(
        self, source: Image.Image, box: region.Box, mask: Image.Image, size: tuple[int, int], prompt: str | None = None
    ) -> Image.Image:
        """Draws the part in `box` anew at `size` where the mask (of the source's size) is not black, and melts it in.

        Pixels where the mask is black stay as they are, to the bit. Reads denoise and feather."""
        edges = box.within(source.size)
        part = source.crop(edges).resize(size, Image.Resampling.LANCZOS)
        cells = self._cells(mask.crop(edges), size)
        start = Start(self.encode(part), self.params["denoise"], cells)
        drawn = self.image(self.draw(size, start, prompt=prompt, windows=self.windows(size)))
        back = drawn.resize((edges[2] - edges[0], edges[3] - edges[1]), Image.Resampling.LANCZOS)
        return region.pasted(source, back, edges, region.softened(mask, self.params["feather"]))

    def _cells(self, mask: Image.Image, size: tuple[int, int]) -> torch.Tensor:
        """(1, 1, h, w): 1 in every latent cell that the mask touches."""
        _, height, width = self.family.latent_shape(*size)
        grey = torch.from_numpy(np.array(mask, np.float32))[None, None]
        return (torch.nn.functional.adaptive_max_pool2d(grey, (height, width)) > 0).float().to(self.family.device)

"""The tools themselves: from an artist with its wishes to a finished picture. Which there are: tools.py.

Each reads the knobs that tools.py names for it, and no other."""

from collections.abc import Callable
from typing import Any

from PIL import Image, ImageOps

from isengard.engine import catalog, tools
from isengard.engine.drawing import enlarge, faces, inputs, region
from isengard.engine.drawing.artist import Artist, Made
from isengard.engine.drawing.windows import halves
from isengard.engine.errors import EngineError
from isengard.engine.sampling import Start

Make = Callable[[Artist], Made]
LANCZOS = Image.Resampling.LANCZOS


def draw(artist: Artist) -> Made:
    return Made(artist.image(artist.draw((artist.look.width, artist.look.height), guided=True)))


def image_to_image(artist: Artist) -> Made:
    """The source fills the asked size; what hangs over is cut off evenly."""
    size = (artist.look.width, artist.look.height)
    source = ImageOps.fit(inputs.picture(artist.inputs), size, LANCZOS)
    start = Start(artist.encode(source), artist.params["denoise"])
    return Made(artist.image(artist.draw(size, start, guided=True)))


def hires(artist: Artist) -> Made:
    first = artist.image(artist.draw((artist.look.width, artist.look.height), guided=True))
    width, height = _result_size("hires", artist, None)
    start = Start(artist.encode(first.resize((width, height), LANCZOS)), artist.params["denoise"])
    return Made(artist.image(artist.draw((width, height), start, windows=artist.windows((width, height)))))


def inpaint(artist: Artist) -> Made:
    source = inputs.picture(artist.inputs)
    mask = inputs.mask(artist.inputs, source.size)
    if artist.params["area"] == "mask":
        box = region.painted(mask).grown(artist.params["margin"]).at_least(artist.family.multiple)
        return Made(artist.rework(source, box, mask, _native(artist, box, source)))
    return Made(artist.rework(source, region.whole(source), mask, _workable(artist, source)))


def outpaint(artist: Artist) -> Made:
    """The new edges begin as the picture's own, mirrored; they melt into it over `feather` pixels of the old."""
    source = inputs.picture(artist.inputs)
    left, top, right, bottom = (artist.params[f"expand_{side}"] for side in ("left", "top", "right", "bottom"))
    larger = enlarge.mirrored(source, (left, top, right, bottom))
    # Where nothing is added there is no seam, so nothing of the old melts away.
    soft = [artist.params["feather"] if side else 0 for side in (left, top, right, bottom)]
    kept = (left + soft[0], top + soft[1], left + source.width - soft[2], top + source.height - soft[3])
    if kept[2] <= kept[0] or kept[3] <= kept[1]:
        raise EngineError("source_too_small", "The soft edge is wider than the picture. Make it narrower.")
    mask = Image.new("L", larger.size, 255)
    mask.paste(0, kept)
    return Made(artist.rework(larger, region.whole(larger), mask, _workable(artist, larger)))


def upscale(artist: Artist) -> Made:
    source = inputs.picture(artist.inputs)
    size = _result_size("upscale", artist, source.size)
    upscaler = artist.inputs.get("upscaler", "")
    if upscaler:
        artist.tiles(enlarge.tiles(source.size))
    large, method = enlarge.enlarged(source, size, upscaler, artist.family.device, artist.tile)
    if not artist.params["denoise"]:
        return Made(large, {"method": method})
    padded = enlarge.padded(large, artist.family.multiple)
    start = Start(artist.encode(padded), artist.params["denoise"])
    refined = artist.image(artist.draw(padded.size, start, windows=artist.windows(padded.size)))
    return Made(refined.crop((0, 0, *size)), {"method": f"{method}, then refined by the model part by part"})


def face_refine(artist: Artist) -> Made:
    picture = inputs.picture(artist.inputs)
    found = faces.find(picture, artist.inputs.get("detector", ""))
    if not found:
        text = "No face was found in the picture, so there is none to refine. Paint a mask and use inpaint instead."
        raise EngineError("no_face", text)
    chosen = found if artist.params["faces"] == "all" else found[:1]
    artist.passes(len(chosen) - 1)
    for face in chosen:
        picture = _with_new_face(artist, picture, face)
    return Made(picture, {"faces": len(chosen)})


def pair(artist: Artist) -> Made:
    """One picture of two people without a LoRA, then each face with its own."""
    if len(artist.loras) < 2:
        raise EngineError("two_loras_needed", "Two characters are needed: a LoRA for the left face, one for the right.")
    picture = _two_people(artist)
    found = faces.two(picture, artist.inputs.get("detector", ""))
    prompts = [*artist.params["face_prompts"], artist.prompt, artist.prompt][:2]
    for face, lora, prompt in zip(found, artist.loras, prompts, strict=False):
        artist.wear((lora,))
        picture = _with_new_face(artist, picture, face, prompt)
    return Made(picture)


def _two_people(artist: Artist) -> Image.Image:
    if artist.inputs.get("source"):
        return inputs.picture(artist.inputs)
    artist.wear(())
    size = (artist.look.width, artist.look.height)
    _, height, width = artist.family.latent_shape(*size)
    windows = halves(height, width) if artist.params["layout"] == "side by side" else ()
    return artist.image(artist.draw(size, windows=windows, guided=True))


def _with_new_face(artist: Artist, picture: Image.Image, face: region.Box, prompt: str | None = None) -> Image.Image:
    box = face.grown(max(artist.params["margin"], region.FACE_REACH)).at_least(artist.family.multiple)
    mask = region.face_mask(picture.size, face)
    return artist.rework(picture, box, mask, _native(artist, box, picture), prompt)


def _native(artist: Artist, box: region.Box, picture: Image.Image) -> tuple[int, int]:
    left, top, right, bottom = box.within(picture.size)
    return region.native((right - left, bottom - top), artist.native, artist.family.multiple)


def _workable(artist: Artist, picture: Image.Image) -> tuple[int, int]:
    return region.workable(picture.size, artist.native, artist.family.multiple)


def _result_size(tool: str, artist: Artist, source: tuple[int, int] | None) -> tuple[int, int]:
    values: dict[str, Any] = {**artist.params, "width": artist.look.width, "height": artist.look.height}
    return tools.result_size(tool, catalog.get(artist.family.base.key), values, source)


MAKERS: dict[str, Make] = {
    "draw": draw,
    "hires": hires,
    "image_to_image": image_to_image,
    "inpaint": inpaint,
    "outpaint": outpaint,
    "upscale": upscale,
    "face_refine": face_refine,
    "pair": pair,
}

"""What can be measured on a photo: sharpness, light, a perceptual hash, faces. OpenCV and numpy; no torch, no Django.

Measures only. What they mean (blurred, too dark, a second person) is for whoever asked to say."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from isengard.engine.events import Event, Sink, Stop
from isengard.engine.specs import ExamineImage, ExamineSpec

Grey: TypeAlias = NDArray[np.uint8]
Box: TypeAlias = tuple[int, int, int, int]
Turn: TypeAlias = Literal[0, 1, 2, 3]

# Sharpness is that of the picture as the largest training resolution sees it: 12 sharp megapixels and the same picture
# taken softly are alike to a trainer that shrinks both.
MEASURED_SIDE = 1024
TILES = 8
# The one tile in sixteen that is sharpest: a portrait's background may be as soft as it likes.
PEAK = 95.0
FACE_SIDE, FACE_TILES, FACE_PEAK = 128, 4, 90.0
# Twice the second derivative of the luma in four directions, so that noise counts as it does in the Laplacian.
CURVATURES = [
    np.array(kernel, np.float32)
    for kernel in (
        [[0, 0, 0], [2, -4, 2], [0, 0, 0]],
        [[0, 2, 0], [0, -4, 0], [0, 2, 0]],
        [[1, 0, 0], [0, -2, 0], [0, 0, 1]],
        [[0, 0, 1], [0, -2, 0], [1, 0, 0]],
    )
]
# That of portraits in good light; below a third of it, more would only be noise.
USUAL_CONTRAST, LEAST_CONTRAST = 0.75, 0.25
DETECTION_SIDE = 400
# A cascade's window is 20 px: the smallest face it can see is a twentieth of the picture's side.
SMALLEST_FACE = 20
NEIGHBOURS = 3
# Less than seven windows agreed: a second cascade must see a face there, too, when it is shown that part alone.
# Measured: of 61 doubtful boxes, the faces got 9 windows and more (one of them 4), folds, wheels and arms 5 and less.
DOUBTFUL, DOUBTFUL_SIDE, DOUBTFUL_STEP, CONFIRMED = 0.71, 100, 1.05, 6
# A face that lies on its side is only looked for where none stands upright, and must be seen more clearly.
TURNED_SIDE, TURNED_NEIGHBOURS, TURNED_SHARE = 240, 5, 0.12
# Degrees. Measured: a cascade sees heads up to 15 degrees askew, and hardly any at 25.
TILTS = (25, -25)
PROFILE_SIDE = 320
# Flat colour: neighbouring pixels that differ by no more than this. Every camera's noise is above it.
FLAT_STEP = 1
# Share of flat pixels: the renderer's portraits have 0.80 to 0.90, photos up to 0.34 (a night sky).
DRAWN_SHARE = 0.6
# A drawn face resembles those a cascade learned from only roughly, so one vote of any cascade counts if it is large.
DRAWN_FACE, DRAWN_STEP = 0.3, 1.05
# What OpenCV's own sample and model card use.
YUNET_SCORE = 0.6
# Measured: standing faces of portraits 0.84 to 0.94 and drawn ones 0.62 to 0.91; lying ones none, or 0.63.
YUNET_SURE, YUNET_CLEAR = 0.75, 0.8
BATCH, BATCH_SECONDS = 16, 1.0
GONE = ("missing", "Its file is gone from the disk.")
BROKEN = ("unreadable", "Its file cannot be read as a picture.")


@dataclass(frozen=True)
class Face:
    """Position and size as fractions of the picture; score 0 to 1 is the detector's own; brightness 0 to 1."""

    x: float
    y: float
    width: float
    height: float
    score: float
    drawn: bool
    sharpness: float
    brightness: float


@dataclass(frozen=True)
class Facts:
    """`sharpness` is the variance of the Laplacian in the sharpest tiles, `brightness` the mean and `contrast` the span
    from the 5th to the 95th percentile of the luma (0 to 1), `phash` 64 bits as a signed number, `turn` the quarter
    turns clockwise that would stand a lying face upright, `drawn` true for flat colours. Largest face first."""

    width: int
    height: int
    sharpness: float
    brightness: float
    contrast: float
    phash: int
    drawn: bool
    turn: Turn
    faces: tuple[Face, ...]


@dataclass(frozen=True)
class Found:
    """What a detector saw, in pixels of the picture it was given."""

    box: Box
    score: float


class Unreadable(Exception):
    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


def run(spec: ExamineSpec, sink: Sink, stop: Stop) -> Event:
    """`output` events of up to 16 photos: {photos: [{index, …facts} or {index, code, reason}]}; then the result."""
    cv2.setNumThreads(1)
    began, waiting, last = time.monotonic(), list[dict[str, Any]](), time.monotonic()
    sink("stage", stage="examining", message="Looking at the photos")
    yunet = _usable(spec.yunet, sink)
    done, total = 0, spec.before + len(spec.images) + spec.after
    for image in spec.images:
        if stop():
            break
        waiting.append(_answer(image, yunet))
        done += 1
        if len(waiting) >= BATCH or time.monotonic() - last > BATCH_SECONDS:
            sink("output", photos=waiting)
            waiting, last = [], time.monotonic()
        sink("progress", step=spec.before + done, total=total)
    if waiting:
        sink("output", photos=waiting)
    return {"photos": done, "seconds": round(time.monotonic() - began, 3), "stopped": done < len(spec.images)}


def _usable(yunet: str, sink: Sink) -> str:
    """The detector's file, or "" with a warning where OpenCV cannot read it: a page that was saved in its place."""
    try:
        if yunet:
            _network(yunet)
    except cv2.error as error:
        message = f"{yunet} is no YuNet model, so faces are found with the cascades. Download it again."
        sink("log", level="WARNING", event="examine.yunet", message=message, fields={"error": str(error)[:200]})
        return ""
    return yunet


def _answer(image: ExamineImage, yunet: str) -> dict[str, Any]:
    try:
        return {"index": image.index, **asdict(examine(Path(image.path), yunet))}
    except Unreadable as error:
        return {"index": image.index, "code": error.code, "reason": error.reason}
    except cv2.error:
        # What Pillow takes for a picture and OpenCV does not.
        return {"index": image.index, "code": BROKEN[0], "reason": BROKEN[1]}


def examine(path: Path, yunet: str = "") -> Facts:
    """Measures one stored picture. `yunet`: the file of OpenCV's YuNet, if it is there. Unreadable: gone or broken."""
    width, height, grey = _opened(path)
    small = _shrunk(grey, DETECTION_SIDE)
    drawn = bool(flat_share(small) > DRAWN_SHARE)
    found, turn = find_faces(small, drawn, yunet)
    low, high = np.percentile(grey, (5, 95))
    contrast = float(high - low) / 255
    faces = [_face(grey, one, small.shape, drawn, contrast) for one in found]
    return Facts(
        width=width,
        height=height,
        sharpness=round(peak_sharpness(grey, TILES, PEAK, contrast), 1),
        brightness=round(float(grey.mean()) / 255, 3),
        contrast=round(contrast, 3),
        phash=perceptual_hash(grey),
        drawn=drawn,
        turn=turn,
        faces=tuple(sorted(faces, key=lambda face: face.width * face.height, reverse=True)),
    )


def _opened(path: Path) -> tuple[int, int, Grey]:
    """The stored size, and the picture in grey at most MEASURED_SIDE long; a JPEG is decoded smaller at once."""
    try:
        with Image.open(path) as picture:
            width, height = picture.size
    except FileNotFoundError:
        raise Unreadable(*GONE) from None
    except (UnidentifiedImageError, OSError, ValueError):
        raise Unreadable(*BROKEN) from None
    grey = cv2.imread(str(path), _decoding(max(width, height)) | cv2.IMREAD_IGNORE_ORIENTATION)
    if grey is None:
        raise Unreadable(*BROKEN)
    return width, height, _shrunk(np.asarray(grey, np.uint8), MEASURED_SIDE)


def _decoding(side: int) -> int:
    """JPEG's own reduction that still leaves MEASURED_SIDE."""
    for factor, flag in ((8, cv2.IMREAD_REDUCED_GRAYSCALE_8), (4, cv2.IMREAD_REDUCED_GRAYSCALE_4),
                         (2, cv2.IMREAD_REDUCED_GRAYSCALE_2)):  # fmt: skip
        if side // factor >= MEASURED_SIDE:
            return flag
    return cv2.IMREAD_GRAYSCALE


def _shrunk(grey: Grey, side: int) -> Grey:
    """At most `side` pixels long, and at least two each way."""
    scale = min(1.0, side / max(grey.shape))
    size = (max(round(grey.shape[1] * scale), 2), max(round(grey.shape[0] * scale), 2))
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8)


def peak_sharpness(grey: Grey, tiles: int, percentile: float, contrast: float) -> float:
    """Variance of the second derivative across its weakest direction, in the sharpest of tiles x tiles parts.

    As the Laplacian's (Pech-Pacheco and others, 2000), but a shake blurs one direction only, and that decides; and
    as in a photo of usual contrast, for a dark one has weak edges however sharp it is."""
    weakest = np.min([_tiled(grey, kernel, tiles) for kernel in CURVATURES], axis=0)
    usual = USUAL_CONTRAST / max(contrast, LEAST_CONTRAST)
    return float(np.percentile(weakest, percentile)) * usual**2


def _tiled(grey: Grey, kernel: NDArray[np.float32], tiles: int) -> list[float]:
    edges = cv2.filter2D(grey, cv2.CV_32F, kernel)
    rows = [row for row in np.array_split(edges, tiles) if row.size]
    return [float(part.var()) for row in rows for part in np.array_split(row, tiles, axis=1) if part.size]


def perceptual_hash(grey: Grey) -> int:
    """pHash (Zauner, 2010): the signs of the 8 x 8 lowest DCT coefficients of 32 x 32 pixels around their median."""
    waves = cv2.dct(cv2.resize(grey, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32))[:8, :8]
    bits = np.packbits((waves > np.median(waves)).flatten())
    return int.from_bytes(bits.tobytes(), "big", signed=True)


def flat_share(grey: Grey) -> float:
    """The share of pixels that look like all their neighbours: paint has them, a camera does not."""
    kernel = np.ones((3, 3), np.uint8)
    span = cv2.subtract(cv2.dilate(grey, kernel), cv2.erode(grey, kernel))
    return float((span <= FLAT_STEP).mean())


def _face(grey: Grey, found: Found, seen: tuple[int, ...], drawn: bool, contrast: float) -> Face:
    """A detection as fractions, with the measures of that part of the larger picture."""
    x, y, width, height = found.box
    left, top = x / seen[1], y / seen[0]
    wide, high = width / seen[1], height / seen[0]
    rows = slice(int(top * grey.shape[0]), math.ceil((top + high) * grey.shape[0]))
    part = _shrunk(grey[rows, int(left * grey.shape[1]) : math.ceil((left + wide) * grey.shape[1])], FACE_SIDE)
    return Face(
        x=round(left, 4),
        y=round(top, 4),
        width=round(wide, 4),
        height=round(high, 4),
        score=round(found.score, 3),
        drawn=drawn,
        sharpness=round(peak_sharpness(part, FACE_TILES, FACE_PEAK, contrast), 1),
        brightness=round(float(part.mean()) / 255, 3),
    )


def find_faces(grey: Grey, drawn: bool, yunet: str) -> tuple[list[Found], Turn]:
    """Faces of a small grey picture, and how it would have to be turned for them to stand."""
    found, turn = _by_network(grey, yunet) if yunet else ([], 0)
    if found or (yunet and not drawn):
        return found, turn
    return (_drawn_face(grey), 0) if drawn else _by_cascades(grey)


def _by_cascades(grey: Grey) -> tuple[list[Found], Turn]:
    """The cascade that errs least comes first; the others see what it misses, but also more in a picture that lies."""
    found = _seen("frontalface_alt2", grey, NEIGHBOURS, SMALLEST_FACE)
    if sure := [one for one in found if one.score >= DOUBTFUL or _confirmed(grey, one.box)]:
        return sure, 0
    if tilted := _tilted(grey):
        return tilted, 0
    lying, turn = _lying(grey, _frontal_clearly)
    if lying:
        return lying, turn
    return _seen("frontalface_alt", grey, NEIGHBOURS, SMALLEST_FACE) or _profile(grey), 0


@cache
def _cascade(name: str) -> cv2.CascadeClassifier:
    """One of the classifiers that OpenCV's package carries."""
    return cv2.CascadeClassifier(str(Path(cv2.__file__).parent / "data" / f"haarcascade_{name}.xml"))


def _seen(name: str, grey: Grey, neighbours: int, smallest: int, step: float = 1.1) -> list[Found]:
    """A cascade's boxes. It has no probability: `score` says how many windows agreed, half of all at NEIGHBOURS."""
    boxes, votes = _cascade(name).detectMultiScale2(
        grey, scaleFactor=step, minNeighbors=neighbours, minSize=(smallest, smallest)
    )
    return [Found(_box(box), float(vote / (vote + NEIGHBOURS))) for box, vote in zip(boxes, votes, strict=True)]


def _box(values: Any) -> Box:
    x, y, width, height = (int(value) for value in values)
    return x, y, width, height


def _confirmed(grey: Grey, box: Box) -> bool:
    """Whether a cascade that learned otherwise sees a face in this part with a third around it, enlarged."""
    x, y, width, height = box
    edge, scale = width // 3, DOUBTFUL_SIDE / width
    part = grey[max(y - edge, 0) : y + height + edge, max(x - edge, 0) : x + width + edge]
    shown = np.asarray(cv2.resize(part, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR), np.uint8)
    smallest = int(0.6 * DOUBTFUL_SIDE)
    votes = _clearest(_seen("frontalface_alt", shown, 1, smallest, DOUBTFUL_STEP))
    return votes >= CONFIRMED / (CONFIRMED + NEIGHBOURS)


def _frontal_clearly(grey: Grey) -> list[Found]:
    return _seen("frontalface_alt2", grey, TURNED_NEIGHBOURS, int(TURNED_SHARE * min(grey.shape)))


def _profile(grey: Grey) -> list[Found]:
    """Heads seen from the side, in a smaller picture: this cascade is the slowest and errs most on small faces."""
    small = _shrunk(grey, PROFILE_SIDE)
    mirrored = np.asarray(cv2.flip(small, 1), np.uint8)
    left = _seen("profileface", small, NEIGHBOURS, SMALLEST_FACE)
    right = [_flipped(one, small.shape[1]) for one in _seen("profileface", mirrored, NEIGHBOURS, SMALLEST_FACE)]
    scale = grey.shape[1] / small.shape[1]
    return [Found(_box(value * scale for value in one.box), one.score) for one in _apart([*left, *right])]


def _flipped(found: Found, width: int) -> Found:
    x, y, wide, high = found.box
    return Found((width - x - wide, y, wide, high), found.score)


def _apart(found: list[Found]) -> list[Found]:
    """Without those whose middle lies in a better one: a cascade and its mirror image see the same head."""
    kept: list[Found] = []
    for one in sorted(found, key=lambda item: item.score, reverse=True):
        x, y, width, height = one.box
        if not any(_holds(other.box, x + width / 2, y + height / 2) for other in kept):
            kept.append(one)
    return kept


def _holds(box: Box, x: float, y: float) -> bool:
    return box[0] <= x <= box[0] + box[2] and box[1] <= y <= box[1] + box[3]


def _lying(grey: Grey, look: Callable[[Grey], list[Found]], best: float = 0.0) -> tuple[list[Found], Turn]:
    """The turn that shows the clearest face, if it is clearer than `best`, with faces where they lie in this one."""
    chosen: tuple[list[Found], Turn] = ([], 0)
    small = _shrunk(grey, TURNED_SIDE)
    scale = grey.shape[1] / small.shape[1]
    for turn, upright in _turns(small):
        found = look(upright)
        if (clearest := _clearest(found)) > best:
            best, chosen = clearest, ([_turned_back(one, turn, upright.shape, scale) for one in found], turn)
    return chosen


def _tilted(grey: Grey) -> list[Found]:
    """Faces of heads held askew, as boxes that stand upright around the same middle."""
    small = _shrunk(grey, TURNED_SIDE)
    middle = (small.shape[1] / 2, small.shape[0] / 2)
    scale = grey.shape[1] / small.shape[1]
    tries = []
    for angle in TILTS:
        forth = cv2.getRotationMatrix2D(middle, angle, 1.0)
        level = cv2.warpAffine(small, forth, (small.shape[1], small.shape[0]), borderMode=cv2.BORDER_REPLICATE)
        back = cv2.invertAffineTransform(forth)
        tries.append([_moved(one, back, scale) for one in _frontal_clearly(np.asarray(level, np.uint8))])
    return max(tries, key=_clearest)


def _moved(found: Found, back: NDArray[Any], scale: float) -> Found:
    x, y, width, height = found.box
    middle = back @ (x + width / 2, y + height / 2, 1.0)
    box = (middle[0] - width / 2, middle[1] - height / 2, width, height)
    return Found(_box(max(value, 0.0) * scale for value in box), found.score)


def _clearest(found: list[Found]) -> float:
    return max((one.score for one in found), default=0.0)


def _turns(grey: Grey) -> Iterator[tuple[Turn, Grey]]:
    yield 1, np.asarray(cv2.rotate(grey, cv2.ROTATE_90_CLOCKWISE), np.uint8)
    yield 3, np.asarray(cv2.rotate(grey, cv2.ROTATE_90_COUNTERCLOCKWISE), np.uint8)
    yield 2, np.asarray(cv2.rotate(grey, cv2.ROTATE_180), np.uint8)


def _turned_back(found: Found, turn: Turn, shape: tuple[int, ...], scale: float) -> Found:
    """The box in the picture before it was turned clockwise `turn` times, in that picture's pixels."""
    x, y, width, height = found.box
    box = {
        1: (y, shape[1] - x - width, height, width),
        2: (shape[1] - x - width, shape[0] - y - height, width, height),
        3: (shape[0] - y - height, x, height, width),
    }[turn]
    return Found(_box(value * scale for value in box), found.score)


def _drawn_face(grey: Grey) -> list[Found]:
    """The median of what the cascades take for a large face; none of them learned from drawings."""
    smallest = int(DRAWN_FACE * min(grey.shape))
    votes: list[Found] = []
    for name in ("frontalface_alt2", "frontalface_alt", "frontalface_default"):
        votes += _seen(name, grey, 1, smallest, DRAWN_STEP)
    if not votes:
        return []
    middle = np.median([one.box for one in votes], axis=0)
    return [Found(_box(middle), max(one.score for one in votes))]


@cache
def _network(path: str) -> cv2.FaceDetectorYN:
    return cv2.FaceDetectorYN.create(path, "", (DETECTION_SIDE, DETECTION_SIDE), YUNET_SCORE)


def _by_network(grey: Grey, path: str) -> tuple[list[Found], Turn]:
    """YuNet's faces. One that it is not sure of may be one that lies: it has learned few of those."""
    found = _asked(grey, path)
    if _clearest(found) >= YUNET_SURE:
        return found, 0
    lying, turn = _lying(grey, lambda turned: _asked(turned, path), max(_clearest(found), YUNET_CLEAR))
    return (lying, turn) if lying else (found, 0)


def _asked(grey: Grey, path: str) -> list[Found]:
    network = _network(path)
    network.setInputSize((grey.shape[1], grey.shape[0]))
    rows = network.detect(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR))[1]
    return [] if rows is None else [Found(_inside(row[:4], grey.shape), float(row[14])) for row in rows]


def _inside(values: Any, shape: tuple[int, ...]) -> Box:
    """The box without what hangs over the picture's edge."""
    x, y, width, height = _box(values)
    left, top = max(x, 0), max(y, 0)
    return left, top, max(min(x + width, shape[1]) - left, 1), max(min(y + height, shape[0]) - top, 1)

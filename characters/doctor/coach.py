"""What a character's photos lack as a set, in plain words, and whether they are ready to train. Reads no row itself."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from characters.doctor import thresholds as limits
from characters.doctor.duplicates import Print, near


@dataclass(frozen=True)
class Shown:
    """One photo that will be trained on, as the coach sees it. `color` is #rrggbb; `phash` None: not measured."""

    key: int
    verdict: str
    framing: str
    color: str
    phash: int | None
    brightness: float | None
    contrast: float | None


@dataclass(frozen=True)
class Advice:
    """`state` is ready, attention or blocked; `summary` says it in a sentence, `points` what to add, best first."""

    state: str
    summary: str
    points: tuple[str, ...]


def advise(photos: Sequence[Shown], verdicts: Mapping[str, int] | None = None) -> Advice:
    """`photos` may be a part of many; `verdicts` then counts all that will be trained on."""
    counts = Counter(verdicts if verdicts is not None else (photo.verdict for photo in photos))
    usable = [photo for photo in photos if photo.verdict != "blocked"]
    points = [*_number(counts.total() - counts["blocked"]), *_mix(usable), *_variety(usable)]
    return Advice(_state(counts), _summary(counts, points), tuple(points))


def _state(verdicts: Counter[str]) -> str:
    """Advice on variety makes a set better, but none unready."""
    usable = verdicts.total() - verdicts["blocked"]
    if not usable:
        return "blocked"
    return "attention" if usable < limits.FEW or verdicts["ready"] < verdicts.total() else "ready"


def _summary(verdicts: Counter[str], points: list[str]) -> str:
    if not verdicts.total():
        return "No photos to train on yet."
    if verdicts["blocked"] == verdicts.total():
        return "None of these photos can be trained on."
    words = {"ready": "ready", "attention": "to look at", "blocked": "left out", "unchecked": "not checked yet"}
    parts = [f"{verdicts[key]:,} {word}" for key, word in words.items() if verdicts[key]]
    return ", ".join(parts) + (": a good set." if not points and verdicts["ready"] == verdicts.total() else ".")


def _number(count: int) -> list[str]:
    if not count:
        return ["Add ten to twenty photos of the person."]
    if count < limits.FEW:
        return [f"{_photos(count)} rarely give a likeness. Add {limits.ENOUGH - count} more, each different."]
    if count < limits.ENOUGH:
        return [f"{_photos(count)} are a fair start. With {limits.ENOUGH - count} more the likeness gets steadier."]
    if count > limits.MANY:
        return [f"More than {limits.MANY} rarely help. The best twenty, all different, train faster and as well."]
    return []


def _photos(count: int) -> str:
    return f"{count} photo{'' if count == 1 else 's'}"


def _mix(photos: list[Shown]) -> list[str]:
    """Missing framings. Photos in which no face was found say nothing about them."""
    known = [photo.framing for photo in photos if photo.framing != "none"]
    if len(known) < limits.LEAST_TO_COMPARE:
        return []
    count, number = Counter(known), len(known)
    points = []
    if (lack := _lack(count["close"], number, limits.LEAST_CLOSE)) > 0:
        points.append(f"Add {lack} close-up{_s(lack)}: head and shoulders, from the front and from each side.")
    if (lack := _lack(count["half"] + count["full"], number, limits.LEAST_WIDER)) > 0:
        points.append(
            f"Nearly all are close-ups. Add {_photos(lack)} down to the waist, so that it can draw more than faces."
        )
    elif (lack := _lack(count["full"], number, limits.LEAST_FULL)) > 0:
        points.append(f"Add {lack} full-body photo{_s(lack)}, if you want to see the whole person in pictures.")
    return points


def _lack(have: int, of: int, share: float) -> int:
    """How many more are needed until they are `share` of all, themselves counted; of hundreds, what helps already."""
    missing = share * of - have
    return min(max(round(missing / (1 - share) + 0.49), 0), limits.MOST_ADVISED)


def _s(count: int) -> str:
    return "" if count == 1 else "s"


def _variety(photos: list[Shown]) -> list[str]:
    measured = [photo for photo in photos if photo.phash is not None]
    if len(measured) < limits.LEAST_TO_COMPARE:
        return []
    points = []
    if _alike(measured) > limits.MOST_ALIKE:
        points.append("Many photos show the same pose in the same place. Add other expressions, angles and places.")
    if _commonest_colour(measured) > limits.MOST_OF_A_COLOUR:
        points.append(
            "Most photos share one colour: the same background or clothes. Add other ones, or it learns those too."
        )
    lights = [photo.brightness for photo in measured if photo.brightness is not None]
    if max(lights) - min(lights) < limits.LEAST_LIGHTS:
        points.append("All are taken in the same light. Add some by a window, outdoors, or in the evening.")
    return points


def _alike(photos: list[Shown]) -> float:
    """The share of photos that resemble another one."""
    prints = [Print(photo.key, photo.phash or 0, photo.brightness or 0.0, photo.contrast or 0.0) for photo in photos]
    pairs = near(prints, limits.ALIKE_BITS)
    return len({key for one, other in pairs for key in (one.key, other.key)}) / len(photos)


def _commonest_colour(photos: list[Shown]) -> float:
    """The share of the commonest dominant colour, in steps of a quarter of each channel."""
    steps = Counter(tuple(int(photo.color[place : place + 2], 16) // 64 for place in (1, 3, 5)) for photo in photos)
    return max(steps.values()) / len(photos)

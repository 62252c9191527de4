"""From what was measured on one photo to what is said about it: findings, framing, verdict. Plain values, no rows.

Each finding has its reason and a way out. There is no score: three states, and the worst finding decides."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from characters.doctor import thresholds as limits

Level = Literal["attention", "blocked"]
# What can be done about a finding, and how the button is called. Turns are quarter turns clockwise.
FIXES = {
    "crop_face": "Crop to the face",
    "reference": "Keep as reference only",
    "remove": "Remove",
    "turn_1": "Turn right",
    "turn_2": "Turn upside down",
    "turn_3": "Turn left",
}
# Whoever waves these through would get a training that fails or learns nothing.
FINAL = frozenset({"missing", "unreadable"})


@dataclass(frozen=True)
class Finding:
    """`code` is stable, `text` for people, `fix` one of FIXES; `of` the public id of the photo it is compared with."""

    code: str
    level: Level
    text: str
    fix: str
    of: str = ""

    def to_dict(self) -> dict[str, str]:
        return {name: value for name, value in asdict(self).items() if name != "of" or value}


def findings(facts: dict[str, Any], native_size: int) -> list[Finding]:
    """Of the engine's answer about one photo (isengard/engine/examine.py), for a base of `native_size` px."""
    if "code" in facts:
        return [_unusable(facts["code"])]
    size = _size(facts, native_size)
    if size is not None and size.level == "blocked":
        # So little can be seen in it that all else would be guessed.
        return [size]
    found = [size, _turned(facts), *_faces(facts), *_sharpness(facts), *_light(facts)]
    return [one for one in found if one is not None]


def framing(facts: dict[str, Any]) -> str:
    """close, half or full, by the largest face; none without one."""
    if not facts.get("faces"):
        return "none"
    face = facts["faces"][0]
    # A lying photo is judged as it will stand.
    share = face["width"] if facts["turn"] % 2 else face["height"]
    if share >= limits.CLOSE:
        return "close"
    return "half" if share >= limits.HALF else "full"


def verdict(found: Iterable[dict[str, Any]], ignored: Iterable[str]) -> str:
    """ready, attention or blocked: the worst of the findings that were not waved through."""
    waved = set(ignored) - FINAL
    levels = {one["level"] for one in found if one["code"] not in waved}
    return "blocked" if "blocked" in levels else "attention" if levels else "ready"


def _unusable(code: str) -> Finding:
    if code == "missing":
        return Finding(code, "blocked", "Its file is gone from the disk. Upload the photo again.", "remove")
    return Finding("unreadable", "blocked", "Its file is damaged. Upload the photo again.", "remove")


def _size(facts: dict[str, Any], native_size: int) -> Finding | None:
    share = facts["width"] * facts["height"] / native_size**2
    if share >= limits.SMALL:
        return None
    text = (
        f"{facts['width']} × {facts['height']} pixels are few for a base that learns from {native_size} × {native_size}"
    )
    if share < limits.TOO_SMALL:
        return Finding("too_small", "blocked", f"{text}: enlarged, it would teach blur. Use the original.", "remove")
    return Finding(
        "small", "attention", f"{text}: it is enlarged a little. Use a larger copy if you have one.", "remove"
    )


def _turned(facts: dict[str, Any]) -> Finding | None:
    if not facts["turn"]:
        return None
    return Finding("sideways", "attention", "The person seems to lie on the side.", f"turn_{facts['turn']}")


def _faces(facts: dict[str, Any]) -> list[Finding]:
    if not facts["faces"]:
        return [_no_face(facts["drawn"])]
    first = facts["faces"][0]
    found = []
    others = [face for face in facts["faces"][1:] if face["height"] >= limits.SECOND_FACE * first["height"]]
    if others:
        text = f"{len(others) + 1} people: the training cannot know which one you mean."
        found.append(Finding("second_face", "attention", text, "crop_face"))
    if _seen_size(facts, first) < limits.TINY_FACE:
        text = "The face is so small that its features are lost at the size that is trained at."
        found.append(Finding("tiny_face", "attention", text, "crop_face"))
    if not first["drawn"] and _cut_off(first):
        found.append(Finding("cut_face", "attention", "The face is cut off by the edge.", "reference"))
    return found


def _no_face(drawn: bool) -> Finding:
    if drawn:
        text = (
            "No face found; this looks like a drawing, and faces in drawings are often missed. Keep it if it shows one."
        )
        return Finding("no_drawn_face", "attention", text, "reference")
    text = "No face found. Seen from behind, far away or hidden, the person can hardly be learned from it."
    return Finding("no_face", "attention", text, "reference")


def _seen_size(facts: dict[str, Any], face: dict[str, Any]) -> float:
    return float(face["height"] * facts["height"] / (facts["width"] * facts["height"]) ** 0.5)


def _cut_off(face: dict[str, Any]) -> bool:
    edges = (face["x"], face["y"], 1 - face["x"] - face["width"], 1 - face["y"] - face["height"])
    return bool(min(edges) < limits.EDGE)


def _sharpness(facts: dict[str, Any]) -> list[Finding]:
    face = facts["faces"][0]["sharpness"] if facts["faces"] else None
    if facts["sharpness"] < limits.BLURRED and (face is None or face < limits.SHARP_FACE):
        text = "Blurred or shaken: nothing in it is sharp, and the training would learn that."
        return [Finding("blurred", "attention", text, "remove")]
    if face is not None and face < limits.SOFT_FACE:
        return [Finding("soft_face", "attention", "The face is out of focus, the rest is sharp.", "reference")]
    return []


def _light(facts: dict[str, Any]) -> list[Finding]:
    face = facts["faces"][0]["brightness"] if facts["faces"] else facts["brightness"]
    dim = facts["brightness"] < limits.DIM and facts["contrast"] < limits.DIM_CONTRAST
    if dim or facts["brightness"] < limits.DARK or face < limits.DARK_FACE:
        return [Finding("dark", "attention", "Too dark to see the features well.", "reference")]
    if facts["brightness"] > limits.BRIGHT or face > limits.BRIGHT_FACE:
        return [Finding("bright", "attention", "So bright that the features are washed out.", "reference")]
    if facts["contrast"] < limits.PALE:
        return [Finding("pale", "attention", "Hardly any contrast, as in fog or haze.", "reference")]
    return []

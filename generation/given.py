"""What a compose form carries of pictures: files just chosen, pictures chosen before, the drawn picture it begins from.

Read from a request's own words; keeps files, starts nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.urls import reverse

from generation import access, inputs
from generation.models import Output
from isengard.engine import tools
from isengard.errors import Invalid, NotFound

# The box that a mask is marked with by numbers, in percent of the picture.
BOX = {"left": "25", "top": "25", "width": "50", "height": "50"}
# A mask from a file counts before the one that was painted.
MASK_FILE = "mask_file"


@dataclass
class Given:
    """`keys`: input name → key (generation.inputs). `origin`: the picture of the studio that is the source;
    `marked`: whether the mask was just changed with the box."""

    tool: str = "draw"
    keys: dict[str, str] = field(default_factory=dict)
    origin: Output | None = None
    box: dict[str, str] = field(default_factory=lambda: dict(BOX))
    marked: bool = False

    @property
    def facts(self) -> tools.Tool:
        return tools.get(self.tool)

    def origin_id(self) -> str:
        return f"{self.origin.generation.job.public_id}:{self.origin.index}" if self.origin else ""

    def rows(self) -> list[dict[str, Any]]:
        """The tool's own pictures for the form, with what is chosen already."""
        return [self._row(one) for one in self.facts.inputs]

    def guides(self) -> list[dict[str, Any]]:
        known = inputs.kinds(self.tool)
        return [self._row(known[name]) for name in inputs.GUIDES]

    def _row(self, one: tools.Input) -> dict[str, Any]:
        key = self.keys.get(one.name, "")
        size = inputs.size_of(key) if key else (0, 0)
        url = reverse("generation:input", args=[key]) if key else ""
        return {"input": one, "key": key, "url": url, "width": size[0], "height": size[1]}


def tool_of(word: str) -> str:
    """Invalid: no such tool."""
    key = word or "draw"
    if key not in tools.TOOLS:
        raise Invalid("unknown_tool", f"There is no tool called {key[:40]!r}. Choose one of {', '.join(tools.TOOLS)}.")
    return key


def of_picture(tool: str, output: Output) -> Given:
    """A drawn picture as the source of a tool. NotFound: its file is gone."""
    takes = any(one.name == "source" for one in tools.get(tool).inputs)
    return Given(tool, {"source": inputs.of_output(output)}, output) if takes else Given(tool)


def received(tool: str, words: Mapping[str, str], sent: Mapping[str, Any]) -> Given:
    """The pictures of a form: new files count before those chosen earlier.

    Invalid: a file that is no picture. Unavailable: no room for it."""
    found = Given(tool)
    for name, one in inputs.kinds(tool).items():
        file = (sent.get(MASK_FILE) if one.kind == "mask" else None) or sent.get(name)
        if file:
            found.keys[name] = inputs.keep(file, grey=one.kind == "mask")
        elif (key := words.get(f"key_{name}", "")) and not words.get(f"drop_{name}"):
            inputs.path_of(key)
            found.keys[name] = key
    if "source" in found.keys and not sent.get("source"):
        found.origin = _origin(words.get("origin", ""))
    found.box = {side: words.get(f"box_{side}", usual) for side, usual in BOX.items()}
    return found


def mark(given: Given, how: str) -> None:
    """The mask with the box beside what it had (`add`), or without anything. Invalid: the box is none."""
    given.marked = True
    if how == "add" and "source" in given.keys:
        given.keys["mask"] = inputs.boxed(given.keys["source"], _numbers(given.box), given.keys.get("mask", ""))
    else:
        given.keys.pop("mask", None)


def _numbers(box: Mapping[str, str]) -> tuple[float, float, float, float]:
    try:
        left, top, width, height = (float(box[side].replace(",", ".")) for side in BOX)
    except ValueError:
        raise Invalid("bad_box", "Give the box four numbers: percent of the picture, from 0 to 100.") from None
    if not all(0 <= share <= 100 for share in (left, top, width, height)):
        raise Invalid("bad_box", "Each number of the box is percent of the picture, from 0 to 100.")
    return left, top, width, height


def _origin(word: str) -> Output | None:
    job, _, index = word.partition(":")
    if not (index.isdecimal() and len(index) < 6):
        return None
    try:
        return access.get_output(job, int(index))
    except NotFound:
        # It was deleted meanwhile; its copy is what counts.
        return None

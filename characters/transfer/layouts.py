"""The three layouts a dataset can be exported in: what each photo's files are called, and what is written about it.

Plain strings; reads no file and no row beyond the photo it is given."""

import json
from dataclasses import dataclass, field
from typing import Any, Protocol

from characters.captions.text import class_word, training_text
from characters.models import Character, ReferenceImage
from characters.transfer import notes
from characters.transfer.archive import ABOUT, METADATA
from characters.transfer.plan import FORMAT
from isengard.errors import Invalid

VERSION = 1
REPEATS = (1, 100)
LAYOUTS = ("isengard", "imagefolder", "kohya")
# Names that Windows gives no file, whatever their ending.
RESERVED = frozenset({"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))})


@dataclass(frozen=True)
class Names:
    """Of one photo's entries: itself, and its mask and caption file where the layout has them (else "")."""

    photo: str
    mask: str = ""
    caption: str = ""


def portable(folder: str, name: str, taken: set[str]) -> str:
    """`name` in `folder` as every system can unpack it: some tell no case apart, some reserve words.

    Adds it to `taken`, the names given before."""
    stem, dot, ending = name.rpartition(".")
    if stem.partition(".")[0].casefold() in RESERVED:
        stem = f"_{stem}"
    found, number = f"{folder}{stem}{dot}{ending}", 1
    while found.casefold() in taken:
        number += 1
        found = f"{folder}{stem}-{number}{dot}{ending}"
    taken.add(found.casefold())
    return found


class Layout(Protocol):
    """One per export. `trained_only`: the layout cannot say that a photo is only for looking at, so those stay out.

    `metadata` is the name of the file that has a line per photo, "" for none."""

    trained_only: bool
    metadata: str

    def opening(self, characters: list[Character]) -> dict[str, bytes]:
        """Texts before the first photo, by name. Called once, first."""
        ...

    def names(self, image: ReferenceImage) -> Names:
        """Called once per photo; no two photos get the same name."""
        ...

    def line(self, image: ReferenceImage, names: Names, sha256: str) -> dict[str, Any]:
        """What `metadata` says of it. `sha256` is that of the stored file."""
        ...


@dataclass
class Isengard:
    """Everything that is known, in a form that an import reads back without a loss."""

    trained_only: bool = False
    metadata: str = METADATA
    several: bool = False
    taken: set[str] = field(default_factory=set)

    def opening(self, characters: list[Character]) -> dict[str, bytes]:
        self.several = len(characters) > 1
        people = [_person(character) for character in characters]
        about = {"format": FORMAT, "version": VERSION, "character": people[0], "characters": people}
        return {ABOUT: json.dumps(about, ensure_ascii=False, indent=2).encode() + b"\n"}

    def names(self, image: ReferenceImage) -> Names:
        # Names are unique within a character only.
        folder = f"{image.character.public_id}/" if self.several else ""
        name = portable(folder, image.name, self.taken)
        return Names(f"photos/{name}", mask=f"masks/{name}.png")

    def line(self, image: ReferenceImage, names: Names, sha256: str) -> dict[str, Any]:
        return notes.describe(image, names.photo, sha256, names.mask)


def _person(character: Character) -> dict[str, str]:
    fields = ("name", "trigger_word", "description")
    return {"id": character.public_id, **{name: getattr(character, name) for name in fields}}


@dataclass
class ImageFolder:
    """Hugging Face's imagefolder: `load_dataset("imagefolder", data_dir=…)` finds pictures, `text` and `tags`.

    https://huggingface.co/docs/datasets/image_dataset#imagefolder"""

    trained_only: bool = True
    metadata: str = f"train/{METADATA}"
    several: bool = False
    taken: set[str] = field(default_factory=set)

    def opening(self, characters: list[Character]) -> dict[str, bytes]:
        self.several = len(characters) > 1
        return {}

    def names(self, image: ReferenceImage) -> Names:
        folder = f"train/{image.character.public_id}/" if self.several else "train/"
        return Names(portable(folder, image.name, self.taken))

    def line(self, image: ReferenceImage, names: Names, sha256: str) -> dict[str, Any]:
        """Names are relative to the metadata's own folder."""
        text = training_text(image.caption, image.character.trigger_word)
        tags = sorted(tag.name for tag in image.tags.all())
        return {"file_name": names.photo.removeprefix("train/"), "text": text, "tags": tags}


@dataclass
class Kohya:
    """Folders named `<repeats>_<trigger> <class>` with a .txt beside each picture, as kohya's sd-scripts read them.

    https://github.com/kohya-ss/sd-scripts/blob/main/docs/train_README-en.md"""

    repeats: int = 10
    class_word: str = "person"
    trained_only: bool = True
    metadata: str = ""
    taken: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        least, most = REPEATS
        if not least <= self.repeats <= most:
            raise Invalid("bad_repeats", f"Repeats are a number from {least} to {most}.")
        word = self.class_word
        if not 1 <= len(word) <= 50 or not word.isprintable() or set(word) & {"/", "\\"} or ".." in word:
            raise Invalid("bad_class_word", "A class word has 1 to 50 characters and no slash, such as woman.")

    def opening(self, characters: list[Character]) -> dict[str, bytes]:
        return {}

    def names(self, image: ReferenceImage) -> Names:
        """Two pictures that differ in their ending only would share one caption file, so the second is renamed."""
        folder = f"{self.repeats}_{image.character.trigger_word} {self.class_word}"
        stem, _, extension = image.name.rpartition(".")
        caption = portable(f"{folder}/", f"{stem}.txt", self.taken)
        return Names(f"{caption.removesuffix('.txt')}.{extension}", caption=caption)

    def line(self, image: ReferenceImage, names: Names, sha256: str) -> dict[str, Any]:
        raise NotImplementedError("this layout has no metadata file")


def class_word_of(characters: list[Character]) -> str:
    """What the person is one of, as its description says, for a layout that names folders by it."""
    return class_word(*(character.description for character in characters[:1]))


def of(name: str, *, repeats: int = 10, class_word: str = "person") -> Layout:
    """Invalid: no such layout, or numbers and words that it cannot carry."""
    if name == "isengard":
        return Isengard()
    if name == "imagefolder":
        return ImageFolder()
    if name == "kohya":
        return Kohya(repeats=repeats, class_word=class_word.strip())
    raise Invalid("bad_layout", f"Choose one of the layouts {', '.join(LAYOUTS)}.")

"""The models that can describe a photo, as facts: which there are, where they lie, why one is not usable. No torch.

A captioner is a folder as transformers saves it, of one of the two kinds that captioning.py drives."""

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from isengard.engine.catalog import hub_cache, snapshots
from isengard.engine.errors import EngineError

Kind = Literal["blip", "florence2"]
Detail = Literal["short", "detailed", "long"]
FOLDER = "captioners"
# What each kind can be asked for; BLIP writes one sentence only.
DETAILS: dict[str, tuple[Detail, ...]] = {"blip": ("short",), "florence2": ("short", "detailed", "long")}
TOKENIZERS = ("tokenizer.json", "vocab.txt", "vocab.json")
PROCESSORS = ("preprocessor_config.json", "processor_config.json")


@dataclass(frozen=True)
class Known:
    """A published captioner that is known to work here. `gigabytes` is its download."""

    key: str
    label: str
    kind: Kind
    repo_id: str
    licence: str
    gigabytes: float


# Licences and sizes as their model cards give them.
KNOWN = (
    Known("florence-2-base", "Florence-2 base", "florence2", "florence-community/Florence-2-base", "MIT", 0.5),
    Known("florence-2-large", "Florence-2 large", "florence2", "florence-community/Florence-2-large", "MIT", 1.6),
    Known("blip-base", "BLIP base", "blip", "Salesforce/blip-image-captioning-base", "BSD-3-Clause", 1.0),
    Known("blip-large", "BLIP large", "blip", "Salesforce/blip-image-captioning-large", "BSD-3-Clause", 1.9),
)


@dataclass(frozen=True)
class Captioner:
    """A captioner of this machine: usable when `reason` is empty, and then with its folder in `path`.

    `download` is the command that brings a known one that is not here."""

    key: str
    label: str
    kind: Kind
    path: str
    reason: str = ""
    licence: str = ""
    download: str = ""

    @property
    def details(self) -> tuple[Detail, ...]:
        return DETAILS[self.kind]


def offered(models_dir: Path) -> list[Captioner]:
    """The known ones, here or not, then any other folder in `models_dir`/captioners that holds one."""
    known = [_known(model, models_dir) for model in KNOWN]
    names = {name for model in KNOWN for name in (model.key, model.repo_id.split("/")[1])}
    others = (path for path in sorted((models_dir / FOLDER).glob("*")) if path.name not in names)
    return [*known, *(found for path in others if (found := _other(path)))]


def locate(key: str, models_dir: Path) -> Captioner:
    """A usable captioner. EngineError captioner_missing: it is not there, with what to put where."""
    found = next((one for one in offered(models_dir) if one.key == key), None)
    if found is None:
        raise EngineError("captioner_missing", f"There is no captioner called {key!r} on this machine.")
    if found.reason:
        raise EngineError("captioner_missing", found.reason)
    return found


def _known(model: Known, models_dir: Path) -> Captioner:
    places = [path for path in _places(model, models_dir) if (path / "config.json").is_file()]
    reasons = [(path, why_unusable(path, model.kind)) for path in places]
    usable = next((path for path, reason in reasons if not reason), None)
    if usable is not None:
        return Captioner(model.key, model.label, model.kind, str(usable), "", model.licence)
    reason = f"{model.label} in {reasons[0][0]}: {reasons[0][1]}" if reasons else _absent(model, models_dir)
    return Captioner(model.key, model.label, model.kind, "", reason, model.licence, _download(model, models_dir))


def _places(model: Known, models_dir: Path) -> list[Path]:
    """Where a known captioner may lie, the likeliest first."""
    name = model.repo_id.split("/")[1]
    own = [models_dir / FOLDER / name, models_dir / FOLDER / model.key, models_dir / name]
    return [*own, *snapshots(hub_cache() / f"models--{model.repo_id.replace('/', '--')}")]


def _absent(model: Known, models_dir: Path) -> str:
    return (
        f"{model.label} is not on this machine. Download {model.repo_id} from Hugging Face ({model.gigabytes:.1f} GB, "
        f"{model.licence}) into {models_dir / FOLDER / model.repo_id.split('/')[1]}."
    )


def _download(model: Known, models_dir: Path) -> str:
    """For a shell, by the command that comes with huggingface_hub; weights in the safe format only."""
    folder = shlex.quote(str(models_dir / FOLDER / model.repo_id.split("/")[1]))
    return f"hf download {model.repo_id} --local-dir {folder} --include '*.safetensors' '*.json' '*.txt'"


def _other(folder: Path) -> Captioner | None:
    """A folder that somebody put there under a name of their own; None where it is no captioner at all."""
    kind = _config(folder).get("model_type")
    if kind not in DETAILS:
        return None
    reason = why_unusable(folder, kind)
    return Captioner(folder.name, folder.name, kind, str(folder), f"{folder.name}: {reason}" if reason else "")


def why_unusable(folder: Path, kind: Kind) -> str:
    """What is wrong with a captioner's folder, empty when nothing is."""
    config = _config(folder)
    if config.get("model_type") != kind:
        return f"its config.json says {config.get('model_type')!r}, not {kind!r}."
    if "auto_map" in config:
        return (
            "this copy brings program code of its own, which is never run. Take the one of florence-community, whose "
            "weights fit the library's own class."
        )
    missing = [words for words, there in _parts(folder) if not there]
    return f"{', '.join(missing)} missing. Download it again." if missing else ""


def _parts(folder: Path) -> list[tuple[str, bool]]:
    return [
        ("model.safetensors", any(path.is_file() for path in folder.glob("*.safetensors"))),
        ("tokenizer.json", any((folder / name).is_file() for name in TOKENIZERS)),
        ("preprocessor_config.json", any((folder / name).is_file() for name in PROCESSORS)),
    ]


def _config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text()) if path.is_file() else {}
    except (OSError, ValueError):
        return {}
    return config if isinstance(config, dict) else {}

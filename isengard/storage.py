"""Every path rule under VOLUME_ROOT. The database stores relative keys; only this module turns them into paths."""

import errno
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings

from isengard.errors import Invalid


def absolute(key: str) -> Path:
    """The file behind a stored key. Invalid: the key points outside the volume (never built from a client's words)."""
    root: Path = settings.VOLUME_ROOT
    path = (root / key).resolve()
    if not path.is_relative_to(root) or path == root:
        raise Invalid("bad_path", "That file is not part of the studio's data.")
    return path


def key_of(path: Path) -> str:
    """The stored key of a file below VOLUME_ROOT. Invalid: it lies elsewhere."""
    resolved = path.resolve()
    if not resolved.is_relative_to(settings.VOLUME_ROOT):
        raise Invalid("bad_path", "That file is not part of the studio's data.")
    return resolved.relative_to(settings.VOLUME_ROOT).as_posix()


def photo_key(character: str, image: str, extension: str) -> str:
    return f"characters/{character}/photos/{image}.{extension}"


def thumb_key(character: str, image: str, size: int) -> str:
    return f"characters/{character}/thumbs/{image}-{size}.webp"


def mask_key(character: str, image: str) -> str:
    return f"characters/{character}/masks/{image}.png"


def character_folders(character: str) -> tuple[str, str]:
    """Everything kept under a character's own name: photos with thumbnails, and LoRAs."""
    return f"characters/{character}", f"loras/{character}"


def run_key(job: str) -> str:
    """The training run's folder: photos, samples, checkpoints, resume state."""
    return f"runs/{job}"


def lora_key(character: str, name: str) -> str:
    return f"loras/{character}/{name}.safetensors"


def output_key(job: str) -> str:
    return f"outputs/{job}"


def cache_dir() -> Path:
    """Latents and prompt embeddings, named by content, shared between runs; safe to delete at any time."""
    return absolute("cache/engine")


def job_log(job: str) -> Path:
    return Path(settings.LOG_DIR) / "jobs" / f"{job}.jsonl"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside `path` that takes its place only when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remove(*keys: str) -> None:
    """Deletes the file or folder behind each key; one that is already gone is fine."""
    for path in map(absolute, keys):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def link(source: Path, target: Path) -> None:
    """The same file under a second name; a copy where the file system cannot link."""
    with replacing(target) as part:
        try:
            os.link(source, part)
        except OSError:
            shutil.copyfile(source, part)


def is_full(error: OSError) -> bool:
    """Whether it says that the disk has no room, or that the account may not have more of it."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def free_bytes() -> int:
    settings.VOLUME_ROOT.mkdir(parents=True, exist_ok=True)
    return shutil.disk_usage(settings.VOLUME_ROOT).free

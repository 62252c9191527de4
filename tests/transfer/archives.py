"""ZIP files for tests, honest and otherwise, and the job that imports one, run without a worker."""

import io
import zipfile
from collections.abc import Mapping
from typing import Any

from characters.models import Character, DatasetTask
from characters.transfer import services
from characters.transfer.handlers import ImportHandler
from isengard.engine import specs, unpacking
from isengard.jobs import events, transitions
from tests.pictures import encoded, picture


def jpeg(color: str = "#b06030", side: int = 96) -> bytes:
    return encoded(picture(side, side, color), "JPEG", quality=90)


def zipped(files: Mapping[str, bytes], **options: Any) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **options) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def imported(data: bytes, character: Character | None = None, name: str = "photos.zip", **new: str) -> DatasetTask:
    """The import of these bytes, to its end: its engine's work is done here."""
    with services.received(io.BytesIO(data)) as path:
        task = services.start(archive=path, name=name, character=character, new=new)
    run(task)
    return services.get_import(task.job.public_id)


def run(task: DatasetTask) -> None:
    """What a worker does with the job, in this process."""
    job = transitions.claim("cpu", "test")
    assert job is not None and job.pk == task.job_id
    handler = ImportHandler()

    def sink(type: str, /, **fields: Any) -> None:
        if type == "output":
            with transitions.held(job) as mine:
                payload = handler.on_event(mine, {"type": type, **fields})
                events.append(mine, type, payload or {})

    spec = specs.spec_from_dict(handler.spec(job))
    assert isinstance(spec, specs.UnpackSpec)
    result = unpacking.unpack(spec, sink, lambda: False)
    with transitions.held(job) as mine:
        transitions.complete(mine, handler.finish(mine, result))
    job.refresh_from_db()
    handler.on_ended(job)


def codes(task: DatasetTask) -> dict[str, str]:
    """Why each refused entry was refused, by its name."""
    return {row["filename"]: row["code"] for row in services.report(task)["refused"]}

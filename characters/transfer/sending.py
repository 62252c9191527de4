"""Sends an archive while it is written, and takes one while it comes in. Knows requests; nothing of what is inside."""

import tempfile
from collections.abc import AsyncIterator, Callable, Generator
from functools import partial, wraps
from typing import Any

from asgiref.sync import sync_to_async
from django.core.files.uploadedfile import TemporaryUploadedFile, UploadedFile
from django.core.files.uploadhandler import TemporaryFileUploadHandler
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.utils.http import content_disposition_header

from isengard import storage
from isengard.errors import Unavailable

Chunks = Generator[bytes, None, None]
View = Callable[..., HttpResponseBase]


def send(request: HttpRequest, chunks: Chunks, name: str) -> StreamingHttpResponse:
    """`chunks` as a download called `name`."""
    # Under ASGI Django would read a synchronous iterator to its end before sending the first byte.
    body = _taken(chunks) if isinstance(request, ASGIRequest) else chunks
    response = StreamingHttpResponse(body, content_type="application/zip")
    response.headers["Content-Disposition"] = content_disposition_header(True, name) or "attachment"
    response.headers["Cache-Control"] = "private, no-store"
    return response


async def _taken(chunks: Chunks) -> AsyncIterator[bytes]:
    """In the request's own thread, whose database connection is closed with it."""
    following = sync_to_async(partial(next, chunks, b""))
    try:
        while chunk := await following():
            yield chunk
    finally:
        # A reader who leaves half-way leaves files open otherwise.
        await sync_to_async(chunks.close)()


class ArchiveFile(TemporaryUploadedFile):
    """On the studio's own disk, so that keeping it is a rename and no second copy of gigabytes."""

    def __init__(
        self, name: str | None, content_type: str | None, size: int, charset: str | None, extra: Any = None
    ) -> None:
        folder = storage.absolute("tmp")
        folder.mkdir(parents=True, exist_ok=True)
        file = tempfile.NamedTemporaryFile(suffix=".upload", dir=folder)  # noqa: SIM115  (closed with the upload)
        UploadedFile.__init__(self, file, name, content_type, size, charset, extra)


class ArchiveHandler(TemporaryFileUploadHandler):
    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super(TemporaryFileUploadHandler, self).new_file(*args, **kwargs)
        self.file = ArchiveFile(self.file_name, self.content_type, 0, self.charset, self.content_type_extra)

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        """Unavailable: the disk is full."""
        try:
            super().receive_data_chunk(raw_data, start)
        except OSError as error:
            # The error may be kept for its trace, and with it the file and all the room that it takes.
            self.file.close()
            if not storage.is_full(error):
                raise
            raise Unavailable("no_space", "The disk has no room for this archive. Free some space first.") from error


def archived(view: View) -> View:
    """For views that take an archive. Must be outermost: the handlers are chosen before anybody reads the body."""

    @wraps(view)
    def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        request.upload_handlers = [ArchiveHandler(request)]
        return view(request, *args, **kwargs)

    return wrapper

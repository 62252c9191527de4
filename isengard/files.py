"""Answers a request with a stored file: true type, strong validator, and never the whole of a big one in memory."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Generator
from pathlib import Path

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.http.response import HttpResponse
from django.utils.cache import get_conditional_response
from django.utils.http import content_disposition_header

from isengard import ranges, storage
from isengard.errors import NotFound

CHUNK = 1 << 18
# Files are written once under a name of their own, so a browser may keep what it has for good.
IMMUTABLE = "private, max-age=31536000, immutable"
# Whatever a file turns out to be, a browser that is shown it alone runs nothing of it and no other site may embed it.
SEALED = {"Content-Security-Policy": "sandbox; default-src 'none'", "Cross-Origin-Resource-Policy": "same-origin"}


def respond(
    request: HttpRequest, key: str, content_type: str, *, download: str = "", cache: str = IMMUTABLE
) -> HttpResponseBase:
    """The file behind a storage key, inline or as an attachment called `download`. NotFound: it is gone."""
    path = storage.absolute(key)
    # Not asked for first: it may go between the question and the reading.
    try:
        etag = _etag(path)
        known = get_conditional_response(request, etag=etag)
        response = known if known is not None else _body(request, path, content_type, etag)
    except (FileNotFoundError, IsADirectoryError) as error:
        raise NotFound("file_gone", "That file is no longer there.") from error
    response.headers["ETag"] = etag
    response.headers["Cache-Control"] = cache
    response.headers["Accept-Ranges"] = "bytes"
    for name, value in SEALED.items():
        response.headers[name] = value
    if known is None and (disposition := content_disposition_header(bool(download), download or path.name)):
        response.headers["Content-Disposition"] = disposition
    return response


def _etag(path: Path) -> str:
    facts = path.stat()
    return f'"{hashlib.sha256(f"{path.name}:{facts.st_size}:{facts.st_mtime_ns}".encode()).hexdigest()[:32]}"'


def _body(request: HttpRequest, path: Path, content_type: str, etag: str) -> HttpResponseBase:
    """The whole file, or the part that is asked for."""
    size = path.stat().st_size
    try:
        part = _part(request, size, etag)
    except ranges.Unsatisfiable:
        return HttpResponse(status=416, headers={"Content-Range": f"bytes */{size}"})
    if part is None:
        return _sent(request, path, content_type, 0, size)
    response = _sent(request, path, content_type, part.start, part.length)
    response.status_code = 206
    response.headers["Content-Range"] = part.content_range
    return response


def _part(request: HttpRequest, size: int, etag: str) -> ranges.Part | None:
    """Of a file that has changed since, the whole is sent: a part of it would not fit what the other side has."""
    if request.method != "GET" or request.headers.get("If-Range", etag) != etag:
        return None
    return ranges.wanted(request.headers.get("Range", ""), size)


def _sent(request: HttpRequest, path: Path, content_type: str, start: int, length: int) -> HttpResponseBase:
    if length <= CHUNK:
        with path.open("rb") as file:
            file.seek(start)
            return HttpResponse(file.read(length), content_type=content_type)
    # Under ASGI Django would read a synchronous iterator to its end before sending the first byte.
    chunks = _chunks(path, start, length) if isinstance(request, ASGIRequest) else _blocks(path, start, length)
    response = StreamingHttpResponse(chunks, content_type=content_type)
    response.headers["Content-Length"] = str(length)
    return response


def _blocks(path: Path, start: int, length: int) -> Generator[bytes, None, None]:
    with path.open("rb") as file:
        file.seek(start)
        while length > 0 and (chunk := file.read(min(CHUNK, length))):
            length -= len(chunk)
            yield chunk


async def _chunks(path: Path, start: int, length: int) -> AsyncIterator[bytes]:
    blocks = _blocks(path, start, length)
    try:
        while chunk := await asyncio.to_thread(next, blocks, b""):
            yield chunk
    finally:
        await asyncio.to_thread(blocks.close)

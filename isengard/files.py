"""Answers a request with a stored file: true type, strong validator, and never the whole of a big one in memory."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

from django.core.handlers.asgi import ASGIRequest
from django.http import FileResponse, HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.http.response import HttpResponse
from django.utils.cache import get_conditional_response
from django.utils.http import content_disposition_header

from isengard import storage
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
    if not path.is_file():
        raise NotFound("file_gone", "That file is no longer there.")
    etag = _etag(path)
    known = get_conditional_response(request, etag=etag)
    response = known if known is not None else _body(request, path, content_type)
    response.headers["ETag"] = etag
    response.headers["Cache-Control"] = cache
    for name, value in SEALED.items():
        response.headers[name] = value
    if known is None and (disposition := content_disposition_header(bool(download), download or path.name)):
        response.headers["Content-Disposition"] = disposition
    return response


def _etag(path: Path) -> str:
    facts = path.stat()
    return f'"{hashlib.sha256(f"{path.name}:{facts.st_size}:{facts.st_mtime_ns}".encode()).hexdigest()[:32]}"'


def _body(request: HttpRequest, path: Path, content_type: str) -> HttpResponseBase:
    if path.stat().st_size <= CHUNK:
        return HttpResponse(path.read_bytes(), content_type=content_type)
    if not isinstance(request, ASGIRequest):
        return FileResponse(path.open("rb"), content_type=content_type)
    # Under ASGI Django would read a synchronous iterator to its end before sending the first byte.
    response = StreamingHttpResponse(_chunks(path), content_type=content_type)
    response.headers["Content-Length"] = str(path.stat().st_size)
    return response


async def _chunks(path: Path) -> AsyncIterator[bytes]:
    file = await asyncio.to_thread(path.open, "rb")
    try:
        while chunk := await asyncio.to_thread(file.read, CHUNK):
            yield chunk
    finally:
        await asyncio.to_thread(file.close)

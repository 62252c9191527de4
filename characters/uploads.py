"""Stops storing a file part while it streams in, once it is larger than a photo may be; its rest is dropped."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.core.files.uploadhandler import FileUploadHandler, TemporaryFileUploadHandler
from django.http import HttpRequest, HttpResponseBase

View = Callable[..., HttpResponseBase]


class Cap(FileUploadHandler):
    """Passes a part on up to the cap and one chunk more, so that the service sees that it was too large."""

    full = False

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        self.full = False

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes | None:
        if self.full:
            return None
        self.full = start + len(raw_data) > settings.PHOTO_MAX_BYTES
        return raw_data

    def file_complete(self, file_size: int) -> None:
        """The next handler has the file."""


def capped(view: View) -> View:
    """For views that take photos. Must be outermost: the handlers are chosen before anybody reads the body."""

    @wraps(view)
    def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        request.upload_handlers = [Cap(request), TemporaryFileUploadHandler(request)]
        return view(request, *args, **kwargs)

    return wrapper

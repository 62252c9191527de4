"""Fixtures that every part's tests share: an API client, an empty volume, a character with a photo."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.core.cache import cache
from rest_framework.test import APIClient

# As the engine settles it for toys: two threads for layers this small wait for each other whenever a core is busy.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture
def volume() -> Iterator[Path]:
    """VOLUME_ROOT, empty before and after: a job that another test left behind must not be counted here."""
    root: Path = settings.VOLUME_ROOT
    root.mkdir(parents=True, exist_ok=True)
    _empty(root)
    yield root
    _empty(root)


def _empty(root: Path) -> None:
    for child in root.iterdir():
        if child.name != "logs":
            shutil.rmtree(child) if child.is_dir() else child.unlink()


@pytest.fixture
def api(db: None, volume: Path) -> APIClient:
    """A client that speaks JSON, with unused throttles: every test has the whole allowance."""
    cache.delete_many([f"throttle_{scope}_127.0.0.1" for scope in settings.REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"]])
    client = APIClient()
    client.default_format = "json"
    return client


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with a test of a minute come first: two processes share the files, and none should wait for the other."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)

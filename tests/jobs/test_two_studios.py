"""Two studios on one Redis server, told apart by the number of their databases: neither hears the other's nudges."""

import runpy
from typing import Any

import pytest
import redis
from channels.layers import get_channel_layer
from channels_redis.pubsub import RedisPubSubLoopLayer
from django.conf import settings
from redis.connection import parse_url

from isengard.env import channel_prefix
from isengard.jobs.events import Publisher

URLS = [
    "redis://h:6379",
    "redis://:p@h:6379/0",
    "redis://h/7",
    "rediss://h:1/12?x=1",
    "unix:///r.sock",
    "unix:///1?db=3",
]


@pytest.mark.parametrize("url", URLS)
def test_the_number_in_the_prefix_is_the_one_that_redis_uses(url: str) -> None:
    assert channel_prefix(url) == f"isengard{parse_url(url).get('db', 0)}"


def test_a_worker_speaks_where_the_web_listens() -> None:
    config: Any = settings.CHANNEL_LAYERS["default"]["CONFIG"]
    layer = RedisPubSubLoopLayer(**config, channel_layer=get_channel_layer())
    assert Publisher()._prefix + "jobs" == layer._get_group_channel_name("jobs")


def test_the_settings_take_the_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://h/3")
    layers = runpy.run_path(str(settings.BASE_DIR / "isengard" / "settings.py"))["CHANNEL_LAYERS"]
    assert layers["default"]["CONFIG"]["prefix"] == "isengard3"


def test_a_nudge_stays_in_its_own_studio(monkeypatch: pytest.MonkeyPatch) -> None:
    own, other = (channel_prefix(f"redis://h/{number}") for number in (14, 15))
    listening = redis.Redis.from_url(settings.REDIS_URL, socket_timeout=5).pubsub()
    listening.subscribe(f"{own}__group__jobs", f"{other}__group__jobs")
    config: Any = settings.CHANNEL_LAYERS["default"]["CONFIG"]
    monkeypatch.setitem(config, "prefix", own)
    Publisher().send([("jobs", {"type": "snapshot"})])
    heard = [listening.get_message(timeout=2), listening.get_message(timeout=2), listening.get_message(timeout=2)]
    left = listening.get_message(timeout=0.2)
    listening.close()
    assert [told["channel"].decode() for told in heard if told and told["type"] == "message"] == [f"{own}__group__jobs"]
    assert left is None

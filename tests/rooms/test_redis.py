"""Rooms of several processes: each `Rooms` here is what one process has."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from firstbyte.errors import RoomsUnavailable
from firstbyte.rooms import Rooms
from rooms.support import Redis, running_redis, wait_until

pytestmark = pytest.mark.needs("redis-server")


@pytest.fixture
def prefix(request: pytest.FixtureRequest) -> str:
    return str(request.node.name)


def test_two_processes(redis: Redis, prefix: str, join: Any, path: str) -> None:
    with Rooms(redis.url, prefix=prefix) as one, Rooms(redis.url, prefix=prefix) as other:
        ann, bob = join(one)(f"{path}/tea?nick=ann"), join(other)(f"{path}/tea?nick=bob")
        ann.next()
        bob.next()
        ann.until(lambda event: event.get("joined") == "bob")
        for number in range(20):
            ann.ws.send(f"a{number}")
            bob.ws.send(f"b{number}")
        assert ann.data(40) == bob.data(40)
        assert ann.ids == bob.ids == sorted(set(ann.ids))
        assert one["tea"].sync.who() == other["tea"].sync.who() == ["ann", "bob"]
        ann.ws.close()
        bob.until(lambda event: event.get("left") == "ann")
        bob.ws.close()


def test_a_process_that_dies_leaves_nobody_behind(redis: Redis, prefix: str, join: Any) -> None:
    with Rooms(redis.url, prefix=prefix, presence_seconds=3) as other:
        with Rooms(redis.url, prefix=prefix, presence_seconds=3) as one:
            ann, bob = join(one)("/a/tea?nick=ann"), join(other)("/a/tea?nick=bob")
            ann.next()
            bob.until(lambda event: event.get("joined") == "bob")
            ann.next()
        # Its connections to Redis are gone, and ann is still in its list.
        assert bob.until(lambda event: "left" in event) == {"left": "ann"}
        assert other["tea"].sync.who() == ["bob"]
        assert redis.ask("ZCARD", f"{prefix}:{{tea}}:members") == 1
        ann.ws.close()
        bob.ws.close()


def test_what_redis_holds_is_bounded(redis: Redis, prefix: str) -> None:
    with Rooms(redis.url, prefix=prefix, history=10) as rooms:
        for number in range(25):
            rooms["tea"].sync.send_all(number)
        assert [message.data for message in rooms["tea"].sync.history()] == list(range(15, 25))
    (key,) = redis.ask("KEYS", f"{prefix}*".replace("[", "\\["))
    assert 600_000 < redis.ask("TTL", key) <= 7 * 86400


def test_a_connection_that_breaks_loses_and_doubles_nothing(redis: Redis, prefix: str, join: Any, path: str) -> None:
    count = 200
    with Rooms(redis.url, prefix=prefix, history=count) as one, Rooms(redis.url, prefix=prefix, history=count) as other:
        ann = join(one)(f"{path}/tea")
        ann.next()
        killed = 0
        for number in range(count):
            if number % 20 == 10:
                killed += redis.ask("CLIENT", "KILL", "TYPE", "pubsub")
            other["tea"].sync.send_all(number)
        assert killed
        assert ann.data(count) == list(range(count))
        ann.ws.close()


@pytest.mark.parametrize("persists", [True, False])
def test_redis_is_restarted(tmp_path: Path, join: Any, persists: bool, caplog: pytest.LogCaptureFixture) -> None:
    with running_redis(tmp_path, persists) as redis, Rooms(redis.url, timeout=2, presence_seconds=3) as rooms:
        come = join(rooms)
        ann, bob = come("/a/tea?nick=ann"), come("/s/tea?nick=bob")
        for one in (ann, bob):
            one.until(lambda event: event.get("joined") == "bob")
        ann.ws.send("before")
        assert ann.data(1) == bob.data(1) == ["before"]
        redis.stop()
        with pytest.raises(RoomsUnavailable, match="Redis"):
            rooms["tea"].sync.send_all("lost")
        redis.start()
        wait_until(lambda: "is back" in caplog.text)
        ann.ws.send("after")
        assert ann.data(2) == bob.data(2) == ["before", "after"]
        wait_until(lambda: rooms["tea"].sync.who() == ["ann", "bob"])
        kept = [message.data for message in rooms["tea"].sync.history()]
        assert kept == (["before", "after"] if persists else ["after"])
        assert ann.ids == sorted(ann.ids)
        ann.ws.close()
        bob.ws.close()


@pytest.mark.parametrize("said", [b"mnonsense {}", b"j\xff", b"", b"?"])
def test_what_others_say_on_the_channel(redis: Redis, prefix: str, join: Any, said: bytes) -> None:
    with Rooms(redis.url, prefix=prefix) as rooms:
        ann = join(rooms)("/a/tea")
        ann.next()
        assert redis.ask("PUBLISH", f"{prefix}:room:tea", said) == 1
        ann.ws.send("hello")
        assert ann.until(lambda event: event.get("data"))["data"] == "hello"
        ann.ws.close()


def test_no_redis(tmp_path: Path) -> None:
    with Rooms(f"unix://{tmp_path}/nothing", timeout=0.2) as rooms, pytest.raises(RoomsUnavailable, match="Redis"):
        rooms["tea"].sync.send_all("hello")
    with pytest.raises(RoomsUnavailable, match="closed"):
        rooms["tea"].sync.who()


def test_many_threads_begin_at_once(redis: Redis, prefix: str) -> None:
    with Rooms(redis.url, prefix=prefix) as rooms:
        threads = [threading.Thread(target=rooms["tea"].sync.send_all, args=(number,)) for number in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(message.data for message in rooms["tea"].sync.history()) == list(range(20))

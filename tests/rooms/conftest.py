"""Rooms of both engines, and servers for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import Any

import pytest

from engine.support import Serve, driver, serve
from firstbyte import client
from firstbyte.rooms import Rooms
from rooms.support import Heard, Redis, rooms_app, running_redis

Join = Callable[..., Heard]


@pytest.fixture(scope="session")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    with running_redis(tmp_path_factory.mktemp("redis")) as redis:
        yield redis


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.needs("redis-server"))])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def make_rooms(engine: str, request: pytest.FixtureRequest) -> Iterator[Callable[..., Rooms]]:
    """Makes Rooms of one engine, those of a test in a part of Redis of its own."""
    url = request.getfixturevalue("redis").url if engine == "redis" else None
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(Rooms(url, prefix=request.node.name, **options))


@pytest.fixture(params=["/a", "/s"], ids=["coroutines", "threads"])
def path(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def join(serve: Serve) -> Iterator[Callable[[Rooms], Join]]:
    """`join(rooms)` is a function that opens clients of a server for them: `("/a/room?nick=ann")`."""
    with ExitStack() as stack:

        def of(rooms: Rooms, **options: Any) -> Join:
            url = f"ws://127.0.0.1:{serve(rooms_app(rooms), **options).server.port}"

            def one(path: str) -> Heard:
                opening: AbstractContextManager[Any] = client.websocket(url + path)
                return Heard(stack.enter_context(opening))

            return one

        yield of


__all__ = ["driver", "serve"]

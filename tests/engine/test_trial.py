"""Endpoints with an `attempt`: stepped without a Task, whether they wait or not, go on as coroutines or are left."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from engine.support import WAIT, Serve
from firstbyte.errors import HTTPError
from firstbyte.http.handler import Answered, Endpoint
from firstbyte.http.request import Request
from firstbyte.http.response import Response
from firstbyte.waiting import Attempt, Wait

Made = Callable[[], Answered | Coroutine[Any, Any, Response]]


class Waiting(Attempt):
    """Waits so many times, each until the loop's next turn, and then gives what `made` does."""

    def __init__(self, times: int, made: Made, told: threading.Event, for_ever: bool = False) -> None:
        super().__init__()
        self.times = times
        self.made = made
        self.told = told
        self.for_ever = for_ever

    def attempt(self) -> Wait | None:
        assert asyncio.current_task() is None
        if not self.times:
            self.value = self.made()
            return None
        self.times -= 1
        loop = asyncio.get_running_loop()
        wait = Wait(loop)
        if not self.for_ever:
            loop.call_soon(wait.end)
        self.told.set()
        return wait

    def close(self) -> None:
        super().close()
        self.told.set()


class Tried:
    """A handler with such an endpoint alone."""

    is_async = True

    def __init__(self, times: int, made: Made, for_ever: bool = False) -> None:
        self.told = threading.Event()
        self.endpoint = Endpoint(
            self.call, is_async=True, attempt=lambda request: Waiting(times, made, self.told, for_ever)
        )

    async def call(self, request: Request) -> Response:
        raise AssertionError("the server can step it")

    def resolve(self, request: Request) -> Endpoint:
        return self.endpoint


def at_once() -> Answered:
    return Answered(Response("here"))


async def later() -> Response:
    await asyncio.sleep(0)
    return Response("here")


async def in_pieces() -> Response:
    async def pieces() -> Any:
        for piece in (b"he", b"re"):
            await asyncio.sleep(0)
            yield piece

    return Response(pieces())


async def refuses() -> Response:
    raise HTTPError(418, "no coffee")


@pytest.mark.parametrize("times", [0, 1, 2])
@pytest.mark.parametrize("made", [at_once, later, in_pieces], ids=lambda made: made.__name__)
def test_what_it_gives_is_the_answer(times: int, made: Made, serve: Serve) -> None:
    running = serve(Tried(times, made))
    client = running.client()
    for _ in range(3):
        status, _, body = client.get().read()
        assert (status, body) == (200, b"here")
    two = running.client().send(2 * b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert [two.read()[2] for _ in range(2)] == [b"here", b"here"]


@pytest.mark.parametrize("times", [0, 1])
def test_what_the_coroutine_raises_is_an_answer(times: int, serve: Serve) -> None:
    assert serve(Tried(times, refuses)).client().get().read()[0] == 418


def test_it_is_closed_when_the_client_leaves(serve: Serve) -> None:
    handler = Tried(1, at_once, for_ever=True)
    running = serve(handler)
    client = running.client().get()
    assert handler.told.wait(WAIT)
    handler.told.clear()
    client.close()
    assert handler.told.wait(WAIT)
    running.recorder.wait_for("closed")

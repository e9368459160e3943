"""A request is cancelled in each of its phases: no slot is lost, no connection stays open, the next one works."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

import pytest
import uvloop

from client.support import WAIT, MakeRaw, read_request
from firstbyte.client import AsyncSession
from firstbyte.client.aio import AsyncNetwork

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"


class Stuck:
    """A server that does a part of what it should; it tells when, and when the client has left."""

    def __init__(self, part: Callable[[socket.socket], object]) -> None:
        self._part = part
        self.reached = threading.Event()
        self.left = threading.Event()

    def __call__(self, sock: socket.socket) -> None:
        with suppress(OSError):  # a reset is a way to leave, too
            self._part(sock)
            self.reached.set()
            while sock.recv(65536):
                pass
        self.left.set()


class Phase(NamedTuple):
    """What a server does before it is stuck, where it is, and what is asked of it."""

    part: Callable[[socket.socket], object]
    url: str = "http://127.0.0.1:{port}/"
    method: str = "GET"
    settings: dict[str, Any] = {}
    options: dict[str, Any] = {}


def nothing(sock: socket.socket) -> None:
    pass


def first_bytes(sock: socket.socket) -> None:
    """And no more, for a while: what is sent gets stuck in the buffers."""
    sock.recv(1000)


def then(answer: bytes) -> Callable[[socket.socket], None]:
    def part(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(answer)

    return part


class Endless:
    def __iter__(self) -> Iterator[bytes]:
        while True:
            yield bytes(65536)


PHASES = {
    "tls": Phase(first_bytes, "https://127.0.0.1:{port}/"),
    "tunnel": Phase(read_request, "https://a.example/", settings={"proxy": "http://127.0.0.1:{port}"}),
    "socks": Phase(first_bytes, "http://a.example/", settings={"proxy": "socks5h://127.0.0.1:{port}"}),
    "sending": Phase(first_bytes, method="POST", options={"content": bytes(64 << 20)}),
    "sending chunks": Phase(first_bytes, method="POST", options={"content": Endless()}),
    "continue": Phase(
        first_bytes, method="POST", options={"content": bytes(100_000), "headers": {"Expect": "100-continue"}}
    ),
    "head": Phase(read_request),
    "half of a head": Phase(then(HEAD[:20])),
    "behind an interim head": Phase(then(b"HTTP/1.1 103 Early Hints\r\n\r\n")),
    "body": Phase(then(HEAD + b"12345")),
    "chunks": Phase(then(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n")),
    "body of a redirect": Phase(then(b"HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 10\r\n\r\n12345")),
}


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def loop_factory(request: pytest.FixtureRequest) -> Any:
    return request.param


def within(coroutine: Any, loop_factory: Any) -> None:
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(asyncio.wait_for(coroutine, WAIT))


async def cancelled(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("name", PHASES)
def test_cancelled_on_the_way(loop_factory: Any, raw: MakeRaw, name: str) -> None:
    phase = PHASES[name]
    stuck = Stuck(phase.part)
    port = raw(stuck).port
    healthy = raw(HEAD + b"0123456789").url
    settings = {key: str(value).format(port=port) for key, value in phase.settings.items()}

    async def main() -> None:
        async with AsyncSession(max_connections=1, verify=False, **settings) as session:
            task = asyncio.ensure_future(
                session.request(phase.method, phase.url.format(port=port), timeout=WAIT, **phase.options)
            )
            await asyncio.to_thread(stuck.reached.wait, WAIT)
            assert not task.done(), task
            await cancelled(task)
            assert session.pool.open_connections == 0
            await asyncio.to_thread(stuck.left.wait, WAIT)
            if not settings:
                assert (await session.get(healthy)).content == b"0123456789"

    within(main(), loop_factory)
    assert stuck.left.is_set()


@pytest.mark.parametrize("waits", ["resolve", "wait_connected", "open"])
def test_cancelled_before_there_is_a_connection(
    loop_factory: Any, raw: MakeRaw, monkeypatch: pytest.MonkeyPatch, waits: str
) -> None:
    url = raw(HEAD + b"0123456789").url

    async def main() -> None:
        reached = asyncio.Event()

        async def hang(*args: object) -> None:
            reached.set()
            await asyncio.Event().wait()

        async with AsyncSession(max_connections=1) as session:
            with monkeypatch.context() as patched:
                patched.setattr(AsyncNetwork, waits, hang)
                task = asyncio.ensure_future(session.get(url))
                await reached.wait()
                assert session.pool.open_connections == 1
                await cancelled(task)
            assert session.pool.open_connections == 0
            assert (await session.get(url)).content == b"0123456789"

    within(main(), loop_factory)


def test_cancelled_in_the_pause_before_a_retry(loop_factory: Any, raw: MakeRaw) -> None:
    """The answer before it was read: its connection is kept."""
    url = raw(b"HTTP/1.1 503 Later\r\nRetry-After: 10\r\nContent-Length: 0\r\n\r\n").url

    async def main() -> None:
        async with AsyncSession(max_connections=1) as session:
            task = asyncio.ensure_future(session.get(url, retries=1))
            while not session.pool.idle_connections:
                await asyncio.sleep(0.001)
            await cancelled(task)
            assert session.pool.open_connections == session.pool.idle_connections == 1

    within(main(), loop_factory)


def test_a_stream_that_is_cancelled_in_its_block(loop_factory: Any, raw: MakeRaw) -> None:
    stuck = Stuck(then(HEAD + b"12345"))
    url = raw(stuck).url

    async def main() -> None:
        async with AsyncSession(max_connections=1) as session:
            entered = asyncio.Event()

            async def read() -> None:
                async with session.stream("GET", url) as response:
                    async for _ in response.achunks():
                        entered.set()

            task = asyncio.ensure_future(read())
            await entered.wait()
            await cancelled(task)
            assert session.pool.open_connections == 0
            await asyncio.to_thread(stuck.left.wait, WAIT)

    within(main(), loop_factory)
    assert stuck.left.is_set()

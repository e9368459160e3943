"""What only a loop can do to a session: cancel, run many at once, read slowly; and what only threads can."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import uvloop

from client.support import WAIT, MakeRaw, read_request
from firstbyte.client import AsyncSession, Session, Timeout
from firstbyte.errors import ClientError, PoolTimeout

HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
IN_PIECES = [b"HTTP/1.1 200 OK\r\n", b"Transfer-Encoding: chunked\r\n\r\n", b"5\r\nhel", b"lo\r\n", b"0\r\n\r\n"]

Run = Callable[[Awaitable[object]], object]


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    def go(awaitable: Awaitable[object]) -> object:
        async def within() -> object:
            async with asyncio.timeout(WAIT):
                return await awaitable

        with asyncio.Runner(loop_factory=request.param) as runner:
            return runner.run(within())

    return go


def in_pieces(sock: socket.socket) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while True:
        read_request(sock)
        for piece in IN_PIECES:
            sock.sendall(piece)


@pytest.mark.parametrize("turns", range(16))
def test_a_cancelled_request_loses_no_slot(run: Run, raw: MakeRaw, turns: int) -> None:
    url = raw(in_pieces).url

    async def main() -> None:
        async with AsyncSession(base_url=url, max_connections=1) as session:
            for kept in (False, True):
                if kept:
                    await session.get("/")
                task = asyncio.ensure_future(session.get("/"))
                waiting = asyncio.ensure_future(session.get("/"))  # for the only slot
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()
                (first,) = await asyncio.gather(task, return_exceptions=True)
                assert isinstance(first, asyncio.CancelledError) or first.content == b"hello"
                assert (await waiting).content == b"hello"
                assert session.pool.open_connections == session.pool.idle_connections

    run(main())


def test_one_who_waits_for_a_slot_is_cancelled(run: Run, raw: MakeRaw) -> None:
    url = raw(HELLO).url

    async def main() -> None:
        async with AsyncSession(base_url=url, max_connections=1) as session:
            async with session.stream("GET", "/") as response:
                waiting = [asyncio.ensure_future(session.get("/")) for _ in range(3)]
                await asyncio.sleep(0)
                waiting[0].cancel()
                waiting[2].cancel()
                await response.aread()
            assert (await waiting[1]).content == b"hello"
            assert session.pool.open_connections == session.pool.idle_connections == 1

    run(main())


def test_a_timeout_of_the_loop_is_a_cancellation(run: Run, raw: MakeRaw) -> None:
    def hang(sock: socket.socket) -> None:
        while sock.recv(65536):
            pass

    url = raw(hang).url

    async def main() -> None:
        async with AsyncSession(base_url=url) as session:
            with pytest.raises(TimeoutError) as raised:
                async with asyncio.timeout(0.05):
                    await session.get("/")
            assert not isinstance(raised.value, ClientError)
            assert session.pool.open_connections == 0

    run(main())


def test_many_at_once_share_the_connections(run: Run, raw: MakeRaw) -> None:
    server = raw(HELLO)

    async def main() -> None:
        async with AsyncSession(base_url=server.url, max_connections=5, timeout=Timeout(pool=None)) as session:
            responses = await asyncio.gather(*(session.get("/") for _ in range(200)))
            assert {response.content for response in responses} == {b"hello"}

    run(main())
    assert server.connections == 5


def test_what_is_not_taken_is_not_read(run: Run, raw: MakeRaw) -> None:
    """A slow reader costs a bounded buffer: the server is made to wait."""
    size = 64 << 20
    stuck = threading.Event()

    def serve(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        sock.settimeout(0.2)
        sent = 0
        while sent < size:
            try:
                sent += sock.send(b"x" * (1 << 20))
            except TimeoutError:
                stuck.set()
                sock.settimeout(WAIT)

    url = raw(serve).url

    async def main() -> None:
        async with AsyncSession() as session, session.stream("GET", url) as response:
            received = 0
            async for chunk in response.achunks():
                if not received:
                    while not stuck.is_set():
                        await asyncio.sleep(0.01)
                received += len(chunk)
            assert received == size

    run(main())


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # the loop is closed with a connection in it
def test_a_session_does_not_mind_a_loop_that_is_gone(raw: MakeRaw) -> None:
    server = raw(HELLO)
    made: list[AsyncSession] = []

    async def main() -> bytes:
        if not made:
            made.append(AsyncSession(base_url=server.url))
        return (await made[0].get("/")).content

    assert asyncio.run(main()) == asyncio.run(main()) == b"hello"
    assert server.connections == 2
    asyncio.run(made[0].aclose())
    made.clear()
    gc.collect()


def test_threads_share_a_session(raw: MakeRaw) -> None:
    server = raw(HELLO)
    with (
        Session(base_url=server.url, max_connections=3, timeout=Timeout(pool=WAIT)) as session,
        ThreadPoolExecutor(12) as pool,
    ):
        contents = list(pool.map(lambda _: session.get("/").content, range(240)))
        assert set(contents) == {b"hello"}
        assert session.pool.open_connections == session.pool.idle_connections <= 3
    assert server.connections <= 3


def test_a_thread_waits_for_a_slot(raw: MakeRaw) -> None:
    server = raw(HELLO)
    with Session(base_url=server.url, max_connections=1) as session:
        with session.stream("GET", "/") as response, ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(session.get, "/")
            assert response.content == b"hello"
            assert waiting.result(WAIT).content == b"hello"
        with session.stream("GET", "/"), pytest.raises(PoolTimeout):
            session.get("/", timeout=Timeout(pool=0.05))


def test_a_stream_of_a_loop_is_not_read_without_it(run: Run, raw: MakeRaw) -> None:
    url = raw(HELLO).url

    async def main() -> None:
        async with AsyncSession() as session, session.stream("GET", url) as response:
            for read in (lambda: response.content, lambda: list(response.chunks()), lambda: list(response.iter_raw())):
                with pytest.raises(ClientError, match="aread"):
                    read()
            assert await response.aread() == b"".join(response.chunks()) == b"hello"

    run(main())

"""Streams over sockets that a reactor watches: what comes when nobody reads, what is not taken, and how they end."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable

import pytest

from client.support import WAIT
from firstbyte.client.watched import WatchedStream
from firstbyte.engine import _sys
from firstbyte.waiting import READ, WRITE, Source, watchers

LARGE = 4 * 1024 * 1024  # bytes: more than two sockets hold
Use = Callable[["Watching", WatchedStream, socket.socket], Awaitable[None]]


class Watching:
    """A watcher over the loop's own, which tells again and again of what is ready, as a reactor does."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.interest: dict[int, int] = {}
        self.changes = 0
        self.told = asyncio.Event()  # of something

    def watch_source(self, fd: int, source: Source, interest: int) -> None:
        assert fd not in self.interest
        self.source = source
        self.change_source(fd, interest)

    def change_source(self, fd: int, interest: int) -> None:
        self.interest[fd] = interest
        self.changes += 1
        self.loop.remove_reader(fd)
        self.loop.remove_writer(fd)
        if interest & READ:
            self.loop.add_reader(fd, self._tell, READ)
        if interest & WRITE:
            self.loop.add_writer(fd, self._tell, WRITE)

    def ignore_source(self, fd: int) -> None:
        self.change_source(fd, 0)
        del self.interest[fd]

    def receive(self, fd: int) -> bytes:
        return os.read(fd, 1000)

    def transmit(self, fd: int, data: bytes | memoryview) -> int:
        return os.write(fd, data)

    def _tell(self, events: int) -> None:
        self.source.on_event(events)
        self.told.set()


def use(work: Use) -> None:
    """Runs `work` with a stream and the socket at its other end; nobody watches the stream when it is closed."""

    async def main() -> None:
        ours, peer = socket.socketpair()
        ours.setblocking(False)
        peer.setblocking(False)
        watching = Watching()
        stream = WatchedStream(asyncio.get_running_loop(), ours, watching)
        with peer:
            async with asyncio.timeout(WAIT):
                await work(watching, stream, peer)
            stream.close()
            stream.close()
        assert watching.interest == {}

    asyncio.run(main())


async def take_all(peer: socket.socket, count: int) -> None:
    while count:
        count -= len(await asyncio.get_running_loop().sock_recv(peer, 65536))


async def check_awaited(stream: WatchedStream, peer: socket.socket) -> None:
    """What the peer sends comes to who waits for it."""
    reading = asyncio.ensure_future(stream.recv(WAIT))
    await asyncio.sleep(0)
    peer.send(b"hello")
    assert await reading == b"hello"


def test_the_events_are_those_of_the_engine() -> None:
    assert (READ, WRITE) == (_sys.READ, _sys.WRITE)
    assert watchers == {}


def test_one_who_waits_is_woken_by_what_comes() -> None:
    async def work(watching: Watching, stream: WatchedStream, peer: socket.socket) -> None:
        for _ in range(3):
            await check_awaited(stream, peer)
        assert watching.changes == 1  # it has been watched all the time

    use(work)


def test_what_comes_when_nobody_reads_is_left_alone_and_told_once() -> None:
    async def work(watching: Watching, stream: WatchedStream, peer: socket.socket) -> None:
        assert stream.recv_now() is None
        peer.send(b"a" * 1500)
        await watching.told.wait()
        assert watching.interest == {}
        assert stream.recv_now() == b"a" * 1000
        assert await stream.recv(WAIT) == b"a" * 500
        assert stream.recv_now() is None
        await check_awaited(stream, peer)

    use(work)


def test_the_end_is_told_as_often_as_it_is_asked_for() -> None:
    async def work(watching: Watching, stream: WatchedStream, peer: socket.socket) -> None:
        peer.send(b"last")
        peer.shutdown(socket.SHUT_WR)
        await watching.told.wait()
        assert [await stream.recv(WAIT) for _ in range(3)] == [b"last", b"", b""]
        assert stream.recv_now() == b""
        await stream.send(b"it still listens", WAIT)
        assert await asyncio.get_running_loop().sock_recv(peer, 100) == b"it still listens"

    use(work)


def test_what_the_peer_does_not_take_at_once_waits_for_it() -> None:
    async def work(watching: Watching, stream: WatchedStream, peer: socket.socket) -> None:
        reading = asyncio.ensure_future(stream.recv(WAIT))
        sending = asyncio.ensure_future(stream.send(bytes(LARGE), WAIT))
        await asyncio.sleep(0)
        assert list(watching.interest.values()) == [READ | WRITE]
        peer.send(b"meanwhile")
        assert await reading == b"meanwhile"
        assert not sending.done()
        await take_all(peer, LARGE)
        await sending
        assert list(watching.interest.values()) == [READ]

    use(work)


def test_who_waits_too_long_is_told() -> None:
    async def work(watching: Watching, stream: WatchedStream, peer: socket.socket) -> None:
        with pytest.raises(TimeoutError):
            await stream.recv(0.001)
        with pytest.raises(TimeoutError):
            await stream.send(bytes(LARGE), 0.001)
        await check_awaited(stream, peer)

    use(work)


def test_closing_wakes_whoever_waits() -> None:
    async def work(watching: Watching, stream: WatchedStream, peer: socket.socket) -> None:
        reading = asyncio.ensure_future(stream.recv(WAIT))
        sending = asyncio.ensure_future(stream.send(bytes(LARGE), WAIT))
        await asyncio.sleep(0)
        stream.close()
        assert await reading == b""
        with pytest.raises(ConnectionResetError):
            await sending
        assert stream.recv_now() == b""
        with pytest.raises(ConnectionResetError):
            await stream.send(b"more", WAIT)

    use(work)


def test_what_had_come_before_the_connection_broke_can_be_read() -> None:
    async def work(watching: Watching, stream: WatchedStream, peer: socket.socket) -> None:
        peer.send(b"413")
        peer.close()
        with pytest.raises(OSError, match=r"pipe|reset"):
            await stream.send(bytes(LARGE), WAIT)
        assert await stream.recv(WAIT) == b"413"
        assert await stream.recv(WAIT) == b""

    use(work)


def test_a_stream_of_a_loop_that_is_over_has_ended() -> None:
    kept: list[WatchedStream] = []

    async def work(watching: Watching, stream: WatchedStream, peer: socket.socket) -> None:
        kept.append(stream)

    use(work)
    assert kept[0].recv_now() == b""
    kept[0].close()

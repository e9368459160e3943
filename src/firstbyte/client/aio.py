"""The network of a session in an asyncio loop: one Protocol for each connection, which stops reading when nobody
takes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
from collections.abc import Coroutine, Sequence
from math import inf
from typing import Any, cast

from firstbyte.client.network import CHUNK, SockAddr, Stream, Waiter, addresses_of
from firstbyte.waiting import Wait

_HIGH = 256 * 1024  # bytes that were not asked for yet, from which on the transport does not read
_BUFFER = 256 * 1024  # bytes that are read at once


class AsyncNetwork:
    """Sockets in the loop that runs."""

    is_async = True

    async def resolve(self, host: str, port: int, timeout: float | None) -> list[SockAddr]:
        """See `Network.resolve`. The loop asks in a thread of its own pool, so that the timeout holds."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(timeout):
            return addresses_of(await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM))

    async def wait_connected(self, socks: Sequence[socket.socket], timeout: float | None) -> list[socket.socket]:
        """See `Network.wait_connected`."""
        loop = asyncio.get_running_loop()
        ready: list[socket.socket] = []
        waiter = AsyncWaiter()

        def connected(sock: socket.socket) -> None:
            ready.append(sock)
            loop.remove_writer(sock)
            waiter.wake()

        for sock in socks:
            loop.add_writer(sock, connected, sock)
        try:
            await waiter.wait(timeout)
        finally:
            for sock in socks:
                loop.remove_writer(sock)
        return ready

    async def open(self, sock: socket.socket) -> Stream:
        """See `Network.open`."""
        loop = asyncio.get_running_loop()
        _, stream = await loop.create_connection(lambda: AsyncStream(loop), sock=sock)
        return stream

    async def sleep(self, seconds: float) -> None:
        """See `Network.sleep`."""
        await asyncio.sleep(seconds)

    def waiter(self) -> Waiter:
        """See `Network.waiter`."""
        return AsyncWaiter()

    def start(self, work: Coroutine[Any, Any, None]) -> object:
        """See `Network.start`."""
        return asyncio.get_running_loop().create_task(work)


class AsyncWaiter:
    """See `Waiter`; for one loop."""

    __slots__ = ("_future", "_loop")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._future: asyncio.Future[bool] = self._loop.create_future()

    async def wait(self, timeout: float | None) -> bool:
        """See `Waiter.wait`."""
        timer = None if timeout is None else self._loop.call_later(timeout, self._resolve, False)
        try:
            return await self._future
        finally:
            if timer is not None:
                timer.cancel()

    def wake(self) -> None:
        """See `Waiter.wake`."""
        self._resolve(True)

    def _resolve(self, woken: bool) -> None:
        if not self._future.done():
            self._future.set_result(woken)


class AsyncStream(asyncio.BufferedProtocol):
    """One connection.

    The loop reads into the one buffer of its thread, and what came is copied out of it at once: a bytes object as large
    as what may come would cost three calls to the kernel, which map, cut and unmap it, for each read.

    It has one timer at most, which is not set anew for each wait: it looks at the deadline when it fires and goes on if
    that has moved.
    """

    __slots__ = (
        "_buffer", "_chunks", "_ended", "_error", "_full", "_loop", "_reader", "_size", "_stopped", "_timer",
        "_transport", "_writer",
    )  # fmt: skip

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._buffer = _buffers.of_this_thread
        self._transport: asyncio.Transport
        self._chunks: list[bytes] = []
        self._size = 0  # bytes in them
        self._stopped = False  # whether the transport was told not to read
        self._full = False  # whether the transport's send buffer is
        self._ended = False
        self._error: Exception | None = None
        self._reader: Wait | None = None
        self._writer: Wait | None = None
        self._timer: asyncio.TimerHandle | None = None

    # -- what the loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.BaseProtocol."""
        self._transport = cast("asyncio.Transport", transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        """See asyncio.BufferedProtocol."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """See asyncio.BufferedProtocol."""
        self._chunks.append(bytes(self._buffer[:nbytes]))
        self._size += nbytes
        if self._size >= _HIGH and not self._stopped:
            self._stopped = True
            self._transport.pause_reading()
        self._wake(self._reader)

    def eof_received(self) -> bool:
        """See asyncio.BufferedProtocol. The transport stays open: the request may still be under way."""
        self._ended = True
        self._wake(self._reader)
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.BaseProtocol."""
        if exc is not None:
            self._take_last()
        self._ended = True
        self._error = exc
        self._full = False
        self._wake(self._reader)
        self._wake(self._writer)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def pause_writing(self) -> None:
        """See asyncio.BaseProtocol."""
        self._full = True

    def resume_writing(self) -> None:
        """See asyncio.BaseProtocol."""
        self._full = False
        self._wake(self._writer)

    # -- what the client calls

    async def recv(self, timeout: float | None, size: int = CHUNK) -> bytes:
        """See `Stream.recv`; how much comes at once, the transport decides."""
        if not self._chunks:
            if not self._ended:
                self._reader = waiter = Wait(self._loop)
                try:
                    await self._within(timeout, waiter)
                finally:
                    self._reader = None
            if not self._chunks:
                if self._error is not None:
                    raise self._error
                return b""
        return self._take()

    def recv_now(self) -> bytes | None:
        """See `Stream.recv_now`."""
        if self._chunks:
            return self._take()
        return b"" if self._ended or self._loop.is_closed() else None

    async def send(self, data: bytes, timeout: float | None) -> None:
        """See `Stream.send`."""
        if self._error is not None or self._transport.is_closing():
            raise self._error or ConnectionResetError("the connection is closed")
        self._transport.write(data)
        while self._full:
            self._writer = waiter = Wait(self._loop)
            try:
                await self._within(timeout, waiter)
            finally:
                self._writer = None
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """See `Stream.close`."""
        if not self._loop.is_closed():
            self._transport.abort()

    def _take(self) -> bytes:
        chunks = self._chunks
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        self._size = 0
        if self._stopped:
            self._stopped = False
            self._transport.resume_reading()
        return data

    def _take_last(self) -> None:
        """Takes what had come when sending failed: an answer to what was not sent to its end, which no loop reads."""
        with contextlib.suppress(OSError):  # there is nothing, or its end
            self._chunks.append(os.read(self._transport.get_extra_info("socket").fileno(), CHUNK))
            if not self._chunks[-1]:
                self._chunks.pop()

    def _wake(self, waiter: Wait | None) -> None:
        if waiter is not None:
            waiter.end()

    async def _within(self, timeout: float | None, waiter: Wait) -> None:
        """Waits. Raises TimeoutError."""
        if timeout is not None:
            waiter.deadline = deadline = self._loop.time() + timeout
            if self._timer is None or self._timer.when() > deadline:
                if self._timer is not None:
                    self._timer.cancel()
                self._timer = self._loop.call_at(deadline, self._look)
        await waiter

    def _look(self) -> None:
        """The timer has fired: whoever still waits beyond the deadline is told."""
        self._timer = None
        now = self._loop.time()
        waiting = [each for each in (self._reader, self._writer) if each is not None and not each.over]
        for waiter in waiting:
            if now >= waiter.deadline:
                waiter.end(TimeoutError())
        later = min((waiter.deadline for waiter in waiting if not waiter.over), default=inf)
        if later < inf and self._timer is None:  # else whoever was told waits again already
            self._timer = self._loop.call_at(later, self._look)


class _Buffers(threading.local):
    """What the loop of each thread reads into; it fills and empties it within one call."""

    def __init__(self) -> None:
        self.of_this_thread = memoryview(bytearray(_BUFFER))


_buffers = _Buffers()

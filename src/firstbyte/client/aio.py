"""The network of a session in an asyncio loop: one Protocol for each connection, which stops reading when nobody
takes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
from collections.abc import Coroutine, Sequence
from typing import Any, cast

from firstbyte.client.network import CHUNK, SockAddr, Stream, Waiter, addresses_of
from firstbyte.client.watched import TimedWaits, WatchedStream
from firstbyte.waiting import watchers

_HIGH = 256 * 1024  # bytes that were not asked for yet, from which on the transport does not read
_BUFFER = 256 * 1024  # bytes that are read at once


class AsyncNetwork:
    """Sockets in the loop that runs; in a server's, its reactor watches them if they are to be `watched`.

    That is for who lives no longer than the reactor turns: it does not yet, or no longer, in a handler's lifespan.
    """

    is_async = True

    def __init__(self, watched: bool = False) -> None:
        self._watched = watched

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
        if self._watched and (watcher := watchers.get(loop)) is not None:
            return WatchedStream(loop, sock, watcher)
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


class AsyncStream(TimedWaits, asyncio.BufferedProtocol):
    """One connection.

    The loop reads into the one buffer of its thread, and what came is copied out of it at once: a bytes object as large
    as what may come would cost three calls to the kernel, which map, cut and unmap it, for each read.
    """

    __slots__ = ("_buffer", "_chunks", "_ended", "_error", "_full", "_size", "_stopped", "_transport")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._buffer = _buffers.of_this_thread
        self._transport: asyncio.Transport
        self._chunks: list[bytes] = []
        self._size = 0  # bytes in them
        self._stopped = False  # whether the transport was told not to read
        self._full = False  # whether the transport's send buffer is
        self._ended = False
        self._error: Exception | None = None

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
        self._wake_both()
        self._stop_timer()

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
        while (data := self.recv_at_once(timeout)) is None:
            self._reader = waiter = self._within(timeout)
            try:
                await waiter
            finally:
                self._reader = None
        return data

    def recv_at_once(self, timeout: float | None) -> bytes | None:
        """See `Stream.recv_at_once`."""
        if self._chunks:
            return self._take()
        if self._error is not None:
            raise self._error
        return b"" if self._ended else None

    def recv_now(self) -> bytes | None:
        """See `Stream.recv_now`."""
        if self._chunks:
            return self._take()
        return b"" if self._ended or self._loop.is_closed() else None

    async def send(self, data: bytes, timeout: float | None) -> None:
        """See `Stream.send`."""
        rest = self.send_at_once(data, timeout)
        if rest is not None:
            await rest

    def send_at_once(self, data: bytes, timeout: float | None) -> Coroutine[Any, Any, None] | None:
        """See `Stream.send_at_once`."""
        if self._error is not None or self._transport.is_closing():
            raise self._error or ConnectionResetError("the connection is closed")
        self._transport.write(data)
        return self._drain(timeout) if self._full else None

    def close(self) -> None:
        """See `Stream.close`."""
        if not self._loop.is_closed():
            self._transport.abort()

    async def _drain(self, timeout: float | None) -> None:
        while self._full:
            self._writer = waiter = self._within(timeout)
            try:
                await waiter
            finally:
                self._writer = None
        if self._error is not None:
            raise self._error

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


class _Buffers(threading.local):
    """What the loop of each thread reads into; it fills and empties it within one call."""

    def __init__(self) -> None:
        self.of_this_thread = memoryview(bytearray(_BUFFER))


_buffers = _Buffers()

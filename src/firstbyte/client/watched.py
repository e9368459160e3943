"""Streams in a server's loop, over sockets that its reactor watches along with its own: no transport is between."""

from __future__ import annotations

import socket
from asyncio import AbstractEventLoop, TimerHandle
from collections.abc import Callable, Coroutine
from math import inf
from time import monotonic
from typing import Any

from firstbyte.client.network import CHUNK
from firstbyte.waiting import READ, WRITE, Wait, Watcher


class TimedWaits:
    """One who reads and one who writes, at most, each waiting until some moment.

    There is one timer at most, which is not set anew for each wait: it looks at the deadline when it fires and goes on
    if that has moved.
    """

    __slots__ = ("_looks_at", "_loop", "_reader", "_spare", "_timer", "_writer")

    def __init__(self, loop: AbstractEventLoop) -> None:
        self._loop = loop
        self._reader: Wait | None = None
        self._writer: Wait | None = None
        self._spare: Wait | None = None  # one that is as new
        self._timer: TimerHandle | None = None
        self._looks_at = inf  # when it fires, by `monotonic`

    def _within(self, timeout: float | None) -> Wait:
        """What is to be awaited: it raises TimeoutError after `timeout` seconds."""
        waiter, self._spare = self._spare or Wait(self._loop), None
        if timeout is None:
            waiter.deadline = inf
            return waiter
        waiter.deadline = deadline = monotonic() + timeout
        if deadline < self._looks_at:
            self._stop_timer()
            self._looks_at = deadline
            self._timer = self._loop.call_later(timeout, self._look)
        return waiter

    def _look(self) -> None:
        """The timer has fired: whoever still waits beyond the deadline is told."""
        self._timer = None
        self._looks_at = inf
        now = monotonic()
        waiting = [each for each in (self._reader, self._writer) if each is not None and not each.over]
        for waiter in waiting:
            if now >= waiter.deadline:
                waiter.end(TimeoutError())
        later = min([waiter.deadline for waiter in waiting if not waiter.over], default=inf)
        if later < self._looks_at:  # else whoever was told waits again already
            self._looks_at = later
            self._timer = self._loop.call_later(later - now, self._look)

    def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        self._looks_at = inf
        if timer is not None:
            timer.cancel()

    def _wake(self, waiter: Wait | None) -> None:
        if waiter is not None:
            waiter.end()

    def _wake_both(self) -> None:
        self._wake(self._reader)
        self._wake(self._writer)


class WatchedStream(TimedWaits):
    """One connection (see `Stream`). Nothing is read before somebody asks for it, so nothing is kept here.

    It is watched for reading also while nobody reads: what then comes, or the end, is remembered and left alone.
    """

    __slots__ = ("_fd", "_interest", "_may_read", "_sock", "_watcher", "tells")

    def __init__(self, loop: AbstractEventLoop, sock: socket.socket, watcher: Watcher) -> None:
        super().__init__(loop)
        self._sock = sock
        self._fd = sock.fileno()  # -1 when it is closed
        self._watcher = watcher
        self._interest = 0  # what it is watched for
        self._may_read = False  # something has come that was not read to its end
        self.tells: Callable[[], object] | None = None  # who else is told of that, while nobody reads
        self._watch(READ)

    def on_event(self, events: int) -> None:
        """The socket is ready; called by the watcher, outside of any task."""
        if events != READ:
            self._wake(self._writer)
        if events != WRITE:
            if self._reader is not None:
                self._reader.end()
            elif self._fd >= 0:
                self._may_read = True
                self._watch(self._interest & WRITE)  # it would be told of again and again
                if self.tells is not None:
                    self.tells()

    async def recv(self, timeout: float | None, size: int = CHUNK) -> bytes:
        """See `Stream.recv`; how much comes at once, the watcher decides."""
        data = self.recv_at_once(timeout)
        while data is None:
            waiter = self.begin_recv(timeout)
            try:
                await waiter
            except BaseException:
                self._reader = None
                raise
            data = self.end_recv()
        return data

    def begin_recv(self, timeout: float | None) -> Wait:
        """What to wait for, before `end_recv`, when `recv_at_once` has given None."""
        self._watch(self._interest | READ)
        self._reader = waiter = self._within(timeout)
        return waiter

    def end_recv(self) -> bytes | None:
        """As `recv_at_once`, when what `begin_recv` has given is over. Raises OSError."""
        waiter, self._reader = self._reader, None
        assert waiter is not None
        waiter.result()
        waiter.renew()
        self._spare = waiter
        return self._receive()

    def recv_at_once(self, timeout: float | None) -> bytes | None:
        """See `Stream.recv_at_once`. Asks the kernel only if the watcher has told that something is here."""
        return self._receive() if self._may_read or self._fd < 0 else None

    def recv_now(self) -> bytes | None:
        """See `Stream.recv_now`."""
        if self._loop.is_closed():
            return b""
        try:
            data = self.recv_at_once(None)
        except OSError:
            return b""
        if data and self.tells is not None:
            self._watch(self._interest | READ)  # there may be more to tell of
        return data

    async def send(self, data: bytes, timeout: float | None) -> None:
        """See `Stream.send`."""
        rest = self.send_at_once(data, timeout)
        if rest is not None:
            await rest

    def send_at_once(self, data: bytes, timeout: float | None) -> Coroutine[Any, Any, None] | None:
        """See `Stream.send_at_once`."""
        sent = self._transmit(data)
        return None if sent == len(data) else self._send_rest(memoryview(data)[sent:], timeout)

    async def _send_rest(self, rest: memoryview, timeout: float | None) -> None:
        while True:
            self._watch(self._interest | WRITE)
            self._writer = waiter = self._within(timeout)
            try:
                await waiter
            finally:
                self._writer = None
                if self._fd >= 0:
                    self._watch(self._interest & READ)
            sent = self._transmit(rest)
            if sent == len(rest):
                return
            rest = rest[sent:]

    def close(self) -> None:
        """See `Stream.close`."""
        if self._fd < 0:
            return
        self._watch(0)
        self._fd = -1
        self._sock.close()
        if not self._loop.is_closed():
            self._stop_timer()
            if self._reader is not None or self._writer is not None:
                self._loop.call_soon(self._wake_both)  # whoever closes need not be ready for what they do

    def _receive(self) -> bytes | None:
        """What is here, b"" at the end; None for nothing."""
        if self._fd < 0:
            return b""
        try:
            return self._watcher.receive(self._fd)
        except BlockingIOError:
            self._may_read = False
            return None

    def _transmit(self, data: bytes | memoryview) -> int:
        """How much of it the kernel has taken. Raises OSError."""
        if self._fd < 0:
            raise ConnectionResetError("the connection is closed")
        try:
            return self._watcher.transmit(self._fd, data)
        except BlockingIOError:
            return 0
        except OSError:
            self._may_read = True  # an answer to what was not sent to its end may have come before
            raise

    def _watch(self, interest: int) -> None:
        before, self._interest = self._interest, interest
        if before == interest:
            return
        if not before:
            self._watcher.watch_source(self._fd, self, interest)
        elif interest:
            self._watcher.change_source(self._fd, interest)
        else:
            self._watcher.ignore_source(self._fd)

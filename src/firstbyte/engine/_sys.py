"""What the engine asks of the operating system: readiness of descriptors, and a way to wake the one who waits.

`poller()` gives epoll where there is one, else what `selectors` finds. Both are level-triggered and may be changed from
any thread while another waits.
"""

from __future__ import annotations

import contextlib
import os
import select
import selectors
import socket
import threading
from collections import deque
from functools import partial
from typing import Protocol

LARGE = 4 * 1024 * 1024  # bytes: what is larger gets memory of its own from the system, and gives it back when freed
KEPT = 16 * 1024 * 1024  # bytes of freed memory that the process keeps, of what is not
RECV = 64 * 1024  # bytes asked of one recv: a whole burst of pipelined requests, or a good piece of a body

READ = 1  # the values of EPOLLIN, EPOLLOUT, EPOLLERR and EPOLLHUP, so that epoll needs no translation
WRITE = 4
ERROR = 8
HANGUP = 16
EXCLUSIVE = getattr(select, "EPOLLEXCLUSIVE", 0)
"""Registered along with READ: of several processes that wait for the descriptor, one or a few are woken."""


class Poller(Protocol):
    """Tells which descriptors are ready."""

    fileno: int
    """A descriptor that is itself readable when something is ready, or -1: then no loop can watch the poller."""

    def register(self, fd: int, interest: int) -> None:
        """Begins to watch `fd`."""
        ...

    def modify(self, fd: int, interest: int) -> None:
        """Changes what `fd` is watched for; 0 leaves only errors."""
        ...

    def unregister(self, fd: int) -> None:
        """Stops watching `fd`, before it is closed."""
        ...

    def poll(self, timeout: float) -> list[tuple[int, int]]:
        """(fd, events) of what is ready, waiting up to `timeout` seconds; -1 waits for ever."""
        ...

    def close(self) -> None:
        """Gives its resources back."""
        ...


class EpollPoller:
    """Linux's epoll."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self.fileno = self._epoll.fileno()
        self.register = self._epoll.register
        self.modify = self._epoll.modify
        self.unregister = self._epoll.unregister
        self.poll = self._epoll.poll if _native is None else partial(_native.poll, self.fileno)
        self.close = self._epoll.close


class SelectorPoller:
    """Whatever `selectors` finds: kqueue, poll, select. Changes wait for the polling thread, which is woken."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self.fileno = self._selector.fileno() if hasattr(self._selector, "fileno") else -1
        self._interests: dict[int, int] = {}
        self._changes: deque[tuple[int, int | None]] = deque()
        self._waker = Waker()
        self._selector.register(self._waker.fileno, selectors.EVENT_READ)

    def register(self, fd: int, interest: int) -> None:
        """See `Poller`."""
        self._change(fd, interest)

    def modify(self, fd: int, interest: int) -> None:
        """See `Poller`."""
        self._change(fd, interest)

    def unregister(self, fd: int) -> None:
        """See `Poller`."""
        self._change(fd, None)

    def poll(self, timeout: float) -> list[tuple[int, int]]:
        """See `Poller`."""
        self._apply()
        events = []
        for key, mask in self._selector.select(None if timeout < 0 else timeout):
            if key.fd == self._waker.fileno:
                self._waker.clear()
                continue
            ready = (READ if mask & selectors.EVENT_READ else 0) | (WRITE if mask & selectors.EVENT_WRITE else 0)
            events.append((key.fd, ready))
        return events

    def close(self) -> None:
        """See `Poller`."""
        self._selector.close()

    def _change(self, fd: int, interest: int | None) -> None:
        self._changes.append((fd, interest))
        self._waker.wake()

    def _apply(self) -> None:
        while self._changes:
            fd, interest = self._changes.popleft()
            # A descriptor may be closed, and have become another's, by the time its change is made here.
            if self._interests.pop(fd, 0):
                with contextlib.suppress(KeyError, ValueError, OSError):
                    self._selector.unregister(fd)
            if interest:  # a selector cannot watch for errors alone; 0 is not watched at all
                events = (selectors.EVENT_READ if interest & READ else 0) | (
                    selectors.EVENT_WRITE if interest & WRITE else 0
                )
                with contextlib.suppress(KeyError, ValueError, OSError):
                    self._selector.register(fd, events)
                    self._interests[fd] = interest


class Waker:
    """A descriptor that becomes readable when any thread calls `wake`; once it is closed nothing does.

    It closes itself when nobody has it any more.
    """

    def __init__(self) -> None:
        self.fileno, self._write_end = os.pipe()
        os.set_blocking(self.fileno, False)
        os.set_blocking(self._write_end, False)
        self._closed = False
        # Without it, one that wakes could write to a descriptor that has just become another's. A signal handler may
        # wake within a call of the same thread.
        self._lock = threading.RLock()

    def wake(self) -> None:
        """Makes `fileno` readable; safe in a signal handler."""
        with self._lock:
            if self._closed:
                return
            try:
                os.write(self._write_end, b"w")
            except BlockingIOError:
                pass  # the pipe is full of wake-ups that have not been seen yet

    def wait(self) -> None:
        """Waits until someone calls `wake`, and clears."""
        poll = select.poll()
        poll.register(self.fileno, select.POLLIN)
        poll.poll()
        self.clear()

    def clear(self) -> None:
        """Takes the wake-ups that have come."""
        try:
            while len(os.read(self.fileno, 4096)) == 4096:
                pass
        except BlockingIOError:
            pass

    def close(self) -> None:
        """Closes both ends; nobody may wait any more."""
        with self._lock:
            if not self._closed:
                self._closed = True
                os.close(self.fileno)
                os.close(self._write_end)

    def __del__(self) -> None:
        self.close()


def receive(fd: int) -> bytes:
    """At most RECV bytes of what has come over a socket; none at its end. Raises OSError (BlockingIOError: nothing)."""
    return os.read(fd, RECV)


class Place:
    """Where a body of known length is received, without being held anywhere else before.

    As plain Python it has to hold the pieces, since there are no bytes that can be filled. `left` is what is missing.
    """

    __slots__ = ("_pieces", "left")

    def __init__(self, size: int) -> None:
        self._pieces: list[bytes] = []
        self.left = size

    def put(self, piece: bytes) -> None:
        """Takes what has come otherwise, no more than is left."""
        self._pieces.append(piece)
        self.left -= len(piece)

    def receive(self, fd: int) -> int:
        """Receives what has come over a socket, and no more than is left, which is something; how much that was.

        0 at the socket's end. Raises OSError (BlockingIOError: nothing).
        """
        piece = os.read(fd, min(self.left, RECV))
        self.put(piece)
        return len(piece)

    def take(self) -> bytes:
        """The whole, when nothing is left; once."""
        return b"".join(self._pieces)


def transmit(fd: int, data: bytes | memoryview) -> int:
    """Sends what the kernel takes of `data`, which is not empty; how much that was. Raises OSError, BlockingIOError."""
    return os.write(fd, data)


def transmit_more(sock: socket.socket, data: bytes | memoryview) -> int:
    """As `transmit`, where more follows at once: on Linux it then begins in the same packet."""
    return sock.send(data, getattr(socket, "MSG_MORE", 0))


try:
    from firstbyte.engine import _native  # type: ignore[attr-defined]
except ImportError:
    _native = None  # it is not compiled
else:
    receive, transmit, transmit_more = _native.receive, _native.transmit, _native.transmit_more
    Place = _native.Place  # type: ignore[misc]


def keep_memory() -> None:
    """Has the process keep some of the memory that it frees, LARGE and KEPT say which; where the C library is glibc.

    It would give that of each body back to the system, and get it again for the next, cleared page by page: half of
    what it takes to receive one. Does nothing in plain Python, or where the environment says how memory is to be had.
    """
    told = ("MALLOC_MMAP_", "MALLOC_TRIM_", "GLIBC_TUNABLES")
    if _native is not None and not any(name.startswith(told) for name in os.environ):
        _native.keep_memory(LARGE, KEPT)


def poller() -> Poller:
    """The best poller of this platform; FIRSTBYTE_POLLER=selectors picks the portable one, for tests."""
    if hasattr(select, "epoll") and os.environ.get("FIRSTBYTE_POLLER") != "selectors":
        return EpollPoller()
    return SelectorPoller()

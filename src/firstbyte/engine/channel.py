"""Messages between processes: one JSON object a line, each told from the others by its member "type".

A supervisor and its worker speak over a pair of sockets, `firstbyte status` and a supervisor over the control socket.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable, Sequence
from math import inf
from typing import Any

import msgspec

LONGEST = 1 << 22  # bytes of a line; the longest are the figures of many workers
PATIENCE = 5.0  # seconds that a process waits for its peer to take a message


class Ready(msgspec.Struct, tag=True):
    """From a worker: its app is imported, and it accepts."""


class Failed(msgspec.Struct, tag=True):
    """From a worker that ends, since it could not be made ready."""

    reason: str
    traceback: str = ""


class Closed(msgspec.Struct, tag=True):
    """From a worker that drains: it accepts no more."""


class Retire(msgspec.Struct, tag=True):
    """From a worker that wants another in its place."""

    reason: str


class Figures(msgspec.Struct, tag=True):
    """From a worker, when it was asked: requests so far, open connections, busy threads, requests that wait for one."""

    requests: int
    connections: int
    busy: int
    waiting: int
    details: msgspec.Raw = msgspec.Raw(b"null")  # what `Plan.figures` adds


class Ask(msgspec.Struct, tag=True):
    """To a worker: wants its figures."""


class Drain(msgspec.Struct, tag=True):
    """To a worker: ends what runs, within `seconds`, and ends; the `last` ones take all who wait at the sockets."""

    seconds: float
    last: bool = False


class Reopen(msgspec.Struct, tag=True):
    """To a worker: its log files have been moved away."""


FromWorker = Ready | Failed | Closed | Retire | Figures
ToWorker = Ask | Drain | Reopen


class Channel:
    """A stream socket that carries messages of the type `kind`, and never blocks.

    `closed` is true when the peer has gone, or has sent what is no such message.
    """

    def __init__(self, sock: socket.socket, kind: Any) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.fileno = sock.fileno()
        self.closed = False
        self.unsent = bytearray()
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(kind)
        self._buffer = bytearray()

    def send(self, message: msgspec.Struct) -> None:
        """Sends a message, or as much of it as the peer takes now: `flush` sends the rest."""
        self.unsent += msgspec.json.encode(message) + b"\n"
        self.flush()
        if len(self.unsent) > LONGEST:
            self.closed = True  # it does not read

    def flush(self) -> None:
        """Sends what is left."""
        try:
            while self.unsent:
                del self.unsent[: self.sock.send(self.unsent)]
        except BlockingIOError:
            pass
        except OSError:
            self.unsent.clear()
            self.closed = True

    def flush_patiently(self) -> None:
        """Sends what is left, and waits for the peer to take it."""
        poll = select.poll()
        poll.register(self.fileno, select.POLLOUT)
        while self.unsent and poll.poll(PATIENCE * 1000):
            self.flush()

    def wait(self, timeout: float) -> bool:
        """Waits until something has come, for at most so many seconds; whether it has."""
        poll = select.poll()
        poll.register(self.fileno, select.POLLIN)
        return bool(poll.poll(max(0.0, timeout) * 1000))

    def receive(self) -> Sequence[Any]:
        """The messages that have come."""
        try:
            while not self.closed and len(self._buffer) <= LONGEST:
                data = self.sock.recv(1 << 16)
                self._buffer += data
                self.closed = not data
        except BlockingIOError:
            pass
        except OSError:
            self.closed = True
        *lines, rest = self._buffer.split(b"\n")
        self._buffer = rest
        messages: list[Any] = []
        try:
            messages.extend(map(self._decoder.decode, lines))
        except msgspec.DecodeError:
            self.closed = True
        if len(rest) > LONGEST:
            self.closed = True
        return messages

    def close(self) -> None:
        """Closes this end."""
        self.sock.close()


class Sources:
    """The descriptors that one thread watches, and what is to be called with the events of each."""

    def __init__(self) -> None:
        self._poll = select.poll()  # not epoll: a fork would share it
        self._called: dict[int, Callable[[int], None]] = {}

    def __contains__(self, fd: int) -> bool:
        return fd in self._called

    def watch(self, fd: int, call: Callable[[int], None]) -> None:
        """Begins to watch `fd` for reading."""
        self._called[fd] = call
        self._poll.register(fd, select.POLLIN)

    def want_write(self, fd: int, wanted: bool) -> None:
        """Whether to watch `fd` for writing as well."""
        self._poll.modify(fd, select.POLLIN | select.POLLOUT if wanted else select.POLLIN)

    def ignore(self, fd: int) -> None:
        """Stops watching `fd`, before it is closed."""
        del self._called[fd]
        self._poll.unregister(fd)

    def turn(self, seconds: float) -> None:
        """Waits until something is ready, for at most so many seconds (inf: for ever), and makes the calls for it."""
        for fd, events in self._poll.poll(None if seconds == inf else max(0.0, seconds) * 1000 + 1):
            call = self._called.get(fd)
            if call is not None:  # else one before it has closed it
                call(events)

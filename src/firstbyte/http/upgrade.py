"""A connection that is given to another protocol behind its answer: 101 (Switching Protocols)."""

from __future__ import annotations

from math import inf
from typing import Any, Protocol

from firstbyte.http.headers import HeadersInput
from firstbyte.http.response import Response


class Transport(Protocol):
    """What a session has of its connection. Its methods never wait; hold `lock` where a thread calls them."""

    lock: Any
    """Held while a method of the session is called (`threading.RLock`)."""

    def send(self, data: bytes) -> bool:
        """Sends behind what is waiting to be sent; False if so much waits that the sender should, until `writable`."""
        ...

    def pause(self, paused: bool) -> None:
        """Whether to leave what the peer sends where it is."""
        ...

    def abort(self, reason: str) -> None:
        """Ends the connection at once; `reason` is for logs."""
        ...


class Session:
    """The other protocol, which the engine tells what happens; none of its methods but `run` may wait.

    `run` is a coroutine function if `is_async`, else it is called in a thread of its own. When it returns, what is to
    be sent is sent and the connection ended. `deadline` is when `due` is to be called, on the monotonic clock, by
    which `now` is, too.
    """

    is_async = True

    def __init__(self) -> None:
        self.deadline = inf

    def begin(self, transport: Transport, draining: bool) -> None:
        """The connection is the session's; `draining` if the server is stopping already. `run` is called next."""
        raise NotImplementedError

    def run(self) -> Any:
        """What the session does. Raises nothing but what is a fault of the program."""
        raise NotImplementedError

    def received(self, data: bytes, now: float) -> None:
        """This has come; nothing if the peer sends no more."""
        raise NotImplementedError

    def writable(self) -> None:
        """All that waited to be sent has been."""
        raise NotImplementedError

    def lost(self) -> None:
        """The connection is closed."""
        raise NotImplementedError

    def due(self, now: float) -> None:
        """The deadline has come."""
        raise NotImplementedError

    def drain(self) -> None:
        """The server stops, and waits for the session to end."""
        raise NotImplementedError

    def abandon(self) -> None:
        """The answer is not sent, so that `run` is not called; without effect where it has been."""
        raise NotImplementedError


class Upgrade(Response):
    """The answer 101, after which the connection is the session's (RFC 9110 section 15.2.2).

    `headers` name the protocol (Upgrade, Connection); the session is the response's body.
    """

    __slots__ = ()

    def __init__(self, session: Session, headers: HeadersInput) -> None:
        super().__init__(b"", 200, headers)
        self.status = 101
        self.body = session  # type: ignore[assignment]  # no body in the sense of HTTP

    @property
    def session(self) -> Session:
        """What the connection is given to."""
        session: Any = self.body
        return session  # type: ignore[no-any-return]

    def close(self) -> None:
        """See `Session.abandon`."""
        self.session.abandon()

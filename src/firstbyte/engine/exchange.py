"""One request in the hands of a coroutine that had to wait: what it waits for from the peer, and a peer that leaves."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any

from firstbyte._lazy import LazyModule, lazy_logger
from firstbyte.engine._sys import ERROR, HANGUP, READ, WRITE
from firstbyte.engine.incoming import has_left
from firstbyte.engine.states import CLOSED
from firstbyte.errors import ClientDisconnected, HTTPError, Interrupted
from firstbyte.http.handler import Endpoint
from firstbyte.http.request import Request
from firstbyte.http.response import LiveBody, Response

if TYPE_CHECKING:
    import asyncio

    from firstbyte.engine.connection import Connection
    from firstbyte.engine.first_step import Walk
    from firstbyte.engine.reactor import Reactor
    from firstbyte.engine.trial import Trial
else:
    asyncio = LazyModule("asyncio")  # a compiled connection imports this module, also where there is no loop

logger = lazy_logger("firstbyte.engine")


class Exchange:
    """The owner of a busy connection whose endpoint is a coroutine. All of it happens in the loop's thread.

    The connection stays watched for reading meanwhile: that costs nothing until something comes, and what comes is
    either the body that the coroutine waits for, the next request, which waits, or the end of a peer that has left.
    """

    __slots__ = (
        "_callbacks", "_gone", "_looks_away", "_on_drain", "_reactor", "_read_by", "_reading", "_write_by", "_writing",
        "connection", "endpoint", "released", "request", "task",
    )  # fmt: skip

    def __init__(self, reactor: Reactor, connection: Connection, request: Request, endpoint: Endpoint) -> None:
        self._begin(reactor, connection, request, endpoint)

    def _begin(self, reactor: Reactor, connection: Connection, request: Request, endpoint: Endpoint) -> None:
        """`__init__` for `exchange_of`: compiled, it is a plain C function."""
        self._reactor = reactor
        self.connection = connection
        self.request = request
        self.endpoint = endpoint
        self.task: asyncio.Task[Any] | Walk | Trial | None = None  # known when it has suspended for the first time
        self.released = False  # the connection has gone on without it
        self._reading: asyncio.Future[None] | None = None  # of a coroutine that waits for the body
        self._writing: asyncio.Future[None] | None = None  # of those that wait for the peer to read
        self._read_by = self._write_by = inf
        self._looks_away = False  # the next request is here
        self._gone = False  # the peer is, or the connection
        self._callbacks: list[Callable[[], object]] | None = None  # of who wants to know that
        self._on_drain: list[Callable[[], object]] | None = None
        connection.busy = True
        connection.owner = self
        connection.deadline = inf

    # -- what the coroutine waits for

    async def readable(self, seconds: float) -> None:
        """Returns when the peer has sent something. Raises HTTPError 408 when it does not within so many seconds."""
        self._check()
        self._reading = asyncio.get_running_loop().create_future()
        self._read_by = monotonic() + seconds
        self._looks_away = False
        self._attend()
        try:
            await self._reading
        finally:
            self._reading = None
            self._read_by = inf
            self._attend()

    async def writable(self) -> None:
        """Returns when the peer has taken all that was to be sent. Raises ClientDisconnected when it does not."""
        self._check()
        if self._writing is None:
            self._writing = asyncio.get_running_loop().create_future()
            self._write_by = monotonic() + self._reactor.timeouts.write
            self._attend()
        await asyncio.wait((self._writing,))  # which leaves it to the others if this one is cancelled
        self._check()

    async def drain(self) -> None:
        """See `Peer.drain`."""
        self._check()
        if not self.connection.flush():
            await self.writable()

    def _check(self) -> None:
        if self._gone or self.connection.owner is not self:
            raise ClientDisconnected("the client has left")

    def _attend(self) -> None:
        """Has the poller and the sweep look for what is waited for."""
        connection = self.connection
        if self._gone or connection.owner is not self:
            return
        connection.deadline = min(self._read_by, self._write_by)
        if self._writing is not None:
            interest = WRITE if self._reading is None else READ | WRITE
        else:
            interest = 0 if self._looks_away else READ
        self._reactor.change_interest(connection, interest)

    # -- what else it may ask for (see `Peer`)

    def when_gone(self, callback: Callable[[], object]) -> None:
        """See `Peer.when_gone`."""
        if self._gone or self.connection.owner is not self:
            callback()
        elif self._callbacks is None:
            self._callbacks = [callback]
        else:
            self._callbacks.append(callback)

    def when_draining(self, callback: Callable[[], object]) -> None:
        """See `Peer.when_draining`."""
        if self._reactor.draining:
            callback()
        elif self._on_drain is None:
            self._on_drain = [callback]
        else:
            self._on_drain.append(callback)

    def interrupt(self) -> None:
        """See `Peer.interrupt`."""
        self._wake(self._reading, Interrupted("the body is not waited for any more"))

    def attend(self, body: LiveBody) -> Silence | None:
        """Tells the body of the answer when the server stops; what keeps the answer alive, if something does."""
        if body.keep_alive is None:
            return None
        self.when_draining(body.drain)
        return Silence(self.connection, *body.keep_alive)

    # -- what happens to the connection meanwhile

    def on_event(self, events: int) -> None:
        """The descriptor is ready."""
        connection = self.connection
        if events & (ERROR | HANGUP):
            self._client_left()
            return
        if events & WRITE and self._writing is not None:
            if connection.flush():
                self._write_by = inf
                self._wake(self._writing)
                self._writing = None
            else:  # it takes something, if not all
                self._write_by = monotonic() + self._reactor.timeouts.write
        if events & READ:
            if self._reading is not None:
                self._wake(self._reading)
            elif has_left(connection) and (self.endpoint.cancel_on_disconnect or self._callbacks is not None):
                self._client_left()
            else:  # the next request has come: it waits, and so does what may be behind it
                self._looks_away = True
        self._attend()

    def on_deadline(self) -> None:
        """The peer has not done in time what the coroutine waits for."""
        if self._read_by <= self._write_by:
            self.connection.reader.keep_alive = False
            self._wake(self._reading, HTTPError(408, "the body did not arrive in time"))
            self._read_by = inf
            self._attend()
        else:
            self.connection.close("writing timeout")

    def release(self) -> None:
        """Lets the connection go on: its answer is complete, the coroutine is not."""
        self.released = True
        self.connection.owner = None
        self.connection.busy = False
        self._tell(ClientDisconnected("the answer is complete"))

    def begin_drain(self) -> None:
        """The server stops: it waits for the answer, and tells who wants to know."""
        callbacks, self._on_drain = self._on_drain, None
        for callback in callbacks or ():
            callback()

    def close(self, reason: str) -> None:
        """Closes the connection, for the coroutine itself."""
        self.connection.owner = None
        self.connection.close(reason)
        self._tell(ClientDisconnected("the connection is closed"))

    def on_close(self) -> None:
        """The connection is being closed by another: tells the coroutine."""
        self._leave()

    def _client_left(self) -> None:
        self._reactor.lose(self.connection)
        self._leave()

    def _leave(self) -> None:
        is_waiting = self._reading is not None or self._writing is not None
        self._tell(ClientDisconnected("the client has left"))
        if not is_waiting and self.task is not None and self.endpoint.cancel_on_disconnect:
            self.task.cancel("the client has left")

    def _tell(self, error: ClientDisconnected) -> None:
        """Wakes whatever waits for the peer, which is gone."""
        self._gone = True
        self._wake(self._reading, error)
        self._wake(self._writing)
        callbacks, self._callbacks = self._callbacks, None
        for callback in callbacks or ():
            callback()

    @staticmethod
    def _wake(waiter: asyncio.Future[None] | None, error: Exception | None = None) -> None:
        if waiter is None or waiter.done():
            return
        if error is None:
            waiter.set_result(None)
        else:
            waiter.set_exception(error)


def exchange_of(reactor: Reactor, connection: Connection, request: Request, endpoint: Endpoint) -> Exchange:
    """An `Exchange`, made without the call of a class, which costs as much again."""
    made = Exchange.__new__(Exchange)
    made._begin(reactor, connection, request, endpoint)
    return made


class Reply:
    """What a coroutine answers: its `response`, to be sent; None until it has one, or if it has sent it by itself.

    `exchange` is known to one that has had to wait, and goes on in a Task.
    """

    __slots__ = ("exchange", "response")

    def __init__(self) -> None:
        self.exchange: Exchange | None = None
        self.response: Response | None = None


class Silence:
    """Sends a piece of an answer that nobody gives whenever nothing else has been sent for so many seconds."""

    __slots__ = ("_connection", "_filler", "_loop", "_seconds", "_since", "_timer")

    def __init__(self, connection: Connection, seconds: float, filler: bytes) -> None:
        self._connection = connection
        self._seconds = seconds
        self._filler = filler
        self._loop = asyncio.get_running_loop()
        connection.flush()  # the head
        self.broken()
        self._timer = self._loop.call_later(seconds, self._look)

    def broken(self) -> None:
        """Something has been sent."""
        self._since = self._loop.time()

    def end(self) -> None:
        """The answer is complete."""
        self._timer.cancel()

    def _look(self) -> None:
        if self._loop.time() - self._since >= self._seconds and self._connection.state != CLOSED:
            self.broken()
            self._connection.push(self._filler)
        self._timer = self._loop.call_at(self._since + self._seconds, self._look)

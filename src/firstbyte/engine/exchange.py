"""One request in the hands of a coroutine that had to wait: what it waits for from the peer, and a peer that leaves."""

from __future__ import annotations

import asyncio
import logging
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any

from firstbyte.engine._sys import ERROR, HANGUP, READ, WRITE
from firstbyte.engine.incoming import has_left
from firstbyte.engine.states import CLOSED
from firstbyte.errors import ClientDisconnected, HTTPError
from firstbyte.http.handler import Endpoint
from firstbyte.http.request import Request

if TYPE_CHECKING:
    from firstbyte.engine.connection import Connection
    from firstbyte.engine.reactor import Reactor

logger = logging.getLogger("firstbyte.engine")


class Exchange:
    """The owner of a busy connection whose endpoint is a coroutine. All of it happens in the loop's thread.

    The connection stays watched for reading meanwhile: that costs nothing until something comes, and what comes is
    either the body that the coroutine waits for, the next request, which waits, or the end of a peer that has left.
    """

    __slots__ = ("_reactor", "_waiter", "connection", "endpoint", "request", "task")

    def __init__(self, reactor: Reactor, connection: Connection, request: Request, endpoint: Endpoint) -> None:
        self._reactor = reactor
        self.connection = connection
        self.request = request
        self.endpoint = endpoint
        self.task: asyncio.Task[Any] | None = None  # known when it has suspended for the first time
        self._waiter: asyncio.Future[None] | None = None  # of the coroutine, when it waits for the peer
        connection.busy = True
        connection.owner = self
        connection.deadline = inf

    # -- what the coroutine waits for

    async def readable(self) -> None:
        """Returns when the peer has sent something. Raises HTTPError 408 when it does not in time."""
        self.connection.deadline = monotonic() + self._reactor.timeouts.body
        await self._wait(READ)

    async def writable(self) -> None:
        """Returns when the peer has taken all that was to be sent. Raises ClientDisconnected when it does not."""
        self.connection.deadline = monotonic() + self._reactor.timeouts.write
        await self._wait(WRITE)

    async def _wait(self, interest: int) -> None:
        if self.connection.lost or self.connection.state == CLOSED:
            raise ClientDisconnected("the client has left")
        self._reactor.change_interest(self.connection, interest)
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
            self.connection.deadline = inf

    # -- what happens to the connection meanwhile

    def on_event(self, events: int) -> None:
        """The descriptor is ready."""
        connection = self.connection
        if events & (ERROR | HANGUP):
            self._client_left()
        elif self._waiter is not None:
            if connection.interest == READ:
                self._wake()
            elif connection.flush():
                self._reactor.change_interest(connection, READ)
                self._wake()
            elif connection.state != CLOSED:
                connection.deadline = monotonic() + self._reactor.timeouts.write  # it takes something, if not all
        elif has_left(connection) and self.endpoint.cancel_on_disconnect:
            self._client_left()
        else:  # the next request has come: it waits, and so does what may be behind it
            self._reactor.change_interest(connection, 0)

    def on_deadline(self) -> None:
        """The peer has not done in time what the coroutine waits for."""
        if self.connection.interest == READ:
            self.connection.reader.keep_alive = False
            self._wake(HTTPError(408, "the body did not arrive in time"))
        else:
            self.connection.close("writing timeout")

    def close(self, reason: str) -> None:
        """Closes the connection, for the coroutine itself."""
        self.connection.owner = None
        self.connection.close(reason)

    def on_close(self) -> None:
        """The connection is being closed by another: tells the coroutine."""
        if self._waiter is not None:
            self._wake(ClientDisconnected("the client has left"))
        elif self.task is not None:
            self.task.cancel()

    def _client_left(self) -> None:
        self._reactor.lose(self.connection)
        if self._waiter is not None:
            self._wake(ClientDisconnected("the client has left"))
        elif self.task is not None and self.endpoint.cancel_on_disconnect:
            self.task.cancel("the client has left")

    def _wake(self, error: Exception | None = None) -> None:
        waiter = self._waiter
        if waiter is None or waiter.done():
            return
        if error is None:
            waiter.set_result(None)
        else:
            waiter.set_exception(error)

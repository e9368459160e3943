"""An answer that its handler sends itself, a piece at a time while it runs: its thread waits for a slow peer."""

from __future__ import annotations

import select
from collections.abc import AsyncIterator
from math import inf
from typing import TYPE_CHECKING, NoReturn

from firstbyte._lazy import lazy_logger
from firstbyte.engine.states import CLOSED
from firstbyte.errors import ClientDisconnected, ResponseError
from firstbyte.http.request import Request
from firstbyte.http.response import Response
from firstbyte.http.status import has_body

if TYPE_CHECKING:
    from firstbyte.engine.connection import Connection
    from firstbyte.engine.hub import Hub

# The end of what a client sends is its leaving, as everywhere in the engine; not every system tells of it.
_GONE = getattr(select, "POLLRDHUP", 0)

logger = lazy_logger("firstbyte.engine")


class SocketSender:
    """See `http.request.Sender`. For an endpoint with `sends`; it begins nothing until it is told to."""

    __slots__ = ("_connection", "_hub", "_request", "begun", "response")

    def __init__(self, hub: Hub, connection: Connection, request: Request) -> None:
        self._hub = hub
        self._connection = connection
        self._request = request
        self.begun = False
        self.response: Response | None = None  # the one whose body is being sent

    def begin(self, response: Response) -> bool:
        """See `Sender.begin`."""
        if self.begun:
            raise RuntimeError("the answer has begun already")
        self._check()
        if self._request.method == "HEAD" or not has_body(response.status):
            return False
        response.body = _Pushed()
        if self._connection.begin_body(self._request, response):
            self.response = response
        self.begun = True
        return True

    def write(self, piece: bytes) -> None:
        """See `Sender.write`."""
        connection = self._connection
        self._check()
        if self.response is not None and not (connection.push(piece) if piece else connection.flush()):
            self._check()
            self._hub.driver.about_to_block(connection)
            poll = select.poll()
            poll.register(connection.fd, select.POLLOUT)
            timeout = self._hub.timeouts.write
            while not connection.flush():
                self._check()
                if not poll.poll(None if timeout == inf else timeout * 1000):
                    connection.close("writing timeout")

    def has_left(self) -> bool:
        """See `Sender.has_left`."""
        connection = self._connection
        if connection.state == CLOSED or connection.lost:
            return True
        poll = select.poll()
        poll.register(connection.fd, _GONE)
        return bool(poll.poll(0))

    def end(self, response: Response) -> bool:
        """Ends what was begun, for the connection: False if there is no more of it. `response` is the call's answer."""
        connection = self._connection
        if connection.state == CLOSED:
            return False
        if self.response is None:
            return True  # the head could not be sent, and a 500 was
        if response is self.response:
            try:
                return connection.end_body()
            except ResponseError as error:
                logger.error("the answer to %s %s is broken off: %s", self._request.method, self._request.target, error)
        connection.close("response broken off")
        return False

    def _check(self) -> None:
        if self._connection.state == CLOSED:
            raise ClientDisconnected("the client left before the end of its answer")


class _Pushed(AsyncIterator[bytes]):
    """Stands for a body whose pieces the handler pushes."""

    async def __anext__(self) -> NoReturn:
        raise StopAsyncIteration

"""A body read by the endpoint itself, straight from the socket: by a thread that waits, or by a coroutine."""

from __future__ import annotations

import select
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from time import monotonic
from typing import TYPE_CHECKING

from firstbyte.engine._sys import RECV
from firstbyte.errors import ClientDisconnected, HTTPError, ProtocolError
from firstbyte.http.request import Request
from firstbyte.wire.writer import CONTINUE

if TYPE_CHECKING:
    from firstbyte.engine.connection import Connection
    from firstbyte.engine.hub import Hub


def has_left(connection: Connection) -> bool:
    """Whether the client has ended the connection. Takes what it has sent behind its request, once."""
    if connection.reader.pending:
        return False
    try:
        data = connection.sock.recv(RECV)
    except BlockingIOError:
        return False
    except OSError:
        return True
    if data:
        connection.reader.feed(data)
    return not data


class IncomingBody:
    """The body of a request that is still arriving; the handler's thread waits for it, so nothing is buffered ahead."""

    __slots__ = ("_connection", "_max_body", "_reactor", "_ready", "_request", "_waited")

    def __init__(self, reactor: Hub, connection: Connection, request: Request, max_body: int) -> None:
        self._reactor = reactor
        self._connection = connection
        self._request = request
        self._max_body = max_body
        self._ready = False  # the limit has been checked
        self._waited = 0.0  # seconds, for the client alone: the endpoint may take its time between the pieces

    def read(self) -> bytes:
        """See `BodyStream.read`."""
        while (piece := self._next()) is None:
            while not self._receive():
                with self._patience() as seconds:
                    self._wait(seconds)
        return piece

    async def aread(self) -> bytes:
        """See `BodyStream.aread`."""
        raise RuntimeError("a plain function reads its body with `for piece in request.stream()`, without async")

    @property
    def ended(self) -> bool:
        """See `BodyStream.ended`."""
        return not self._connection.reader.in_body

    def take_whole(self, at_most: int) -> bytes | None:
        """See `BodyStream.take_whole`."""
        reader = self._connection.reader
        if self._ready or reader.expects_continue or not reader.in_body:
            return None
        return reader.take_whole_body(min(at_most, self._max_body))

    def _next(self) -> bytes | None:
        """The next piece if it is here, nothing at the end, None if more must come first."""
        connection = self._connection
        reader = connection.reader
        try:
            if not self._ready:
                self._ready = True
                reader.limit_body(self._max_body)
                if reader.expects_continue and not reader.pending:
                    reader.expects_continue = False
                    connection.send_now(CONTINUE)
            while reader.in_body:
                piece = reader.read_body()
                if piece:
                    return piece
                if reader.in_body:
                    return None  # what is pending is the beginning of a line between chunks
            self._request.trailers = reader.trailers
        except ProtocolError as error:
            reader.keep_alive = False
            raise HTTPError(error.status, str(error)) from None
        return b""

    def _receive(self) -> bool:
        """Takes what has come from the socket; False if nothing has."""
        connection = self._connection
        try:
            data = connection.sock.recv(RECV)
        except BlockingIOError:
            return False
        except OSError as error:
            raise ClientDisconnected(f"the client left while its body was read: {error.strerror}") from None
        if not data:
            raise ClientDisconnected("the client left before the end of its body")
        connection.reader.feed(data)
        return True

    @contextmanager
    def _patience(self) -> Iterator[float]:
        """Seconds that the next bytes, which the block waits for, may take; those that they took are counted.

        Raises HTTPError 408 for a body that comes too slowly.
        """
        reactor, reader = self._reactor, self._connection.reader
        left = reactor.timeouts.for_body(reader.body_size, reactor.limits.body_rate) - self._waited
        if left <= 0:
            reader.keep_alive = False
            raise HTTPError(408, "the body comes too slowly")
        start = monotonic()
        yield min(reactor.timeouts.body, left)
        self._waited += monotonic() - start

    def _wait(self, seconds: float) -> None:
        connection = self._connection
        self._reactor.driver.about_to_block(connection)
        poll = select.poll()
        poll.register(connection.fd, select.POLLIN)
        if not poll.poll(None if seconds == inf else seconds * 1000):
            connection.reader.keep_alive = False
            raise HTTPError(408, "the body did not arrive in time")


class AwaitedBody(IncomingBody):
    """The body of a request that is still arriving, for a coroutine: the loop goes on while it waits."""

    __slots__ = ()

    def read(self) -> bytes:
        """Raises RuntimeError: a coroutine must not wait for bytes without the loop."""
        raise RuntimeError("a coroutine reads its body with `async for piece in request.stream()`, or request.read()")

    async def aread(self) -> bytes:
        """See `BodyStream.aread`."""
        exchange = self._connection.owner
        assert exchange is not None
        while (piece := self._next()) is None:
            while not self._receive():
                with self._patience() as seconds:
                    await exchange.readable(seconds)
        return piece

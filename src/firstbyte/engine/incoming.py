"""A body read by the endpoint itself, straight from the socket."""

from __future__ import annotations

import select
from math import inf
from typing import TYPE_CHECKING

from firstbyte.errors import ClientDisconnected, HTTPError, ProtocolError
from firstbyte.http.request import Request
from firstbyte.wire.writer import CONTINUE

if TYPE_CHECKING:
    from firstbyte.engine.connection import Connection

RECV = 64 * 1024


class IncomingBody:
    """The body of a request that is still arriving; the handler's thread waits for it, so nothing is buffered ahead."""

    __slots__ = ("_connection", "_continued", "_max_body", "_ready", "_request")

    def __init__(self, connection: Connection, request: Request, max_body: int) -> None:
        self._connection = connection
        self._request = request
        self._max_body = max_body
        self._ready = False  # the limit has been checked

    def read(self) -> bytes:
        """See `BodyStream.read`."""
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
                if not reader.pending:
                    reader.feed(self._receive())
            self._request.trailers = reader.trailers
        except ProtocolError as error:
            reader.keep_alive = False
            raise HTTPError(error.status, str(error)) from None
        return b""

    def _receive(self) -> bytes:
        connection = self._connection
        while True:
            try:
                data = connection.sock.recv(RECV)
            except BlockingIOError:
                self._wait()
                continue
            except OSError as error:
                raise ClientDisconnected(f"the client left while its body was read: {error.strerror}") from None
            if not data:
                raise ClientDisconnected("the client left before the end of its body")
            return data

    def _wait(self) -> None:
        connection = self._connection
        connection.about_to_block()
        poll = select.poll()
        poll.register(connection.fd, select.POLLIN)
        timeout = connection.body_timeout
        if not poll.poll(None if timeout == inf else timeout * 1000):
            connection.reader.keep_alive = False
            raise HTTPError(408, "the body did not arrive in time")

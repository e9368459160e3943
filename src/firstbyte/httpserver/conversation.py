"""One request and its answer, in the place of the socket that a handler of the standard library is given."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Sequence
from typing import BinaryIO

from firstbyte.errors import ClientDisconnected, ProtocolError
from firstbyte.http.request import Address, Request
from firstbyte.http.response import FileBody, Response
from firstbyte.wire.body import ChunkedBody
from firstbyte.wire.limits import Limits
from firstbyte.wire.response import ResponseReader

# Hop-by-hop (RFC 9110 section 7.6.1): what they would say of the connection is the engine's to say.
_HOP_BY_HOP = frozenset(("connection", "keep-alive", "proxy-connection", "te", "trailer", "upgrade"))
_EMPTY = (204, 205, 304)  # statuses of answers that never have a body


class Conversation:
    """What handlers know as `self.request` and `self.connection`. Of a socket it has the names that make sense here.

    `closes` makes the answer the connection's last.
    """

    def __init__(self, request: Request, closes: bool = False) -> None:
        self.http = request
        self.closes = closes
        self.body: BinaryIO = request.body_file
        self.output = Output(request)

    def getpeername(self) -> tuple[str, int]:
        """The client's host and port."""
        return tuple(self.http.client or Address("", 0))  # type: ignore[return-value]  # it has two

    def getsockname(self) -> tuple[str, int]:
        """The host and port that the client has connected to."""
        return tuple(self.http.server or Address("", 0))  # type: ignore[return-value]

    def recv(self, size: int) -> bytes:
        """Reads from the body, which is complete; empty at its end."""
        return self.body.read(size)

    def send(self, data: bytes) -> int:
        """Writes to the answer: see `Output.write`."""
        return self.output.write(data)

    def sendall(self, data: bytes) -> None:
        """See `send`."""
        self.output.write(data)

    def setsockopt(self, *option: object) -> None:
        """Does nothing: the connection is the engine's."""

    def settimeout(self, timeout: float | None) -> None:
        """Does nothing: the server's timeouts hold."""


class Output(io.BufferedIOBase):
    """What handlers know as `wfile`: each write is on its way to the client when it returns.

    What is written before a head is given to `begin` must be one, with its status line.
    """

    def __init__(self, request: Request) -> None:
        self._request = request
        self._sender = request.sender
        self._response: Response | None = None  # known when its head is complete
        self._begun = False
        self._bodiless = False
        self._finished = False  # the handler is done: a file object around this one may still be closed, by nobody
        self._chunks: ChunkedBody | None = None  # takes apart what a handler has put into chunks by itself
        self._line = b""  # the part of such a chunk's line that has come
        self._head: ResponseReader | None = None  # takes apart a head that is written as bytes

    @property
    def begun(self) -> bool:
        """Whether some of the answer is on its way, so that it can no longer become another."""
        return self._begun

    def begin(self, status: int, fields: Iterable[tuple[str, str]]) -> None:
        """The head is complete. Raises ValueError for one that cannot be sent, RuntimeError for a second one."""
        if self._begun:
            raise RuntimeError("the answer is on its way already: it cannot become another")
        kept = [field for field in fields if field[0].lower() not in _HOP_BY_HOP]
        chunked = [value.lower() for name, value in kept if name.lower() == "transfer-encoding"]
        if chunked:
            if chunked != ["chunked"]:
                raise ValueError(f"Transfer-Encoding: {', '.join(chunked)} cannot be sent: chunked is all there is")
            kept = [field for field in kept if field[0].lower() not in ("transfer-encoding", "content-length")]
            self._chunks = ChunkedBody(Limits(), 1 << 62)
        self._response = Response(b"", status, kept)

    def write_fields(self, fields: Sequence[tuple[str, str]]) -> None:
        """Writes the fields of a part of the body, and the empty line. Raises RuntimeError before there is a head."""
        if self._response is None:
            raise RuntimeError("end_headers() without send_response()")
        if fields or "content-length" not in self._response.headers:  # else it ends a head that has ended, by mistake
            lines = [f"{name}: {value}\r\n" for name, value in fields]
            self.write("".join((*lines, "\r\n")).encode("latin-1"))

    def close_after(self) -> None:
        """Makes the answer the connection's last."""
        assert self._response is not None
        self._response.headers["Connection"] = "close"

    def writable(self) -> bool:
        """Always."""
        return True

    def write(self, data: bytes | bytearray | memoryview) -> int:  # type: ignore[override]
        """Sends `data`; waits while the client is slow to take it. Raises BrokenPipeError when it has left."""
        piece = data if type(data) is bytes else bytes(memoryview(data))  # a number would become so many zeros
        if self._response is None:
            rest = self._take_head(piece)
            if rest:
                self.write(rest)
            return len(piece)
        body = piece if self._chunks is None else self._unchunk(self._chunks, piece)
        if body:
            self._send(body)
        return len(piece)

    def flush(self) -> None:
        """Sends the head, if nothing has been written behind it yet; what was written is on its way already."""
        if self._response is not None and not self._begun and not self._finished:
            self._send(b"")

    def give_file(self, file: BinaryIO) -> bool:
        """Has the engine send the rest of a file when the handler is done, at the client's pace; False if it cannot.

        It can where nothing is written yet and Content-Length is the number of bytes that are left of the file.
        """
        if self._response is None or self._begun or self._request.method == "HEAD":
            return False
        try:
            start, left = file.tell(), os.fstat(file.fileno()).st_size
        except (OSError, AttributeError):
            return False
        length = self._response.headers.get("content-length")
        if length != str(left - start) or left == start:
            return False
        self._response.body = FileBody(os.fdopen(os.dup(file.fileno()), "rb"), start, left - start)
        return True

    def finish(self) -> Response | None:
        """The answer, when the handler is done; None if it has said nothing. Raises ValueError for one that is cut."""
        response = self._response
        self._finished = True
        if self._chunks is not None and not self._chunks.done and self._request.method != "HEAD":
            raise ValueError("the answer ends before the last of the chunks that it was put into")
        if response is None or self._request.method != "HEAD" or response.status in _EMPTY:
            return response
        if "content-length" not in response.headers:
            response.body = iter(())  # a length of 0 would be a lie
        return response

    def discard(self) -> None:
        """Gives up an answer that is not on its way."""
        self._finished = True
        if self._response is not None and not self._begun:
            self._response.close()

    def _send(self, piece: bytes) -> None:
        response = self._response
        assert response is not None
        if self._bodiless:
            return
        if self._sender is None:  # a host that cannot send while the handler runs
            response.body = response.body + piece if isinstance(response.body, bytes) else piece
            return
        try:
            if not self._begun:
                self._begun = self._sender.begin(response)
                self._bodiless = not self._begun
            if self._begun:
                self._sender.write(piece)
        except ClientDisconnected as error:
            raise BrokenPipeError(str(error)) from None

    def _take_head(self, piece: bytes) -> bytes:
        """Begins the answer whose head a handler writes as bytes, when that is complete; gives what is behind it."""
        if self._head is None:
            self._head = ResponseReader()
            self._head.expect(self._request.method)
        self._head.feed(piece)
        try:
            head = self._head.read_head()
            while head is not None and head.status < 200 and head.status != 101:  # a 100 was sent before the body
                head = self._head.read_head()
        except ProtocolError as error:
            raise ValueError(
                f"what is written before send_response() and end_headers() must be the head of an answer: {error}"
            ) from None
        if head is None:
            return b""
        if head.status == 101:
            raise ValueError("the connection cannot be upgraded here")
        self.begin(head.status, head.headers.items())
        if not head.keep_alive:
            self.close_after()
        return self._head.take_rest()

    def _unchunk(self, chunks: ChunkedBody, piece: bytes) -> bytes:
        data = self._line + piece
        try:
            body, taken = chunks.decode(data, 0)
        except ProtocolError as error:
            raise ValueError(f"Transfer-Encoding: chunked was sent, but what is written is not: {error}") from None
        self._line = data[taken:]
        return body

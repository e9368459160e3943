"""What the readers of requests and of responses share: the bytes that came, and the body that is read from them."""

from __future__ import annotations

from typing import Any

from firstbyte.http.headers import Headers
from firstbyte.wire.body import BodyDecoder


class MessageReader:
    """Holds the bytes of one connection that were fed and not read yet, and reads bodies from them.

    `pending` is True while there are such bytes. `length` is that of the body of the message whose head was read last,
    in bytes, or a negative number where only reading it tells; `body_size` is how much of it has been read, and
    `in_body` is True until that is all. `trailers` are those of the chunked body last read to its end. `keep_alive` is
    whether the connection can have another message behind this one.
    """

    __slots__ = (
        "_at", "_body", "_buffer", "_checked", "body_size", "in_body", "keep_alive", "length", "pending", "trailers",
    )  # fmt: skip

    def __init__(self) -> None:
        self._buffer = b""
        self._at = 0  # where the next byte to read is
        self._checked = -1  # where the lines of an incomplete head have been checked to, or -1 before the first look
        self._body: BodyDecoder | None = None
        self.pending = False
        self.in_body = False
        self.keep_alive = True
        self.length = 0
        self.body_size = 0
        self.trailers: Headers | None = None

    def feed(self, data: bytes) -> None:
        """Takes the bytes that came next; at least one, since none is the end of a connection."""
        if not self.pending:
            self._buffer = data
            self.pending = True
            return
        if self._at:
            self._buffer = self._buffer[self._at :]
            if self._checked >= 0:
                self._checked -= self._at
            self._at = 0
        self._buffer += data

    def read_body(self) -> bytes:
        """The bytes of the body that are here; empty if none are. Ends `in_body` with the last and sets `trailers`.

        Raises ProtocolError.
        """
        body = self._body
        assert body is not None
        piece, at = body.decode(self._buffer, self._at)
        self._advance(at)
        self._count(len(piece))
        return piece

    def pass_over(self, size: int) -> None:
        """So many bytes of the body, whose length was said, were received past this reader, which held none."""
        body: Any = self._body
        body.pass_over(size)
        self._count(size)

    def _count(self, size: int) -> None:
        body = self._body
        assert body is not None
        self.body_size += size
        if body.done:
            self.trailers = body.trailers
            self._body = None
            self.in_body = False

    def take_whole_body(self, at_most: int) -> bytes | None:
        """The body, if all of it is here and its length was said and is `at_most` so many bytes; else None.

        Before anything of the body is read. Ends `in_body` as `read_body` does.
        """
        end = self._at + self.length
        if self.length < 0 or self.length > at_most or end > len(self._buffer):
            return None
        whole = self._buffer[self._at : end]
        self._advance(end)
        self.body_size = self.length
        self.trailers = self._body = None
        self.in_body = False
        return whole

    def take_rest(self) -> bytes:
        """What was fed and is not read: for another protocol, or a tunnel; no message is read behind it."""
        rest = self._buffer[self._at :]
        self._advance(len(self._buffer))
        return rest

    def _advance(self, at: int) -> None:
        self._at = at
        if at == len(self._buffer):
            self._buffer = b""
            self._at = 0
            self.pending = False

"""The reading side of a server connection: bytes are fed in, requests and the pieces of their bodies come out."""

from __future__ import annotations

from firstbyte.errors import ProtocolError
from firstbyte.http.headers import Headers
from firstbyte.http.request import Ends, Request
from firstbyte.wire.body import BodyDecoder, ChunkedBody, LengthBody
from firstbyte.wire.head import CHUNKED, Framing, HeadScanner, check_lines

_NOWHERE = Ends()


class RequestReader:
    """Reads the requests of one connection, in order, pipelined ones too.

    Call `feed` with what came, then `read_head` until it returns None; while `in_body`, `read_body` for the pieces. The
    facts of the head last read are in `keep_alive`, `expects_continue` and `length` (bytes of the body, or CHUNKED);
    `body_size` is how much of its body, if it has one, has been read. `pending` is True while bytes
    that were fed have not been read. The scanner may be shared by many readers.
    """

    __slots__ = (
        "_at", "_body", "_buffer", "_checked", "_ends", "_framing", "_scanner",
        "body_size", "expects_continue", "in_body", "keep_alive", "length", "pending", "trailers",
    )  # fmt: skip

    def __init__(self, scanner: HeadScanner, ends: Ends = _NOWHERE) -> None:
        self._scanner = scanner
        self._ends = ends
        self._buffer = b""
        self._at = 0  # where the next byte to read is
        self._checked = -1  # where the lines of an incomplete head have been checked to, or -1 before the first look
        self._body: BodyDecoder | None = None
        self.pending = False
        self.in_body = False  # from a head that announces a body to the last byte of that body
        self._framing: Framing = (0, True, False)
        self.length, self.keep_alive, self.expects_continue = self._framing
        self.body_size = 0
        self.trailers: Headers | None = None  # of the chunked body last read to its end

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

    def read_head(self) -> Request | None:
        """The next request, or None until its head is complete. Raises ProtocolError."""
        if not self.pending:
            return None
        buffer = self._buffer
        at = self._at
        limits = self._scanner.limits
        if self._checked >= 0:
            # Not the first look: the lines up to `_checked` are fine, so a head is whole when the empty line is there.
            if buffer.find(b"\r\n\r\n", max(at, self._checked - 2)) < 0:
                self._checked = check_lines(buffer, at, self._checked, limits)
                return None
        elif buffer[at] == 0x0D:
            # RFC 9112 section 2.2: empty lines before a request line are passed over.
            while buffer.startswith(b"\r\n", at):
                at += 2
            self._advance(at)
            if buffer[at:] in (b"", b"\r"):
                return None
        scanned = self._scanner.scan(buffer, at, self._ends)
        if scanned is None:
            self._checked = check_lines(buffer, at, max(at, self._checked), limits)
            return None
        request, end, framing = scanned
        self._checked = -1
        if end == len(buffer):
            self._buffer = b""
            self._at = 0
            self.pending = False
        else:
            self._at = end
        if framing is not self._framing:
            self._framing = framing
            self.length, self.keep_alive, self.expects_continue = framing
        if framing[0]:
            length = framing[0]
            # How long it may be, the endpoint says: `limit_body` follows before the first piece is read.
            self._body = ChunkedBody(limits, limits.body) if length == CHUNKED else LengthBody(length)
            self.in_body = True
            self.body_size = 0
        return request

    def limit_body(self, max_body: int) -> None:
        """Sets what the coming body may hold. Raises ProtocolError 413 if its Content-Length says more."""
        if self.length == CHUNKED:
            self._body = ChunkedBody(self._scanner.limits, max_body)
        elif self.length > max_body:
            raise ProtocolError(413, "body-too-large", f"the body is longer than {max_body} bytes")

    def read_body(self) -> bytes:
        """The bytes of the body that are here; empty if none are. Ends `in_body` with the last and sets `trailers`.

        Raises ProtocolError.
        """
        body = self._body
        assert body is not None
        piece, at = body.decode(self._buffer, self._at)
        self._advance(at)
        self.body_size += len(piece)
        if body.done:
            self.trailers = body.trailers
            self._body = None
            self.in_body = False
        return piece

    def take_whole_body(self, at_most: int) -> bytes | None:
        """The body, if all of it is here and its length was said and is `at_most` so many bytes; else None.

        Before anything of the body is read. Ends `in_body` as `read_body` does.
        """
        end = self._at + self.length
        if self.length == CHUNKED or self.length > at_most or end > len(self._buffer):
            return None
        whole = self._buffer[self._at : end]
        self._advance(end)
        self.body_size = self.length
        self.trailers = self._body = None
        self.in_body = False
        return whole

    def take_rest(self) -> bytes:
        """What was fed and is not read, for another protocol; no request is read behind it."""
        rest = self._buffer[self._at :]
        self._advance(len(self._buffer))
        return rest

    def _advance(self, at: int) -> None:
        self._at = at
        if at == len(self._buffer):
            self._buffer = b""
            self._at = 0
            self.pending = False

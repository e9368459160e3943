"""The reading side of a server connection: bytes are fed in, requests and the pieces of their bodies come out."""

from __future__ import annotations

from firstbyte.errors import ProtocolError
from firstbyte.http.request import Ends, Request
from firstbyte.wire.body import ChunkedBody, LengthBody
from firstbyte.wire.head import CHUNKED, KNOWN_SIZE, Head, HeadScanner, check_lines
from firstbyte.wire.messages import MessageReader

_NOWHERE = Ends()


class RequestReader(MessageReader):
    """Reads the requests of one connection, in order, pipelined ones too.

    Call `feed` with what came, then `read_head` until it returns None; while `in_body`, `read_body` for the pieces. The
    facts of the head last read are in `keep_alive`, `expects_continue` and `length` (bytes of the body, or CHUNKED).
    The scanner may be shared by many readers.
    """

    __slots__ = ("_ends", "_head", "_scanner", "expects_continue")

    def __init__(self, scanner: HeadScanner, ends: Ends = _NOWHERE) -> None:
        super().__init__()
        self._scanner = scanner
        self._ends = ends
        self._head: Head | None = None  # the last, if it is short: most often a client sends the same again
        self.expects_continue = False

    def read_head(self) -> Request | None:
        """The next request, or None until its head is complete. Raises ProtocolError."""
        if not self.pending:
            return None
        buffer = self._buffer
        at = self._at
        if self._checked >= 0:
            # Not the first look: the lines up to `_checked` are fine, so a head is whole when the empty line is there.
            if buffer.find(b"\r\n\r\n", max(at, self._checked - 2)) < 0:
                self._checked = check_lines(buffer, at, self._checked, self._scanner.limits)
                return None
        elif buffer[at] == 0x0D:
            # RFC 9112 section 2.2: empty lines before a request line are passed over.
            while buffer.startswith(b"\r\n", at):
                at += 2
            self._advance(at)
            if buffer[at:] in (b"", b"\r"):
                return None
        head = self._head
        if head is None or not head.begins(buffer, at):
            head = self._scanner.scan(buffer, at)
            if head is None:
                self._checked = check_lines(buffer, at, max(at, self._checked), self._scanner.limits)
                return None
            self._head = head if head.size <= KNOWN_SIZE else None
        self._checked = -1
        self._advance(at + head.size)
        self.length = head.length
        self.keep_alive = head.keep_alive
        self.expects_continue = head.expects_continue
        if head.length:
            # How long it may be, the endpoint says: `limit_body` follows before the first piece is read.
            limits = self._scanner.limits
            self._body = ChunkedBody(limits, limits.body) if head.length == CHUNKED else LengthBody(head.length)
            self.in_body = True
            self.body_size = 0
        return head.request(self._ends)

    def can_discard(self, at_most: int) -> bool:
        """Whether the body, if nobody reads it, is `at_most` so many bytes, and sure to come."""
        return not self.expects_continue and self.length != CHUNKED and self.length <= at_most

    def limit_body(self, max_body: int) -> None:
        """Sets what the coming body may hold. Raises ProtocolError 413 if its Content-Length says more."""
        if self.length == CHUNKED:
            self._body = ChunkedBody(self._scanner.limits, max_body)
        elif self.length > max_body:
            raise ProtocolError(413, "body-too-large", f"the body is longer than {max_body} bytes")

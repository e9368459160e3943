"""The reading side of a client connection: bytes are fed in, response heads and the pieces of their bodies come out.

Heads are held to the same grammar as those of requests, by the same means: one pattern for a whole head, and a look
line by line only where it does not match (see `wire.head`). Where the body ends is RFC 9112 section 6.3, as a table of
conditions in its order.
"""

from __future__ import annotations

import re

from firstbyte.errors import ProtocolError
from firstbyte.http.headers import Headers
from firstbyte.http.status import has_body
from firstbyte.wire import grammar
from firstbyte.wire.body import ChunkedBody, LengthBody
from firstbyte.wire.head import (
    CHUNKED,
    check_lines,
    content_length_of,
    is_persistent,
    refuse,
    refuse_field,
    refuse_line_end,
    remember,
    shown,
    transfer_coding_of,
)
from firstbyte.wire.limits import Limits
from firstbyte.wire.messages import MessageReader

UNTIL_CLOSE = -2
"""Stands for a length that only the end of the connection will tell; CHUNKED is the other one that is no number."""

RESPONSE_LIMITS = Limits(head=256 * 1024, fields=256, body=2**63 - 1)
"""A client asked for what it gets, so it takes larger heads than a server: curl's 300 KB, many Set-Cookie among them.
How long a body may become is for whoever keeps it to say."""

_SHORT = 2048  # bytes of the longest head that a connection remembers


class ResponseHead:
    """A response head, found valid. It is shared between equal heads and is not to be changed.

    `block` is the field lines as they came; `length` that of the body in bytes, or CHUNKED or UNTIL_CLOSE, as the
    fields say it: what the request's method and the status make of it is in `ResponseReader`. `keep_alive` is whether
    the connection persists by what the fields say; `is_coded` and `sets_cookies` are whether there is a
    Content-Encoding and a Set-Cookie among them, which most responses have not.
    """

    __slots__ = ("block", "is_coded", "keep_alive", "length", "minor", "reason", "sets_cookies", "status")

    def __init__(
        self,
        status: int,
        reason: str,
        minor: int,
        block: bytes,
        length: int,
        keep_alive: bool,
        is_coded: bool,
        sets_cookies: bool,
    ) -> None:
        self.status = status
        self.reason = reason
        self.minor = minor
        self.block = block
        self.length = length
        self.keep_alive = keep_alive
        self.is_coded = is_coded
        self.sets_cookies = sets_cookies

    @property
    def headers(self) -> Headers:
        """The header fields, as an object of its own each time."""
        return Headers.from_block(self.block)


class ResponseReader(MessageReader):
    """Reads the responses of one connection, in order.

    Say with `expect` which method is to be answered, call `feed` with what came, then `read_head` until it returns a
    head: interim ones (1xx) come before the final one, and only the latter has a body. While `in_body`, call
    `read_body` for the pieces; call `end` when the peer has closed. `length` may be UNTIL_CLOSE. Raised offsets count
    from the head's or the body's first byte; the status of a ProtocolError is a server's and means nothing here.
    """

    __slots__ = ("_known", "_last", "_last_head", "_limits", "_method")

    def __init__(self, limits: Limits = RESPONSE_LIMITS) -> None:
        super().__init__()
        self._limits = limits
        self._known = _known.setdefault(limits, {})
        self._last = b""  # the head read last, as it came: most are as the one before
        self._last_head: ResponseHead | None = None
        self._method = "GET"

    def expect(self, method: str) -> None:
        """The next final response answers a request of `method`."""
        self._method = method

    def read_head(self) -> ResponseHead | None:
        """The next head, or None until it is complete. Raises ProtocolError."""
        if not self.pending:
            return None
        buffer, at = self._buffer, self._at
        head = self._last_head
        if head is not None and buffer.startswith(self._last, at):
            end = at + len(self._last)
        else:
            head = None
            end = buffer.find(b"\r\n\r\n", max(at, self._checked - 2)) + 4
            if end > 3:
                data = buffer[at:end]
                head = self._known.get(data) or self._scan(data)
            if head is None:
                self._checked = check_lines(
                    buffer, at, self._checked if self._checked >= 0 else at, self._limits, check_status_line
                )
                return None
            if len(data) <= _SHORT:
                self._last, self._last_head = data, head
        self._checked = -1
        self._advance(end)
        if head.status >= 200 or head.status == 101:
            self._begin_body(head)
        return head

    def _scan(self, head: bytes) -> ResponseHead | None:
        """What a head with its empty line says, or None if it is not well-formed. Raises ProtocolError."""
        limits = self._limits
        if len(head) > limits.head:
            return None
        line_end = head.find(b"\r\n") + 2
        match = _status_line.fullmatch(head, 0, line_end)
        if match is None or line_end > limits.request_line:
            return None
        block = head[line_end:-2]
        if grammar.field_block.fullmatch(block) is None:
            return None
        if block.count(b"\n") > limits.fields:
            refuse(431, "too-many-fields", f"the head has more than {limits.fields} fields")
        minor, status, reason = int(match[1]), int(match[2]), (match[3] or b"").decode("latin-1")
        try:
            length, keep_alive = _framing(block, minor)
        except ProtocolError as error:
            error.offset += line_end
            raise
        is_coded, sets_cookies = _has_coding(block) is not None, _sets_cookie(block) is not None
        found = ResponseHead(status, reason, minor, block, length, keep_alive, is_coded, sets_cookies)
        remember(self._known, head, found)
        return found

    def _begin_body(self, head: ResponseHead) -> None:
        """RFC 9112 section 6.3, in its order."""
        status, method = head.status, self._method
        length = head.length
        self.keep_alive = head.keep_alive
        if method == "HEAD" or (status != 200 and not has_body(status)):
            length = 0
        elif method == "CONNECT" and status < 300:
            length = 0
            self.keep_alive = False  # as HTTP: what follows is the tunnel
        if status == 101:
            self.keep_alive = False
        self.length = length
        self.body_size = 0
        self.trailers = None
        if not length:
            return
        self.in_body = True
        if length == CHUNKED:
            self._body = ChunkedBody(self._limits, self._limits.body)
        elif length == UNTIL_CLOSE:
            self._body = _UntilClose()
            self.keep_alive = False
        else:
            self._body = LengthBody(length)

    def end(self) -> bool:
        """The peer has closed: whether the response is complete. One that goes on until then is."""
        if self.in_body and self.length == UNTIL_CLOSE:
            self._body = None
            self.in_body = False
        return not self.in_body


class _UntilClose:
    """A body that goes on until the connection ends (RFC 9112 section 6.3, rule 8)."""

    __slots__ = ("done", "trailers")

    def __init__(self) -> None:
        self.done = False
        self.trailers: Headers | None = None

    def decode(self, buffer: bytes, start: int) -> tuple[bytes, int]:
        """See `BodyDecoder.decode`."""
        return buffer[start:], len(buffer)


def check_status_line(line: bytes, limits: Limits) -> None:
    """Checks a status line, or the beginning of one that has no end yet (RFC 9112 section 4). Raises ProtocolError."""
    for at, (expected, found) in enumerate(zip(b"HTTP/", line, strict=False)):
        if expected != found:
            refuse(502, "not-http", f"{shown(line)} is no HTTP response: it must begin with HTTP/", at)
    if len(line) > limits.request_line:
        message = f"the status line is longer than {limits.request_line} bytes"
        refuse(502, "status-line-too-long", message, limits.request_line)
    if not line.endswith(b"\n"):
        return
    refuse_line_end(line, 0)
    if _status_line.fullmatch(line) is not None:
        return
    version, _, rest = line[:-2].partition(b" ")
    if _VERSION.fullmatch(version) is None:
        refuse(502, "version", f"{shown(version)} is no version: it must be HTTP/1.1 or HTTP/1.0", 5)
    if version not in (b"HTTP/1.1", b"HTTP/1.0"):
        refuse(502, "version-unsupported", f"{shown(version)} is not what was asked for: HTTP/1.1 was", 5)
    status, _, reason = rest.partition(b" ")
    if _STATUS.fullmatch(status) is None:
        refuse(502, "status", f"{shown(status)} is no status: that is three digits from 100", 9)
    bad = _NOT_REASON.search(reason)
    assert bad is not None  # all else is fine
    refuse(502, "reason", f"{shown(bad.group())} cannot stand in a reason phrase", 13 + bad.start())


def _framing(block: bytes, minor: int) -> tuple[int, bool]:
    """The length of the body and whether the connection persists, as the fields say. Raises ProtocolError."""
    content_length = coding = connection = b""
    for name, value in _framing_fields(b"\n" + block):
        width = len(name)  # the three names differ in length
        if width == 10:
            connection = connection + b"," + value if connection else value
        elif width == 14:
            if content_length:
                refuse_field(block, name, 502, "content-length-repeated", "Content-Length is given twice")
            content_length = value or b" "
        else:
            coding = coding + b"," + value if coding else value or b" "
    keep_alive = is_persistent(connection, minor)
    if coding:
        if content_length:
            message = "Content-Length and Transfer-Encoding exclude each other"
            refuse_field(block, b"transfer-encoding", 502, "length-and-coding", message)
        return transfer_coding_of(block, coding, minor), keep_alive
    if content_length:
        return content_length_of(block, content_length), keep_alive
    return UNTIL_CLOSE, keep_alive


_status_line = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*+))?\r\n")
"""RFC 9112 section 4; many servers leave out the space when there is no reason phrase, which nobody can misread."""
_VERSION = re.compile(rb"HTTP/[0-9]\.[0-9]")
_STATUS = re.compile(rb"[1-9][0-9]{2}")
_NOT_REASON = re.compile(rb"[^\t\x20-\x7e\x80-\xff]")
_framing_fields = re.compile(
    rb"\n(connection|content-length|transfer-encoding):[ \t]*+([^\r]*+)", re.IGNORECASE
).findall
_has_coding = re.compile(rb"^content-encoding:", re.IGNORECASE | re.MULTILINE).search
_sets_cookie = re.compile(rb"^set-cookie:", re.IGNORECASE | re.MULTILINE).search
_known: dict[Limits, dict[bytes, ResponseHead]] = {}  # short heads lately found valid, by the limits that they keep

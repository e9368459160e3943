"""Scans a request head: one pass over well-formed bytes, and a second, slow look only at those that are refused.

Strategy: one pattern matches the request line and one all of the field lines. What they do not match is either not
complete yet or wrong; then `check_lines` walks it line by line and either finds nothing against it so far or raises the
first offence in byte order. So the refusal is the same whether the bytes come at once or one by one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NoReturn, TypeAlias, TypeVar

from firstbyte.errors import ProtocolError
from firstbyte.http.request import Ends, Request
from firstbyte.wire import grammar
from firstbyte.wire.limits import Limits

T = TypeVar("T")

CHUNKED = -1  # stands for a length that only the body itself will tell
KNOWN_SIZE = 1024  # bytes of the longest head, request line or field block that is remembered


Framing: TypeAlias = tuple[int, bool, bool]
"""What a head says of message and connection: the length of the body in bytes or CHUNKED, whether the connection
persists, whether the client waits for a 100 (RFC 9112 sections 6 and 9, RFC 9110 section 10.1.1)."""


class Head:
    """A valid head and what it says, over whichever connection it came: known ones are shared, so none is changed.

    `size` is its length as it came, `data` what requests have of it, with the first field at `fields_at`; the rest of
    it is `method`, `path`, `query` and `version` (the x of HTTP/1.x), and the parts of its `Framing`.
    """

    __slots__ = (
        "data", "expects_continue", "fields_at", "keep_alive", "length", "method", "path", "query", "size", "version",
    )  # fmt: skip

    def __init__(
        self, method: str, path: str, query: str, version: int, data: bytes, fields_at: int, size: int, framing: Framing
    ) -> None:
        self.method = method
        self.path = path
        self.query = query
        self.version = version
        self.data = data
        self.fields_at = fields_at
        self.size = size
        self.length, self.keep_alive, self.expects_continue = framing

    def request(self, ends: Ends) -> Request:
        """A request with this head, over a connection with these ends."""
        request = Request.__new__(Request)
        request._begin(self.method, self.path, self.query, self.version, self.data, self.fields_at, ends)
        return request

    def begins(self, buffer: bytes, at: int) -> bool:
        """Whether this very head stands there. No longer one does: the first empty line ends a head."""
        return self.size == len(self.data) and buffer.startswith(self.data, at)


class HeadScanner:
    """Scans heads under one set of limits.

    It remembers the heads, request lines and field blocks that it has lately found valid: clients send the same ones
    again and again, and what was checked once need not be checked again. Those with a body may differ in its length
    alone, so of their fields all but the line of Content-Length is remembered, too. What it remembers is bounded.
    """

    __slots__ = ("_blocks", "_blocks_but_length", "_heads", "_heads_of_bodies", "_lines", "limits")

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._heads: dict[bytes, Head] = {}
        # Apart, since those with bodies of many lengths must not drive out all others.
        self._heads_of_bodies: dict[bytes, Head] = {}
        self._lines: dict[bytes, tuple[str, str, int]] = {}  # method, target and version of a request line
        self._blocks: dict[bytes, Framing] = {}  # field block of an HTTP/1.1 request without a body
        self._blocks_but_length: dict[bytes, Framing] = {}  # one with a Content-Length, its whole line left out

    def scan(self, buffer: bytes, start: int) -> Head | None:
        """The head that begins at `start`, or None if no whole, well-formed head is there (see `check_lines`).

        Raises ProtocolError for well-formed fields that break a rule together, with the offset counted from `start`.
        """
        if not start and len(buffer) <= KNOWN_SIZE:
            known = self._heads.get(buffer)  # most often it is one head, and nothing else
            if known is not None:
                return known
        stop = buffer.find(b"\r\n\r\n", start) + 2  # the end of the last field line
        if stop < 2:
            return None
        data = buffer[start : stop + 2]  # which copies nothing if it is the whole of it
        size = len(data)
        if size <= KNOWN_SIZE:
            known = self._heads.get(data)
            if known is None:
                known = self._heads_of_bodies.get(data)
            if known is not None:
                return known
        line_end = buffer.find(b"\r\n", start)
        limits = self.limits
        if size > limits.request_line or size > limits.head:
            check_lines(buffer, start, start, limits)  # where a line before is wrong, that is the first offence
        line = buffer[start:line_end]
        parts = self._lines.get(line)
        if parts is None:
            match = _match_line(line)
            if match is None:
                return None
            # RFC 9110 section 6.2: a higher minor version is read as the highest known here.
            # One object for each usual method: tables of methods find it without a comparison.
            method = _METHODS.get(match[1]) or match[1].decode("ascii")
            parts = method, match[2].decode("ascii"), 0 if match[3] == b"0" else 1
            remember(self._lines, line, parts)
        method, target, version = parts
        block = buffer[line_end + 2 : stop]
        block_framing = self._blocks.get(block) if version else None
        rest = None
        if block_framing is None and version and len(block) <= KNOWN_SIZE:
            # As most clients write it, behind another line. It is not within a value, since values have no line end.
            at = block.find(b"\nContent-Length: ")
            if at < 0:
                at = block.find(b"\ncontent-length: ")
            if at >= 0:
                at += 1
                digits_end = block.find(b"\r\n", at)
                digits = block[at + _LENGTH_NAME : digits_end]
                if digits.isdigit() and len(digits) <= 18:
                    # What is left is lines as they were found valid, with one Content-Length and no Transfer-Encoding.
                    rest = block[:at] + block[digits_end + 2 :]
                    known_framing = self._blocks_but_length.get(rest)
                    if known_framing is not None:
                        block_framing = (int(digits), known_framing[1], known_framing[2])
        if block_framing is None:
            if _match_block(block) is None:
                return None
            if size > 4 * limits.fields and block.count(b"\n") > limits.fields:  # "a:" CR LF is the shortest field
                refuse(431, "too-many-fields", f"the head has more than {limits.fields} fields")
            try:
                block_framing = _framing(block, method, version)
            except ProtocolError as error:
                error.offset += line_end + 2 - start
                raise
            if version and not block_framing[0]:
                remember(self._blocks, block, block_framing)
            elif rest is not None:
                remember(self._blocks_but_length, rest, block_framing)

        fields_at = line_end + 2 - start
        if target[0] == "/" and method != "CONNECT":  # origin-form
            path, _, query = target.partition("?")
            head = Head(method, path, query, version, data, fields_at, size, block_framing)
            remember(self._heads_of_bodies if block_framing[0] else self._heads, data, head)
            return head
        path, query, authority = _other_form(method, target)
        if authority is not None:
            data = _with_host(data, fields_at, authority)
        return Head(method, path, query, version, data, fields_at, size, block_framing)


def remember(known: dict[bytes, T], key: bytes, value: T) -> None:
    """Puts what a short `key` was found to be into `known`, which stays small."""
    if len(key) <= KNOWN_SIZE:
        if len(known) >= _KNOWN:
            known.clear()
        known[key] = value


def check_request_line(line: bytes, limits: Limits) -> None:
    """Checks a request line, or the beginning of one that has no end yet. Raises ProtocolError."""
    if not line.endswith(b"\n"):
        # A line that has no end yet can already be too long.
        if line and line[0] == 0x16:
            refuse(400, "tls-on-plain-port", "this looks like TLS, but the port speaks plain HTTP")
        if len(line) > limits.request_line:
            refuse(414, "request-line-too-long", _TOO_LONG.format(limits.request_line), limits.request_line)
    elif len(line) > limits.request_line or line[-2:] != b"\r\n" or _match_line(line, 0, len(line) - 2) is None:
        _refuse_request_line(line, limits)


def check_lines(
    buffer: bytes,
    start: int,
    at: int,
    limits: Limits,
    check_first: Callable[[bytes, Limits], None] = check_request_line,
) -> int:
    """Checks the complete lines of a head from `at`; returns where the next, incomplete one or the body begins.

    `start` is where the head begins; its first line, whole or not, is for `check_first`. Raises ProtocolError for the
    first offence in byte order.
    """
    while True:
        newline = buffer.find(b"\n", at)
        stop = len(buffer) if newline < 0 else newline + 1
        line = buffer[at:stop]
        if at == start:
            check_first(line, limits)
        if stop - start > limits.head:
            refuse(431, "head-too-large", f"the head is longer than {limits.head} bytes", limits.head)
        if newline < 0:
            return at
        if line == b"\r\n":
            return stop
        if at != start and grammar.field_line.fullmatch(line) is None:
            refuse_field_line(line, at - start)
        at = stop


def refuse_field_line(line: bytes, offset: int) -> NoReturn:
    """Says what is wrong with a field line that the grammar does not match; `offset` is where the line begins."""
    if line[:1] in (b" ", b"\t"):
        refuse(400, "obs-fold", "a field line that begins with whitespace (obsolete line folding) is not taken", offset)
    refuse_line_end(line, offset)
    name, colon, _ = line.partition(b":")
    if not colon:
        refuse(400, "field-no-colon", f"{shown(line)} is no header field: it has no colon", offset)
    bad = _NOT_TOKEN.search(name)
    if not name:
        refuse(400, "field-name-empty", "a header field has no name before its colon", offset)
    if bad is not None:
        at = offset + bad.start()
        if bad.start() == len(name.rstrip(b" \t")):
            refuse(400, "field-space-before-colon", "whitespace stands between a header's name and its colon", at)
        refuse(400, "field-name", f"{shown(bad.group())} cannot stand in a header's name", at)
    control = _NOT_VALUE.search(line, len(name) + 1, len(line) - 2)
    assert control is not None  # the line end, the colon and the name are fine
    refuse(
        400,
        "field-control",
        f"control character {shown(control.group())} in the value of {shown(name)}",
        offset + control.start(),
    )


# -- the request line and its forms


def _refuse_request_line(line: bytes, limits: Limits) -> NoReturn:
    if line[0] == 0x16:
        refuse(400, "tls-on-plain-port", "this looks like TLS, but the port speaks plain HTTP")
    if len(line) > limits.request_line:
        refuse(414, "request-line-too-long", _TOO_LONG.format(limits.request_line), limits.request_line)
    refuse_line_end(line, 0)
    method, _, rest = line[:-2].partition(b" ")
    bad = _NOT_TOKEN.search(method)
    if not method or bad is not None:
        refuse(400, "method", "the request line does not begin with a method", bad.start() if bad else 0)
    target, _, version = rest.rpartition(b" ")
    at = len(method) + 1
    if not target and not version.startswith(b"HTTP/"):
        refuse(400, "no-version", "the request line ends without a version: HTTP/0.9 is not spoken here", len(line) - 2)
    bad = _NOT_TARGET.search(target)
    if not target or bad is not None:
        offset = at + (bad.start() if bad else 0)
        if not target or (bad is not None and bad.group() == b" "):
            refuse(400, "request-line-space", "the request line must have exactly two spaces", offset)
        assert bad is not None
        refuse(400, "target", f"{shown(bad.group())} cannot stand in a request target: percent-encode it", offset)
    at += len(target) + 1
    if _VERSION.fullmatch(version) is None:
        refuse(400, "version", f"{shown(version)} is no version: it must be HTTP/1.1 or HTTP/1.0", at)
    refuse(505, "version-unsupported", f"{shown(version)} is not spoken here: HTTP/1.1 and HTTP/1.0 are", at)


def _other_form(method: str, target: str) -> tuple[str, str, str | None]:
    """Path, query and authority of an absolute-form or asterisk-form target (RFC 9112 section 3.2)."""
    at = len(method) + 1
    if target == "*":
        if method != "OPTIONS":
            refuse(400, "target-asterisk", f"the target * belongs to OPTIONS, not to {method}", at)
        return "*", "", None
    if method == "CONNECT":
        refuse(501, "connect", "this server opens no tunnels (CONNECT)", at)
    absolute = grammar.absolute_target.fullmatch(target)
    if absolute is None:
        refuse(400, "target-form", f"the target {target[:40]!a} begins neither with / nor with http://", at)
    _, authority, path, query = absolute.groups()
    if not authority or grammar.host.fullmatch(authority.encode()) is None:
        refuse(400, "target-authority", f"{authority[:40]!a} is no host", at)
    return path or ("*" if method == "OPTIONS" and not query else "/"), (query or "?")[1:], authority


def _with_host(head: bytes, fields_at: int, authority: str) -> bytes:
    """The head with the authority of its target in the place of Host (RFC 9112 section 3.2.2), for all who read it."""
    line = b"Host: " + authority.encode() + b"\r\n"
    host = _HOST_LINE.search(head, fields_at - 1)
    before, behind = (fields_at, fields_at) if host is None else (host.start() + 1, host.end())
    return head[:before] + line + head[behind:]


# -- framing and connection fields


def _framing(block: bytes, method: str, version: int) -> Framing:
    """The framing, by every rule about the fields together. Raises ProtocolError with its offset in the block."""
    hosts = 0
    host = content_length = coding = connection = expect = b""
    for name, value in _framing_fields(b"\n" + block):
        width = len(name)  # the five names differ in length
        if width == 4:
            hosts += 1
            host = value.rstrip(b" \t")
        elif width == 10:
            connection = connection + b"," + value if connection else value
        elif width == 14:
            if content_length:
                refuse_field(block, name, 400, "content-length-repeated", "Content-Length is given twice")
            content_length = value or b" "
        elif width == 17:
            coding = coding + b"," + value if coding else value or b" "
        else:
            expect = expect + b"," + value if expect else value
    if hosts > 1:
        refuse_field(block, b"host", 400, "host-repeated", "Host is given more than once")
    if version and not hosts:  # RFC 9112 section 3.2
        refuse(400, "host-missing", "an HTTP/1.1 request must have a Host")
    if host and grammar.host.fullmatch(host) is None:  # an empty one is valid
        refuse_field(block, b"host", 400, "host-invalid", f"the Host {shown(host)} is no host and port")
    length = 0
    if coding:
        if content_length:
            message = "Content-Length and Transfer-Encoding exclude each other"
            refuse_field(block, b"transfer-encoding", 400, "length-and-coding", message)
        length = transfer_coding_of(block, coding, version)
    elif content_length:
        length = content_length_of(block, content_length)
    elif not version and method in _METHODS_WITH_BODY:
        refuse(411, "length-required", "an HTTP/1.0 request with a body must give its Content-Length")
    continues = False
    if expect:
        # RFC 9110 section 10.1.1: 100-continue is the only expectation; an HTTP/1.0 client's is ignored.
        if expect.rstrip(b" \t").lower() != b"100-continue":
            message = f"the expectation {shown(expect)} cannot be met: 100-continue can"
            refuse_field(block, b"expect", 417, "expectation", message)
        continues = version == 1
    return length, is_persistent(connection, version), continues


def is_persistent(connection: bytes, version: int) -> bool:
    """RFC 9112 section 9.3: a connection persists unless closed in 1.1, and is closed unless asked to persist in
    1.0."""
    if not connection:
        return version == 1
    options = [option.strip(b" \t") for option in connection.lower().split(b",")]
    return b"close" not in options and (version == 1 or b"keep-alive" in options)


def content_length_of(block: bytes, value: bytes) -> int:
    """The number of bytes that the value of a Content-Length gives. Raises ProtocolError."""
    digits = value.rstrip(b" \t")
    if not digits.isdigit() or len(digits) > 18:  # bytes.isdigit is ASCII only; 18 digits fit any machine's integer
        message = f"Content-Length {shown(digits)} is not a plain decimal number"
        refuse_field(block, b"content-length", 400, "content-length-invalid", message)
    return int(digits)


def transfer_coding_of(block: bytes, value: bytes, version: int) -> int:
    """RFC 9112 section 6.1: only chunked, once, and in HTTP/1.1."""
    codings = [coding.strip(b" \t").lower() for coding in value.split(b",")]
    if not version:
        status, rule, message = 400, "coding-in-1.0", "HTTP/1.0 has no Transfer-Encoding"
    elif codings == [b"chunked"]:
        return CHUNKED
    elif codings.count(b"chunked") > 1:
        status, rule, message = 400, "coding-repeated", "Transfer-Encoding names chunked more than once"
    elif codings[-1] != b"chunked":  # then nothing says where the body ends: section 6.3, rule 4
        status, rule, message = 400, "coding-order", "chunked is not the last of the transfer codings"
    else:
        status, rule = 501, "coding-unknown"
        message = f"Transfer-Encoding {shown(value.strip())} is not implemented: chunked is"
    refuse_field(block, b"transfer-encoding", status, rule, message)


def refuse_field(block: bytes, name: bytes, status: int, rule: str, message: str) -> NoReturn:
    """Refuses the last field of that name, with its place in the block."""
    refuse(status, rule, message, (b"\n" + block).lower().rindex(b"\n" + name.lower() + b":"))


# -- words


def refuse_line_end(line: bytes, offset: int) -> None:
    """Raises for a CR without LF or an LF without CR in `line`, which ends with LF; otherwise returns."""
    cr = line.find(b"\r")
    if cr < 0:
        refuse(400, "bare-lf", "a line ends with LF alone: lines end with CR LF", offset + len(line) - 1)
    if cr != len(line) - 2:
        refuse(400, "bare-cr", "a CR stands without an LF behind it", offset + cr)


def shown(data: bytes) -> str:
    """`data` for a message: short, quoted, and with nothing that a terminal or a log could take for a command."""
    text = data.rstrip(b"\r\n")[:40].decode("latin-1")
    return ascii(text) + ("..." if len(data) > 42 else "")


def refuse(status: int, rule: str, message: str, offset: int = 0) -> NoReturn:
    """Raises the ProtocolError of these parts."""
    raise ProtocolError(status, rule, message, offset)


_TOO_LONG = "the request line is longer than {} bytes"
_METHODS = {name.encode(): name for name in ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS")}
_METHODS_WITH_BODY = frozenset(("POST", "PUT", "PATCH"))
_NOT_TOKEN = re.compile(rb"[^!#$%&'*+\-.^_`|~0-9A-Za-z]")
_NOT_TARGET = re.compile(rb"[^\x21\x22\x24-\x7e]")
_NOT_VALUE = re.compile(rb"[^\t\x20-\x7e\x80-\xff]")
_VERSION = re.compile(rb"HTTP/[0-9]\.[0-9]")
_HOST_LINE = re.compile(rb"\nhost:[^\r]*\r\n", re.IGNORECASE)
_LENGTH_NAME = len(b"Content-Length: ")
_KNOWN = 256  # heads, request lines and field blocks, each, that a scanner remembers
_match_line = grammar.request_line.fullmatch
_match_block = grammar.field_block.fullmatch
_framing_fields = re.compile(
    rb"\n(host|connection|content-length|transfer-encoding|expect):[ \t]*+([^\r]*+)", re.IGNORECASE
).findall

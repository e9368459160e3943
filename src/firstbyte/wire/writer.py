"""Responses to bytes: the head, and the framing that tells the peer where the body ends (RFC 9112 section 6.3).

A plain response (bytes, no header but Content-Type) is a prefix rendered once per status and type, a length and a tail
rendered once a second; one that is prepared has its own prefix. All others go the long way through `encode_head`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple

from firstbyte.errors import ResponseError
from firstbyte.http.headers import Headers, check_field
from firstbyte.http.response import FileBody, Prepared, Response
from firstbyte.http.status import has_body, phrase
from firstbyte.http.upgrade import Upgrade

SERVER = "firstbyte"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"


# How the peer knows where the body ends. Plain integers, since they are compared for every response.
NONE = 0  # there is no body: HEAD, 204, 304
LENGTH = 1  # Content-Length says
CHUNKED = 2  # the last chunk says
CLOSE = 3  # the connection's end says: a body of unknown length for an HTTP/1.0 client


class Head(NamedTuple):
    """An encoded response head and what follows it. `length` is that of the body in bytes where `ending` is LENGTH."""

    data: bytes
    ending: int
    length: int
    keep_alive: bool


class Tails:
    """The last lines of a head for one second: Date, and what the head says of the connection."""

    __slots__ = ("close", "date", "keep", "keep_old")

    def __init__(self, date: str) -> None:
        self.date = date
        self.keep = f"\r\nDate: {date}\r\n\r\n".encode("latin-1")  # HTTP/1.1 persists unless told otherwise
        self.keep_old = f"\r\nDate: {date}\r\nConnection: keep-alive\r\n\r\n".encode("latin-1")
        self.close = f"\r\nDate: {date}\r\nConnection: close\r\n\r\n".encode("latin-1")

    def of(self, keep_alive: bool, minor: int) -> bytes:
        """The tail for a connection that stays or does not, and a client of HTTP/1.`minor`."""
        if not keep_alive:
            return self.close
        return self.keep if minor else self.keep_old


def encode_plain(response: Response, body: bytes | FileBody, tail: bytes) -> bytes | None:
    """Head and body of a response that is prepared, or whose only header is its Content-Type; of a file the head alone.

    None for one that must go the long way: a status that has no body, a header that is the server's to write.
    """
    if isinstance(body, bytes):
        size, rest = len(body), body
    else:
        size, rest = body.count, b""
    prepared = response._prepared
    if prepared is not None and prepared.status == response.status and prepared.content_type == response.content_type:
        prefix = prepared.encoded
        if prefix is None:
            prefix = prepared.encoded = _prepared_prefix(prepared)
        if not prefix:
            return None
        if prepared.is_dated:
            tail = tail[_DATE_SIZE:]
        if prepared.status == 304:
            return None if size else prefix + tail
    elif prepared is not None:
        return None
    else:
        prefixes = _prefixes_of_200 if response.status == 200 else _prefixes.get(response.status)
        known = None if prefixes is None else prefixes.get(response.content_type)
        if known is None:
            known = _prefix(response.status, response.content_type)
            if known is None:
                return None
        last = known.last
        if last.size == size and last.tail is tail:
            return last.head + rest
        prefix = known.data
        if size == known.size:
            known.last = last = _Head(size, tail, b"%b%d%b" % (prefix, size, tail))
            return last.head + rest
        known.size = size
    return b"".join((prefix, _DIGITS[size] if size < 1024 else f"{size}".encode(), tail, rest))


def encode_head(response: Response, method: str, minor: int, keep_alive: bool, tails: Tails) -> Head:
    """The head of any response to a request of `method` from a client of HTTP/1.`minor`, and how its body ends.

    Raises ResponseError for a header that is the server's to write, a Content-Length that the body belies, and for what
    became of a status, a body or a Content-Type that was set after the response was made and is none.
    """
    status = response.status
    if status == 101 and isinstance(response, Upgrade):
        return _switching(response, tails)
    if not _is_final(status):
        raise ResponseError(f"{status!r} is no status of a response: that is a number from 200 to 599")
    body = response.body
    length: int | None = None
    if isinstance(body, bytes):
        length = len(body)
    elif isinstance(body, FileBody):
        length = body.count
    elif not isinstance(body, Iterator | AsyncIterator):
        raise ResponseError(f"a body is bytes, an iterator of bytes or a FileBody, not {type(body).__name__}")
    try:
        fields = response.headers.items()
    except (TypeError, ValueError) as error:
        raise ResponseError(str(error)) from None
    lines = [f"HTTP/1.1 {status} {phrase(status)}"]
    server = f"Server: {SERVER}"
    date = None
    for name, value in fields:
        lowered = name.lower()
        if lowered == "content-length":
            length = _given_length(value, length, method, status)
            continue
        if lowered == "connection":
            if value.strip().lower() == "close":
                keep_alive = False
                continue
            raise ResponseError(f"the header Connection: {value} is the server's to write; only close may be asked for")
        if lowered == "upgrade" and status == 426:
            lines.append("Connection: Upgrade")  # RFC 9110 section 7.8
        elif lowered in _SERVERS_OWN:
            raise ResponseError(f"the header {name} is the server's to write")
        if lowered == "server":
            server = f"{name}: {value}"
        elif lowered == "date":
            date = value
        else:
            lines.append(f"{name}: {value}")
    if server:
        lines.insert(1, server)

    ending = NONE
    if not has_body(status):
        if length and status != 304:
            raise ResponseError(f"a {status} response has no body, but {length} bytes were given")
        if length is not None and status == 304 and "content-length" in response.headers:
            lines.append(f"Content-Length: {length}")
    elif status == 205 and length != 0:  # RFC 9110 section 15.3.6; its length is said all the same
        raise ResponseError("a 205 response has no body, but one was given")
    elif length is not None:
        lines.append(f"Content-Length: {length}")
        ending = LENGTH
    elif minor:
        lines.append("Transfer-Encoding: chunked")
        ending = CHUNKED
    else:
        keep_alive = False
        ending = CLOSE
    if method == "HEAD":
        ending = NONE
    if date is None:
        data = "\r\n".join(lines).encode("latin-1") + tails.of(keep_alive, minor)
    else:
        data = "\r\n".join(lines).encode("latin-1") + Tails(date).of(keep_alive, minor)
    return Head(data, ending, length or 0, keep_alive)


def encode_interim(status: int, fields: Headers) -> bytes:
    """An interim response (RFC 9110 section 15.2). Raises ValueError for a status that is none, or that is 101."""
    if not 100 <= status <= 199 or status == 101:
        raise ValueError(f"{status} is no status of an interim response: that is 100, or one from 102 to 199")
    return b"HTTP/1.1 %d %b\r\n%b\r\n" % (status, phrase(status).encode(), _lines(fields))


def _switching(response: Upgrade, tails: Tails) -> Head:
    """The head of a 101 (RFC 9110 section 7.8); what follows it is another protocol's, up to the connection's end."""
    lines = [f"HTTP/1.1 101 {phrase(101)}", f"Server: {SERVER}", f"Date: {tails.date}"]
    for name, value in response.headers.items():
        if name.lower() in ("content-length", "transfer-encoding"):
            raise ResponseError(f"a 101 has no {name}: it has no body")
        lines.append(f"{name}: {value}")
    return Head("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n", CLOSE, 0, False)


def encode_chunk(piece: bytes) -> bytes:
    """One chunk; `piece` is not empty, since an empty chunk ends the body (RFC 9112 section 7.1)."""
    return b"%x\r\n%b\r\n" % (len(piece), piece)


def encode_last_chunk(trailers: Headers | None) -> bytes:
    """The end of a chunked body. Raises ResponseError for a field that cannot be a trailer."""
    return LAST_CHUNK if not trailers else b"0\r\n%b\r\n" % _trailer_lines(trailers)


class BodyWriter:
    """Frames the pieces of a body as its head has announced them; `ending` and `length` are those of a `Head`.

    Raises ResponseError for a body that is longer or shorter than its Content-Length.
    """

    __slots__ = ("_ending", "_left")

    def __init__(self, ending: int, length: int) -> None:
        self._ending = ending
        self._left = length

    def frame(self, piece: bytes) -> bytes:
        """The next piece, which is not empty, as it goes on the wire."""
        if self._ending == CHUNKED:
            return encode_chunk(piece)
        if self._ending == LENGTH:
            if len(piece) > self._left:
                raise ResponseError(f"the body is {len(piece) - self._left} bytes longer than its Content-Length")
            self._left -= len(piece)
        return piece

    def end(self, trailers: Headers | None = None) -> bytes:
        """What follows the last piece, `trailers` among it where the framing has room for them."""
        if self._ending == LENGTH and self._left:
            raise ResponseError(f"the body ended {self._left} bytes before its Content-Length")
        return encode_last_chunk(trailers) if self._ending == CHUNKED else b""


_DIGITS = [b"%d" % number for number in range(1024)]
_DATE_SIZE = len("\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT")  # of what a tail begins with


class _Head:
    """A head for bodies of `size` bytes, with the tail of one second. It is never changed: threads share it."""

    __slots__ = ("head", "size", "tail")

    def __init__(self, size: int, tail: bytes, head: bytes) -> None:
        self.size = size
        self.tail = tail
        self.head = head


class _Prefix:
    """The lines with which the plain responses of one status and type begin, up to the digits of Content-Length.

    Such responses are often as long as the one before: `size` is its length, and where another had the same `last` has
    their head, for as long as the second lasts.
    """

    __slots__ = ("data", "last", "size")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size = -1
        self.last = _Head(-1, b"", b"")


_prefixes_of_200: dict[str | None, _Prefix] = {}  # by type
_prefixes = {200: _prefixes_of_200}  # by status and type; two look-ups are cheaper than one by a pair


def _prefix(status: int, content_type: str | None) -> _Prefix | None:
    if not _is_final(status) or not has_body(status) or status == 205:
        return None
    if content_type is not None:
        try:
            check_field("Content-Type", content_type)
        except (TypeError, ValueError):
            return None  # the long way says what is wrong
    kind = f"Content-Type: {content_type}\r\n" if content_type is not None else ""
    lines = f"HTTP/1.1 {status} {phrase(status)}\r\nServer: {SERVER}\r\n{kind}Content-Length: "
    prefix = _Prefix(lines.encode("latin-1"))
    prefixes = _prefixes.setdefault(status, {})
    if len(prefixes) < 256:  # a program uses few; one that makes types up must not fill the memory
        prefixes[content_type] = prefix
    return prefix


def _prepared_prefix(prepared: Prepared) -> bytes:
    """The head of a response that is prepared, up to where its length or its tail goes; empty if it has a header that
    the long way looks at."""
    status = prepared.status
    if not _is_final(status) or (status != 304 and (not has_body(status) or status == 205)):
        return b""
    if not _LOOKED_AT.isdisjoint(prepared.headers):
        return b""
    server = "" if "server" in prepared.headers else f"Server: {SERVER}\r\n"
    head = f"HTTP/1.1 {status} {phrase(status)}\r\n{server}".encode("latin-1") + _lines(prepared.headers)
    return head.removesuffix(b"\r\n") if status == 304 else head + b"Content-Length: "


def _is_final(status: object) -> bool:
    return isinstance(status, int) and 200 <= status <= 599


def _given_length(value: str, length: int | None, method: str, status: int) -> int:
    """A Content-Length that the handler wrote: it must be true, except where there is no body to compare it with."""
    if not (value.isascii() and value.isdigit()):
        raise ResponseError(f"Content-Length: {value} is not a plain decimal number")
    given = int(value)
    if length is not None and given != length and not (length == 0 and (method == "HEAD" or status == 304)):
        raise ResponseError(f"Content-Length says {given} bytes, but the body has {length}")
    return given


def _lines(fields: Headers) -> bytes:
    return "".join(f"{name}: {value}\r\n" for name, value in fields.items()).encode("latin-1")


def _trailer_lines(trailers: Headers) -> bytes:
    for name in trailers:
        if name in _NO_TRAILERS:
            raise ResponseError(f"the header {name} cannot stand in a trailer (RFC 9110 section 6.5.1)")
    return _lines(trailers)


_SERVERS_OWN = frozenset(("transfer-encoding", "keep-alive", "upgrade", "te", "proxy-connection"))
_LOOKED_AT = _SERVERS_OWN | {"connection", "content-length"}
_NO_TRAILERS = _SERVERS_OWN | {"connection", "content-length", "content-encoding", "content-type", "host", "trailer"}

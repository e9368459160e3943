"""The bytes of an exchange, explained: each line of a head, how the body is framed, each chunk.

It shows what came even where that breaks the rules, so it reads leniently and judges nothing.
"""

from __future__ import annotations

from codecs import getincrementaldecoder
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from firstbyte.cli.http_output import paint, visible
from firstbyte.client.progress import format_size
from firstbyte.http.status import has_body, phrase

_LINES = 12  # lines of a body or chunk that are shown
_LINE = 100  # bytes of a line of text that are shown
_BINARY_LINE = 16  # bytes of a line of a binary body
_COLUMN = 46  # where notes begin
_KEPT = 64 * 1024  # bytes of each direction of an exchange that are kept to be explained


class Row(NamedTuple):
    """Some bytes of a message: where they are in it, and what they mean. Without bytes it is a remark."""

    offset: int
    data: bytes
    note: str


def explain_request(data: bytes, size: int | None = None) -> Iterator[Row]:
    """The rows of a request of `size` bytes, of which `data` are the first."""
    yield from _explain(data, len(data) if size is None else size, "")


def explain_response(data: bytes, size: int | None = None, method: str = "GET") -> Iterator[Row]:
    """The rows of the response to a request with `method`, interim responses before it included."""
    yield from _explain(data, len(data) if size is None else size, method)


def render(rows: Iterable[Row], mark: str, colour: bool = False) -> str:
    """The rows as text, a line each: mark, offset, bytes with their line ends, note. Lines end without a line end."""
    lines = []
    for row in rows:
        shown = _shown(row.data)
        offset = f"{row.offset:6}" if row.data else " " * 6
        note = f"{' ' * max(_COLUMN - len(shown), 2)}{paint(row.note, 'yellow', colour)}" if row.note else ""
        line_end = len(shown) - len(shown.rstrip("␍␊"))
        text = shown[: len(shown) - line_end] + paint(shown[len(shown) - line_end :], None, colour, dim=True)
        lines.append(f"{paint(mark, 'cyan', colour)} {paint(offset, None, colour, dim=True)}  {text}{note}".rstrip())
    return "\n".join(lines)


class Transcript:
    """Keeps the first bytes of each exchange of a session and explains them; its methods are hooks of the session."""

    def __init__(self) -> None:
        self._exchanges: list[_Exchange] = []

    def begin(self, method: str) -> None:
        """Another request is about to be sent."""
        self._exchanges.append(_Exchange(method))

    def sent(self, data: bytes) -> None:
        """Takes bytes that were sent."""
        self._exchanges[-1].sent.add(data)

    def received(self, data: bytes) -> None:
        """Takes bytes that came."""
        self._exchanges[-1].received.add(data)

    def render(self, colour: bool = False) -> str:
        """All of the exchanges, an empty line between messages."""
        texts = []
        for exchange in self._exchanges:
            sent, received = exchange.sent, exchange.received
            texts.append(render(explain_request(bytes(sent.data), sent.size), ">", colour))
            rows = explain_response(bytes(received.data), received.size, exchange.method)
            texts.append(render(rows, "<", colour))
        return "\n\n".join(filter(None, texts))


class _Kept:
    """The first bytes of what one side said, and how many there were in all."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.size = 0

    def add(self, data: bytes) -> None:
        self.size += len(data)
        self.data += data[: max(_KEPT - len(self.data), 0)]


class _Exchange:
    def __init__(self, method: str) -> None:
        self.method = method
        self.sent = _Kept()
        self.received = _Kept()


def _explain(data: bytes, size: int, method: str) -> Iterator[Row]:
    """`method` is that of the request for a response, and empty for a request itself."""
    at = 0
    while True:
        end = data.find(b"\r\n\r\n", at)
        if end < 0:
            yield from _rows_of_data(data, at, len(data), size, "the head does not end" if data[at:] else "")
            return
        first, *field_lines = data[at : end + 2].split(b"\r\n")[:-1]
        status = 0
        if method:
            note, status = _status_line(first)
        else:
            note = _request_line(first)
        yield Row(at, first + b"\r\n", note)
        at += len(first) + 2
        fields: dict[str, str] = {}
        for line in field_lines:
            name, _, value = line.decode("latin-1").partition(":")
            fields[name.lower()] = value.strip(" \t")
            yield Row(at, line + b"\r\n", _NOTES.get(name.lower(), ""))
            at += len(line) + 2
        framing = _framing(fields, method, status)
        yield Row(at, b"\r\n", f"end of the head; {framing}")
        at += 2
        if not (100 <= status < 200 and status != 101):
            break
    if framing.startswith("chunks"):
        yield from _chunks(data, at, size)
    elif at < size:
        yield from _rows_of_data(data, at, len(data), size, "body")


def _request_line(line: bytes) -> str:
    words = line.decode("latin-1").split(" ")
    if len(words) != 3:
        return "request line"
    forms = {"/": "origin-form", "*": "asterisk-form"}
    form = forms.get(words[1][:1], "authority-form" if words[0] == "CONNECT" else "absolute-form")
    return f"request line: method, target in {form}, version"


def _status_line(line: bytes) -> tuple[str, int]:
    words = line.decode("latin-1").split(" ", 2)
    status = int(words[1]) if len(words) > 1 and words[1].isascii() and words[1].isdigit() else 0
    kind = _KINDS.get(status // 100, "status")
    standard = f"{status} is {phrase(status)}" if phrase(status) not in ("", *words[2:]) else kind
    return f"status line: version, status ({standard}), reason", status


def _framing(fields: dict[str, str], method: str, status: int) -> str:
    """How the end of the body is found (RFC 9112 section 6.3), in words."""
    if 100 <= status < 200:
        return "an interim response, another follows" if status != 101 else "the protocol changes here"
    if method == "HEAD":
        return "no body: the answer to HEAD has none"
    if status and not has_body(status):
        return f"no body: {status} has none"
    if fields.get("transfer-encoding", "").lower().endswith("chunked"):
        return "chunks follow, until one of 0 bytes"
    length = fields.get("content-length")
    if length is not None:
        return f"a body of {length} bytes follows" if length != "0" else "no body: its length is 0"
    return "the body ends where the connection is closed" if method else "no body: a request without a length has none"


def _chunks(data: bytes, at: int, size: int) -> Iterator[Row]:
    while at < len(data):
        end = data.find(b"\r\n", at)
        digits = data[at : max(end, 0)].partition(b";")[0].strip()
        if end < 0 or not digits or digits.strip(b"0123456789abcdefABCDEF"):
            yield from _rows_of_data(data, at, len(data), size, "no chunk")
            return
        length = int(digits, 16)
        yield Row(at, data[at : end + 2], f"a chunk of {length} bytes" if length else "the last chunk")
        at = end + 2
        if not length:
            yield from _trailers(data, at)
            return
        end = min(at + length, len(data))
        yield from _rows_of_data(data, at, end, end, "")
        if data[end : end + 2] == b"\r\n":
            yield Row(end, b"\r\n", "end of the chunk")
        at = end + 2
    if size > len(data):
        yield _left_out(size - len(data))


def _trailers(data: bytes, at: int) -> Iterator[Row]:
    while at < len(data):
        end = data.find(b"\r\n", at)
        line = data[at : end + 2 if end >= 0 else len(data)]
        yield Row(at, line, "end of the message" if line == b"\r\n" else "trailer field")
        at += len(line)


def _rows_of_data(data: bytes, at: int, end: int, size: int, note: str) -> Iterator[Row]:
    """Lines of text, or of hexadecimal bytes, from `at` on; `size` is where the data would end if all were here."""
    binary = _is_binary(data[at : at + 1000])
    for _ in range(_LINES):
        if at >= end:
            break
        stop = min(at + (_BINARY_LINE if binary else _LINE), end)
        if not binary:
            stop = data.find(b"\n", at, stop) + 1 or stop
            while stop < end and data[stop] & 0xC0 == 0x80 and stop > at + 1:
                stop -= 1  # no character of UTF-8 is cut in two
        yield Row(at, data[at:stop], note)
        note = ""
        at = stop
    if at < size:
        yield _left_out(size - at)


def _left_out(size: int) -> Row:
    return Row(0, b"", f"… {format_size(size)} more")


def _is_binary(data: bytes) -> bool:
    try:
        text = getincrementaldecoder("utf-8")().decode(data)  # the last character may be cut
    except UnicodeDecodeError:
        return True
    return any(character < " " and character not in "\t\r\n" for character in text)


def _shown(data: bytes) -> str:
    if _is_binary(data):
        text = "".join(chr(byte) if 0x20 <= byte < 0x7F else "·" for byte in data)
        return f"{data.hex(' '):{_BINARY_LINE * 3}} {text}"
    return visible(data.decode("utf-8", "replace").replace("\r", "␍").replace("\n", "␊"))


_KINDS = {1: "interim", 2: "success", 3: "redirection", 4: "the client's fault", 5: "the server's fault"}
# What the fields that one meets every day are for, in a few words.
_NOTES = {
    "accept": "media types that the client takes",
    "accept-encoding": "compressions that the client takes",
    "accept-language": "languages that the client prefers",
    "accept-ranges": "whether parts can be asked for",
    "access-control-allow-origin": "origins whose pages may read this",
    "age": "seconds since a cache got this from the server",
    "allow": "the methods that the resource has",
    "authorization": "the client's credentials",
    "cache-control": "what caches may do",
    "connection": "whether the connection stays open",
    "content-disposition": "a name to save it under",
    "content-encoding": "how the body is compressed",
    "content-language": "language of the body",
    "content-length": "bytes of the body",
    "content-range": "which part of the whole this is",
    "content-security-policy": "what a page may load and run",
    "content-type": "media type of the body",
    "cookie": "cookies that the server had set",
    "date": "when the server made this",
    "etag": "names this version of the resource",
    "expect": "asks before it sends the body",
    "expires": "until when it is fresh",
    "forwarded": "the client that a proxy speaks for",
    "host": "the site that is meant",
    "if-match": "only if the version is one of these",
    "if-modified-since": "only if it changed since",
    "if-none-match": "only if the version is none of these",
    "if-range": "a part only if the version is this",
    "keep-alive": "how long the connection stays open",
    "last-modified": "when the resource last changed",
    "link": "related resources",
    "location": "where to go on, or what was made",
    "origin": "the site whose page asks",
    "proxy-authenticate": "which credentials the proxy wants",
    "proxy-authorization": "credentials for the proxy",
    "range": "asks for a part",
    "referer": "the page that led here",
    "retry-after": "when to try again",
    "server": "the server's program",
    "server-timing": "where the server spent its time",
    "set-cookie": "a cookie to send from now on",
    "strict-transport-security": "https alone from now on",
    "te": "whether trailers are welcome",
    "trailer": "fields that follow the body",
    "transfer-encoding": "how the body is framed",
    "upgrade": "another protocol to go on with",
    "user-agent": "the client's program",
    "vary": "request fields that the answer depends on",
    "via": "proxies on the way",
    "www-authenticate": "which credentials the server wants",
    "x-content-type-options": "browsers must not guess the type",
    "x-forwarded-for": "the client that a proxy speaks for",
}

"""multipart/form-data (RFC 7578), from bytes to events, without I/O: every rule and every limit of it is decided here.

The delimiters are found by the `multipart` library; what a part's head says is read by ourselves, since two parsers
that read it in two ways are how a file gets past whoever looks for files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

from multipart import (  # type: ignore[import-untyped]
    MultipartError,
    MultipartSegment,
    ParserLimitReached,
    PushMultipartParser,
)

from firstbyte.errors import HTTPError
from firstbyte.http.headers import Headers
from firstbyte.http.limits import FormLimits
from firstbyte.http.media import MediaType


class PartHead(NamedTuple):
    """What a part says of itself. `filename` is None for a field, "" for a file without a name."""

    name: str
    filename: str | None
    headers: Headers
    number: int
    """Which part of the body it is, from 1."""

    def __str__(self) -> str:
        return f"part {self.number} ({self.name!r})"


Event: TypeAlias = "PartHead | bytes"
"""A part begins; a piece of its content, or nothing where that ends."""


class PartDecoder:
    """Body bytes in by `feed`, events out by `take`, in order. One for each body.

    Raises HTTPError that says which part is at fault and why: 400 for what is no multipart/form-data, 413 for more than
    the limits. What stands before the first boundary and behind the last is ignored (RFC 2046 section 5.1.1).
    """

    def __init__(self, media_type: MediaType, limits: FormLimits) -> None:
        boundary = media_type.parameters.get("boundary", "")
        if not _BOUNDARY.fullmatch(boundary):
            why = f"{boundary!r} is none of 1 to 70 characters" if boundary else "it has none"
            raise HTTPError(400, f"multipart/form-data needs a boundary: {why} (RFC 2046 section 5.1.1)")
        self.at_end = False  # the last event has been taken, and the body was whole
        self._events: Iterator[Event] = iter(())  # of the bytes that are here
        self._limits = limits
        self._parser = PushMultipartParser(
            boundary,
            max_header_size=limits.header_bytes,
            max_header_count=limits.headers,
            header_charset="latin-1",  # bytes as they are: which of them must be UTF-8 is said below
        )
        self._part: PartHead | None = None  # whose content comes
        self._size = 0  # bytes of it
        self._number = 0  # parts so far
        self._fields = self._files = self._field_bytes = 0

    def feed(self, data: bytes) -> None:
        """Takes the next bytes of the body, when no event of those before is left; none at all say that it is over."""
        self._events = self._decode(data)

    def take(self) -> Event | None:
        """The next event; None if there is none before more is fed, or at all (`at_end`)."""
        return next(self._events, None)

    def _decode(self, data: bytes) -> Iterator[Event]:
        try:
            for event in self._parser.parse(data):
                if isinstance(event, MultipartSegment):
                    yield self._begin(event)
                elif event is None:
                    self._part = None
                    yield b""
                else:
                    assert isinstance(event, bytes)
                    self._count(event)
                    yield event
        except ParserLimitReached as error:
            limits = f"{self._limits.headers} header lines of {self._limits.header_bytes} bytes"
            raise HTTPError(413, f"{self._next}: {error}; a part may have {limits}") from None
        except MultipartError as error:
            raise HTTPError(400, self._cut() if not data else f"{self._part or self._next}: {error}") from None
        self.at_end = not data

    def _begin(self, segment: MultipartSegment) -> PartHead:
        self._number += 1
        self._size = 0
        self._part = head = _head_of(segment, self._number)
        if head.filename is None:
            self._fields += 1
            self._check(head, "fields", self._fields)
        else:
            self._files += 1
            self._check(head, "files", self._files)
        return head

    def _count(self, piece: bytes) -> None:
        head = self._part
        assert head is not None
        self._size += len(piece)
        if head.filename is not None:
            self._check(head, "file_bytes", self._size)
        else:
            self._field_bytes += len(piece)
            self._check(head, "field_bytes", self._field_bytes)

    def _check(self, head: PartHead, limit: str, value: int) -> None:
        most = getattr(self._limits, limit)
        if most is not None and value > most:
            raise HTTPError(413, f"{head}: {_BEYOND[limit].format(most)}")

    @property
    def _next(self) -> str:
        return f"part {self._number + 1}"

    def _cut(self) -> str:
        """Why a body that has ended cannot be at its end."""
        if self._part is not None:
            return f"the body ends within {self._part}"
        if not self._number:
            return "the body has no part: the boundary that its Content-Type names does not occur in it, or not whole"
        return f"the body ends behind part {self._number}, without its last boundary"


def _head_of(segment: MultipartSegment, number: int) -> PartHead:
    """What the lines of a part's head say. Raises HTTPError 400 for what could be read in two ways."""
    which = f"part {number}"
    try:
        headers = Headers(segment.headerlist)
    except ValueError as error:
        raise HTTPError(400, f"{which}: {error}") from None
    for name in ("Content-Disposition", "Content-Type"):
        if len(headers.get_all(name)) > 1:
            raise HTTPError(400, f"{which} has {name} twice")
    encoding = headers.get("content-transfer-encoding", "binary")
    assert encoding is not None
    if encoding.lower() not in ("binary", "8bit", "7bit"):
        raise HTTPError(415, f"{which} has a Content-Transfer-Encoding, which forms have not (RFC 7578 section 4.7)")
    parameters = _parameters(headers["content-disposition"], which)
    if "filename*" in parameters:
        raise HTTPError(400, f"{which} has filename*, which forms must not use (RFC 7578 section 4.2)")
    if "name" not in parameters:
        raise HTTPError(400, f"{which}: its Content-Disposition has no name (RFC 7578 section 4.2)")
    return PartHead(parameters["name"], parameters.get("filename"), headers, number)


def _parameters(disposition: str, which: str) -> dict[str, str]:
    """The parameters of Content-Disposition, as browsers write them, or else with backslashes in their quotes."""
    for grammar, unquote in ((_BROWSER, _unquote_browser), (_BACKSLASH, _unquote_backslash)):
        if grammar.whole.fullmatch(disposition) is None:
            continue
        found: dict[str, str] = {}
        for name, quoted, token in grammar.parameter.findall(disposition):
            if name.lower() in found:
                raise HTTPError(400, f"{which}: its Content-Disposition has {name} twice")
            try:
                found[name.lower()] = (unquote(quoted) if quoted else token).encode("latin-1").decode("utf-8")
            except UnicodeDecodeError:
                raise HTTPError(400, f"{which}: {name} in its Content-Disposition is not UTF-8") from None
        return found
    raise HTTPError(400, f"{which} has a malformed Content-Disposition")


def _unquote_browser(quoted: str) -> str:
    """What stands in quotes; the HTML Standard escapes three characters, and no percent sign."""
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)), quoted[1:-1])


def _unquote_backslash(quoted: str) -> str:
    return re.sub(r"\\(.)", r"\1", quoted[1:-1])


class _Grammar(NamedTuple):
    whole: re.Pattern[str]
    parameter: re.Pattern[str]


def _grammar(quoted: str) -> _Grammar:
    parameter = rf'[ \t]*+;[ \t]*+([A-Za-z0-9_*-]+)[ \t]*+=[ \t]*+(?:("{quoted}*+")|([^\s;"]++))'
    plain = parameter.replace("([", "(?:[").replace('("', '(?:"')
    return _Grammar(re.compile(rf"form-data(?:{plain})*+[ \t]*+;?[ \t]*+", re.IGNORECASE), re.compile(parameter))


_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")
_ESCAPE = re.compile("%(22|0[AD])")
_BROWSER = _grammar(r'[^"]')
_BACKSLASH = _grammar(r'(?:[^"\\]|\\.)')
_BEYOND = {
    "fields": "a form may have {} fields",
    "files": "a form may have {} files",
    "field_bytes": "the fields of a form may have {} bytes together",
    "file_bytes": "a file may have {} bytes",
}

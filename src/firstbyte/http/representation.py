"""A representation as a response, by the conditions and the ranges of its request (RFC 9110 sections 13 and 14)."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from firstbyte.errors import HTTPError
from firstbyte.http.conditionals import Outcome, evaluate, range_applies
from firstbyte.http.dates import format_date
from firstbyte.http.ranges import (
    Unsatisfiable,
    closing_delimiter,
    content_range,
    new_boundary,
    parse_range,
    part_head,
)
from firstbyte.http.request import Request
from firstbyte.http.response import FileBody, Response

_PIECE = 64 * 1024  # bytes read at a time where several parts of a file are sent


class Representation(NamedTuple):
    """What there is to send (RFC 9110 section 3.2).

    `size` in bytes, `etag` as it is sent, `changed` in seconds since the epoch, `headers` those beside the validators
    and Accept-Ranges; `span(start, stop)` gives the bytes between two places, stop exclusive.
    """

    size: int
    etag: str
    changed: float
    media_type: str
    span: Callable[[int, int], bytes | FileBody]
    headers: Mapping[str, str] = MappingProxyType({})

    def fields(self) -> dict[str, str]:
        """The header fields of a 200, but for Content-Type, and of a 304."""
        return {"ETag": self.etag, "Last-Modified": format_date(self.changed), "Accept-Ranges": "bytes", **self.headers}


def respond(request: Request, what: Representation, status: int = 200) -> Response:
    """The response to a GET or HEAD: the whole, the parts that Range asks for, or 304.

    With another `status` than 200 it is always the whole. Raises HTTPError: 412 and 416.
    """
    headers = what.fields()
    if status == 200:
        outcome = evaluate(request.method, request.headers, what.etag, what.changed)
        if outcome is Outcome.NOT_MODIFIED:
            return Response(b"", 304, headers)
        if outcome is Outcome.FAILED:
            raise HTTPError(412, "the file is not the one that the request's condition names")
        spans = _spans(request, what)
        if spans is not None:
            return _parts(what, headers, spans)
    return Response(what.span(0, what.size), status, headers, what.media_type)


def _spans(request: Request, what: Representation) -> list[tuple[int, int]] | None:
    """The spans that are asked for, or None for the whole. Raises HTTPError 416."""
    asked = request.headers.get("range")
    if asked is None or request.method != "GET" or not range_applies(request.headers, what.etag, what.changed):
        return None
    try:
        return parse_range(asked, what.size)
    except Unsatisfiable as error:
        raise HTTPError(416, str(error), {"Content-Range": f"bytes */{what.size}"}) from None


def _parts(what: Representation, headers: dict[str, str], spans: Sequence[tuple[int, int]]) -> Response:
    """One span as it is, several as multipart/byteranges (RFC 9110 section 15.3.7)."""
    if len(spans) == 1:
        start, stop = spans[0]
        headers["Content-Range"] = content_range(start, stop, what.size)
        return Response(what.span(start, stop), 206, headers, what.media_type)
    boundary = new_boundary()
    heads = [part_head(boundary, what.media_type, start, stop, what.size) for start, stop in spans]
    end = closing_delimiter(boundary)
    length = sum(map(len, heads)) + sum(stop - start for start, stop in spans) + len(end)
    headers["Content-Length"] = str(length)
    whole = what.span(0, what.size)
    pieces = _pieces(whole, list(zip(heads, spans, strict=True)), end)
    body = b"".join(pieces) if isinstance(whole, bytes) else _Parts(whole, pieces)
    return Response(body, 206, headers, f"multipart/byteranges; boundary={boundary}")


class _Parts(Iterator[bytes]):
    """The pieces of a multipart body. `close` closes the file, even if none was taken."""

    def __init__(self, whole: FileBody, pieces: Generator[bytes]) -> None:
        self._whole = whole
        self._pieces = pieces

    def __next__(self) -> bytes:
        try:
            return next(self._pieces)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._pieces.close()
        self._whole.close()


def _pieces(whole: bytes | FileBody, parts: Sequence[tuple[bytes, tuple[int, int]]], end: bytes) -> Generator[bytes]:
    for head, (start, stop) in parts:
        yield head
        if isinstance(whole, bytes):
            yield whole[start:stop]
            continue
        whole.offset, whole.count = start, stop - start
        while whole.count:
            piece = whole.read(_PIECE)
            if not piece:
                raise EOFError(f"{whole.count} bytes are missing")
            yield piece
    yield end

"""Request bodies off the wire: by length, or in chunks (RFC 9112 sections 6 and 7).

A decoder is fed the connection's bytes and says how far it has come; it holds no more than the line it is in. Its
`done` is True when the last byte of the message has been taken.
"""

from __future__ import annotations

from typing import NoReturn, Protocol

from firstbyte.errors import ProtocolError
from firstbyte.http.headers import Headers
from firstbyte.wire import grammar
from firstbyte.wire.head import refuse_field_line
from firstbyte.wire.limits import Limits

_SIZE, _DATA, _DATA_END, _TRAILER = range(4)  # where in a chunked body
_CHUNK_LINE = 4096  # bytes: a chunk header longer than this is refused before it ends; nginx and Go take less


class BodyDecoder(Protocol):
    """Turns the bytes of a connection into the bytes of one body."""

    done: bool
    trailers: Headers | None

    def decode(self, buffer: bytes, start: int) -> tuple[bytes, int]:
        """The body bytes that `buffer` holds from `start`, and the position behind what was taken.

        Raises ProtocolError with the offset counted from the first byte of the body.
        """
        ...


class LengthBody:
    """A body of known length (Content-Length)."""

    __slots__ = ("_left", "done", "trailers")

    def __init__(self, length: int) -> None:
        self._left = length
        self.done = not length
        self.trailers: Headers | None = None

    def decode(self, buffer: bytes, start: int) -> tuple[bytes, int]:
        """See `BodyDecoder.decode`."""
        piece = buffer[start : start + self._left]
        self.pass_over(len(piece))
        return piece, start + len(piece)

    def pass_over(self, size: int) -> None:
        """So many bytes of it, no more than are left, have been taken otherwise."""
        self._left -= size
        self.done = not self._left


class ChunkedBody:
    """A body in chunks, of at most `max_body` bytes, with its trailer fields.

    It is in the data of a chunk, or in one of the three lines between data.
    """

    __slots__ = (
        "_extensions",
        "_left",
        "_limits",
        "_max_body",
        "_seen",
        "_size",
        "_state",
        "_trailer",
        "done",
        "trailers",
    )

    def __init__(self, limits: Limits, max_body: int) -> None:
        self._limits = limits
        self._max_body = max_body
        self._state = _SIZE
        self._left = 0  # data bytes of this chunk still to come
        self._size = 0  # data bytes of all chunks so far
        self._seen = 0  # wire bytes taken so far: what offsets are counted by
        self._extensions = 0
        self._trailer = b""
        self.done = False
        self.trailers: Headers | None = None

    def decode(self, buffer: bytes, start: int) -> tuple[bytes, int]:
        """See `BodyDecoder.decode`."""
        pieces = []
        at = start
        end = len(buffer)
        while not self.done:
            if self._state == _DATA:
                if at == end:
                    break
                piece = buffer[at : at + self._left]
                pieces.append(piece)
                at = self._advance(at, len(piece))
                self._left -= len(piece)
                if not self._left:
                    self._state = _DATA_END
            elif self._state == _DATA_END:
                # Checked byte by byte, so that a wrong terminator is refused at once and not when two bytes are here.
                found = buffer[at : at + 2]
                if not b"\r\n".startswith(found):
                    self._refuse("chunk-end", "a chunk's data is not followed by CR LF")
                if len(found) < 2:
                    break
                at = self._advance(at, 2)
                self._state = _SIZE
            else:
                newline = buffer.find(b"\n", at, at + _CHUNK_LINE)
                if newline < 0:
                    if end - at >= _CHUNK_LINE:
                        self._refuse("chunk-line-too-long", f"a line between chunks is longer than {_CHUNK_LINE} bytes")
                    break
                line = buffer[at : newline + 1]
                if self._state == _SIZE:
                    self._start_chunk(line)
                else:
                    self._add_trailer(line)
                at = self._advance(at, len(line))
        return (pieces[0] if len(pieces) == 1 else b"".join(pieces)), at

    def _advance(self, at: int, count: int) -> int:
        self._seen += count
        return at + count

    def _start_chunk(self, line: bytes) -> None:
        match = grammar.chunk_size.fullmatch(line)
        if match is None:
            self._refuse("chunk-size", f"{line[:40].decode('latin-1')!a} is no chunk size")
        size = int(match[1], 16)
        self._extensions += len(line) - len(match[1]) - 2
        if self._extensions > self._limits.chunk_extensions:
            self._refuse("chunk-extensions", f"the chunk extensions exceed {self._limits.chunk_extensions} bytes")
        if self._size + size > self._max_body:
            self._refuse("body-too-large", f"the body is longer than {self._max_body} bytes", 413)
        self._size += size
        self._left = size
        self._state = _DATA if size else _TRAILER

    def _add_trailer(self, line: bytes) -> None:
        if line == b"\r\n":
            self.trailers = Headers.from_block(self._trailer) if self._trailer else None
            self.done = True
            return
        if grammar.field_line.fullmatch(line) is None:
            refuse_field_line(line, self._seen)
        name = line[: line.index(b":")].lower()
        if name in _NO_TRAILERS:
            self._refuse("trailer-forbidden", f"{name.decode()} cannot be a trailer field")
        self._trailer += line
        if len(self._trailer) > self._limits.head or self._trailer.count(b"\n") > self._limits.fields:
            self._refuse("trailers-too-large", "the trailer fields exceed the limits of a head", 431)

    def _refuse(self, rule: str, message: str, status: int = 400) -> NoReturn:
        raise ProtocolError(status, rule, message, self._seen)


# RFC 9110 section 6.5.1: what frames, routes, authenticates or describes a message cannot come after its content.
_NO_TRAILERS = frozenset(
    (
        b"authorization",
        b"connection",
        b"content-encoding",
        b"content-length",
        b"content-range",
        b"content-type",
        b"cookie",
        b"expect",
        b"host",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)

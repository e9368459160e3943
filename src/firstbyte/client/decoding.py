"""Content codings taken off a response: gzip, deflate, br and zstd, one over the other too, within bounds.

Every coding is decoded in pieces of bounded size, so that a bomb is found out when it passes the bound and never fills
the memory first. br and zstd need the packages of the extra firstbyte[compression]; a server that is not told of them
does not send them.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Protocol, TypeAlias

from firstbyte.errors import DecodingError

MAX_SIZE = 1 << 30  # bytes that a body may decode to; what is larger is better asked for as it is
MAX_RATIO = 250  # times its size; real text stays below 50, deflate cannot pass 1,032, br and zstd can by far
RATIO_FROM = 16 << 20  # bytes that are decoded before the ratio counts: small bodies may be very regular
MAX_CODINGS = 5  # one over the other; curl's bound

PIECE = 64 * 1024  # bytes that are decoded at once; brotli rounds up
_ZSTD_WINDOW_LOG = 23  # 8 MiB: the largest window of the content coding (RFC 9659)


def accept_encoding() -> str:
    """The value of Accept-Encoding that names what can be decoded here (RFC 9110 section 12.5.3)."""
    return ", ".join(coding for coding in ("gzip", "deflate", "br", "zstd") if _maker(coding) is not None)


def make_decoder(
    content_encoding: str | None, *, max_size: int | None = MAX_SIZE, max_ratio: float | None = MAX_RATIO
) -> Decoder | None:
    """The decoder for a body with this Content-Encoding (all its lines joined), or None if there is nothing to decode.

    `max_size` is the bytes the body may decode to, `max_ratio` how many times its size; None is no bound. Raises
    DecodingError for a coding that is not known or not installed, and for more than `MAX_CODINGS`.
    """
    names = [name.strip(" \t").lower() for name in (content_encoding or "").split(",")]
    codings = [_ALIASES.get(name, name) for name in names if name not in ("", "identity")]
    if not codings:
        return None
    if len(codings) > MAX_CODINGS:
        raise DecodingError(f"the body has {len(codings)} codings; at most {MAX_CODINGS} are taken off", rule="codings")
    return Decoder([_stage(coding) for coding in reversed(codings)], max_size, max_ratio)


class Decoder:
    """Takes the codings off one body, the last that was applied first (RFC 9110 section 8.4).

    Feed it with `decode`, and call `finish` at the body's end. Made by `make_decoder`.
    """

    def __init__(self, stages: list[_Stage], max_size: int | None, max_ratio: float | None) -> None:
        self._stages = stages
        self._given = [0] * len(stages)  # bytes that came out of each
        self._taken = 0
        self._max_size = sys.maxsize if max_size is None else max_size
        self._max_ratio = float("inf") if max_ratio is None else max_ratio

    def decode(self, data: bytes) -> Iterator[bytes]:
        """What these bytes decode to, in pieces of less than twice `PIECE` bytes: take them all before the next call.

        Raises DecodingError, here or from the iterator, for bytes that are not of the coding, and for a body that
        passes its bounds; the offset is that behind `data`, in the body as it was sent.
        """
        self._taken += len(data)
        # In slices, since what is left behind the end of a member is copied, and there can be thousands of members.
        pieces: Iterator[bytes] = (data[at : at + PIECE] for at in range(0, len(data), PIECE))
        for number in range(len(self._stages)):
            pieces = self._through(number, pieces)
        return pieces

    def finish(self) -> None:
        """To be called at the end of the body. Raises DecodingError if it ends within a coding.

        An empty body is taken as one that was not encoded, which is what servers send that add the field to every
        response.
        """
        if self._taken:
            for stage in self._stages:
                if not stage.complete:
                    raise self._error(stage, "ends too early")

    def _through(self, number: int, pieces: Iterator[bytes]) -> Iterator[bytes]:
        stage = self._stages[number]
        for data in pieces:
            try:
                for piece in stage.decode(data):
                    self._given[number] += len(piece)
                    self._check_bounds(stage, self._given[number])
                    yield piece
            except stage.errors as error:
                raise self._error(stage, f"is not valid: {error}") from error

    def _check_bounds(self, stage: _Stage, given: int) -> None:
        if given > self._max_size:
            raise self._error(stage, f"decodes to more than {self._max_size} bytes", "size")
        if given > RATIO_FROM and given > self._max_ratio * self._taken:
            raise self._error(stage, f"decodes to more than {self._max_ratio} times its size", "ratio")

    def _error(self, stage: _Stage, what: str, rule: str = "") -> DecodingError:
        return DecodingError(f"the body in {stage.coding} {what}", rule=rule or stage.coding, offset=self._taken)


class _Invalid(Exception):
    """Bytes that are not of the coding, where its library does not say so."""


class _Stage(Protocol):
    """One coding of one body."""

    coding: str
    errors: tuple[type[Exception], ...] = (_Invalid,)  # what decode raises for bytes that are not of the coding
    complete: bool = False  # the bytes until now are a whole body

    def decode(self, data: bytes) -> Iterator[bytes]: ...


class _Gzip(_Stage):
    """Members one after the other (RFC 1952 section 2.2), and zeros behind them, with which some pad."""

    coding = "gzip"
    errors = (zlib.error,)

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(16 + zlib.MAX_WBITS)

    def decode(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self.complete:
                data = data.lstrip(b"\0")
                if not data:
                    return
                self.complete = False
                self._inflate = zlib.decompressobj(16 + zlib.MAX_WBITS)
            yield from _inflated(self._inflate, data)
            self.complete = self._inflate.eof
            data = self._inflate.unused_data


class _Deflate(_Stage):
    """A zlib stream (RFC 9110 section 8.4.1.2), or raw deflate, which some servers take for it.

    They are told apart by zlib's two bytes of header (RFC 1950 section 2.2).
    """

    coding = "deflate"
    errors = (zlib.error, _Invalid)

    def __init__(self) -> None:
        self._start = b""
        self._inflate: zlib._Decompress | None = None

    def decode(self, data: bytes) -> Iterator[bytes]:
        if self._inflate is None:
            data = self._start = self._start + data
            if len(data) < 2:
                return
            is_zlib = data[0] & 0x0F == 8 and data[0] >> 4 <= 7 and int.from_bytes(data[:2], "big") % 31 == 0
            self._inflate = zlib.decompressobj(zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS)
        elif self.complete and data:
            raise _Invalid("there are bytes behind its end")
        yield from _inflated(self._inflate, data)
        self.complete = self._inflate.eof
        if self._inflate.unused_data:
            raise _Invalid("there are bytes behind its end")


class _Brotli(_Stage):
    """Brotli (RFC 7932)."""

    coding = "br"

    def __init__(self) -> None:
        import brotli  # type: ignore[import-untyped]

        self.errors = (brotli.error, _Invalid)
        self._brotli = brotli.Decompressor()

    def decode(self, data: bytes) -> Iterator[bytes]:
        if self.complete and data:
            raise _Invalid("there are bytes behind its end")
        while piece := self._brotli.process(data, output_buffer_limit=PIECE):  # what it keeps back comes without input
            yield piece
            data = b""
        self.complete = self._brotli.is_finished()


class _Zstd(_Stage):
    """Zstandard frames, one after the other (RFC 8878 section 3)."""

    coding = "zstd"

    def __init__(self) -> None:
        if sys.version_info >= (3, 14):
            from compression import zstd
        else:
            from backports import zstd

        options: dict[int, int] = {zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG}
        self._new = partial(zstd.ZstdDecompressor, options=options)
        self.errors = (zstd.ZstdError,)
        self._zstd = self._new()

    def decode(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._zstd.eof:
                self._zstd = self._new()
            while True:
                piece = self._zstd.decompress(data, PIECE)
                if piece:
                    yield piece
                data = b""
                if self._zstd.eof or self._zstd.needs_input:
                    break
            self.complete = self._zstd.eof
            data = self._zstd.unused_data if self._zstd.eof else b""


def _inflated(inflate: zlib._Decompress, data: bytes) -> Iterator[bytes]:
    """What zlib makes of data. It keeps output back without unconsumed input: a full piece may be followed by more."""
    while True:
        piece = inflate.decompress(data, PIECE)
        data = inflate.unconsumed_tail
        if piece:
            yield piece
        if inflate.eof or (not data and len(piece) < PIECE):
            return


_Maker: TypeAlias = Callable[[], _Stage]
_MAKERS: dict[str, _Maker] = {"gzip": _Gzip, "deflate": _Deflate, "br": _Brotli, "zstd": _Zstd}
_ALIASES = {"x-gzip": "gzip"}  # RFC 9110 section 8.4.1.3


@cache
def _maker(coding: str) -> _Maker | None:
    """What makes the stage of a coding, or None if its package is not installed. Raises KeyError for an unknown one."""
    maker = _MAKERS[coding]
    try:
        maker()
    except ImportError:
        return None
    return maker


def _stage(coding: str) -> _Stage:
    if coding not in _MAKERS:
        raise DecodingError(f"the content coding {coding!r} is not known: take the body as it was sent", rule="codings")
    maker = _maker(coding)
    if maker is None:
        raise DecodingError(f"the body is in {coding}, which needs firstbyte[compression] installed", rule="codings")
    return maker()

"""Content codings: which one a client is sent (RFC 9110 section 12.5.3), and files in it."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable
from functools import cache, lru_cache
from typing import TypeAlias

from firstbyte.http.media import parse_quality_list

SUFFIXES = {"br": ".br", "zstd": ".zst", "gzip": ".gz"}
"""The codings, best first, and what the name of a file in that coding ends with."""
WORTH_IT = 1024  # bytes from which a text is compressed: below, the answer still is one packet

_Compress: TypeAlias = Callable[[bytes], bytes]


@lru_cache(256)
def acceptable(accept_encoding: str) -> tuple[str, ...]:
    """The codings that a client likes at least as well as none, best first; those it likes equally in our order."""
    weights = dict(parse_quality_list(accept_encoding))
    anything = weights.get("*", 0.0)
    plain = weights.get("identity", 0.0)
    liked = [(weights.get(coding, anything), coding) for coding in SUFFIXES]
    return tuple(coding for weight, coding in sorted(liked, key=lambda each: -each[0]) if weight and weight >= plain)


def compress(data: bytes, coding: str) -> bytes | None:
    """`data` in a coding; None if what makes that is not installed, or it is not shorter."""
    made = _maker(coding)
    if made is None:
        return None
    result = made(data)
    return result if len(result) < len(data) else None


def is_compressible(media_type: str) -> bool:
    """Whether files of this type are mostly text, or like it."""
    essence = media_type.partition(";")[0]
    return essence.startswith("text/") or essence in _TEXT or essence.endswith(("+xml", "+json"))


@cache
def _maker(coding: str) -> _Compress | None:
    """What makes a coding, imported when it is first needed."""
    return _MAKERS[coding]()


def _br() -> _Compress | None:
    try:
        import brotli  # type: ignore[import-untyped]
    except ImportError:
        return None
    return lambda data: bytes(brotli.compress(data, quality=5))  # as dense as gzip's best, in less time


def _zstd() -> _Compress | None:
    try:
        if sys.version_info >= (3, 14):
            from compression import zstd
        else:
            from backports import zstd
    except ImportError:
        return None
    return lambda data: bytes(zstd.compress(data, level=6))  # with a window well below what clients take (RFC 9659)


def _gzip() -> _Compress:
    def run(data: bytes) -> bytes:
        maker = zlib.compressobj(6, zlib.DEFLATED, 31)  # 31: with gzip's head, which has no time in it
        return maker.compress(data) + maker.flush()

    return run


_MAKERS: dict[str, Callable[[], _Compress | None]] = {"br": _br, "zstd": _zstd, "gzip": _gzip}
_TEXT = frozenset(
    (
        "application/javascript",
        "application/json",
        "application/rtf",
        "application/sql",
        "application/toml",
        "application/wasm",
        "application/x-ndjson",
        "application/xml",
        "application/yaml",
        "font/otf",
        "font/ttf",
        "image/bmp",
        "image/vnd.microsoft.icon",
        "model/gltf-binary",
    )
)

"""Byte ranges (RFC 9110 section 14)."""

from __future__ import annotations

import os
import re

from firstbyte.http.headers import check_field

MAX_RANGES = 16  # of one request; the whole is cheaper than many parts, and an attack once was (CVE-2011-3192)

# Eighteen digits hold every position in a file; longer ones are read as bad syntax, so that int() stays cheap.
_RANGE_SPEC = re.compile(r"([0-9]{1,18})-([0-9]{1,18})?|-([0-9]{1,18})")


class Unsatisfiable(ValueError):
    """No range that was asked for lies within the content: the answer is 416 (RFC 9110 section 15.5.17)."""


def parse_range(header: str, size: int, max_ranges: int = MAX_RANGES) -> list[tuple[int, int]] | None:
    """The spans (start, stop), stop exclusive, that a Range field asks of `size` bytes; None if it is to be ignored.

    Ignored are another unit than bytes, bad syntax, more than `max_ranges`, and any range of empty content, which
    clients that always ask for one could not get otherwise. Spans come in the order of their places, those that overlap
    or touch made one. Raises Unsatisfiable if every range begins behind the content's end (RFC 9110 section 14.1.2).
    """
    unit, _, range_set = header.partition("=")
    specs = [spec for spec in (part.strip(" \t") for part in range_set.split(",")) if spec]
    if unit.lower() != "bytes" or size == 0 or not 0 < len(specs) <= max_ranges:
        return None
    spans = []
    for spec in specs:
        match = _RANGE_SPEC.fullmatch(spec)
        if match is None:
            return None
        first, last, suffix = match.groups()
        if suffix is not None:
            start, stop = max(0, size - int(suffix)), size
        else:
            start, stop = int(first), min(size, int(last) + 1) if last else size
            if last and int(last) < int(first):
                return None
        if start < stop:
            spans.append((start, stop))
    if not spans:
        raise Unsatisfiable(f"no range of {header!r} lies within {size} bytes")
    return _coalesced(sorted(spans))


def content_range(start: int, stop: int, size: int) -> str:
    """The value of Content-Range for a span, stop exclusive (RFC 9110 section 14.4)."""
    return f"bytes {start}-{stop - 1}/{size}"


def new_boundary() -> str:
    """A random boundary for multipart/byteranges, 32 characters long: content will not hold it by chance."""
    return os.urandom(16).hex()


def part_head(boundary: str, media_type: str, start: int, stop: int, size: int) -> bytes:
    """What stands before the bytes of a span, stop exclusive, in multipart/byteranges (RFC 9110 section 14.6).

    It is the delimiter, the part's fields and their empty line. Raises ValueError for a media type that is no field
    value.
    """
    check_field("Content-Type", media_type)
    return (
        f"\r\n--{boundary}\r\nContent-Type: {media_type}\r\nContent-Range: {content_range(start, stop, size)}\r\n\r\n"
    ).encode("latin-1")


def closing_delimiter(boundary: str) -> bytes:
    """What stands behind the last span in multipart/byteranges (RFC 2046 section 5.1.1)."""
    return f"\r\n--{boundary}--\r\n".encode("latin-1")


def _coalesced(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Sorted spans, those that overlap or touch made one."""
    merged = spans[:1]
    for start, stop in spans[1:]:
        if start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(stop, merged[-1][1]))
        else:
            merged.append((start, stop))
    return merged

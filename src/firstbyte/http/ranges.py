"""Byte ranges (RFC 9110 section 14)."""

from __future__ import annotations

import re

MAX_RANGES = 16  # a request for more is answered whole: many ranges cost the server more than the client

_SPEC = re.compile(r"[ \t]*(?:([0-9]{1,18})-([0-9]{0,18})|-([0-9]{1,18}))[ \t]*")


class Unsatisfiable(ValueError):
    """No range that was asked for lies within the content: the answer is 416."""


def parse_range(header: str, size: int) -> list[tuple[int, int]] | None:
    """The spans (start, stop), stop exclusive, that a Range field asks of `size` bytes; None if it is to be ignored.

    Ignored are another unit, bad syntax and more than `MAX_RANGES`; those that overlap or touch become one, in the order
    of their places. Raises Unsatisfiable.
    """
    unit, equals, rest = header.partition("=")
    if not equals or unit.strip().lower() != "bytes":
        return None
    specs = rest.split(",")
    if len(specs) > MAX_RANGES:
        return None
    spans = []
    for spec in specs:
        match = _SPEC.fullmatch(spec)
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
    spans.sort()
    merged = [spans[0]]
    for start, stop in spans[1:]:
        if start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(stop, merged[-1][1]))
        else:
            merged.append((start, stop))
    return merged


def content_range(start: int, stop: int, size: int) -> str:
    """The value of Content-Range for a span, stop exclusive."""
    return f"bytes {start}-{stop - 1}/{size}"

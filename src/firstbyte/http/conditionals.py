"""Conditional requests: whether the client's copy is still good (RFC 9110 section 13).

Entity tags are str as they are sent, quotes and all: '"strong"' or 'W/"weak"'. Times are seconds since the epoch.
"""

from __future__ import annotations

import re
from enum import Enum
from math import floor

from firstbyte.http.dates import parse_date
from firstbyte.http.headers import Headers

# One entity-tag of a list, with the empty members before it (RFC 9110 sections 5.6.1.2 and 8.8.3).
_ETAG = re.compile(r'[ \t,]*+((?:W/)?"[\x21\x23-\x7e\x80-\xff]*+")[ \t]*+(?:,|\Z)')


class Outcome(Enum):
    """What the conditions of a request ask for."""

    PROCEED = "proceed"
    NOT_MODIFIED = "not modified"  # 304
    FAILED = "failed"  # 412


def evaluate(
    method: str, headers: Headers, etag: str | None, last_modified: float | None, *, exists: bool = True
) -> Outcome:
    """What to do with a request for something that has this entity tag and this time of change (None: unknown).

    `exists` is False where there is nothing yet, as before a PUT that creates. The order is that of RFC 9110 section
    13.2.2; a condition that is malformed is ignored if it is a date, and matches nothing if it is a list of tags.
    `range_applies` is the order's last step.
    """
    if_match = headers.get_joined("if-match")
    if if_match is not None:
        if not (exists and matches(if_match, etag, weak=False)):
            return Outcome.FAILED
    elif _changed_since(headers.get_joined("if-unmodified-since"), last_modified) is True:
        return Outcome.FAILED
    safe = method in ("GET", "HEAD")
    if_none_match = headers.get_joined("if-none-match")
    if if_none_match is not None:
        if exists and matches(if_none_match, etag, weak=True):
            return Outcome.NOT_MODIFIED if safe else Outcome.FAILED
    elif safe and _changed_since(headers.get_joined("if-modified-since"), last_modified) is False:
        return Outcome.NOT_MODIFIED
    return Outcome.PROCEED


def range_applies(headers: Headers, etag: str | None, last_modified: float | None) -> bool:
    """Whether Range is to be obeyed: If-Range is not there, or names exactly what is here (RFC 9110 section 13.1.5).

    A weak tag never does; neither does a date that is only later than the change.
    """
    if_range = headers.get_joined("if-range")
    if if_range is None:
        return True
    if if_range.startswith('"'):
        return if_range == etag
    date = parse_date(if_range)
    return date is not None and last_modified is not None and floor(last_modified) == date


def matches(field: str, etag: str | None, *, weak: bool) -> bool:
    """Whether a list of entity tags, or "*", has this one, by weak or strong comparison (RFC 9110 section 8.8.3.2).

    A weak tag never matches strongly. What stands behind something that is no entity tag is not read.
    """
    if field.strip(" \t") == "*":
        return True
    if etag is None or (not weak and etag.startswith("W/")):
        return False
    wanted = etag.removeprefix("W/") if weak else etag
    at = 0
    while match := _ETAG.match(field, at):
        if (match[1].removeprefix("W/") if weak else match[1]) == wanted:
            return True
        at = match.end()
    return False


def _changed_since(field: str | None, last_modified: float | None) -> bool | None:
    """Whether the last change came after the date in a field; None if one of them is missing or the date is none."""
    date = None if field is None else parse_date(field)
    if date is None or last_modified is None:
        return None
    return floor(last_modified) > date  # dates have whole seconds

"""Conditional requests: whether the client's copy is still good (RFC 9110 section 13)."""

from __future__ import annotations

import re
from enum import Enum

from firstbyte.http.dates import parse_date
from firstbyte.http.headers import Headers

_ETAG = re.compile(r'[ \t]*((?:W/)?"[\x21\x23-\x7e\x80-\xff]*")[ \t]*(?:,|$)')


class Outcome(Enum):
    """What the conditions of a request ask for."""

    PROCEED = "proceed"
    NOT_MODIFIED = "not modified"  # 304
    FAILED = "failed"  # 412


def evaluate(method: str, headers: Headers, etag: str | None, last_modified: float | None) -> Outcome:
    """What to do with a request for something that has this entity tag and this time of change (None: unknown).

    `etag` is quoted, weak ones with W/; `last_modified` in seconds since the epoch. The order is that of section 13.2.2;
    a malformed condition is ignored, as a date, or matches nothing, as a list of tags.
    """
    if_match = headers.get_joined("if-match")
    if if_match is not None:
        if not matches(if_match, etag, weak=False):
            return Outcome.FAILED
    elif last_modified is not None:
        since = parse_date(headers.get("if-unmodified-since") or "")
        if since is not None and int(last_modified) > since:
            return Outcome.FAILED
    safe = method in ("GET", "HEAD")
    if_none_match = headers.get_joined("if-none-match")
    if if_none_match is not None:
        if matches(if_none_match, etag, weak=True):
            return Outcome.NOT_MODIFIED if safe else Outcome.FAILED
    elif safe and last_modified is not None:
        since = parse_date(headers.get("if-modified-since") or "")
        if since is not None and int(last_modified) <= since:
            return Outcome.NOT_MODIFIED
    return Outcome.PROCEED


def range_applies(headers: Headers, etag: str | None, last_modified: float | None) -> bool:
    """Whether Range is to be obeyed: If-Range is not there, or names exactly what is here (section 13.1.5)."""
    if_range = headers.get("if-range")
    if if_range is None:
        return True
    if if_range.startswith('"'):
        return etag is not None and if_range == etag
    since = parse_date(if_range)
    return since is not None and last_modified is not None and int(last_modified) == since


def matches(field: str, etag: str | None, *, weak: bool) -> bool:
    """Whether a list of entity tags, or "*", has this one (section 8.8.3.2). A weak tag never matches strongly."""
    if field.strip() == "*":
        return True
    if etag is None or (not weak and etag.startswith("W/")):
        return False
    wanted = etag.removeprefix("W/") if weak else etag
    at = 0
    while at < len(field):
        match = _ETAG.match(field, at)
        if match is None:
            return False
        if (match[1].removeprefix("W/") if weak else match[1]) == wanted:
            return True
        at = match.end()
    return False

"""HTTP dates (RFC 9110 section 5.6.7), in any locale."""

from __future__ import annotations

import re
from time import gmtime

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_LONG_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_DAY = f"(?:{'|'.join(_DAYS)})"
_LONG_DAY = f"(?:{'|'.join(_LONG_DAYS)})"
_MONTH = f"(?P<month>{'|'.join(_MONTHS)})"
_TIME = "(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
_IMF_FIXDATE = re.compile(f"{_DAY}, (?P<day>[0-9]{{2}}) {_MONTH} (?P<year>[0-9]{{4}}) {_TIME} GMT")
_RFC850 = f"{_LONG_DAY}, (?P<day>[0-9]{{2}})-{_MONTH}-(?P<year>[0-9]{{2}}) {_TIME} GMT"
_ASCTIME = f"{_DAY} {_MONTH} (?P<day>[0-9 ][0-9]) {_TIME} (?P<year>[0-9]{{4}})"

_FIRST = -62_135_596_800.0  # 0001-01-01 00:00:00
_LAST = 253_402_300_799.0  # 9999-12-31 23:59:59
_NO_CLOCK = 1_767_225_600.0  # 2026-01-01


def format_date(timestamp: float) -> str:
    """The IMF-fixdate of a time in seconds since the epoch: "Sun, 06 Nov 1994 08:49:37 GMT".

    The form has four digits for the year: what lies outside of 0001 to 9999 becomes the nearest time that it can say.
    """
    year, month, day, hour, minute, second, weekday, _, _ = gmtime(min(max(timestamp, _FIRST), _LAST))
    return f"{_DAYS[weekday]}, {day:02} {_MONTHS[month - 1]} {year:04} {hour:02}:{minute:02}:{second:02} GMT"


def parse_date(text: str, now: float = _NO_CLOCK) -> float | None:
    """The time of an HTTP date in seconds since the epoch, or None for text that is none.

    Takes the three forms of section 5.6.7 as they are written there, without surrounding spaces; the weekday is not
    held against the date. The two-digit year of the obsolete RFC 850 form is the last that puts the date no more than
    50 years after `now`; the default of `now` suits callers without a clock: it reads 77 as 1977 and 75 as 2075.
    """
    match = _IMF_FIXDATE.fullmatch(text) or re.fullmatch(_RFC850, text) or re.fullmatch(_ASCTIME, text)
    if match is None:
        return None
    from datetime import UTC, datetime  # here, since it takes as long to import as the rest of this module

    year, day, hour, minute, second = (int(match[part]) for part in ("year", "day", "hour", "minute", "second"))
    month = _MONTHS.index(match["month"]) + 1
    if len(match["year"]) == 2:
        this_year, *rest_of_now = gmtime(now)[:6]
        latest = this_year + 50
        year = latest - (latest - year) % 100
        if year == latest and [month, day, hour, minute, second] > rest_of_now:
            year -= 100
    if second == 60:
        second = 59  # a leap second is a valid HTTP date and no valid datetime
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()
    except ValueError:
        return None

"""HTTP dates (RFC 9110 section 5.6.7), in any locale."""

from __future__ import annotations

import re
from calendar import timegm
from datetime import UTC, datetime
from time import gmtime

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_LONG_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_MONTH = f"({'|'.join(_MONTHS)})"
_TIME = "([0-9]{2}):([0-9]{2}):([0-9]{2})"
_IMF_FIXDATE = re.compile(f"(?:{'|'.join(_DAYS)}), ([0-9]{{2}}) {_MONTH} ([0-9]{{4}}) {_TIME} GMT")
_RFC850 = re.compile(f"(?:{'|'.join(_LONG_DAYS)}), ([0-9]{{2}})-{_MONTH}-([0-9]{{2}}) {_TIME} GMT")
_ASCTIME = re.compile(f"(?:{'|'.join(_DAYS)}) {_MONTH} ([0-9 ][0-9]) {_TIME} ([0-9]{{4}})")


def format_date(timestamp: float) -> str:
    """The IMF-fixdate of a time in seconds since the epoch: "Sun, 06 Nov 1994 08:49:37 GMT"."""
    year, month, day, hour, minute, second, weekday, _, _ = gmtime(timestamp)
    return f"{_DAYS[weekday]}, {day:02} {_MONTHS[month - 1]} {year:04} {hour:02}:{minute:02}:{second:02} GMT"


def parse_date(text: str, now: float = 0.0) -> float | None:
    """The time of an HTTP date in seconds since the epoch, or None for text that is none.

    The two-digit year of the obsolete RFC 850 form is taken as the last one that is not over 50 years after `now`.
    """
    if match := _IMF_FIXDATE.fullmatch(text):
        day, month, year, hour, minute, second = match.groups()
    elif match := _ASCTIME.fullmatch(text):
        month, day, hour, minute, second, year = match.groups()
    elif match := _RFC850.fullmatch(text):
        day, month, short_year, hour, minute, second = match.groups()
        latest = gmtime(now).tm_year + 50
        year = str(latest - (latest - int(short_year)) % 100)
    else:
        return None
    try:
        # A leap second, :60, is a valid HTTP date and no valid datetime: it is the second before.
        moment = datetime(
            int(year), _MONTHS.index(month) + 1, int(day), int(hour), int(minute), min(int(second), 59), tzinfo=UTC
        )
    except ValueError:
        return None
    return None if int(second) > 60 else float(timegm(moment.utctimetuple()))

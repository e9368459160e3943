from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstbyte.http.dates import format_date, parse_date

RFC_EXAMPLE = 784111777.0  # of RFC 9110 section 5.6.7
FIRST, LAST = -62135596800, 253402300799  # the years 1 to 9999


def at(*moment):
    return datetime(*moment, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("timestamp", "text"),
    [
        (RFC_EXAMPLE, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (0.999, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (-0.5, "Wed, 31 Dec 1969 23:59:59 GMT"),
        (951782400, "Tue, 29 Feb 2000 00:00:00 GMT"),
        (FIRST, "Mon, 01 Jan 0001 00:00:00 GMT"),
        (-1e30, "Mon, 01 Jan 0001 00:00:00 GMT"),
        (LAST + 1, "Fri, 31 Dec 9999 23:59:59 GMT"),
        (float("inf"), "Fri, 31 Dec 9999 23:59:59 GMT"),
    ],
)
def test_format(timestamp, text):
    assert format_date(timestamp) == text


@pytest.mark.parametrize(
    ("text", "timestamp"),
    [
        ("Sun, 06 Nov 1994 08:49:37 GMT", RFC_EXAMPLE),
        ("Sunday, 06-Nov-94 08:49:37 GMT", RFC_EXAMPLE),
        ("Sun Nov  6 08:49:37 1994", RFC_EXAMPLE),
        ("Sun Nov 06 08:49:37 1994", RFC_EXAMPLE),
        ("Mon, 06 Nov 1994 08:49:37 GMT", RFC_EXAMPLE),
        ("Tue, 29 Feb 2000 00:00:00 GMT", at(2000, 2, 29)),
        ("Sat, 31 Dec 2016 23:59:60 GMT", at(2016, 12, 31, 23, 59, 59)),
    ],
)
def test_the_three_forms(text, timestamp):
    assert parse_date(text) == timestamp


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "784111777",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 +0000",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        " Sun, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT\n",
        "sun, 06 nov 1994 08:49:37 gmt",
        "Sun,06 Nov 1994 08:49:37 GMT",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 94 08:49:37 GMT",
        "Sun, 06 Nov 1994 8:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 31 Nov 1994 08:49:37 GMT",
        "Mon, 29 Feb 1900 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 0000 08:49:37 GMT",
        "Sun, ٠٦ Nov 1994 08:49:37 GMT",
        "Sun, 06-Nov-94 08:49:37 GMT",
        "Sunday, 06-Nov-1994 08:49:37 GMT",
        "Sunday, 06 Nov 1994 08:49:37 GMT",
        "Sun Nov 6 08:49:37 1994",
        "Sun Nov  6 08:49:37 94",
        "1994-11-06T08:49:37Z",
    ],
)
def test_anything_else_is_no_date(text):
    assert parse_date(text) is None


@pytest.mark.parametrize(
    ("text", "year"),
    [
        ("Sunday, 01-Jan-26 00:00:00 GMT", 2026),
        ("Sunday, 01-Jan-00 00:00:00 GMT", 2000),
        ("Sunday, 01-Jan-75 00:00:00 GMT", 2075),
        ("Sunday, 15-Jun-76 12:00:00 GMT", 2076),  # fifty years to the second are not more than fifty
        ("Sunday, 15-Jun-76 12:00:01 GMT", 1976),
        ("Sunday, 31-Dec-76 00:00:00 GMT", 1976),
        ("Sunday, 01-Jan-77 00:00:00 GMT", 1977),
        ("Sunday, 01-Jan-99 00:00:00 GMT", 1999),
    ],
)
def test_two_digits_mean_no_more_than_fifty_years_ahead(text, year):
    parsed = parse_date(text, now=at(2026, 6, 15, 12))
    assert parsed is not None
    assert datetime.fromtimestamp(parsed, UTC).year == year


def test_without_a_clock_two_digits_mean_this_time():
    assert parse_date("Sunday, 01-Jan-26 00:00:00 GMT") == at(2026, 1, 1)


@given(st.integers(FIRST, LAST))
def test_what_is_written_is_read_again(timestamp):
    assert parse_date(format_date(timestamp)) == timestamp


@given(st.text(alphabet="SunModay, 0123456789NovGMT:-", max_size=40))
def test_no_text_raises(text):
    parse_date(text)

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstbyte.http.ranges import (
    MAX_RANGES,
    Unsatisfiable,
    closing_delimiter,
    content_range,
    new_boundary,
    parse_range,
    part_head,
)


@pytest.mark.parametrize(
    ("header", "spans"),
    [
        # RFC 9110 section 14.1.2, of 10,000 bytes
        ("bytes=0-499", [(0, 500)]),
        ("bytes=500-999", [(500, 1000)]),
        ("bytes=-500", [(9500, 10000)]),
        ("bytes=9500-", [(9500, 10000)]),
        ("bytes=0-0,-1", [(0, 1), (9999, 10000)]),
        ("bytes= 0-999, 4500-5499, -1000", [(0, 1000), (4500, 5500), (9000, 10000)]),
        ("bytes=500-600,601-999", [(500, 1000)]),
        ("bytes=500-700,601-999", [(500, 1000)]),
        # clamped
        ("bytes=0-", [(0, 10000)]),
        ("bytes=9999-20000", [(9999, 10000)]),
        ("bytes=-20000", [(0, 10000)]),
        ("bytes=0-999999999999999999", [(0, 10000)]),
        # those that lie outside are left out, the others are sorted and joined
        ("bytes=10000-,0-0", [(0, 1)]),
        ("bytes=-0,5-5", [(5, 6)]),
        ("bytes=90-99,0-9", [(0, 10), (90, 100)]),
        ("bytes=0-99,10-19,50-149,150-159,161-169", [(0, 160), (161, 170)]),
        ("Bytes=0-0", [(0, 1)]),
        ("bytes=,, 0-0 ,\t,", [(0, 1)]),
    ],
)
def test_spans(header, spans):
    assert parse_range(header, 10_000) == spans


@pytest.mark.parametrize(
    "header",
    [
        "",
        "bytes",
        "bytes=",
        "bytes=,",
        "bytes=-",
        "bytes=a-b",
        "bytes=1",
        "bytes=2-1",
        "bytes=0-1,2-1",
        "bytes=0-1;2-3",
        "bytes=+1-2",
        "bytes=1 -2",
        "bytes=1-2-3",
        "bytes=--1",
        "bytes=0x0-0x1",
        "bytes=٠-٩",
        "bytes =0-1",
        " bytes=0-1",
        "items=0-1",
        "bytes=" + "9" * 19 + "-",
        pytest.param("bytes=" + "9" * 100_000 + "-", id="100,000 digits"),
        "bytes=" + ",".join(["0-0"] * (MAX_RANGES + 1)),
    ],
)
def test_ignored(header):
    assert parse_range(header, 10_000) is None


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=10-20", "bytes=-0", "bytes=10-,11-"])
def test_unsatisfiable(header):
    with pytest.raises(Unsatisfiable, match="10 bytes"):
        parse_range(header, 10)


@pytest.mark.parametrize("header", ["bytes=0-", "bytes=-1", "bytes=5-", "bytes=x"])
def test_empty_content_has_no_ranges(header):
    assert parse_range(header, 0) is None


def test_the_number_of_ranges_is_the_callers_to_limit():
    assert parse_range("bytes=0-0,2-2", 10, max_ranges=1) is None
    assert parse_range("bytes=0-0", 10, max_ranges=1) == [(0, 1)]


@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)).map(sorted), min_size=1, max_size=MAX_RANGES),
    st.integers(1, 50),
)
def test_the_spans_cover_what_was_asked_for_once(ranges, size):
    header = "bytes=" + ",".join(f"{first}-{last}" for first, last in ranges)
    asked = {position for first, last in ranges for position in range(first, min(last + 1, size))}
    try:
        spans = parse_range(header, size)
    except Unsatisfiable:
        assert not asked
        return
    assert spans is not None
    covered = [position for start, stop in spans for position in range(start, stop)]
    assert covered == sorted(asked)
    assert all(stop < start for (_, stop), (start, _) in pairwise(spans))


@given(st.text(alphabet="bytes=0123-, \t", max_size=40), st.integers(0, 20))
def test_no_header_raises_anything_else(header, size):
    try:
        parse_range(header, size)
    except Unsatisfiable:
        pass


def test_content_range():
    assert content_range(0, 500, 1234) == "bytes 0-499/1234"


def test_multipart_byteranges():
    assert part_head("B", "text/plain", 0, 3, 10) + b"abc" + closing_delimiter("B") == (
        b"\r\n--B\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-2/10\r\n\r\nabc\r\n--B--\r\n"
    )


def test_a_part_cannot_be_given_other_fields():
    with pytest.raises(ValueError, match="control character"):
        part_head("B", "text/plain\r\nX: y", 0, 3, 10)


def test_boundaries_differ_and_need_no_quotes():
    boundary = new_boundary()
    assert boundary != new_boundary()
    assert boundary.isalnum()
    assert len(boundary) == 32

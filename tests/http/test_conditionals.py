import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstbyte.http.conditionals import Outcome, evaluate, matches, range_applies
from firstbyte.http.headers import Headers

PROCEED, NOT_MODIFIED, FAILED = Outcome.PROCEED, Outcome.NOT_MODIFIED, Outcome.FAILED
ETAG = '"x"'
CHANGED = 784111777.5  # files have fractions of seconds, dates have none
BEFORE = "Sun, 06 Nov 1994 08:49:36 GMT"
SAME = "Sun, 06 Nov 1994 08:49:37 GMT"
AFTER = "Sun, 06 Nov 1994 08:49:38 GMT"


@pytest.mark.parametrize(
    ("fields", "get", "put"),
    [
        ({}, PROCEED, PROCEED),
        # If-Match, section 13.1.1
        ({"If-Match": '"x"'}, PROCEED, PROCEED),
        ({"If-Match": '"y", "x"'}, PROCEED, PROCEED),
        ({"If-Match": "*"}, PROCEED, PROCEED),
        ({"If-Match": '"y"'}, FAILED, FAILED),
        ({"If-Match": 'W/"x"'}, FAILED, FAILED),
        ({"If-Match": "x"}, FAILED, FAILED),
        ({"If-Match": ""}, FAILED, FAILED),
        # If-Unmodified-Since, section 13.1.4
        ({"If-Unmodified-Since": SAME}, PROCEED, PROCEED),
        ({"If-Unmodified-Since": AFTER}, PROCEED, PROCEED),
        ({"If-Unmodified-Since": BEFORE}, FAILED, FAILED),
        ({"If-Unmodified-Since": "yesterday"}, PROCEED, PROCEED),
        ({"If-Match": '"x"', "If-Unmodified-Since": BEFORE}, PROCEED, PROCEED),
        # If-None-Match, section 13.1.2
        ({"If-None-Match": '"x"'}, NOT_MODIFIED, FAILED),
        ({"If-None-Match": 'W/"x"'}, NOT_MODIFIED, FAILED),
        ({"If-None-Match": "*"}, NOT_MODIFIED, FAILED),
        ({"If-None-Match": '"y"'}, PROCEED, PROCEED),
        ({"If-None-Match": "x"}, PROCEED, PROCEED),
        # If-Modified-Since, section 13.1.3
        ({"If-Modified-Since": SAME}, NOT_MODIFIED, PROCEED),
        ({"If-Modified-Since": AFTER}, NOT_MODIFIED, PROCEED),
        ({"If-Modified-Since": BEFORE}, PROCEED, PROCEED),
        ({"If-Modified-Since": "yesterday"}, PROCEED, PROCEED),
        ({"If-None-Match": '"y"', "If-Modified-Since": AFTER}, PROCEED, PROCEED),
        # the order, section 13.2.2
        ({"If-Match": '"y"', "If-None-Match": '"x"'}, FAILED, FAILED),
        ({"If-Match": '"x"', "If-None-Match": '"x"'}, NOT_MODIFIED, FAILED),
        ({"If-Unmodified-Since": BEFORE, "If-None-Match": '"x"'}, FAILED, FAILED),
        ({"If-Unmodified-Since": AFTER, "If-Modified-Since": AFTER}, NOT_MODIFIED, PROCEED),
    ],
)
def test_evaluate(fields, get, put):
    assert evaluate("GET", Headers(fields), ETAG, CHANGED) is get
    assert evaluate("HEAD", Headers(fields), ETAG, CHANGED) is get
    assert evaluate("PUT", Headers(fields), ETAG, CHANGED) is put


@pytest.mark.parametrize(
    ("fields", "outcome"),
    [
        ({"If-Match": '"x"'}, FAILED),
        ({"If-Match": "*"}, PROCEED),
        ({"If-None-Match": '"x"'}, PROCEED),
        ({"If-None-Match": "*"}, NOT_MODIFIED),
        ({"If-Modified-Since": AFTER}, PROCEED),
        ({"If-Unmodified-Since": BEFORE}, PROCEED),
    ],
)
def test_where_tag_and_time_are_unknown(fields, outcome):
    assert evaluate("GET", Headers(fields), None, None) is outcome


@pytest.mark.parametrize(
    ("fields", "outcome"),
    [({"If-Match": "*"}, FAILED), ({"If-Match": '"x"'}, FAILED), ({"If-None-Match": "*"}, PROCEED)],
)
def test_where_nothing_is_there_yet(fields, outcome):
    assert evaluate("PUT", Headers(fields), None, None, exists=False) is outcome


def test_lists_on_several_lines_are_one():
    headers = Headers([("If-None-Match", '"a"'), ("If-None-Match", '"x"')])
    assert evaluate("GET", headers, ETAG, None) is NOT_MODIFIED


def test_a_date_on_several_lines_is_none():
    headers = Headers([("If-Modified-Since", AFTER), ("If-Modified-Since", BEFORE)])
    assert evaluate("GET", headers, None, CHANGED) is PROCEED


@pytest.mark.parametrize(
    ("one", "other", "strong", "weak"),
    [  # RFC 9110 section 8.8.3.2
        ('W/"1"', 'W/"1"', False, True),
        ('W/"1"', 'W/"2"', False, False),
        ('W/"1"', '"1"', False, True),
        ('"1"', '"1"', True, True),
    ],
)
def test_comparison(one, other, strong, weak):
    for field, etag in ((one, other), (other, one)):
        assert matches(field, etag, weak=False) is strong
        assert matches(field, etag, weak=True) is weak


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ('"a","b"', True),
        ('"a" , \t"b"', True),
        (',, "a", ,"b",', True),
        (' "b" ', True),
        ("*", True),
        (" * ", True),
        ('"a,b"', False),
        ('"a" "b"', False),
        ('garbage, "b"', False),
        ('"b", garbage', True),
        ('w/"b"', False),
        ('W/ "b"', False),
        ('"b', False),
        ('"b"c', False),
        ('"B"', False),
        ('*, "b"', False),
        ("", False),
    ],
)
def test_lists_of_tags(field, expected):
    assert matches(field, '"b"', weak=True) is expected


def test_a_comma_inside_a_tag_separates_nothing():
    assert matches('"x", "a,b"', '"a,b"', weak=False)


TAGS = st.builds('{}"{}"'.format, st.sampled_from(["", "W/"]), st.text("a,!#/"))


@given(st.lists(TAGS, min_size=1), st.data())
def test_every_tag_of_a_list_is_found(tags, data):
    assert matches(", ".join(tags), data.draw(st.sampled_from(tags)), weak=True)


@pytest.mark.parametrize("piece", ['"', ",", '"a" ', 'W/"a",', " ", "W/"])
def test_hostile_lists_take_linear_time(piece):
    assert not matches(piece * 100_000, ETAG, weak=True)


@pytest.mark.parametrize(
    ("if_range", "etag", "last_modified", "expected"),
    [
        (None, ETAG, CHANGED, True),
        ('"x"', ETAG, CHANGED, True),
        ('"y"', ETAG, CHANGED, False),
        ('"x"', 'W/"x"', CHANGED, False),
        ('W/"x"', 'W/"x"', CHANGED, False),
        ('"x"', None, CHANGED, False),
        (SAME, ETAG, CHANGED, True),
        (BEFORE, ETAG, CHANGED, False),
        (AFTER, ETAG, CHANGED, False),
        (SAME, ETAG, None, False),
        ("x", ETAG, CHANGED, False),
        ("", ETAG, CHANGED, False),
    ],
)
def test_if_range(if_range, etag, last_modified, expected):
    headers = Headers({} if if_range is None else {"If-Range": if_range})
    assert range_applies(headers, etag, last_modified) is expected

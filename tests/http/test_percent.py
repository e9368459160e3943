import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstbyte.http.multidict import MultiDict
from firstbyte.http.percent import InvalidURL, decode_path, encode_escaped, encode_path, encode_query, parse_query

TEXT = st.text(st.characters(blacklist_categories=["Cs"]), max_size=30)


# --- paths -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        ("/", "/"),
        ("/a%20b", "/a b"),
        ("/%C3%A9%e2%82%ac", "/é€"),
        ("/a+b", "/a+b"),
        ("/%2541", "/%41"),
        ("/a%2Fb", "/a/b"),
        ("/%2e%2e/", "/../"),
    ],
)
def test_decode_path(raw, path):
    assert decode_path(raw) == path


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        ("/100%", "% at 4"),
        ("/%4", "% at 1"),
        ("/%zz", "% at 1"),
        ("/%%41", "% at 1"),
        ("/%u0041", "% at 1"),
        ("/% 41", "% at 1"),
        ("/%ff", "no UTF-8"),
        ("/%c0%af", "no UTF-8"),
        ("/%ed%a0%80", "no UTF-8"),
        ("/\ud800", "no UTF-8"),
        ("/a%00", "NUL"),
    ],
)
def test_decode_path_refuses(raw, why):
    with pytest.raises(InvalidURL, match=why):
        decode_path(raw)


def test_encode_path_keeps_what_a_path_may_have():
    assert encode_path("/a b/é?#%;=@:~!$&'()*+,") == "/a%20b/%C3%A9%3F%23%25;=@:~!$&'()*+,"


@given(TEXT.filter(lambda text: "\0" not in text))
def test_a_path_survives_its_encoding(path):
    assert decode_path(encode_path(path)) == path


@given(TEXT)
def test_encoding_what_is_encoded_changes_nothing(text):
    assert encode_escaped(encode_escaped(text)) == encode_escaped(text)


# --- queries ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "pairs"),
    [
        ("", []),
        ("a=1&b=2&a=3", [("a", "1"), ("b", "2"), ("a", "3")]),
        ("a+b=c%20d%2B", [("a b", "c d+")]),
        ("a&b=&=c", [("a", ""), ("b", ""), ("", "c")]),
        ("a=b=c", [("a", "b=c")]),
        ("&&a=1&", [("a", "1")]),
        ("a=1;b=2", [("a", "1;b=2")]),
        ("a=100%&b=%zz&c=%4", [("a", "100%"), ("b", "%zz"), ("c", "%4")]),
        ("a=%ff%C3%A9", [("a", "\ufffdé")]),
        ("a=%00", [("a", "\0")]),
        ("q=é", [("q", "é")]),
        ("?a=1", [("?a", "1")]),
    ],
)
def test_parse_query(raw, pairs):
    assert parse_query(raw).items() == pairs


def test_too_many_fields_are_refused():
    assert len(parse_query("a=1&b=2", max_fields=2)) == 2
    with pytest.raises(InvalidURL, match="more than 2 fields"):
        parse_query("a=1&b=2&c=3", max_fields=2)
    with pytest.raises(InvalidURL, match="more than 1000 fields"):
        parse_query("&" * 1000)


@pytest.mark.parametrize(
    ("fields", "query"),
    [
        ({}, ""),
        ({"a": "1", "b": 2, "c": 1.5}, "a=1&b=2&c=1.5"),
        ({"a": [1, "x", None], "b": (True, False), "c": []}, "a=1&a=x&b=true&b=false"),
        ({"a": None, "b": ""}, "b="),
        ([("a", 1), ("a", 2)], "a=1&a=2"),
        (MultiDict([("ab", "1"), ("cd", "2"), ("ab", "3")]), "ab=1&cd=2&ab=3"),
        ({"a b": "c&d=e+f%"}, "a+b=c%26d%3De%2Bf%25"),
        ({"é": "€*-._"}, "%C3%A9=%E2%82%AC*-._"),
        ({"a": b"\xff"}, "a=%FF"),
    ],
)
def test_encode_query(fields, query):
    assert encode_query(fields) == query


@given(st.lists(st.tuples(TEXT, TEXT)))
def test_a_query_survives_its_encoding(pairs):
    assert parse_query(encode_query(pairs)).items() == pairs


@given(TEXT)
def test_no_query_raises(raw):
    parse_query(raw)

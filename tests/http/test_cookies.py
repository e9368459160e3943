import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstbyte.http.cookies import MAX_COOKIES, expire_cookie, format_set_cookie, parse_cookies

OCTETS = st.text(st.characters(min_codepoint=33, max_codepoint=126, blacklist_characters='",;\\'), max_size=40)


@pytest.mark.parametrize(
    ("header", "cookies"),
    [
        ("", {}),
        ("a=1", {"a": "1"}),
        ("a=1; b=2;c=3 ;\td=4", {"a": "1", "b": "2", "c": "3", "d": "4"}),
        ("a=1; a=2", {"a": "1"}),
        ("a=; b", {"a": ""}),
        ("a=b=c==", {"a": "b=c=="}),
        ('a="1"; b=""; c="; d=x"y', {"a": "1", "b": "", "c": '"', "d": 'x"y'}),
        ("a = 1", {"a": "1"}),
        ("a=1 2, 3", {"a": "1 2, 3"}),
        ("=1; a b=2; (c)=3; é=4; d=5", {"d": "5"}),
        ("A=1; a=2", {"A": "1", "a": "2"}),
        (";;; ;", {}),
    ],
)
def test_parse(header, cookies):
    assert parse_cookies(header) == cookies


def test_no_more_than_the_limit_are_read():
    header = "; ".join(f"c{number}={number}" for number in range(MAX_COOKIES + 50))
    assert len(parse_cookies(header)) == MAX_COOKIES


@given(st.text(max_size=60))
def test_no_header_raises(header):
    parse_cookies(header)


@pytest.mark.parametrize(
    ("options", "attributes"),
    [
        ({}, "Path=/; HttpOnly; SameSite=Lax"),
        ({"httponly": False, "samesite": None, "path": ""}, ""),
        ({"max_age": 60}, "Max-Age=60; Path=/; HttpOnly; SameSite=Lax"),
        ({"expires": 0.0}, "Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/; HttpOnly; SameSite=Lax"),
        ({"domain": "example.org", "path": "/a b"}, "Domain=example.org; Path=/a b; HttpOnly; SameSite=Lax"),
        ({"secure": True, "samesite": "None"}, "Path=/; Secure; HttpOnly; SameSite=None"),
        (
            {"secure": True, "samesite": "Strict", "partitioned": True},
            "Path=/; Secure; HttpOnly; SameSite=Strict; Partitioned",
        ),
    ],
)
def test_format(options, attributes):
    assert format_set_cookie("sid", "x", **options) == "; ".join(filter(None, ("sid=x", attributes)))


@pytest.mark.parametrize(
    ("name", "value", "options", "why"),
    [
        ("", "x", {}, "not a token"),
        ("a b", "x", {}, "not a token"),
        ("a=", "x", {}, "not a token"),
        ("a\n", "x", {}, "not a token"),
        ("é", "x", {}, "not a token"),
        ("a", "x;Secure", {}, "';' at 1"),
        ("a", "x\r\nSet-Cookie: b=c", {}, r"'\\r' at 1"),
        ("a", "x\n", {}, r"'\\n' at 1"),
        ("a", "x\x00", {}, "at 1"),
        ("a", "x y", {}, "' ' at 1"),
        ("a", '"x"', {}, "at 0"),
        ("a", "x,y", {}, "at 1"),
        ("a", "é", {}, "at 0"),
        ("a", "x" * 4096, {}, "4097 bytes"),
        ("a", "x", {"max_age": 1.5}, "whole number of seconds"),
        ("a", "x", {"path": "/;Secure"}, "path"),
        ("a", "x", {"path": "/\n"}, "path"),
        ("a", "x", {"path": "a"}, "begin with /"),
        ("a", "x", {"domain": "a;b"}, "domain"),
        ("a", "x", {"domain": "a\n"}, "domain"),
        ("a", "x", {"samesite": "none"}, "samesite"),
        ("a", "x", {"samesite": "None"}, "secure because of SameSite"),
        ("a", "x", {"partitioned": True}, "secure because of Partitioned"),
        ("__Secure-a", "x", {}, "secure because of its prefix"),
        ("__Host-a", "x", {}, "secure because of its prefix"),
        ("__host-a", "x", {}, "secure because of its prefix"),
        ("__Host-a", "x", {"secure": True, "path": "/a"}, "path / and no domain"),
        ("__HOST-a", "x", {"secure": True, "domain": "example.org"}, "path / and no domain"),
    ],
)
def test_what_browsers_would_not_keep_is_refused(name, value, options, why):
    with pytest.raises(ValueError, match=why):
        format_set_cookie(name, value, **options)


def test_an_error_does_not_show_the_value():
    with pytest.raises(ValueError, match="at 6") as caught:
        format_set_cookie("sid", "secret;")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("name", ["__Host-a", "__Secure-a"])
def test_prefixed_names_are_written(name):
    assert format_set_cookie(name, "x", secure=True).startswith(f"{name}=x; Path=/; Secure")


@pytest.mark.parametrize(
    ("arguments", "attributes"),
    [
        ({"name": "a"}, "Path=/; HttpOnly; SameSite=Lax"),
        ({"name": "a", "path": "/x", "domain": "b.c"}, "Domain=b.c; Path=/x; HttpOnly; SameSite=Lax"),
        ({"name": "__Host-a"}, "Path=/; Secure; HttpOnly; SameSite=Lax"),
        (
            {"name": "a", "secure": True, "samesite": "None", "partitioned": True},
            "Path=/; Secure; HttpOnly; SameSite=None; Partitioned",
        ),
    ],
)
def test_expire(arguments, attributes):
    expected = f"{arguments['name']}=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; {attributes}"
    assert expire_cookie(**arguments) == expected


@given(OCTETS)
def test_what_is_set_is_read_again(value):
    pair = format_set_cookie("sid", value).split(";")[0]
    assert parse_cookies(pair) == {"sid": value}

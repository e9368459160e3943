import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstbyte.http.percent import InvalidURL, encode_path, encode_query
from firstbyte.http.url import URL

TEXT = st.text(st.characters(blacklist_categories=["Cs"]), max_size=30)


# --- URLs ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://example.org", URL("http", "example.org")),
        ("HTTP://Example.ORG/Path", URL("http", "example.org", path="/Path")),
        ("https://h:8443/a?b=c#d", URL("https", "h", 8443, "/a", "b=c", "d")),
        ("http://h?q", URL("http", "h", query="q")),
        ("http://h#f?g", URL("http", "h", fragment="f?g")),
        ("http://h:/", URL("http", "h")),
        ("http://h:080/", URL("http", "h")),
        ("https://h:80/", URL("https", "h", 80)),
        ("x://h:080/", URL("x", "h", 80)),
        ("ws://h/", URL("ws", "h")),
        ("http://[::1]:8000/", URL("http", "::1", 8000)),
        ("http://[2001:DB8::1]/", URL("http", "2001:db8::1")),
        ("http://[::ffff:1.2.3.4]/", URL("http", "::ffff:1.2.3.4")),
        ("http://127.0.0.1/", URL("http", "127.0.0.1")),
        ("http://my_host-1.local./", URL("http", "my_host-1.local.")),
        ("http://1.2.3.4.example/", URL("http", "1.2.3.4.example")),
        ("http://user@h/", URL("http", "h", username="user")),
        ("http://us%40er:p%3Aw:%C3%A9@h/", URL("http", "h", username="us@er", password="p:w:é")),
        ("http://:pw@h/", URL("http", "h", password="pw")),
        ("http://h/@?@#@", URL("http", "h", path="/@", query="@", fragment="@")),
        ("http://h//a/../b", URL("http", "h", path="//a/../b")),
        ("http://h/%41%zz%", URL("http", "h", path="/%41%zz%")),
        ('http://h/é"<>^`{|}?é|#é', URL("http", "h", None, "/%C3%A9%22%3C%3E%5E%60%7B%7C%7D", "%C3%A9%7C", "%C3%A9")),
        ("http://h/a[]?b[]=1", URL("http", "h", path="/a[]", query="b[]=1")),
        ("http://bücher.example/", URL("http", "xn--bcher-kva.example")),
        ("http://例え。テスト/", URL("http", "xn--r8jz45g.xn--zckzah")),
        ("http+unix://%2FRun%2Fapp.sock/a", URL("http+unix", "%2FRun%2Fapp.sock", path="/a")),
    ],
)
def test_parse(text, url):
    assert URL.parse(text) == url
    assert URL.parse(str(url)) == url


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not absolute"),
        ("/path", "not absolute"),
        ("//host/path", "not absolute"),
        ("localhost:8000", "'localhost:8000' is not absolute"),
        ("http:/host", "not absolute"),
        ("1http://h", "not absolute"),
        ("http://h/a b", "' ' at 10"),
        ("http://h/a\tb", r"'\\t' at 10"),
        ("http://h/\r\nX: y", r"'\\r' at 9"),
        (" http://h/", "' ' at 0"),
        ("http://h/\x7f", "at 9"),
        ("http:\\\\h", "at 5"),
        ("http://h/\ud800", "at 9"),
        ("http://", "must have a host"),
        ("http:///path", "must have a host"),
        ("http://:80/", "must have a host"),
        ("http://user@/", "must have a host"),
        ("http://::1/", "must have a host"),
        ("http://[::1/", "must have a host"),
        ("http://[::1]x/", "must have a host"),
        ("http://a@b@c/", "two @"),
        ("http://h:0/", "1 to 65535"),
        ("http://h:65536/", "1 to 65535"),
        ("http://h:-1/", "1 to 65535"),
        ("http://h:8x/", "1 to 65535"),
        ("http://h:٨٠/", "1 to 65535"),
        pytest.param("http://h:" + "9" * 5000 + "/", "1 to 65535", id="a port of 5000 digits"),
        ("http://[]/", "host"),
        ("http://[:::]/", "host"),
        ("http://[1::2::3]/", "host"),
        ("http://[v1.x]/", "host"),
        ("http://[fe80::1%25eth0]/", "zone"),
        ("http://a..b/", "no domain name"),
        ("http://.a/", "no domain name"),
        ("http://" + "a" * 64 + "/", "no domain name"),
        ("http://" + "a." * 127 + "a/", "no domain name"),
        ("http://a%2eb/", "no domain name"),
        ("http://a<b/", "no domain name"),
        ("http://a*b/", "no domain name"),
        # what IDNA would turn into another URL
        ("http://a\u00a0b/", "no domain name"),
        ("http://℀.example/", "no domain name"),
        ("http://a／b/", "no domain name"),
        ("http://a＠b/", "no domain name"),
        ("http://" + "é" * 64 + "/", "host"),
        # what resolvers would take for an address
        ("http://127.1/", "host"),
        ("http://2130706433/", "host"),
        ("http://0x7f.0.0.1/", "host"),
        ("http://127.0.0.01/", "host"),
        ("http://1.2.3.256/", "host"),
        ("http://1.2.3.4.5/", "host"),
        ("http://１27.0.0.1.0/", "host"),
        ("http://us%zzer@h/", "username has a % at 2"),
        ("http://u:%ff@h/", "password is no UTF-8"),
        ("http+unix://%2/", "percent-encoded"),
        ("x://a<b/", "percent-encoded"),
    ],
)
def test_parse_refuses(text, why):
    with pytest.raises(InvalidURL, match=why):
        URL.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "http://user:hunter2@h:99999/",
        "http://user:hunter2@h h/",
        "http://user:hunter2@/",
        "http://user:hunter2@[x]/",
        "http://user:hunter2@a..b/",
        "http://user:hunter2@a@b/",
        "http://user:hunter2%@h/",
        "user:hunter2@h",
        "http://user:hunter2/x@h/",
    ],
)
def test_no_error_shows_the_password(text):
    with pytest.raises(InvalidURL) as caught:
        URL.parse(text)
    assert "hunter2" not in str(caught.value)


def test_repr_hides_the_password():
    url = URL.parse("http://user:hunter2@h/")
    assert repr(url) == "URL('http://user:***@h/')"
    assert str(url) == "http://user:hunter2@h/"
    assert repr(URL.parse("http://h/")) == "URL('http://h/')"


@pytest.mark.parametrize(
    ("text", "authority", "origin", "target"),
    [
        ("http://h:80", "h", "http://h", "/"),
        ("https://h:443/a?b#c", "h", "https://h", "/a?b"),
        ("http://h:443/", "h:443", "http://h:443", "/"),
        ("wss://u:p@h:8080/?x", "h:8080", "wss://h:8080", "/?x"),
        ("http://[::1]:8000/", "[::1]:8000", "http://[::1]:8000", "/"),
    ],
)
def test_parts_that_go_on_the_wire(text, authority, origin, target):
    url = URL.parse(text)
    assert (url.authority, url.origin, url.target) == (authority, origin, target)


@pytest.mark.parametrize(
    ("text", "port"), [("http://h", 80), ("wss://h", 443), ("https://h:8443", 8443), ("x://h:1", 1)]
)
def test_effective_port(text, port):
    assert URL.parse(text).effective_port == port


def test_a_scheme_without_a_port_of_its_own():
    with pytest.raises(InvalidURL, match="scheme x has no port"):
        _ = URL.parse("x://h").effective_port


def test_with_query_adds_fields():
    url = URL.parse("http://h/a#f")
    assert str(url.with_query({"q": "a b"})) == "http://h/a?q=a+b#f"
    assert str(url.with_query({"q": 1}).with_query([("q", 2)])) == "http://h/a?q=1&q=2#f"
    assert url.with_query({}) == url


PARTS = st.builds(
    URL,
    scheme=st.sampled_from(["http", "https", "ws", "wss"]),
    host=st.from_regex(r"[a-z]([a-z0-9-]{0,9}\.[a-z]{1,5})?", fullmatch=True),
    port=st.none() | st.integers(1, 65535),
    path=TEXT.map(lambda text: "/" + encode_path(text)),
    query=st.dictionaries(TEXT, TEXT, max_size=3).map(encode_query),
    fragment=TEXT.map(encode_path),
    username=TEXT.filter(lambda text: "\0" not in text),
    password=TEXT.filter(lambda text: "\0" not in text),
)


@given(PARTS)
def test_a_url_survives_its_text(url):
    again = URL.parse(str(url))
    assert str(again) == str(url)
    assert (again.username, again.password, again.target) == (url.username, url.password, url.target)


@given(st.text(max_size=30).map(lambda text: "http://" + text))
def test_what_parses_says_the_same_again(text):
    try:
        url = URL.parse(text)
    except InvalidURL:
        return
    assert str(url).isascii()
    assert str(URL.parse(str(url))) == str(url)


# --- references ------------------------------------------------------------------------------------------------------

BASE = URL.parse("http://a/b/c/d;p?q")


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        # RFC 3986 section 5.4.1; an empty path is written as /
        ("g", "http://a/b/c/g"),
        ("./g", "http://a/b/c/g"),
        ("g/", "http://a/b/c/g/"),
        ("/g", "http://a/g"),
        ("//g", "http://g/"),
        ("?y", "http://a/b/c/d;p?y"),
        ("g?y", "http://a/b/c/g?y"),
        ("#s", "http://a/b/c/d;p?q#s"),
        ("g#s", "http://a/b/c/g#s"),
        ("g?y#s", "http://a/b/c/g?y#s"),
        (";x", "http://a/b/c/;x"),
        ("g;x", "http://a/b/c/g;x"),
        ("g;x?y#s", "http://a/b/c/g;x?y#s"),
        ("", "http://a/b/c/d;p?q"),
        (".", "http://a/b/c/"),
        ("./", "http://a/b/c/"),
        ("..", "http://a/b/"),
        ("../", "http://a/b/"),
        ("../g", "http://a/b/g"),
        ("../..", "http://a/"),
        ("../../", "http://a/"),
        ("../../g", "http://a/g"),
        # section 5.4.2
        ("../../../g", "http://a/g"),
        ("../../../../g", "http://a/g"),
        ("/./g", "http://a/g"),
        ("/../g", "http://a/g"),
        ("g.", "http://a/b/c/g."),
        (".g", "http://a/b/c/.g"),
        ("g..", "http://a/b/c/g.."),
        ("..g", "http://a/b/c/..g"),
        ("./../g", "http://a/b/g"),
        ("./g/.", "http://a/b/c/g/"),
        ("g/./h", "http://a/b/c/g/h"),
        ("g/../h", "http://a/b/c/h"),
        ("g;x=1/./y", "http://a/b/c/g;x=1/y"),
        ("g;x=1/../y", "http://a/b/c/y"),
        ("g?y/./x", "http://a/b/c/g?y/./x"),
        ("g?y/../x", "http://a/b/c/g?y/../x"),
        ("g#s/./x", "http://a/b/c/g#s/./x"),
        ("g#s/../x", "http://a/b/c/g#s/../x"),
        # the rest of section 5.2
        ("https://h/x/../y", "https://h/y"),
        ("//h/./x", "http://h/x"),
        ("?", "http://a/b/c/d;p"),
        ("é?é#é", "http://a/b/c/%C3%A9?%C3%A9#%C3%A9"),
        ("%2e%2e/g", "http://a/b/c/%2e%2e/g"),
        ("a//../b", "http://a/b/c/a/b"),
    ],
)
def test_join(reference, expected):
    assert str(BASE.join(reference)) == expected


def test_join_keeps_user_and_port_for_relative_references_only():
    base = URL.parse("http://u:p@a:81/b#f")
    assert str(base.join("c")) == "http://u:p@a:81/c"
    assert str(base.join("//d/c")) == "http://d/c"


@pytest.mark.parametrize(
    ("reference", "why"),
    [
        ("g:h", "not absolute"),  # a URI, but none with a host
        ("http:g", "not absolute"),  # section 5.4.2: a strict parser does not take it for a relative one
        ("mailto:x@y", "not absolute"),
        ("///g", "must have a host"),
        ("/a\r\nX: y", r"'\\r' at 2"),
        ("a b", "' ' at 1"),
        ("/\\evil", "at 1"),
        ("//h:0/", "1 to 65535"),
    ],
)
def test_join_refuses(reference, why):
    with pytest.raises(InvalidURL, match=why):
        BASE.join(reference)


@given(st.text(alphabet="ab./?#%:@;", max_size=20))
def test_a_joined_url_is_one_and_has_no_dot_segments(reference):
    try:
        url = BASE.join(reference)
    except InvalidURL:
        return
    assert URL.parse(str(url)) == url
    if not reference.startswith(("?", "#")) and reference:
        assert not {".", ".."} & set(url.path.split("/"))


def test_a_url_is_a_key() -> None:
    url = URL.parse("http://a.org:80/x?y#z")
    assert {url: 1}[URL("http", "a.org", None, "/x", "y", "z")] == 1
    assert {url: 1}[pickle.loads(pickle.dumps(url))] == 1
    assert URL.parse("http://a.org/x?z#z") not in {url}
    assert URL.parse("http://a.org/x?y#a") not in {url}

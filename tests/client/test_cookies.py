import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstbyte.client.cookies import MAX_LIFETIME, Cookie, CookieJar, parse_cookie_date
from firstbyte.errors import ConfigurationError, InvalidRequest
from firstbyte.http.headers import Headers
from firstbyte.http.url import URL

NOW = 1_800_000_000.0


class Clock:
    def __init__(self):
        self.now = NOW

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def jar(clock):
    return CookieJar(clock=clock)


def take(jar, url, *lines):
    jar.update_from(URL.parse(url), Headers([("Set-Cookie", line) for line in lines]))


def sent(jar, url, extra=None):
    return jar.header_for(URL.parse(url), extra)


@pytest.mark.parametrize(
    ("line", "header"),
    [
        ("a=1", "a=1"),
        (" a = 1 ; Path=/", "a=1"),
        ("a=", "a="),
        ("a=b=c", "a=b=c"),
        ('a="1 2, 3"', 'a="1 2, 3"'),
        ("a", "a"),
        ("=a", "a"),
        ("a=\xe9", "a=\xe9"),
        ("a b=1", "a b=1"),
        ("a=1;;; Secure=x; HttpOnly; Unknown; =; SameSite=", "a=1"),
        ("a=" + "x" * 4095, "a=" + "x" * 4095),
        ("a=" + "x" * 4096, None),
        ("", None),
        ("=", None),
        (";Path=/", None),
        ("a=1; Max-Age=0", None),
        ("a=1; Max-Age=-5", None),
        ("a=1; Max-Age=x; Max-Age=", "a=1"),
        ("a=1; Max-Age=+5; Expires=junk", "a=1"),
        ("a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT", None),
        ("a=1; Max-Age=5; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "a=1"),
        ("a=1; Max-Age=0; Max-Age=5", "a=1"),
        ("a=1; Domain=" + "x" * 1025, "a=1"),  # too long to count
    ],
)
def test_what_is_set_comes_back(jar, line, header):
    take(jar, "https://example.org/", line)
    assert sent(jar, "https://example.org/") == header


@pytest.mark.parametrize(
    ("set_by", "domain", "sent_to", "is_sent"),
    [
        ("example.org", "", "example.org", True),
        ("example.org", "", "www.example.org", False),
        ("example.org", "example.org", "www.example.org", True),
        ("example.org", ".Example.ORG", "a.b.example.org", True),
        ("example.org", "example.org", "badexample.org", False),
        ("www.example.org", "example.org", "example.org", True),
        ("www.example.org", "example.org", "other.example.org", True),
        ("www.example.org", "", "example.org", False),
        ("example.org", "www.example.org", "www.example.org", False),
        ("example.org", "other.org", "other.org", False),
        ("example.org", "org", "example.org", False),
        ("example.org.", "org.", "example.org.", False),
        ("example.org.", "org.", "other.org.", False),
        ("example.org", ".", "example.org", True),
        ("localhost", "localhost", "localhost", True),
        ("localhost", "localhost", "a.localhost", False),
        ("127.0.0.1", "", "127.0.0.1", True),
        ("127.0.0.1", "127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "0.0.1", "127.0.0.1", False),
        ("[::1]", "", "[::1]", True),
    ],
)
def test_domains(jar, set_by, domain, sent_to, is_sent):
    take(jar, f"https://{set_by}/", f"a=1; Domain={domain}")
    assert (sent(jar, f"https://{sent_to}/") == "a=1") is is_sent


def test_ports_are_not_kept_apart(jar):
    take(jar, "http://example.org:8000/", "a=1")
    assert sent(jar, "http://example.org:9000/") == "a=1"


@pytest.mark.parametrize(
    ("set_at", "path", "sent_to", "is_sent"),
    [
        ("/", None, "/a/b", True),
        ("/a/b", None, "/a/c", True),
        ("/a/b", None, "/a", True),
        ("/a/b", None, "/ab", False),
        ("/a/b/", None, "/a/b", True),
        ("/a/b/", None, "/a/c", False),
        ("/a", None, "/b", True),
        ("/", "/a", "/a", True),
        ("/", "/a", "/a/b", True),
        ("/", "/a", "/ab", False),
        ("/", "/a/", "/a", False),
        ("/", "/a/", "/a/b", True),
        ("/x/y", "a", "/x/z", True),  # no path: the folder it was set in
        ("/x/y", "", "/z", False),
        ("/", "/%61", "/a", False),
    ],
)
def test_paths(jar, set_at, path, sent_to, is_sent):
    take(jar, f"https://example.org{set_at}", "a=1" if path is None else f"a=1; Path={path}")
    assert (sent(jar, f"https://example.org{sent_to}") == "a=1") is is_sent


def test_the_longer_path_goes_first_then_the_older(jar, clock):
    take(jar, "https://example.org/a/b", "x=1; Path=/", "y=2; Path=/a")
    clock.now += 1
    take(jar, "https://example.org/a/b", "z=3; Path=/", "w=4; Path=/a/b", "x=5; Path=/")
    assert sent(jar, "https://example.org/a/b") == "w=4; y=2; x=5; z=3"


@pytest.mark.parametrize(
    ("url", "line", "is_kept"),
    [
        ("https://example.org/", "a=1; Secure", True),
        ("http://example.org/", "a=1; Secure", False),
        ("https://example.org/", "__Secure-a=1; Secure", True),
        ("https://example.org/", "__Secure-a=1", False),
        ("http://example.org/", "__secure-a=1", False),
        ("https://example.org/", "__Host-a=1; Secure; Path=/", True),
        ("https://example.org/", "__Host-a=1; Secure", False),
        ("https://example.org/", "__HOST-a=1; Secure; Path=/a", False),
        ("https://example.org/", "__Host-a=1; Path=/", False),
        ("https://example.org/", "__Host-a=1; Secure; Path=/; Domain=example.org", False),
        ("https://example.org/", "=__Host-a=1; Secure; Path=/", False),
        ("https://example.org/", "__Secure-a; Secure", False),
    ],
)
def test_secure_and_the_prefixes(jar, url, line, is_kept):
    take(jar, url, line)
    assert bool(jar) is is_kept


def test_secure_cookies_need_tls(jar):
    take(jar, "https://example.org/", "a=1; Secure", "b=2")
    assert sent(jar, "https://example.org/") == "a=1; b=2"
    assert sent(jar, "wss://example.org/") == "a=1; b=2"
    assert sent(jar, "http://example.org/") == "b=2"


@pytest.mark.parametrize(
    ("line", "is_kept"),
    [
        ("a=2", False),
        ("a=2; Domain=example.org", False),
        ("a=2; Path=/login/x", False),
        ("a=2; Path=/other", True),
        ("b=2", True),
    ],
)
def test_a_secure_cookie_is_not_covered_without_tls(jar, line, is_kept):
    take(jar, "https://www.example.org/login/", "a=1; Secure; Path=/login; Domain=example.org")
    take(jar, "http://www.example.org/login/", line)
    assert (len(jar.cookies()) == 2) is is_kept


def test_a_cookie_of_the_same_name_domain_and_path_is_replaced(jar, clock):
    take(jar, "https://example.org/", "a=1; Max-Age=9")
    clock.now += 1
    take(jar, "https://example.org/", "a=2")
    assert [(cookie.value, cookie.created, cookie.expires) for cookie in jar.cookies()] == [("2", NOW, None)]
    take(jar, "https://example.org/", "a=; Max-Age=0")
    assert not jar.cookies()


def test_cookies_expire_by_the_clock(jar, clock):
    take(jar, "https://example.org/", "a=1; Max-Age=10", "b=2; Expires=Fri, 15 Jan 2027 08:00:20 GMT", "c=3")
    assert sent(jar, "https://example.org/") == "a=1; b=2; c=3"
    clock.now += 10
    assert sent(jar, "https://example.org/") == "b=2; c=3"
    clock.now += 10
    assert list(jar) == ["c"]


@pytest.mark.parametrize("line", ["a=1; Max-Age=99999999999999999", "a=1; Expires=Fri, 31 Dec 9999 23:59:59 GMT"])
def test_nothing_lives_longer_than_400_days(jar, line):
    take(jar, "https://example.org/", line)
    assert jar.cookies()[0].expires == NOW + MAX_LIFETIME


def test_attributes_are_stored(jar):
    take(jar, "https://example.org/", "a=1; HttpOnly; Secure; SameSite=strict; Path=/x; Domain=example.org")
    assert jar.cookies() == [
        Cookie("a", "1", "example.org", "/x", None, True, True, False, "Strict", NOW, NOW),
    ]


def test_a_domain_and_a_jar_have_their_bounds(clock):
    jar = CookieJar(clock=clock, max_count=5, max_per_domain=3)
    for number in range(4):
        clock.now += 1
        take(jar, "https://a.org/", f"a{number}={number}" + ("; Secure" if number == 0 else ""))
    assert list(jar) == ["a0", "a2", "a3"]  # what is Secure stays longest
    clock.now += 1
    sent(jar, "http://a.org/")  # uses a2 and a3
    clock.now += 1
    take(jar, "https://b.org/", "b0=0", "b1=1", "b2=2")
    assert len(jar) == 5
    assert "a2" not in jar
    take(jar, "https://c.org/", *(f"c{number}=" for number in range(1000)))
    assert len(jar) == 5


def test_extra_cookies_go_before_stored_ones(jar):
    assert sent(jar, "https://example.org/", {"x": "1", "y": ""}) == "x=1; y="
    take(jar, "https://example.org/", "a=1", "x=2")
    assert sent(jar, "https://example.org/", {"x": "3"}) == "a=1; x=3"
    assert sent(jar, "https://example.org/", {}) == "a=1; x=2"
    assert jar["x"] == "2"


BAD = [("a b", "1"), ("a", "1;b"), ("a", "1\r\nX: y"), ("a\n", "1"), ("", "1"), ("a", "é"), ("a", "x" * 5000), ("a", 1)]


@pytest.mark.parametrize(("name", "value"), BAD)
def test_the_callers_cookies_are_refused_if_they_are_none(jar, name, value):
    with pytest.raises(InvalidRequest):
        jar.set(name, value, "example.org")
    with pytest.raises(InvalidRequest):
        sent(jar, "https://example.org/", {name: value})


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"domain": ""}, "no host"),
        ({"domain": "a;b"}, "no host"),
        ({"domain": "a.org/x"}, "no host"),
        ({"path": "x"}, "begin with /"),
        ({"path": "/;"}, "begin with /"),
        ({"name": "__Host-a"}, "prefix"),
        ({"name": "__Secure-a"}, "prefix"),
    ],
)
def test_what_cannot_be_set_is_refused(jar, options, why):
    with pytest.raises(InvalidRequest, match=why):
        jar.set(**{"name": "a", "value": "1", "domain": "example.org"} | options)


def test_the_caller_may_set_cookies(jar):
    jar.set("a", "1", "Example.org")
    jar.set("b", "2", "example.org", host_only=False, path="/x")
    jar.set("__Host-c", "3", "example.org", secure=True)
    assert sent(jar, "https://example.org/x") == "b=2; a=1; __Host-c=3"
    assert sent(jar, "https://www.example.org/x") == "b=2"


def test_a_jar_is_a_mapping(jar, clock):
    take(jar, "https://a.org/", "x=1", "y=2")
    clock.now += 1
    take(jar, "https://b.org/", "x=3")
    assert jar["x"] == "3"
    assert dict(jar) == {"x": "3", "y": "2"}
    assert len(jar) == 2
    assert jar.get("z") is None
    assert "y" in jar
    with pytest.raises(KeyError):
        jar["z"]
    jar.delete("x", domain="b.org")
    assert jar["x"] == "1"
    jar.delete("x", path="/none")
    assert "x" in jar
    jar.delete("x")
    assert list(jar) == ["y"]
    jar.clear()
    assert not jar
    assert sent(jar, "https://a.org/") is None


def test_what_a_jar_shows_of_itself_has_no_values(jar):
    take(jar, "https://a.org/", "sid=secret")
    assert "secret" not in repr(jar)
    assert "sid" in repr(jar)


def test_a_session_ends(jar):
    take(jar, "https://a.org/", "x=1", "y=2; Max-Age=9")
    jar.end_session()
    assert list(jar) == ["y"]


def test_a_jar_is_saved_and_loaded(jar, clock, tmp_path):
    take(jar, "https://a.org/b/", "x=1; Secure; HttpOnly; SameSite=Lax", "y=\xe9; Max-Age=5", "z=3; Max-Age=1")
    clock.now += 2
    path = tmp_path / "jar.json"
    jar.save(path)
    jar.save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["jar.json"]
    other = CookieJar(clock=clock)
    other.load(path)
    assert other.cookies() == jar.cookies()
    assert list(other) == ["x", "y"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b'[{"name":"a"}]',
        b"[" * 2000,
        b'[{"name":"a","value":"1\\r\\nX: y","domain":"a.org"}]',
        b'[{"name":"a;","value":"1","domain":"a.org"}]',
        b'[{"name":"a=b","value":"1","domain":"a.org"}]',
        '[{"name":"a","value":"ł","domain":"a.org"}]'.encode(),
        b"\xff",
    ],
)
def test_what_is_no_saved_jar_is_refused(jar, data, tmp_path):
    (tmp_path / "jar").write_bytes(data)
    with pytest.raises(ConfigurationError):
        jar.load(tmp_path / "jar")
    assert not jar


def test_a_file_that_cannot_be_used_is_an_error(jar, tmp_path):
    with pytest.raises(ConfigurationError, match="cannot be read"):
        jar.load(tmp_path / "missing")
    with pytest.raises(ConfigurationError, match="cannot be saved"):
        jar.save(tmp_path / "missing" / "jar")


@given(st.text(st.characters(max_codepoint=255, blacklist_categories=["Cc"]), max_size=80))
def test_whatever_is_set_can_stand_in_a_header(line):
    jar = CookieJar(clock=lambda: NOW)
    take(jar, "https://a.org/", line.strip())
    header = sent(jar, "https://a.org/")
    if header is not None:
        Headers({"Cookie": header})
        assert ";" not in header
        jar.restore(jar.dump())


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Sun, 06 Nov 1994 08:49:37 GMT", 784111777),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 784111777),
        ("Sun Nov  6 08:49:37 1994", 784111777),
        ("6 NOVEMBER 1994 8:49:37 CEST", 784111777),
        ("1994 x 6th nov,08:49:37junk", 784111777),
        ("01 Jan 70 00:00:00", 0),
        ("01 Jan 69 00:00:00", 3124224000),
        ("01 Jan 1601 00:00:00", -11644473600),
        ("01 Jan 1600 00:00:00", None),
        ("31 Feb 2020 00:00:00", None),
        ("01 Jan 2020 24:00:00", None),
        ("01 Jan 2020 00:60:00", None),
        ("01 Jan 2020 00:00:60", None),
        ("00 Jan 2020 00:00:00", None),
        ("001 Jan 2020 00:00:00", None),
        ("01 Jan 20200 00:00:00", None),
        ("01 Foo 2020 00:00:00", None),
        ("01 Jan 2020", None),
        ("01 Jan 2020 00:00", None),
        ("01 Jan 2020 00:00:000", None),
        ("", None),
    ],
)
def test_cookie_dates(text, seconds):
    assert parse_cookie_date(text) == seconds

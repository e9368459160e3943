import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstbyte.client.proxies import (
    MAX_INTERIM,
    connect_handshake,
    is_excepted,
    is_forwarding,
    parse_proxy,
    proxy_authorization,
    proxy_for,
    proxy_port,
    resolves_here,
    socks4a_handshake,
    socks5_handshake,
    tunnel,
)
from firstbyte.errors import InvalidRequest, ProxyError
from firstbyte.http.headers import Headers
from firstbyte.http.url import URL


@pytest.mark.parametrize(
    ("url", "env", "proxy"),
    [
        ("http://a.org/", {}, None),
        ("http://a.org/", {"http_proxy": "http://p:3128"}, "http://p:3128/"),
        ("ws://a.org/", {"http_proxy": "http://p:3128"}, "http://p:3128/"),
        ("https://a.org/", {"http_proxy": "http://p:3128"}, None),
        ("https://a.org/", {"https_proxy": "http://p:3128"}, "http://p:3128/"),
        ("wss://a.org/", {"HTTPS_PROXY": "http://p:3128"}, "http://p:3128/"),
        ("http://a.org/", {"HTTP_PROXY": "p:3128"}, "http://p:3128/"),
        ("http://a.org/", {"HTTP_PROXY": "p:3128", "REQUEST_METHOD": "GET"}, None),
        ("http://a.org/", {"http_proxy": "p:3128", "REQUEST_METHOD": "GET"}, "http://p:3128/"),
        ("https://a.org/", {"HTTPS_PROXY": "p:3128", "REQUEST_METHOD": "GET"}, "http://p:3128/"),
        ("http://a.org/", {"http_proxy": "p:1", "HTTP_PROXY": "q:2"}, "http://p:1/"),
        ("http://a.org/", {"http_proxy": "", "HTTP_PROXY": "q:2", "all_proxy": "r:3"}, None),
        ("http://a.org/", {"ALL_PROXY": "socks5h://p"}, "socks5h://p/"),
        ("https://a.org/", {"all_proxy": "socks5://p", "https_proxy": "q:2"}, "http://q:2/"),
        ("http://a.org/", {"http_proxy": "p:1", "no_proxy": "a.org"}, None),
        ("http://a.org/", {"all_proxy": "p:1", "NO_PROXY": "*"}, None),
        ("http://a.org/", {"http_proxy": "p:1", "no_proxy": "", "NO_PROXY": "*"}, "http://p:1/"),
        ("http+unix://%2Frun%2Fapp/", {"all_proxy": "p:1"}, None),
    ],
)
def test_the_environment_names_the_proxy(url, env, proxy):
    found = proxy_for(URL.parse(url), env)
    assert (None if found is None else str(found)) == proxy


def test_a_value_that_is_no_proxy_is_named_and_not_shown():
    with pytest.raises(InvalidRequest, match="HTTPS_PROXY in the environment") as caught:
        proxy_for(URL.parse("https://a.org/"), {"HTTPS_PROXY": "ftp://user:secret@p"})
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "no_proxy", "is_named"),
    [
        ("a.org", "", False),
        ("a.org", "*", True),
        ("a.org", "b.org, *", True),
        ("a.org", "a.org", True),
        ("a.org", "A.ORG.", True),
        ("a.org.", "a.org", True),
        ("www.a.org", "a.org", True),
        ("xa.org", "a.org", False),
        ("a.org", ".a.org", False),
        ("www.a.org", ".a.org", True),
        ("a.org", "*.a.org", False),
        ("www.a.org", "*.a.org", True),
        ("www.a.org", "b.org a.org", True),
        ("www.a.org", " b.org ,, a.org ,", True),
        ("a.org", "org", True),
        ("a.org", "a.org:80", True),
        ("a.org", "a.org:8080", False),
        ("a.org:8080", "a.org:8080", True),
        ("www.a.org:8080", ".a.org:8080", True),
        ("a.org:8080", "a.org", True),
        ("10.1.2.3", "10.0.0.0/8", True),
        ("10.1.2.3", "10.1.2.3/8", True),
        ("11.1.2.3", "10.0.0.0/8", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3", "2.3", False),
        ("10.1.2.3", ".2.3", False),
        ("10.1.2.3:8080", "10.1.2.3:8080", True),
        ("10.1.2.3:8080", "10.1.2.3:80", False),
        ("ten.org", "10.0.0.0/8", False),
        ("ten.org", "10.1.2.3", False),
        ("[::1]", "::1", True),
        ("[::1]", "0:0::1", True),
        ("[::1]", "[::1]", True),
        ("[::1]:8080", "[::1]:8080", True),
        ("[::1]:8080", "[::1]:80", False),
        ("[fd00::1]", "fd00::/8", True),
        ("[fe00::1]", "fd00::/8", False),
        ("[::1]", "127.0.0.0/8", False),
        ("a.org", "a.org/8", False),
        ("a.org", "a.org:x", False),
        ("a.org", ":", False),
        ("a.org", "[", False),
        ("localhost", "localhost,127.0.0.1", True),
    ],
)
def test_no_proxy(host, no_proxy, is_named):
    assert is_excepted(URL.parse(f"http://{host}/"), no_proxy) is is_named


@given(st.text(alphabet="a.*:/[]0123 ,org", max_size=30))
def test_no_list_of_hosts_raises(no_proxy):
    is_excepted(URL.parse("http://a.org/"), no_proxy)
    is_excepted(URL.parse("http://[::1]:3/"), no_proxy)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("ftp://p", "ftp is none of"),
        ("http://", "host"),
        ("http://p/x", "path"),
        ("http://p/?x", "path"),
        ("http://p:0", "port"),
        ("http://a%0D%0A:b@p", "control character"),
        ("http://a:%7F@p", "control character"),
        ("http://a%3Ab:c@p", "colon"),
        (f"socks5://{'x' * 256}@p", "too long"),
        ("", "host"),
    ],
)
def test_what_is_no_proxy_is_refused(text, why):
    with pytest.raises(InvalidRequest, match=why):
        parse_proxy(text)


@pytest.mark.parametrize(
    ("text", "port", "here", "forwards"),
    [
        ("p", 80, False, True),
        ("https://p", 443, False, True),
        ("http://p:3128", 3128, False, True),
        ("socks5://p", 1080, True, False),
        ("socks5h://p:9050", 9050, False, False),
        ("socks4://p", 1080, True, False),
        ("SOCKS4a://p", 1080, False, False),
    ],
)
def test_what_a_proxy_is_like(text, port, here, forwards):
    proxy = parse_proxy(text)
    assert (proxy_port(proxy), resolves_here(proxy)) == (port, here)
    assert is_forwarding(proxy, URL.parse("http://a.org/")) is forwards
    assert not is_forwarding(proxy, URL.parse("https://a.org/"))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("http://p", None),
        ("http://u:p@p", "Basic dTpw"),
        ("http://u@p", "Basic dTo="),
        ("http://%C3%A9:@p", "Basic w6k6"),
    ],
)
def test_proxy_authorization(text, value):
    assert proxy_authorization(parse_proxy(text)) == value


def talk(handshake, *answers: bytes, one_by_one: bool = False) -> list[bytes]:
    """What is sent before each of the answers, the last of which must end the handshake."""
    sent = []
    handed = next(handshake)
    for number, answer in enumerate(answers):
        sent.append(handed)
        pieces = [answer[i : i + 1] for i in range(len(answer))] if one_by_one and answer else [answer]
        for at, piece in enumerate(pieces):
            try:
                handed = handshake.send(piece)
            except StopIteration:
                assert number == len(answers) - 1
                assert at == len(pieces) - 1
                return sent
            if at < len(pieces) - 1:
                assert handed == b""  # nothing is sent while the answer is incomplete
    raise AssertionError("the handshake wants more")


V4 = b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50"


@pytest.mark.parametrize("one_by_one", [False, True])
@pytest.mark.parametrize(
    ("arguments", "answers", "sent"),
    [
        (("a.org", 443), [b"\x05\x00", V4], [b"\x05\x01\x00", b"\x05\x01\x00\x03\x05a.org\x01\xbb"]),
        (("1.2.3.4", 80), [b"\x05\x00", V4], [b"\x05\x01\x00", b"\x05\x01\x00\x01\x01\x02\x03\x04\x00\x50"]),
        (
            ("::1", 80),
            [b"\x05\x00", b"\x05\x00\x00\x04" + bytes(18)],
            [b"\x05\x01\x00", b"\x05\x01\x00\x04" + bytes(15) + b"\x01\x00\x50"],
        ),
        (
            ("a", 80, "ü", "p"),
            [b"\x05\x02", b"\x01\x00", b"\x05\x00\x00\x03\x02ab\x00\x50"],
            [b"\x05\x02\x00\x02", b"\x01\x02\xc3\xbc\x01p", b"\x05\x01\x00\x03\x01a\x00\x50"],
        ),
        (("a", 80, "u", ""), [b"\x05\x00", V4], [b"\x05\x02\x00\x02", b"\x05\x01\x00\x03\x01a\x00\x50"]),
    ],
)
def test_socks5(arguments, answers, sent, one_by_one):
    assert talk(socks5_handshake(*arguments), *answers, one_by_one=one_by_one) == sent


@pytest.mark.parametrize(
    ("user", "answers", "why"),
    [
        ("", [b"\x04\x00"], "does not speak SOCKS 5: its first byte is 0x04"),
        ("", [b"HTTP/1.1 400 Bad Request\r\n"], "does not speak SOCKS 5"),
        ("", [b"\x05\xff"], "no authentication that we have"),
        ("", [b"\x05\x02"], "no authentication that we have"),
        ("u", [b"\x05\xff"], "no authentication that we have"),
        ("u", [b"\x05\x02", b"\x01\x01"], "refused the user"),
        ("", [b"\x05\x00", b"\x05\x05\x00\x01"], "the connection was refused"),
        ("", [b"\x05\x00", b"\x05\x02\x00\x01" + bytes(6)], "rules do not allow"),
        ("", [b"\x05\x00", b"\x05\x99\x00\x01"], "reply 0x99"),
        ("", [b"\x05\x00", b"\x04\x00\x00\x01"], "did not connect"),
        ("", [b"\x05\x00", b"\x05\x00\x00\x02"], "unknown kind 0x02"),
        ("", [b""], "closed within"),
        ("", [b"\x05\x00", b"\x05\x00", b""], "closed within"),
        ("", [b"\x05\x00", V4 + b"x"], "nobody speaks before"),
    ],
)
def test_socks5_that_fails(user, answers, why):
    with pytest.raises(ProxyError, match=why):
        talk(socks5_handshake("a", 80, user), *answers)


@pytest.mark.parametrize(
    ("host", "user", "password"), [("a" * 256, "", ""), ("a\0", "", ""), ("a", "u" * 256, ""), ("a", "u", "p\0")]
)
def test_what_socks5_cannot_say(host, user, password):
    with pytest.raises(ProxyError, match="cannot be sent"):
        talk(socks5_handshake(host, 80, user, password), b"\x05\x02" if user else b"\x05\x00", b"\x01\x00", b"")


@pytest.mark.parametrize("one_by_one", [False, True])
@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        (("a.org", 443), b"\x04\x01\x01\xbb\x00\x00\x00\x01\x00a.org\x00"),
        (("a.org", 443, "me"), b"\x04\x01\x01\xbb\x00\x00\x00\x01me\x00a.org\x00"),
        (("1.2.3.4", 80), b"\x04\x01\x00\x50\x01\x02\x03\x04\x00"),
    ],
)
def test_socks4a(arguments, sent, one_by_one):
    answer = b"\x00\x5a" + bytes(6)
    assert talk(socks4a_handshake(*arguments), answer, one_by_one=one_by_one) == [sent]


@pytest.mark.parametrize(
    ("host", "user", "answer", "why"),
    [
        ("::1", "", b"", "IPv6"),
        ("a", "", b"\x05\x00" + bytes(6), "does not speak SOCKS 4"),
        ("a", "", b"\x00\x5b" + bytes(6), "rejected"),
        ("a", "", b"\x00\x60" + bytes(6), "reply 0x60"),
        ("a", "", b"", "closed within"),
        ("a", "", b"\x00\x5a" + bytes(7), "nobody speaks before"),
        ("a\0b", "", b"", "host cannot be sent"),
        ("a", "u\0", b"", "user cannot be sent"),
    ],
)
def test_socks4a_that_fails(host, user, answer, why):
    with pytest.raises(ProxyError, match=why):
        talk(socks4a_handshake(host, 80, user), answer)


@pytest.mark.parametrize("one_by_one", [False, True])
@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 Connection established\r\n\r\n",
        b"HTTP/1.0 200\r\nProxy-Agent: x\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
def test_connect(answer, one_by_one):
    handshake = connect_handshake("a.org", 443, Headers({"Proxy-Authorization": "Basic x"}))
    assert talk(handshake, answer, one_by_one=one_by_one) == [
        b"CONNECT a.org:443 HTTP/1.1\r\nHost: a.org:443\r\nProxy-Authorization: Basic x\r\n\r\n"
    ]


def test_connect_puts_ipv6_in_brackets():
    assert next(connect_handshake("::1", 80)) == b"CONNECT [::1]:80 HTTP/1.1\r\nHost: [::1]:80\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "why", "status"),
    [
        (
            b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 9\r\n\r\n",
            "refused a tunnel: 407 Proxy",
            407,
        ),
        (b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", "refused a tunnel: 302 Found", 302),
        (b"HTTP/1.1 503 \r\n\r\n", "refused a tunnel: 503$", 503),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "come to an answer", None),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n" * (MAX_INTERIM + 1), "come to an answer", None),
        (b"\x05\x00", "breaks a rule", None),
        (b"HTTP/1.1 200 OK\nX: y\n\n", "breaks a rule", None),
        (b"HTTP/1.1 200 OK\r\n\r\nx", "nobody speaks before", None),
        (b"", "closed before", None),
    ],
)
def test_connect_that_fails(answer, why, status):
    with pytest.raises(ProxyError, match=why) as caught:
        talk(connect_handshake("a.org", 443), answer, b"")
    assert caught.value.status == status


@pytest.mark.parametrize("host", ["a\r\nX", "a b", "é"])
def test_connect_to_what_is_no_host(host):
    with pytest.raises(ProxyError, match="no host"):
        next(connect_handshake(host, 80))


@pytest.mark.parametrize(
    ("proxy", "first"),
    [
        ("http://u:p@p", b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\nProxy-Authorization: Basic dTpw\r\n\r\n"),
        ("https://p", b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n"),
        ("socks5://p", b"\x05\x01\x00"),
        ("socks5h://u@p", b"\x05\x02\x00\x02"),
        ("socks4://u@p", b"\x04\x01\x00\x50\x00\x00\x00\x01u\x00a\x00"),
        ("socks4a://p", b"\x04\x01\x00\x50\x00\x00\x00\x01\x00a\x00"),
    ],
)
def test_a_tunnel_is_made_as_the_proxy_wants_it(proxy, first):
    assert next(tunnel(parse_proxy(proxy), "a", 80)) == first


@given(
    st.lists(st.binary(min_size=1, max_size=30), max_size=6),
    st.sampled_from([socks5_handshake, socks4a_handshake, connect_handshake]),
)
def test_whatever_a_proxy_says_ends_in_a_tunnel_or_a_proxy_error(answers, kind):
    handshake = kind("a", 80)
    next(handshake)
    with pytest.raises((ProxyError, StopIteration)):
        for answer in [*answers, b""]:
            handshake.send(answer)

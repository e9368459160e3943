"""Which fields pass, which do not, and what a proxy says itself."""

from __future__ import annotations

import pytest

from client.support import MakeRaw, read_request
from engine.support import Serve
from firstbyte.app.front import Front
from firstbyte.http.forwarded import Networks, TrustedProxies
from firstbyte.proxy import Proxy
from proxy.support import Proxied, Upstream, ask

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"


@pytest.mark.parametrize(
    "line",
    [
        "Keep-Alive: timeout=5",
        "Proxy-Connection: keep-alive",
        "Proxy-Authorization: Basic eA==",
        "TE: gzip",
        "Upgrade: h2c",
        "Connection: X-Mine\nX-Mine: 1",
        "Connection: keep-alive, x-a , X-Mine\nX-Mine: 1",
        "X-Forwarded-For: 192.0.2.9",
        "X_Forwarded_For: 192.0.2.9",
        "X-Forwarded-Server: a",
        "Forwarded: for=192.0.2.9",
        "X-Real-IP: 192.0.2.9",
        "Proxy: http://192.0.2.9",
    ],
)
def test_what_is_not_passed_on(line: str, proxied: Proxied, raw: MakeRaw) -> None:
    upstream = Upstream()
    client = proxied(raw(upstream)).client()
    ask(client)
    assert ask(client, line)[0] == 200
    assert upstream.requests[1] == upstream.requests[0]


@pytest.mark.parametrize("line", ["Cookie: a=b", "X_Own: 1", "Via: 1.0 a", "Accept: text/*", "Trailer: X-Sum"])
def test_what_is_passed_on(line: str, proxied: Proxied, raw: MakeRaw) -> None:
    upstream = Upstream()
    ask(proxied(raw(upstream)).client(), line)
    assert line in upstream.heads[0]


def test_what_is_said_of_the_client(proxied: Proxied, raw: MakeRaw) -> None:
    upstream = Upstream()
    ask(proxied(raw(upstream)).client())
    assert upstream.fields("host") == ["example.org"]
    assert upstream.fields("x-forwarded-for") == ["127.0.0.1"]
    assert upstream.fields("x-forwarded-proto") == ["http"]
    assert upstream.fields("x-forwarded-host") == ["example.org"]
    assert upstream.fields("forwarded") == ['for=127.0.0.1;proto=http;host="example.org"']


def test_a_proxy_that_is_trusted_says_who_the_client_is(serve: Serve, raw: MakeRaw) -> None:
    upstream = Upstream()
    trusted = TrustedProxies(Networks.parse("127.0.0.1"))
    client = serve(Front(Proxy(raw(upstream).url), trusted)).client()
    ask(client, "X-Forwarded-For: 203.0.113.5, 2001:db8::7\nX-Forwarded-Proto: https")
    assert upstream.fields("x-forwarded-for") == ["2001:db8::7"]
    assert upstream.fields("forwarded") == ['for="[2001:db8::7]";proto=https;host="example.org"']


@pytest.mark.parametrize("families", [(), ("x-forwarded",), ("forwarded",)])
def test_which_fields_say_it(families: tuple[str, ...], proxied: Proxied, raw: MakeRaw) -> None:
    upstream = Upstream()
    ask(proxied(raw(upstream), forwarded=families).client(), "X-Forwarded-For: 192.0.2.9\nForwarded: for=192.0.2.9")
    assert upstream.fields("x-forwarded-for") == ["127.0.0.1"] * ("x-forwarded" in families)
    assert len(upstream.fields("forwarded")) == ("forwarded" in families)


def test_the_host_may_be_the_server_s(proxied: Proxied, raw: MakeRaw) -> None:
    upstream = Upstream()
    server = raw(upstream)
    ask(proxied(server, host="upstream").client())
    assert upstream.fields("host") == [f"127.0.0.1:{server.port}"]
    assert upstream.fields("x-forwarded-host") == ["example.org"]


def test_via_and_the_loop_that_it_finds(proxied: Proxied, raw: MakeRaw) -> None:
    upstream = Upstream()
    client = proxied(raw(upstream), via="here").client()
    assert ask(client, "Via: 1.0 there")[1]["via"] == "1.1 here"
    assert upstream.fields("via") == ["1.1 here", "1.0 there"]
    assert ask(client, "Via: 1.0 there, 1.1 Here (a)")[0] == 508
    assert len(upstream.requests) == 1


def test_trailers_pass_to_a_client_that_takes_them(proxied: Proxied, raw: MakeRaw) -> None:
    chunks = b"2\r\nok\r\n0\r\nX-Sum: 1\r\nKeep-Alive: 5\r\n\r\n"
    upstream = Upstream(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n" + chunks)
    client = proxied(raw(upstream)).client()
    client.get("/", "TE: trailers\r\nConnection: TE, close\r\n")
    rest = client.rest()
    assert rest.endswith(b"2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n")
    assert upstream.fields("te") == ["trailers"] and upstream.fields("connection") == ["TE"]


def test_trailers_of_a_request_pass(proxied: Proxied, raw: MakeRaw) -> None:
    got: list[bytes] = []

    def answer(sock: object) -> None:
        data = b""
        while not data.endswith(b"X-Sum: 1\r\n\r\n"):
            data += sock.recv(65536)  # type: ignore[attr-defined]
        got.append(data)
        sock.sendall(OK + b"\r\nok")  # type: ignore[attr-defined]

    client = proxied(raw(answer)).client()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n")
    assert client.read()[0] == 200
    assert got[0].endswith(b"0\r\nX-Sum: 1\r\n\r\n")


@pytest.mark.parametrize(
    "line",
    ["Connection: close", "Keep-Alive: timeout=5", "Connection: X-Mine\r\nX-Mine: 1", "Upgrade: h2", "TE: a"],
)
def test_what_of_an_answer_does_not_pass(line: str, proxied: Proxied, raw: MakeRaw) -> None:
    def once(sock: object) -> None:
        read_request(sock)  # type: ignore[arg-type]
        sock.sendall(OK + line.encode() + b"\r\nX-Own: 1\r\n\r\nok")  # type: ignore[attr-defined]

    client = proxied(raw(once)).client()
    for _ in range(2):  # ours is kept, whatever becomes of theirs
        fields = ask(client)[1]
        assert fields.keys() == {"server", "date", "content-length", "x-own"}


@pytest.mark.parametrize(
    ("method", "head", "seen"),
    [
        ("HEAD", "200 OK\r\nContent-Length: 5000", {"content-length": "5000"}),
        ("HEAD", "200 OK\r\nTransfer-Encoding: chunked", {"transfer-encoding": "chunked"}),
        ("GET", "304 Not Modified\r\nETag: a\r\nContent-Length: 7", {"content-length": "7", "etag": "a"}),
        ("GET", "204 No Content", {}),
        ("DELETE", "204 No Content\r\nContent-Length: 0", {}),
        ("POST", "205 Reset Content\r\nContent-Length: 0", {"content-length": "0"}),
    ],
)
def test_answers_without_a_body(method: str, head: str, seen: dict[str, str], proxied: Proxied, raw: MakeRaw) -> None:
    client = proxied(raw(Upstream(f"HTTP/1.1 {head}\r\nServer: s\r\nDate: d\r\n\r\n".encode()))).client()
    for _ in range(2):
        status, fields, body = ask(client, method=method)
        assert (status, body) == (int(head[:3]), b"")
        assert fields == {"server": "s", "date": "d", **seen}


def test_1xx_pass_but_100(proxied: Proxied, raw: MakeRaw) -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nConnection: x\r\n\r\n"
    answer = b"HTTP/1.1 100 Continue\r\n\r\n" + hints + b"HTTP/1.1 102 Processing\r\n\r\n" + OK + b"\r\nok"
    proxy = proxied(raw(answer))
    client = proxy.client().get()
    assert client.read()[:2] == (103, {"link": "</a.css>"})
    assert client.read()[0] == 102
    assert client.read()[0] == 200
    old = proxy.client().send(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
    assert old.rest().startswith(b"HTTP/1.1 200 OK\r\n")


def test_max_forwards(proxied: Proxied, raw: MakeRaw) -> None:
    upstream = Upstream()
    client = proxied(raw(upstream)).client()
    assert ask(client, "Max-Forwards: 0", "OPTIONS")[0] == 204
    assert ask(client, "Max-Forwards: 3", "OPTIONS")[0] == 200
    assert upstream.fields("max-forwards") == ["2"]


def test_a_client_of_1_0_gets_a_body_up_to_the_end(proxied: Proxied, raw: MakeRaw) -> None:
    chunks = b"".join(b"2\r\n%b\r\n" % piece for piece in (b"ab", b"cd"))
    server = raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n")
    client = proxied(server).client().send(b"GET / HTTP/1.0\r\n\r\n")
    head, _, body = client.rest().partition(b"\r\n\r\n")
    assert body == b"abcd" and b"chunked" not in head

"""What a proxy passes on, both ways, with real servers behind it."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import AsyncIterator

import pytest

from client.support import MakeRaw, read_request
from engine.supervised import wait_until
from engine.support import WAIT, Serve
from firstbyte import App, Request, Response
from firstbyte.client import Session
from firstbyte.errors import ConfigurationError
from firstbyte.proxy import Proxy
from firstbyte.websocket import WebSocket
from proxy.support import Proxied, Upstream, ask, url_of


@pytest.fixture
def app() -> App:
    app = App()

    @app.get("/")
    def hello() -> str:
        return "hello"

    @app.post("/digest")
    def digest(request: Request) -> str:
        return hashlib.sha256(request.body).hexdigest()

    @app.get("/long")
    async def long() -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            for number in range(64):
                yield bytes([number]) * 65536

        return Response(pieces())

    return app


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "BREW"])
def test_a_request_and_its_answer_pass(method: str, proxied: Proxied, raw: MakeRaw) -> None:
    upstream = Upstream(b"HTTP/1.1 200 Fine\r\nX-Own: 1\r\nContent-Length: 2\r\n\r\n" + b"ok" * (method != "HEAD"))
    client = proxied(raw(upstream)).client()
    for _ in range(2):
        status, fields, body = ask(client, "X-Asked: a, b", method, "/a/b%20c?d=e%2f")
        assert (status, fields["x-own"], fields["content-length"]) == (200, "1", "2")
        assert body == (b"" if method == "HEAD" else b"ok")
    assert upstream.heads[0][0] == f"{method} /a/b%20c?d=e%2f HTTP/1.1"
    assert upstream.fields("x-asked") == ["a, b"]
    assert upstream.requests[0] == upstream.requests[1]


def test_bodies_pass_whole_both_ways(app: App, serve: Serve, proxied: Proxied) -> None:
    client = proxied(serve(app)).client()
    body = bytes(range(256)) * 4096
    digest = hashlib.sha256(body).hexdigest().encode()
    client.send(b"POST /digest HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    assert client.read()[2] == digest
    chunks = b"".join(b"%x\r\n%b\r\n" % (4000, body[at : at + 4000]) for at in range(0, 200_000, 4000))
    client.send(b"POST /digest HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n")
    assert client.read()[2] == hashlib.sha256(body[:200_000]).hexdigest().encode()
    assert client.get("/long").read()[2] == b"".join(bytes([number]) * 65536 for number in range(64))


@pytest.mark.parametrize("path", ["/", "/long", "/ws"])
def test_a_request_counts_until_its_answer_has_ended(path: str, app: App, serve: Serve) -> None:
    @app.websocket("/ws")
    async def leave(ws: WebSocket) -> None:
        await ws.close()

    proxy = Proxy(url_of(serve(app)))
    running = serve(proxy)
    (upstream,) = proxy.upstreams.members
    with Session(base_url=url_of(running)) as session:
        for _ in range(3):
            if path == "/ws":
                with session.websocket(path) as ws:
                    assert list(ws) == []
            else:
                assert session.get(path).ok
    wait_until(lambda: upstream.active == 0)


def test_a_line_between_chunks_may_come_in_two(app: App, serve: Serve, proxied: Proxied) -> None:
    client = proxied(serve(app)).client()
    client.send(b"POST /digest HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1")
    client.send(b"\r\nc\r\n0\r")
    client.send(b"\n\r\n")
    assert client.read()[2] == hashlib.sha256(b"abc").hexdigest().encode()


@pytest.mark.parametrize(
    ("suffix", "path", "seen"),
    [
        ("", "/api/", "/api/"),
        ("", "/api/where/a?b=c", "/api/where/a?b=c"),
        ("/", "/api/", "/"),
        ("/", "/api/where/a?b=c", "/where/a?b=c"),
        ("/v1", "/api/where//a%2Fb", "/v1/where//a%2Fb"),
        ("/v1/", "/api/", "/v1/"),
    ],
)
def test_below_a_mount(suffix: str, path: str, seen: str, serve: Serve, raw: MakeRaw) -> None:
    upstream = Upstream()
    app = App()
    app.mount("/api", Proxy(raw(upstream).url + suffix))
    assert serve(app).client().get(path).read()[0] == 200
    assert upstream.heads[0][0] == f"GET {seen} HTTP/1.1"
    assert upstream.fields("x-forwarded-prefix") == (["/api"] if suffix else [])


@pytest.mark.parametrize(
    "path", ["/api/../admin", "/api/%2e%2E/admin", "/api/..%2fadmin", "/api/x/..;/admin", "/api/."]
)
def test_a_path_does_not_leave_its_mount(path: str, serve: Serve, raw: MakeRaw) -> None:
    upstream = Upstream()
    app = App()
    app.mount("/api", Proxy(raw(upstream).url + "/v1"))
    assert serve(app).client().get(path).read()[0] == 400
    assert upstream.requests == []


def test_what_fails_is_the_app_s_error_page(serve: Serve, raw: MakeRaw) -> None:
    app = App()
    app.mount("/api", Proxy(raw(read_request).url))
    client = serve(app).client()
    status, fields, body = client.get("/api/", "Accept: text/html\r\n").read()
    assert (status, fields["content-type"]) == (502, "text/html; charset=utf-8")
    assert b"closed the connection without" in body and b"127.0.0.1" not in body


@pytest.mark.parametrize("fields", ["", "Expect: 100-continue"])
def test_a_short_body_is_sent_whole_whether_it_came_with_its_head(fields: str, proxied: Proxied, raw: MakeRaw) -> None:
    upstream = Upstream()
    client = proxied(raw(upstream)).client()
    line = f"{fields}\r\n" if fields else ""
    head = f"POST / HTTP/1.1\r\nHost: a\r\n{line}Content-Length: 5\r\n\r\n".encode()
    for first, second in ((head + b"hello", b""), (head + b"he", b"llo"), (head + b"hello", b"")):
        client.send(first)
        if second:
            client.send(second)
        assert client.read()[0] == 200
    assert [request.partition(b"\r\n\r\n")[2] for request in upstream.requests] == [b"hello"] * 3
    assert [upstream.fields("content-length", which) for which in range(3)] == [["5"]] * 3


def test_a_short_body_is_not_longer_than_it_may_be(proxied: Proxied, raw: MakeRaw) -> None:
    upstream = Upstream()
    client = proxied(raw(upstream), max_body=4).client()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
    assert client.read()[0] == 413
    assert upstream.requests == []


def test_the_client_that_leaves_ends_the_request(proxied: Proxied, raw: MakeRaw) -> None:
    asked, ended = threading.Event(), threading.Event()

    def wait(sock: socket.socket) -> None:
        read_request(sock)
        asked.set()
        assert sock.recv(1) == b""
        ended.set()

    client = proxied(raw(wait)).client().get()
    assert asked.wait(WAIT)
    client.close()
    assert ended.wait(WAIT)


@pytest.mark.parametrize("framing", ["Transfer-Encoding: chunked", "Connection: close"])
def test_an_event_stream_ends_when_the_server_here_stops(framing: str, proxied: Proxied, raw: MakeRaw) -> None:
    left = threading.Event()
    event = b"data: x\n\n"
    piece = b"%x\r\n%b\r\n" % (len(event), event) if "chunked" in framing else event

    def stream(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(f"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n{framing}\r\n\r\n".encode() + piece)
        try:
            assert sock.recv(1) == b""
        except ConnectionResetError:
            pass
        left.set()

    running = proxied(raw(stream), server={"drain": 10 * WAIT})
    client = running.client().get()
    assert client.read(head_only=True)[0] == 200
    while event not in client.buffer:
        assert client.more()
    running.server.stop()
    assert client.rest().endswith(b"\r\n0\r\n\r\n")
    assert left.wait(WAIT)


def test_a_server_that_dies_within_its_answer_breaks_ours(proxied: Proxied, raw: MakeRaw) -> None:
    def die(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n")

    rest = proxied(raw(die)).client().get().rest()
    assert b"2\r\nok\r\n" in rest and not rest.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize(
    ("upstreams", "options"),
    [
        ((), {}),
        (("ftp://a",), {}),
        (("127.0.0.1:80",), {}),
        (("http://a?b",), {}),
        (("http://user:secret@a",), {}),
        (("http://a",), {"host": "other"}),
        (("http://a",), {"via": "no token"}),
        (("http://a",), {"forwarded": ["x-real-ip"]}),
    ],
)
def test_what_is_no_proxy_is_refused(upstreams: tuple[str, ...], options: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError) as error:
        Proxy(*upstreams, **options)  # type: ignore[arg-type]
    assert "secret" not in str(error.value)

"""Clients that try to say one thing to the proxy and another to the server behind it (request smuggling)."""

from __future__ import annotations

import re
import socket

import pytest

from client.support import MakeRaw
from engine.support import Serve
from firstbyte import App, Request
from proxy.support import Proxied, Upstream, ask

POST = "POST / HTTP/1.1\r\nHost: a\r\n"
GET = "GET / HTTP/1.1\r\nHost: a\r\n"
INNER = "GET /secret HTTP/1.1\r\nHost: a\r\n\r\n"

REFUSED = {
    "two lengths": POST + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "two lengths alike": POST + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "lengths in a list": POST + "Content-Length: 5, 6\r\n\r\nhello",
    "length with a sign": POST + "Content-Length: +5\r\n\r\nhello",
    "length in hex": POST + "Content-Length: 0x5\r\n\r\nhello",
    "negative length": POST + "Content-Length: -1\r\n\r\nhello",
    "length and chunked": POST + f"Content-Length: {len(INNER)}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + INNER,
    "chunked and length": POST + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    "chunked twice": POST + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked not last": POST + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "coding unknown": POST + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "coding with a control": POST + "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "coding in quotes": POST + 'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n',
    "space before the colon": POST + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "folded coding": POST + "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "folded field": GET + "X-A: b\r\n c\r\n\r\n",
    "line feeds alone": POST + "X: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "carriage return in a value": GET + "X-A: b\rX-C: d\r\n\r\n",
    "NUL in a value": GET + "X-A: b\0c\r\n\r\n",
    "no colon": GET + "X-A\r\n\r\n",
    "no name": GET + ": x\r\n\r\n",
    "two hosts": "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "no host": "GET / HTTP/1.1\r\n\r\n",
    "host with a path": "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "host with a user": "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n",
    "space in the target": "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
    "tab in the request line": "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "fragment": "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n",
    "no path": "GET a HTTP/1.1\r\nHost: a\r\n\r\n",
    "another scheme": "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "CONNECT": "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n",
    "TRACE": "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n",
    "HTTP/2": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "no version": "GET /\r\n\r\n",
    "expectation": GET + "Expect: 200-ok\r\n\r\n",
    "chunked in 1.0": "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("request_", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_refused_before_anybody_is_asked(request_: str, proxied: Proxied, raw: MakeRaw) -> None:
    upstream = Upstream()
    client = proxied(raw(upstream)).client().send(request_.encode("latin-1"))
    assert 400 <= client.read()[0] <= 505
    client.sock.shutdown(socket.SHUT_WR)
    assert b"200 OK" not in client.rest() or "TRACE" in request_
    assert upstream.requests == []


CHUNKS = {
    "size with a sign": "+5\r\nhello\r\n0\r\n\r\n",
    "size with 0x": "0x5\r\nhello\r\n0\r\n\r\n",
    "size with an underscore": "0_5\r\nhello\r\n0\r\n\r\n",
    "size beyond 64 bits": "10000000000000005\r\nhello\r\n0\r\n\r\n",
    "line feed after the size": "5\nhello\r\n0\r\n\r\n",
    "line feed after the data": "5\r\nhello\n0\r\n\r\n",
    "data too long": "5\r\nhello!\r\n0\r\n\r\n",
    "line feed in an extension": "5;a=\nb\r\nhello\r\n0\r\n\r\n",
    "length in the trailer": "5\r\nhello\r\n0\r\nContent-Length: 9\r\n\r\n",
    "folded trailer": "5\r\nhello\r\n0\r\nA: b\r\n c\r\n\r\n",
}


@pytest.mark.parametrize("body", CHUNKS.values(), ids=CHUNKS.keys())
def test_a_body_in_bad_chunks_never_becomes_a_whole_request(body: str, proxied: Proxied, raw: MakeRaw) -> None:
    upstream = Upstream()
    client = proxied(raw(upstream)).client().send(f"{POST}Transfer-Encoding: chunked\r\n\r\n{body}{INNER}".encode())
    assert client.read()[0] == 400
    assert b"200 OK" not in client.rest()
    assert upstream.requests == []


def test_chunk_extensions_and_sizes_are_written_anew(proxied: Proxied, raw: MakeRaw) -> None:
    upstream = Upstream()
    client = proxied(raw(upstream)).client()
    client.send(f"{POST}Transfer-Encoding: chunked\r\n\r\n0005;a=b\r\nhello\r\n000;c\r\n\r\n".encode())
    assert client.read()[0] == 200
    assert upstream.requests[0].endswith(b"\r\n\r\n5\r\nhello\r\n0\r\n\r\n")


def test_an_absolute_target_counts_and_not_its_host_field(proxied: Proxied, raw: MakeRaw) -> None:
    upstream = Upstream()
    client = proxied(raw(upstream)).client()
    client.send(b"GET http://one.example/a?b HTTP/1.1\r\nHost: two.example\r\n\r\n")
    assert client.read()[0] == 200
    assert upstream.heads[0][0] == "GET /a?b HTTP/1.1"
    assert upstream.fields("host") == upstream.fields("x-forwarded-host") == ["one.example"]


@pytest.mark.parametrize(
    "fields",
    [
        "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n",
        "Upgrade: TLS/1.3\r\nConnection: Upgrade\r\n",
        "Upgrade: websocket\r\n",
    ],
)
def test_other_protocols_are_not_upgraded_to(fields: str, proxied: Proxied, raw: MakeRaw) -> None:
    upstream = Upstream()
    client = proxied(raw(upstream)).client().get("/", fields)
    assert client.read()[0] == 200
    for name in ("upgrade", "connection", "http2-settings"):
        assert upstream.fields(name) == []


def test_a_switch_that_nobody_asked_for_is_no_tunnel(proxied: Proxied, raw: MakeRaw) -> None:
    switch = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
    client = proxied(raw(switch)).client()
    assert ask(client)[0] == 502
    assert ask(client, "Upgrade: h2c\nConnection: Upgrade")[0] == 502


def test_a_server_that_refuses_the_upgrade_gets_no_tunnel(proxied: Proxied, raw: MakeRaw) -> None:
    upstream = Upstream(b"HTTP/1.1 426 Upgrade Required\r\nContent-Length: 2\r\n\r\nno")
    client = proxied(raw(upstream)).client()
    client.get("/ws", "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 777\r\n")
    client.send(b"GET /next HTTP/1.1\r\nHost: b\r\nX-Forwarded-For: 192.0.2.9\r\n\r\n")
    assert [client.read()[0] for _ in range(2)] == [426, 426]
    assert upstream.heads[1][0] == "GET /next HTTP/1.1"
    assert upstream.fields("x-forwarded-for", 1) == ["127.0.0.1"]


def test_pipelined_requests_are_answered_in_their_order(serve: Serve, proxied: Proxied) -> None:
    app = App()

    @app.get("/{number}")
    def number(number: int) -> str:
        return str(number)

    @app.post("/{number}")
    def sent(number: int, request: Request) -> str:
        return f"{number} {request.text}"

    client = proxied(serve(app)).client()
    client.send(
        b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\n"
        b"POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab"
        b"POST /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\ncd\r\n0\r\n\r\n"
        b"GET /4 HTTP/1.1\r\nHost: a\r\n\r\n"
    )
    assert [client.read()[2] for _ in range(4)] == [b"1", b"2 ab", b"3 cd", b"4"]


def test_a_body_of_get_is_passed_on_as_one(proxied: Proxied, raw: MakeRaw) -> None:
    upstream = Upstream()
    client = proxied(raw(upstream)).client().send(f"{GET}Content-Length: {len(INNER)}\r\n\r\n{INNER}".encode())
    assert client.read()[0] == 200
    assert len(upstream.requests) == 1 and upstream.requests[0].endswith(INNER.encode())


@pytest.mark.parametrize("early", [True, False])
def test_expect_100_asks_the_server(early: bool, proxied: Proxied, raw: MakeRaw) -> None:
    got: list[bytes] = []

    def answer(sock: socket.socket) -> None:
        data = b""
        while b"\r\n\r\n" not in data:
            data += sock.recv(65536)
        if early:
            got.append(data)
            sock.sendall(b"HTTP/1.1 413 No\r\nContent-Length: 2\r\n\r\nno")
            return
        sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        while not data.endswith(b"hello"):
            data += sock.recv(65536)
        got.append(data)
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    client = proxied(raw(answer)).client().send(f"{POST}Content-Length: 5\r\nExpect: 100-continue\r\n\r\n".encode())
    if early:
        assert client.read()[0] == 413
    else:
        assert client.read()[0] == 100
        client.send(b"hello")
        assert client.read()[0] == 200
    assert b"Expect: 100-continue\r\n" in got[0]


def test_nothing_that_is_sent_on_has_a_line_of_its_own(proxied: Proxied, raw: MakeRaw) -> None:
    upstream = Upstream()
    client = proxied(raw(upstream)).client()
    target = "/" + "".join(map(chr, [*range(0x21, 0x23), *range(0x24, 0x7F)]))
    value = "".join(map(chr, [9, *range(0x20, 0x7F), *range(0x80, 0x100)])).strip()
    client.send(f"GET {target} HTTP/1.1\r\nHost: a\r\nX-All: {value}\r\n\r\n".encode("latin-1"))
    assert client.read()[0] == 200
    assert upstream.heads[0][0] == f"GET {target} HTTP/1.1"
    assert upstream.fields("x-all") == [value.strip()]
    assert len(re.findall(rb"\r\n\r\n", upstream.requests[0])) == 1

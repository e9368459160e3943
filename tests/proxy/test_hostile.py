"""Clients that try to say one thing to the proxy and another to the server behind it (request smuggling)."""

from __future__ import annotations

import re
import socket

import pytest

from client.support import MakeRaw, read_request
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
    "no length": POST + "Content-Length:\r\n\r\n",
    "length with an underscore": POST + "Content-Length: 1_0\r\n\r\nhelloworld",
    "length in other digits": POST + "Content-Length: \xb2\r\n\r\nhi",
    "coding beside chunked": POST + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "coding with a parameter": POST + "Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n",
    "no coding": POST + "Transfer-Encoding:\r\n\r\n0\r\n\r\n",
    "coding with a NUL": POST + "Transfer-Encoding: chunked\0\r\n\r\n0\r\n\r\n",
    "line feed before the empty line": GET.removesuffix("\r\n") + "\n\r\n",
    "tab before the colon": POST + "Content-Length\t: 5\r\n\r\nhello",
    "space before the first field": "GET / HTTP/1.1\r\n Host: a\r\nHost: b\r\n\r\n",
    "control in a name": GET + "X-\x01A: b\r\n\r\n",
    "host in a list": "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n",
    "user in an absolute target": "GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "line feed in the target": "GET /\nX: y HTTP/1.1\r\nHost: a\r\n\r\n",
    "two versions": "GET / HTTP/1.1 HTTP/1.1\r\nHost: a\r\n\r\n",
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
    "no size": "\r\nhello\r\n0\r\n\r\n",
    "size with a space": " 5\r\nhello\r\n0\r\n\r\n",
    "size in other digits": "\xb2\r\nhi\r\n0\r\n\r\n",
    "carriage return in an extension": "5;a\rb\r\nhello\r\n0\r\n\r\n",
    "extension without an end": "5;" + "a" * 70_000,
    "coding in the trailer": "5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "host in the trailer": "5\r\nhello\r\n0\r\nHost: b\r\n\r\n",
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


@pytest.mark.parametrize(
    "named", ["Host", "Content-Length", "X-Forwarded-For", "Transfer-Encoding", "Forwarded", "Via"]
)
def test_connection_takes_nothing_away_that_the_proxy_says(named: str, proxied: Proxied, raw: MakeRaw) -> None:
    upstream = Upstream()
    client = proxied(raw(upstream), via="p").client()
    client.send(f"{POST}Connection: {named}\r\nContent-Length: {len(INNER)}\r\n\r\n{INNER}".encode())
    assert client.read()[0] == 200
    assert len(upstream.requests) == 1
    expected = {"content-length": str(len(INNER)), "host": "a", "x-forwarded-for": "127.0.0.1", "via": "1.1 p"}
    assert {name: "".join(upstream.fields(name)) for name in expected} == expected
    assert len(upstream.fields("forwarded")) == 1


BAD_ANSWERS = {
    "two lengths": "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!",
    "length and chunked": "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "length with a sign": "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
    "coding unknown": "HTTP/1.1 200 OK\r\nTransfer-Encoding: x\r\n\r\nok",
    "line feeds alone": "HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
    "folded field": "HTTP/1.1 200 OK\r\nX-A: b\r\n c\r\nContent-Length: 2\r\n\r\nok",
    "space before the colon": "HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok",
    "NUL in a value": "HTTP/1.1 200 OK\r\nX-A: \0\r\nContent-Length: 2\r\n\r\nok",
    "status of four digits": "HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok",
    "status that is none": "HTTP/1.1 600 What\r\nContent-Length: 2\r\n\r\nok",
    "another protocol": "SSH-2.0-OpenSSH_9.6\r\n",
    "HTTP/0.9": "<html>hello</html>",
    "HTTP/2": "HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "an endless head": "HTTP/1.1 200 OK\r\n" + "X-A: b\r\n" * 100_000,
    "an endless field": "HTTP/1.1 200 OK\r\nX-A: " + "b" * 1_000_000,
    "an endless reason": "HTTP/1.1 200 " + "b" * 1_000_000,
    "interim answers without end": "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 1000,
    "a head that is cut": "HTTP/1.1 200 OK\r\nContent-Le",
    "nothing": "",
}


@pytest.mark.parametrize("answer", BAD_ANSWERS.values(), ids=BAD_ANSWERS.keys())
def test_an_answer_that_is_none_is_a_502(answer: str, proxied: Proxied, raw: MakeRaw) -> None:
    def misbehave(sock: socket.socket) -> None:
        read_request(sock)
        try:
            sock.sendall(answer.encode("latin-1"))
            sock.shutdown(socket.SHUT_WR)
            sock.recv(65536)
        except OSError:
            pass  # the proxy has had enough

    client = proxied(raw(misbehave)).client().get()
    while (status := client.read()[0]) < 200:
        assert status == 103
    assert status == 502


@pytest.mark.parametrize("status", [204, 205, 304])
def test_what_comes_behind_an_answer_without_a_body_is_no_answer(status: int, proxied: Proxied, raw: MakeRaw) -> None:
    """Neither to this request nor, over a kept connection, to the next one."""
    framing = "Content-Length: 0\r\n" if status == 205 else ""
    smuggled = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
    upstream = Upstream(f"HTTP/1.1 {status} X\r\n{framing}\r\n{smuggled}".encode())
    client = proxied(raw(upstream)).client()
    for _ in range(2):
        assert ask(client)[0] == status
    assert b"evil" not in client.buffer


@pytest.mark.parametrize(
    "answer",
    [
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nA: b",
    ],
)
def test_a_body_that_is_cut_is_never_whole(answer: str, proxied: Proxied, raw: MakeRaw) -> None:
    def cut(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(answer.encode())

    rest = proxied(raw(cut)).client().get("/", "Connection: close\r\n").rest()
    head, _, body = rest.partition(b"\r\n\r\n")
    assert head.startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 502 "))
    if b" 200 " in head:
        assert body == b"ok" if b"content-length: 9" in head.lower() else not body.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize("keeps", [True, False])
def test_an_answer_that_comes_before_the_upload_is_through(keeps: bool, proxied: Proxied, raw: MakeRaw) -> None:
    """RFC 9112 section 9.3 and 9.6: the client reads it whole, and what it still sends is no request."""
    size = len(INNER) * 100_000

    def refuse(sock: socket.socket) -> None:
        sock.recv(65536)
        sock.sendall(b"HTTP/1.1 413 No\r\nContent-Length: 3\r\n\r\nbig")
        if keeps:
            try:
                while sock.recv(65536):
                    pass
            except ConnectionResetError:
                pass

    client = proxied(raw(refuse)).client()
    client.send(f"{POST}Content-Length: {size}\r\n\r\n".encode())
    try:
        for _ in range(100):
            client.send(INNER.encode() * 1000)
    except OSError:
        pass  # it does not listen any more
    status, _, body = client.read()
    assert (status, body) == (413, b"big")
    try:
        client.sock.shutdown(socket.SHUT_WR)  # if all was taken, the connection is kept
        assert b"HTTP/1.1" not in client.rest()
    except OSError:
        pass

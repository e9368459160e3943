"""The PROXY protocol before requests, on a real port."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from engine.certificates import client_context, pair
from engine.support import Running, Serve
from firstbyte import App, Request
from firstbyte.engine.tls import TLS

V1 = b"PROXY TCP4 192.0.2.1 192.0.2.2 1234 443\r\n"
V2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11" + struct.pack("!H4s4sHH", 12, b"\xc0\0\2\1", b"\xc0\0\2\2", 1234, 443)
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
def app() -> App:
    app = App()

    @app.get("/")
    def who(request: Request) -> str:
        return f"{request.scheme} {request.client} {request.server}"

    return app


@pytest.fixture
def running(serve: Serve, app: App) -> Running:
    return serve(app, proxy_protocol=True, head_timeout=0.5)


@pytest.mark.parametrize("header", [V1, V2], ids=["1", "2"])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_the_header_says_who_the_client_is(running: Running, header: bytes, size: int) -> None:
    client = running.client()
    data = header + REQUEST
    for start in range(0, len(data), size):
        client.send(data[start : start + size])
    assert client.read()[2] == b"http 192.0.2.1:1234 192.0.2.2:443"
    assert client.get().read()[2] == b"http 192.0.2.1:1234 192.0.2.2:443"


def test_the_header_stands_before_tls(serve: Serve, app: App, tmp_path: Path) -> None:
    running = serve(app, proxy_protocol=True, tls=TLS(*pair(tmp_path, "localhost")))
    client = running.client().send(V1)
    client.sock = client_context().wrap_socket(client.sock, server_hostname="localhost")
    assert client.get().read()[2] == b"https 192.0.2.1:1234 192.0.2.2:443"


def test_who_has_none_is_not_let_in(running: Running) -> None:
    client = running.client().send(REQUEST)
    assert running.recorder.wait_for("rejected")[0][1].rule.startswith("proxy")
    try:
        assert b"HTTP" not in client.rest()
    except ConnectionResetError:
        pass  # what the server did not read is refused by the kernel


def test_a_header_that_does_not_end_is_ended(running: Running) -> None:
    assert running.client().send(V1[:20]).closed()


def test_a_client_that_leaves(running: Running) -> None:
    running.client().send(V1[:20]).close()
    assert running.client().send(V2 + REQUEST).read()[0] == 200

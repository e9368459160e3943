"""WebSockets through a proxy: bytes both ways, however slow one side is, until one of them ends."""

from __future__ import annotations

import socket
import threading

import pytest

from client.support import MakeRaw, read_request
from engine.support import WAIT, Client, Serve
from firstbyte import App
from firstbyte.client import Session
from firstbyte.proxy import ProxyTimeouts
from firstbyte.websocket import WebSocket
from proxy.support import Proxied

ASK = "Upgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: a\r\n"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX-Own: 1\r\n\r\n"
MIB = 1 << 20


def opened(client: Client) -> Client:
    status, fields, _ = client.get("/ws", ASK).read()
    assert (status, fields["upgrade"], fields["connection"], fields["x-own"]) == (101, "websocket", "Upgrade", "1")
    return client


def test_messages_pass_both_ways(serve: Serve, proxied: Proxied) -> None:
    app = App()

    @app.websocket("/ws")
    async def echo(ws: WebSocket) -> None:
        async for message in ws:
            await ws.send(message)

    proxy = proxied(serve(app))
    with Session() as session, session.websocket(f"ws://127.0.0.1:{proxy.server.port}/ws") as ws:
        for message in ("hello", "x" * 500_000, b"\0" * 70_000):
            ws.send(message)
            assert ws.receive() == message


def test_what_is_sent_with_the_heads_is_not_lost(proxied: Proxied, raw: MakeRaw) -> None:
    def answer(sock: socket.socket) -> None:
        head = read_request(sock)
        assert b"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" in head
        sock.sendall(SWITCH + b"early")
        got = head.partition(b"\r\n\r\n")[2]
        while len(got) < 5:
            got += sock.recv(100)
        sock.sendall(got)

    client = proxied(raw(answer)).client()
    client.send(f"GET / HTTP/1.1\r\nHost: a\r\n{ASK}\r\nhasty".encode())
    assert client.read()[0] == 101
    assert client.rest() == b"earlyhasty"


def test_a_slow_side_holds_the_other_back(proxied: Proxied, raw: MakeRaw) -> None:
    go = threading.Event()
    size = 32 * MIB
    sent = 0

    def slow(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(SWITCH)
        assert go.wait(WAIT)
        got = 0
        while got < size:
            got += len(sock.recv(MIB))
        sock.sendall(b"%d" % got)

    client = opened(proxied(raw(slow)).client())
    client.sock.setblocking(False)
    full = threading.Event()
    try:
        while True:
            sent += client.sock.send(bytes(MIB))
    except BlockingIOError:
        full.set()
    client.sock.settimeout(WAIT)
    assert sent < size  # what is taken without being read is bounded
    go.set()
    client.send(bytes(size - sent))
    assert client.rest() == b"%d" % size


@pytest.mark.parametrize("who", ["client", "server"])
def test_the_end_of_one_is_the_end_of_the_other(who: str, proxied: Proxied, raw: MakeRaw) -> None:
    ended = threading.Event()

    def answer(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(SWITCH)
        if who == "client":
            assert sock.recv(100) == b"bye"
            assert sock.recv(100) == b""
            ended.set()

    proxy = proxied(raw(answer))
    client = opened(proxy.client())
    if who == "client":
        client.send(b"bye").close()
        assert ended.wait(WAIT)
    else:
        assert client.closed()


def test_silence_ends_it(proxied: Proxied, raw: MakeRaw) -> None:
    def silent(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(SWITCH)
        assert sock.recv(1) == b""

    assert opened(proxied(raw(silent), timeouts=ProxyTimeouts(idle=0.05)).client()).closed()


def test_a_stop_ends_it(proxied: Proxied, raw: MakeRaw) -> None:
    def silent(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(SWITCH)
        assert sock.recv(1) == b""

    proxy = proxied(raw(silent))
    client = opened(proxy.client())
    proxy.server.stop()
    assert client.closed()


def test_its_connection_is_counted_until_it_ends(proxied: Proxied, raw: MakeRaw) -> None:
    def answer(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(SWITCH)
        assert sock.recv(1) == b""

    proxy = proxied(raw(answer), max_connections=1, timeouts=ProxyTimeouts(pool=0.05))
    first = opened(proxy.client())
    assert proxy.client().get("/ws", ASK).read()[0] == 503
    first.close()
    proxy.recorder.wait_for("closed")
    assert any(proxy.client().get("/ws", ASK).read()[0] == 101 for _ in range(100))

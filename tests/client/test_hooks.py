"""What a session tells of its bytes."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import pytest

from client.support import MakeFace, MakeRaw, read_request
from engine.certificates import client_context, pair
from firstbyte.client import Hooks

HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def test_the_bytes_of_an_exchange(face: MakeFace, raw: MakeRaw) -> None:
    sent: list[bytes] = []
    received: list[bytes] = []
    server = raw(HELLO)
    session = face(hooks=Hooks(sent=sent.append, received=received.append))
    session.post(server.url, content=b"a" * 200_000)
    session.get(server.url)
    first, _, second = b"".join(sent).partition(b"a" * 200_000)
    assert first.startswith(b"POST / HTTP/1.1\r\n")
    assert second.startswith(b"GET / HTTP/1.1\r\n")
    assert second.endswith(b"\r\n\r\n")
    assert b"".join(received) == HELLO * 2
    assert server.connections == 1


def test_bytes_under_tls_are_told_in_the_clear(face: MakeFace, raw: MakeRaw, tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair(tmp_path, "localhost"))

    def answer(sock: socket.socket) -> None:
        with context.wrap_socket(sock, server_side=True) as secure:
            read_request(secure)
            secure.sendall(HELLO)

    sent: list[bytes] = []
    received: list[bytes] = []
    session = face(hooks=Hooks(sent=sent.append, received=received.append), verify=client_context())
    assert session.get(f"https://localhost:{raw(answer).port}").text == "hello"
    assert b"".join(sent).startswith(b"GET / HTTP/1.1\r\nHost: localhost:")
    assert b"".join(received) == HELLO


def test_one_direction_alone(face: MakeFace, raw: MakeRaw) -> None:
    received: list[bytes] = []
    face(hooks=Hooks(received=received.append)).get(raw(HELLO).url)
    assert b"".join(received) == HELLO


def test_a_hook_that_raises_ends_the_call(face: MakeFace, raw: MakeRaw) -> None:
    def refuse(data: bytes) -> None:
        raise ValueError("not this")

    session = face(hooks=Hooks(sent=refuse))
    with pytest.raises(ValueError, match="not this"):
        session.get(raw(HELLO).url)
    assert session.session.pool.open_connections == 0

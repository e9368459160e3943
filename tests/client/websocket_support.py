"""What the tests of the client's WebSockets talk to: an application of ours, and raw servers that shake hands."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

from client.support import read_request
from engine.support import Serve
from firstbyte import App, HTTPError, Request, Response
from firstbyte.websocket import SyncWebSocket
from firstbyte.wire.websocket.handshake import accept_value


def chat_app() -> App:
    app = App()

    @app.websocket("/echo", subprotocols=("v2", "v1"))
    def echo(ws: SyncWebSocket) -> None:
        for message in ws:
            ws.send(message)

    @app.websocket("/close")
    def close(ws: SyncWebSocket, code: int) -> None:
        ws.send("first")
        ws.close(code, "as asked")

    @app.websocket("/who")
    def who(ws: SyncWebSocket, request: Request) -> None:
        ws.send_json({name: request.headers.get(name) for name in ("cookie", "authorization", "x-token", "origin")})

    @app.websocket("/no")
    def no(ws: SyncWebSocket, request: Request) -> None:
        raise AssertionError

    @app.get("/http")
    def http() -> str:
        return "hello"

    @app.get("/moved")
    def moved() -> Response:
        return Response(b"", 302, {"Location": "/echo", "Set-Cookie": "seen=1"})

    @app.get("/problem")
    def problem() -> None:
        raise HTTPError(403, "members only")

    return app


@pytest.fixture
def chat_url(serve: Serve) -> str:
    """Where a server has it."""
    return f"ws://localhost:{serve(chat_app()).server.port}"


Speak = Callable[[socket.socket, str], None]


def shaking(speak: Speak, more: str = "", accept: str | None = None) -> Callable[[socket.socket], None]:
    """A raw server that shakes hands and then does what it is told."""

    def answer(sock: socket.socket) -> None:
        request = read_request(sock).decode()
        key = request.lower().partition("sec-websocket-key: ")[2].partition("\r\n")[0]
        key = request[request.lower().index(key) :][: len(key)]
        fields = f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept or accept_value(key)}\r\n"
        sock.sendall(f"HTTP/1.1 101 Switching Protocols\r\n{fields}{more}\r\n".encode())
        speak(sock, key)

    return answer


def until_end(sock: socket.socket) -> bytes:
    """All that the client sends."""
    data = b""
    while piece := sock.recv(65536):
        data += piece
    return data


def leave(sock: socket.socket, key: str) -> None:
    pass


def listen(sock: socket.socket, key: str) -> None:
    until_end(sock)

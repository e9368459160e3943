"""What the tests of WebSockets on real servers share: clients, echoes, and the three ways to run a handler."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from websockets.asyncio.client import connect as aconnect
from websockets.sync.client import ClientConnection, connect

from engine.certificates import client_context
from engine.support import WAIT, Client, Running
from firstbyte import App
from firstbyte.websocket import SyncWebSocket, WebSocket
from firstbyte.wire.websocket.frames import CLOSE, FrameReader

Connect = Callable[..., ClientConnection]
HANDSHAKE = (
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


def opened(running: Running, path: str = "/echo", **options: Any) -> ClientConnection:
    return connect(f"ws://localhost:{running.server.port}{path}", open_timeout=WAIT, close_timeout=WAIT, **options)


def echoed_through_tls(running: Running, messages: Iterable[str | bytes], path: str, greetings: int) -> list[Any]:
    """What comes back for each of the messages, behind so many greetings.

    In one thread, unlike `opened`: before Python 3.13 the TLS of a connection must not be used by two at once.
    """

    async def exchange() -> list[Any]:
        url = f"wss://localhost:{running.server.port}{path}"
        async with asyncio.timeout(WAIT), aconnect(url, ssl=client_context(), max_size=None) as ws:
            for _ in range(greetings):
                await ws.recv()
            answers = []
            for message in messages:
                await ws.send(message)
                answers.append(await ws.recv())
            return answers

    return asyncio.run(exchange())


def add_echo(app: App, is_async: bool, path: str = "/echo", **options: Any) -> None:
    """An echo, for either colour of functions."""
    if is_async:

        @app.websocket(path, **options)
        async def aecho(ws: WebSocket) -> None:
            async for message in ws:
                await ws.send(message)

    else:

        @app.websocket(path, **options)
        def echo(ws: SyncWebSocket) -> None:
            for message in ws:
                ws.send(message)


def echo_app(is_async: bool, **options: Any) -> App:
    """An app with an echo, and what its neighbours of HTTP get."""
    app = App()
    add_echo(app, is_async, **options)
    app.add_route("/", lambda: "hello")
    return app


@pytest.fixture
def stay() -> Iterator[Connect]:
    """Opens WebSockets that stay open until the test ends: `stay(running, path)`."""
    with ExitStack() as stack:
        yield lambda *arguments, **options: stack.enter_context(opened(*arguments, **options))


def raw(running: Running, path: str = "/echo", fields: str = "") -> Client:
    """A client behind its handshake, to send what no library would."""
    client = running.client().get(path, HANDSHAKE + fields)
    assert client.read()[0] == 101
    return client


def frames(data: bytes) -> list[tuple[int, bytes]]:
    """Opcodes and payloads of the frames that a server has sent."""
    reader = FrameReader(masked=False, max_frame=1 << 30, deflate=True)
    reader.feed(data)
    found = []
    while reader.read_header():
        found.append((reader.opcode, reader.read_payload()))
        assert not reader.left, "the connection ended within a frame"
    return found


def close_code(client: Client) -> int:
    """The code of the Close that the server sends before it ends the connection."""
    *_, (opcode, payload) = frames(client.rest())
    assert opcode == CLOSE
    return int.from_bytes(payload[:2], "big")


# def without a loop, def within one, async def
LOOPS = {"threads": "auto", "threads in a loop": "asyncio", "coroutines": "asyncio"}  # by kind


@pytest.fixture(params=list(LOOPS))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def is_async(kind: str) -> bool:
    return kind == "coroutines"

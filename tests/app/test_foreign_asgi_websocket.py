"""WebSockets of an App as an ASGI server calls it, without one; `hosts/test_foreign_servers.py` has the servers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from engine.support import WAIT
from firstbyte import App, HTTPError, Request
from firstbyte.errors import WebSocketClosed
from firstbyte.websocket import SyncWebSocket, WebSocket
from firstbyte.wire.websocket.limits import MessageLimits

Messages = list[dict[str, Any]]
CONNECT = {"type": "websocket.connect"}
DENIAL = {"extensions": {"websocket.http.response": {}}}


def text(message: str) -> dict[str, Any]:
    return {"type": "websocket.receive", "text": message}


def leave(code: int, reason: str = "") -> dict[str, Any]:
    return {"type": "websocket.disconnect", "code": code, "reason": reason}


def call(app: App, path: str, incoming: Messages, **scope: Any) -> Messages:
    """What the app sends to a server that has `incoming` for it, and nothing behind it."""
    sent: Messages = []
    rest = [CONNECT, *incoming]

    async def receive() -> dict[str, Any]:
        if not rest:
            await asyncio.Event().wait()
        return rest.pop(0)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def run() -> None:
        async with asyncio.timeout(WAIT):
            whole = {"type": "websocket", "path": path, "headers": [(b"host", b"a")], "query_string": b"", **scope}
            await app(whole, receive, send)

    asyncio.run(run())
    return sent


@pytest.fixture
def codes() -> list[tuple[int, str]]:
    return []


@pytest.fixture
def app(codes: list[tuple[int, str]]) -> App:
    app = App()

    @app.websocket("/async", limits=MessageLimits(1000, 1000), close_timeout=0.05)
    async def aecho(ws: WebSocket) -> None:
        try:
            while True:
                await ws.send(await ws.receive())
        except WebSocketClosed as closed:
            codes.append((closed.code, closed.reason))

    @app.websocket("/sync", limits=MessageLimits(1000, 1000))
    def echo(ws: SyncWebSocket) -> None:
        try:
            while True:
                ws.send(ws.receive())
        except WebSocketClosed as closed:
            codes.append((closed.code, closed.reason))

    @app.websocket("/refuses")
    async def refuses(ws: WebSocket, request: Request) -> None:
        raise AssertionError

    @app.middleware
    def refuse(request: Request) -> Any:
        if request.path == "/refuses":
            raise HTTPError(401, "no")
        return (yield)

    return app


@pytest.mark.parametrize("path", ["/async", "/sync"])
@pytest.mark.parametrize(
    ("goodbye", "code", "reason"),
    [
        (leave(1001, "away"), 1001, "away"),
        (leave(4000), 4000, ""),
        (leave(1005), 1005, ""),
        (leave(1006), 1006, ""),
        (leave(1012), 1012, ""),
        ({"type": "websocket.disconnect"}, 1005, ""),
    ],
)
def test_messages_and_the_end(
    app: App, codes: list[tuple[int, str]], path: str, goodbye: dict[str, Any], code: int, reason: str
) -> None:
    sent = call(app, path, [text("a"), {"type": "websocket.receive", "bytes": b"b", "text": None}, goodbye])
    assert sent[0] == {"type": "websocket.accept", "subprotocol": None, "headers": []}
    assert codes == [(code, reason)]
    assert all(message["type"] == "websocket.send" for message in sent[1:])  # as far as it was before


@pytest.mark.parametrize("path", ["/async", "/sync"])
def test_a_message_beyond_the_limit_closes(app: App, codes: list[tuple[int, str]], path: str) -> None:
    *_, last = call(app, path, [text("x" * 1001)])
    assert (last["type"], last["code"]) == ("websocket.close", 1009)
    assert codes[0][0] == 1009


def test_refusals(app: App) -> None:
    assert call(app, "/none", []) == [{"type": "websocket.close", "code": 1008}]
    start, body = call(app, "/none", [], **DENIAL)
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 404)
    assert body["type"] == "websocket.http.response.body"
    assert call(app, "/refuses", [], **DENIAL)[0]["status"] == 401


def test_a_client_that_left_before_it_was_accepted(app: App) -> None:
    async def receive() -> dict[str, Any]:
        return CONNECT

    async def send(message: dict[str, Any]) -> None:
        raise OSError("gone")

    scope = {"type": "websocket", "path": "/async", "headers": [(b"host", b"a")]}
    with pytest.raises(OSError, match="gone"):
        asyncio.run(app(scope, receive, send))


def test_a_server_that_cancels(app: App, codes: list[tuple[int, str]]) -> None:
    async def run() -> None:
        began = asyncio.Event()

        async def receive() -> dict[str, Any]:
            if began.is_set():
                await asyncio.Event().wait()
            return CONNECT

        async def send(message: dict[str, Any]) -> None:
            began.set()

        scope = {"type": "websocket", "path": "/async", "headers": [(b"host", b"a")]}
        task = asyncio.ensure_future(app(scope, receive, send))
        await began.wait()
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert codes == []


def test_a_slow_server_makes_the_handler_wait() -> None:
    app = App()
    sent = 0

    @app.websocket("/")
    async def flood(ws: WebSocket) -> None:
        nonlocal sent
        for _ in range(100):
            await ws.send(bytes(50_000))
            sent += 1

    async def run() -> None:
        taken = 0
        connected = False

        async def receive() -> dict[str, Any]:
            nonlocal connected
            if connected:
                await asyncio.Event().wait()
            connected = True
            return CONNECT

        async def send(message: dict[str, Any]) -> None:
            nonlocal taken
            for _ in range(5):
                await asyncio.sleep(0)
            if message["type"] == "websocket.send":
                assert sent - taken <= 3
                taken += 1

        async with asyncio.timeout(WAIT):
            await app({"type": "websocket", "path": "/", "headers": [(b"host", b"a")]}, receive, send)
        assert taken == 100

    asyncio.run(run())

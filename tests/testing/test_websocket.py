"""WebSockets of the test client."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from firstbyte import App, HTTPError
from firstbyte.errors import WebSocketClosed, WebSocketRefused
from firstbyte.testing import TestClient
from firstbyte.websocket import SyncWebSocket, WebSocket


class Fault(Exception):
    pass


def app_of(kind: str, log: list[Any]) -> Any:
    app = App()
    if kind in ("async def", "asgi"):

        @app.websocket("/echo/{name}", subprotocols=["chat"])
        async def aecho(name: str, ws: WebSocket) -> None:
            await ws.send(f"hello {name} {ws.request.cookies.get('user')} {ws.subprotocol}")
            async for message in ws:
                if message == "fail":
                    raise Fault("mine")
                if message == "close":
                    await ws.close(4001, "enough")
                    return
                await ws.send(message)
            log.append(ws.close_code)

    else:

        @app.websocket("/echo/{name}", subprotocols=["chat"])
        def echo(name: str, ws: SyncWebSocket) -> None:
            ws.send(f"hello {name} {ws.request.cookies.get('user')} {ws.subprotocol}")
            for message in ws:
                if message == "fail":
                    raise Fault("mine")
                if message == "close":
                    ws.close(4001, "enough")
                    return
                ws.send(message)
            log.append(ws.close_code)

    app.rule(lambda request: HTTPError(403, "not you") if request.headers.get("x-refuse") else None)
    if kind == "def in a loop":

        @app.get("/")
        async def index() -> str:
            return ""

    if kind == "asgi":

        async def asgi(scope: Any, receive: Any, send: Any) -> None:
            await app(scope, receive, send)

        return asgi
    return app


every_kind = pytest.mark.parametrize("kind", ["def", "def in a loop", "async def", "asgi"])


@every_kind
def test_messages_both_ways(kind: str) -> None:
    log: list[Any] = []
    with TestClient(app_of(kind, log), cookies={"user": "ann"}) as client:
        with client.websocket("/echo/bob", subprotocols=["other", "chat"]) as ws:
            assert ws.subprotocol == "chat"
            assert ws.receive() == "hello bob ann chat"
            for message in ("text", b"bytes", "x" * 100_000):
                ws.send(message)
                assert ws.receive(timeout=20) == message
            ws.send_json({"a": 1})
            assert ws.receive() == '{"a":1}'
        with client.websocket("/echo/eve") as ws:  # and another one
            assert ws.receive() == "hello eve ann None"
    assert log == [1000, 1000]


@every_kind
def test_the_handler_closes(kind: str) -> None:
    with TestClient(app_of(kind, [])) as client:
        with client.websocket("/echo/bob") as ws:
            ws.receive()
            ws.send("close")
            with pytest.raises(WebSocketClosed) as caught:
                ws.receive()
        assert (caught.value.code, caught.value.reason) == (4001, "enough")


@pytest.mark.parametrize("kind", ["def", "def in a loop", "async def"])
def test_what_the_handler_raises_is_raised(kind: str) -> None:
    def talk(client: TestClient) -> None:
        with client.websocket("/echo/bob") as ws:
            ws.receive()
            ws.send("fail")
            ws.receive()

    with TestClient(app_of(kind, [])) as client, pytest.raises(Fault, match="mine"):
        talk(client)
    with TestClient(app_of(kind, []), raise_server_errors=False) as client:
        with pytest.raises(WebSocketClosed) as caught:
            talk(client)
        assert caught.value.code == 1011


@every_kind
def test_a_refusal(kind: str) -> None:
    with TestClient(app_of(kind, [])) as client:
        for path, headers, status in (("/echo/bob", {"X-Refuse": "1"}, 403), ("/nothing", {}, 404)):
            with pytest.raises(WebSocketRefused) as caught, client.websocket(path, headers=headers):
                pass
            assert caught.value.response.status == status
        assert client.get("/echo/bob").status == 426


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_a_block_that_raises_closes_with_1001(kind: str) -> None:
    log: list[Any] = []
    with TestClient(app_of(kind, log)) as client:
        with pytest.raises(KeyError), client.websocket("/echo/bob") as ws:
            ws.receive()
            raise KeyError
        with client.websocket("/echo/bob") as ws:
            ws.receive()
    assert log == [1001, 1000]


def test_one_that_waits_for_a_slow_client() -> None:
    app = App()

    @app.websocket("/")
    async def flood(ws: WebSocket) -> None:
        for _ in range(40):
            await ws.send(b"x" * 100_000)
            await asyncio.sleep(0)

    with TestClient(app) as client, client.websocket("/", deflate=None) as ws:
        assert sum(len(message) for message in ws) == 4_000_000

"""WebSockets of FastAPI, Starlette, Quart and Litestar on the server."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest

import needs

try:
    from litestar import Litestar, WebSocket, websocket, websocket_listener
    from litestar.params import FromPath
except ImportError:
    pass
from websockets.exceptions import ConnectionClosed, InvalidStatus

from engine.support import WAIT, Running, Serve
from engine.websocket_support import Connect, opened
from firstbyte.hosts.asgi import ASGI
from hosts.support import Told


@pytest.fixture
def driver(each_loop: str) -> str:
    return each_loop


def code_of(ws: Any) -> int:
    with pytest.raises(ConnectionClosed) as caught:
        ws.recv(WAIT)
    assert caught.value.rcvd is not None
    return caught.value.rcvd.code


# -- FastAPI and Starlette


@pytest.fixture
def fastapi(serve: Serve, told: Told, monkeypatch: pytest.MonkeyPatch) -> Running:
    needs.package("fastapi")
    monkeypatch.syspath_prepend(Path(__file__).parent / "apps")
    return serve(ASGI(importlib.import_module("fastapi_websockets").make(told.say)))


def test_fastapi_echo(fastapi: Running, told: Told) -> None:
    with opened(fastapi, "/echo", subprotocols=["chat"]) as ws:
        assert ws.subprotocol == "chat"
        for message in ("", "κόσμε", b"", bytes(100_000)):
            ws.send(message)
            assert ws.recv(WAIT) == message
        ws.close(4000, "bye")
    assert told.wait(1) == ["4000 bye"]


def test_fastapi_parameters_and_dependencies(fastapi: Running) -> None:
    with opened(fastapi, "/items/3/ws?q=4", additional_headers={"Cookie": "session=ann"}) as ws:
        assert json.loads(ws.recv(WAIT)) == {"item": 3, "q": 4, "user": "ann", "path": "/items/3/ws"}
        ws.send("[1,2]")
        assert code_of(ws) == 3005
    for path in ("/items/3/ws", "/items/x/ws?token=t", "/none"):
        with pytest.raises(InvalidStatus, match="403"):
            opened(fastapi, path)


def test_fastapi_chat(fastapi: Running, told: Told, stay: Connect) -> None:
    ann, bob = (stay(fastapi, f"/chat/{name}") for name in ("ann", "bob"))
    bob.send("hi")
    assert [ann.recv(WAIT), bob.recv(WAIT)] == ["bob: hi"] * 2
    ann.socket.shutdown(2)
    assert bob.recv(WAIT) == "ann left"
    assert told.wait(1) == ["ann left"]


def test_starlette_tells_who_leaves(fastapi: Running, told: Told) -> None:
    with opened(fastapi, "/raises"):
        pass
    assert told.wait(1) == ["gone 1000"]


def test_starlette_denial_responses(fastapi: Running) -> None:
    with pytest.raises(InvalidStatus) as caught:
        opened(fastapi, "/denied")
    assert caught.value.response.status_code == 503
    assert caught.value.response.body == b'{"why":"full"}'


# -- Quart


def test_quart(serve: Serve, told: Told) -> None:
    quart = needs.package("quart")
    app = quart.Quart("chat", root_path="/")

    @app.websocket("/ws/<name>")
    async def ws(name: str) -> None:
        await quart.websocket.accept(headers={"X-Name": name}, subprotocol="chat")
        try:
            while True:
                await quart.websocket.send(f"{name}: {await quart.websocket.receive()}")
        finally:
            told.say("left")

    @app.websocket("/closes")
    async def closes() -> None:
        await quart.websocket.send_json({"first": True})
        await quart.websocket.close(4001, "go")

    @app.websocket("/refuses")
    async def refuses() -> Any:
        return "not you", 401

    running = serve(ASGI(app))
    with opened(running, "/ws/ann", subprotocols=["chat"]) as client:
        assert (client.subprotocol, client.response.headers["X-Name"]) == ("chat", "ann")  # type: ignore[union-attr]
        client.send("hello")
        assert client.recv(WAIT) == "ann: hello"
    assert told.wait(1) == ["left"]
    with opened(running, "/closes") as client:
        assert json.loads(client.recv(WAIT)) == {"first": True}
        assert code_of(client) == 4001
    for path, status in (("/refuses", 401), ("/none", 404)):
        with pytest.raises(InvalidStatus) as caught:
            opened(running, path)
        assert caught.value.response.status_code == status


# -- Litestar


def test_litestar(serve: Serve) -> None:
    needs.package("litestar")

    @websocket("/ws/{name:str}")
    async def ws(socket: WebSocket, name: FromPath[str]) -> None:
        await socket.accept()
        await socket.send_json({"name": name, "got": await socket.receive_text()})
        await socket.close(code=4002, reason="go")

    @websocket_listener("/listen")
    async def listen(data: dict[str, int]) -> dict[str, int]:
        return {"sum": sum(data.values())}

    running = serve(ASGI(Litestar([ws, listen])))
    with opened(running, "/ws/ann") as client:
        client.send("hello")
        assert json.loads(client.recv(WAIT)) == {"name": "ann", "got": "hello"}
        assert code_of(client) == 4002
    with opened(running, "/listen") as client:
        for last in range(3):
            client.send(json.dumps({"a": 1, "b": last}))
            assert json.loads(client.recv(WAIT)) == {"sum": 1 + last}
    with pytest.raises(InvalidStatus, match="403"):
        opened(running, "/none")

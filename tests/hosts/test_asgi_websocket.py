"""WebSockets of ASGI applications: the protocol, on a real server, with the client of the `websockets` library."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection

from engine.support import WAIT, Serve
from engine.websocket_support import HANDSHAKE, Connect, opened, raw
from firstbyte import App
from hosts.support import Receive, Scope, Send, Told, host

ACCEPT = {"type": "websocket.accept"}


@pytest.fixture
def driver(each_loop: str) -> str:
    return each_loop


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    assert await receive() == {"type": "websocket.connect"}
    await send(ACCEPT)
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message.get("text"), "bytes": message.get("bytes")})


def ended(ws: ClientConnection) -> tuple[int, str]:
    """Code and reason of the server's Close."""
    with pytest.raises(ConnectionClosed) as caught:
        ws.recv(WAIT)
    assert caught.value.rcvd is not None
    return caught.value.rcvd.code, caught.value.rcvd.reason


def refused(app: Any, serve: Serve, **options: Any) -> Any:
    with pytest.raises(InvalidStatus) as caught:
        opened(serve(host(app)), "/", **options)
    return caught.value.response


@pytest.mark.parametrize("compression", ["deflate", None])
def test_messages_both_ways(serve: Serve, compression: str | None) -> None:
    with opened(serve(host(echo)), "/", compression=compression, max_size=None) as ws:
        for message in ("", "κόσμε", b"", bytes(range(256)) * 10, "x" * 5_000_000):
            ws.send(message)
            assert ws.recv(WAIT) == message


def test_the_scope(serve: Serve, told: Told) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        told.say(scope)
        await echo(scope, receive, send)

    hosting = App()
    hosting.mount("/api", host(app))
    running = serve(hosting)
    with opened(running, "/api/a%20b?q=1", subprotocols=["chat.v2", "chat.v1"], origin="https://elsewhere.example"):
        pass
    (scope,) = told.things
    name = f"localhost:{running.server.port}".encode()
    assert scope["type"] == "websocket"
    assert scope["asgi"]["version"] == "3.0"
    assert scope["http_version"] == "1.1"
    assert scope["scheme"] == "ws"
    assert (scope["path"], scope["raw_path"], scope["root_path"]) == ("/api/a b", b"/api/a%20b", "/api")
    assert scope["query_string"] == b"q=1"
    assert scope["subprotocols"] == ["chat.v2", "chat.v1"]
    assert (b"host", name) in scope["headers"]
    assert (b"origin", b"https://elsewhere.example") in scope["headers"]
    assert scope["client"][0] == "127.0.0.1"
    assert scope["server"] == ("127.0.0.1", running.server.port)
    assert scope["extensions"] == {"websocket.http.response": {}}
    assert scope["state"] == {}
    assert "method" not in scope


def test_accept_has_a_subprotocol_and_headers(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        headers = [(b"x-one", b"1"), (b"set-cookie", b"a=b"), (b"set-cookie", b"c=d")]
        await send({"type": "websocket.accept", "subprotocol": "v1", "headers": headers})
        await send({"type": "websocket.send", "text": "hi"})

    with opened(serve(host(app)), "/", subprotocols=["v2", "v1"]) as ws:
        assert ws.subprotocol == "v1"
        assert ws.response is not None
        assert ws.response.headers["X-One"] == "1"
        assert ws.response.headers.get_all("Set-Cookie") == ["a=b", "c=d"]
        assert ws.recv(WAIT) == "hi"
        assert ended(ws) == (1000, "")  # it has returned


def test_close_with_code_and_reason(serve: Serve, told: Told) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        await send({"type": "websocket.close", "code": 4001, "reason": "enough"})
        told.say(await receive())
        for late in ({"type": "websocket.close"}, {"type": "websocket.send", "text": "x"}):
            try:
                await send(late)
            except RuntimeError as error:
                told.say(str(error))

    with opened(serve(host(app)), "/") as ws:
        assert ended(ws) == (4001, "enough")
    assert told.wait(3) == [
        {"type": "websocket.disconnect", "code": 4001, "reason": "enough"},
        "websocket.close comes a second time",
        "websocket.send comes after websocket.close",
    ]


async def until_disconnect(scope: Scope, receive: Receive, send: Send, told: Told) -> None:
    await receive()
    await send(ACCEPT)
    await send({"type": "websocket.send", "text": "in"})
    for _ in range(2):
        told.say(await receive())
    try:
        await send({"type": "websocket.send", "text": "x"})
    except OSError as error:
        told.say(type(error).__name__)
    await send({"type": "websocket.close"})  # many do, and it hurts nobody
    told.say("end")


@pytest.mark.parametrize(
    ("leave", "code", "reason"),
    [
        (lambda ws: ws.close(4002, "bye"), 4002, "bye"),
        (lambda ws: ws.socket.shutdown(socket.SHUT_RDWR), 1006, ""),
    ],
)
def test_a_client_that_leaves(
    serve: Serve, told: Told, stay: Connect, leave: Callable[[ClientConnection], None], code: int, reason: str
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await until_disconnect(scope, receive, send, told)

    ws = stay(serve(host(app)), "/")
    assert ws.recv(WAIT) == "in"
    leave(ws)
    disconnect = {"type": "websocket.disconnect", "code": code, "reason": reason}
    assert told.wait(4) == [disconnect, disconnect, "ClientDisconnected", "end"]


def test_on_drain_the_application_is_told(serve: Serve, told: Told, stay: Connect) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await until_disconnect(scope, receive, send, told)

    running = serve(host(app))
    ws = stay(running, "/")
    assert ws.recv(WAIT) == "in"
    running.server.stop()
    assert ended(ws)[0] == 1001
    assert told.wait(4)[0]["code"] == 1001


# -- denials


def test_close_before_accept_is_403(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.close", "code": 4003})

    assert refused(app, serve).status_code == 403


def test_denial_by_a_response(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        headers = [(b"content-type", b"text/plain"), (b"x-why", b"full")]
        await send({"type": "websocket.http.response.start", "status": 503, "headers": headers})
        await send({"type": "websocket.http.response.body", "body": b"come ", "more_body": True})
        await send({"type": "websocket.http.response.body", "body": b"later"})

    response = refused(app, serve)
    assert response.status_code == 503
    assert response.headers["X-Why"] == "full"
    assert response.body == b"come later"


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [{"type": "websocket.send", "text": "too early"}],
        [{"type": "websocket.accept", "subprotocol": "not offered"}],
        [{"type": "websocket.accept", "headers": [(b"Sec-WebSocket-Accept", b"mine")]}],
        [{"type": "websocket.accept", "headers": [(b"x", b"a\r\nb")]}],
        [{"type": "what.is.this"}],
        [{"type": "websocket.http.response.start", "status": 400}],
        [{"type": "websocket.http.response.start", "status": 400}, ACCEPT],
    ],
)
def test_an_application_that_does_not_keep_to_the_protocol(serve: Serve, messages: list[dict[str, Any]]) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        for message in messages:
            await send(message)

    assert refused(app, serve).status_code == 500


def test_an_application_that_fails(serve: Serve) -> None:
    async def before(scope: Scope, receive: Receive, send: Send) -> None:
        raise ValueError("no")

    async def behind(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        raise ValueError("no")

    assert refused(before, serve).status_code == 500
    with opened(serve(host(behind)), "/") as ws:
        assert ended(ws) == (1011, "")


@pytest.mark.parametrize("message", [{}, {"text": "a", "bytes": b"a"}, {"text": b"a"}, {"bytes": "a"}])
def test_a_message_that_is_none(serve: Serve, message: dict[str, Any]) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        with pytest.raises((TypeError, ValueError)):
            await send({"type": "websocket.send", **message})
        await send({"type": "websocket.send", "text": "went on"})

    with opened(serve(host(app)), "/") as ws:
        assert ws.recv(WAIT) == "went on"


def test_a_handshake_that_is_none_never_reaches_the_application(serve: Serve, told: Told) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        told.say(scope["type"])
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"hello"})

    client = serve(host(app)).client()
    assert client.get("/", "Upgrade: websocket\r\nConnection: Upgrade\r\n").read()[0] == 426
    assert told.things == []
    assert client.get("/", "Upgrade: websocket\r\n").read()[2] == b"hello"  # asks for nothing: it is not for us
    assert client.get("/", "X: websocket\r\n").read()[2] == b"hello"
    assert told.things == ["http", "http"]


def test_a_client_that_leaves_before_it_is_accepted(serve: Serve, told: Told) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        told.say("asked")
        told.say(await receive())
        try:
            await send(ACCEPT)
        except OSError as error:
            told.say(type(error).__name__)

    running = serve(host(app))
    client = running.client().get("/", HANDSHAKE)
    told.wait(1)
    client.close()
    assert told.wait(3)[1:] == [{"type": "websocket.disconnect", "code": 1006, "reason": ""}, "ClientDisconnected"]
    running.recorder.wait_for("closed")


# -- tasks of the application's own, and pace


def test_the_whole_application_is_one_task_with_its_context(serve: Serve, told: Told) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        before = asyncio.current_task()
        async with asyncio.timeout(WAIT):
            await receive()
            await send(ACCEPT)
            await send({"type": "websocket.send", "text": str((await receive())["text"])})
        told.say(asyncio.current_task() is before)

    with opened(serve(host(app)), "/") as ws:
        ws.send("x")
        assert ws.recv(WAIT) == "x"
        assert ended(ws)[0] == 1000
    assert told.wait(1) == [True]


def test_other_tasks_may_accept_receive_and_send(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()

        async def talk() -> None:
            await send(ACCEPT)
            while (message := await receive())["type"] == "websocket.receive":
                await send({"type": "websocket.send", "text": message["text"]})

        async def tick() -> None:
            await send({"type": "websocket.send", "text": "tick"})

        await asyncio.create_task(talk())

    with opened(serve(host(app)), "/") as ws:
        for number in range(3):
            ws.send(str(number))
            assert ws.recv(WAIT) == str(number)


def test_a_slow_reader_makes_the_application_wait(serve: Serve, told: Told) -> None:
    piece = bytes(1 << 20)
    count = 64

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        for number in range(count):
            await send({"type": "websocket.send", "bytes": piece})
            told.say(number)

    running = serve(host(app))
    with opened(running, "/", max_size=None, max_queue=1, compression=None) as ws:
        assert ws.recv(WAIT) == piece
        told.wait(1)
        threading.Event().wait(0.1)  # it could go on, and must not
        assert len(told.things) < count
        for _ in range(count - 1):
            assert ws.recv(WAIT) == piece
        assert ended(ws)[0] == 1000
    assert len(told.things) == count


def test_a_broken_frame_ends_it(serve: Serve, told: Told) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await until_disconnect(scope, receive, send, told)

    client = raw(serve(host(app)), "/")
    client.send(b"\x81\x01x")  # not masked
    assert client.rest().endswith(b"a client's frame is not masked")
    assert told.wait(1)[0]["code"] == 1002

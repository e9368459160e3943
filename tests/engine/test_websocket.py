"""WebSockets through routes, middleware and providers, by a real server and the client of the `websockets` library."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from engine.certificates import pair
from engine.support import WAIT, Serve
from engine.websocket_support import HANDSHAKE, LOOPS, Connect, add_echo, echo_app, echoed_through_tls, opened, raw
from firstbyte import App, HTTPError, Request, Response
from firstbyte.engine.tls import TLS
from firstbyte.errors import RouteError, WebSocketClosed
from firstbyte.websocket import SyncWebSocket, WebSocket
from firstbyte.wire.websocket.limits import MessageLimits


class User(str):
    """Who has asked."""


@pytest.fixture
def driver(kind: str) -> str:
    return LOOPS[kind]


@pytest.fixture
def app(is_async: bool) -> App:
    return echo_app(is_async)


MESSAGES: list[str | bytes] = ["", "hello", "κόσμε" * 100, b"", bytes(range(256)) * 1000, "x" * 300_000]


def test_messages_both_ways(app: App, serve: Serve) -> None:
    with opened(serve(app)) as ws:
        for message in MESSAGES:
            ws.send(message)
            assert ws.recv(WAIT) == message
        for message in MESSAGES:
            ws.send(message)
        assert [ws.recv(WAIT) for _ in MESSAGES] == MESSAGES
        ws.send(["in", "", "parts"])
        assert ws.recv(WAIT) == "inparts"


def test_without_compression(app: App, serve: Serve) -> None:
    with opened(serve(app), compression=None) as ws:
        for message in MESSAGES:
            ws.send(message)
            assert ws.recv(WAIT) == message


def test_through_tls(app: App, serve: Serve, tmp_path: Path) -> None:
    running = serve(app, tls=TLS(*pair(tmp_path, "localhost")))
    assert echoed_through_tls(running, MESSAGES, "/echo", 0) == list(MESSAGES)
    running.recorder.wait_for("closed")


def test_many_at_once(app: App, serve: Serve, stay: Connect) -> None:
    running = serve(app, threads=2)
    sockets = [stay(running) for _ in range(20)]
    for number, ws in enumerate(sockets):
        ws.send(str(number))
    assert running.client().get("/").read()[0] == 200
    assert [ws.recv(WAIT) for ws in sockets] == [str(number) for number in range(20)]
    for ws in sockets:
        ws.close()
    running.recorder.wait_for("closed", 20)


def test_the_client_closes(app: App, serve: Serve, stay: Connect) -> None:
    running = serve(app)
    ws = stay(running)
    ws.close(3001, "enough")
    assert ws.close_code == 3001
    running.recorder.wait_for("closed")
    (entry,) = [details[1] for details in running.recorder.wait_for("write_ended")]
    assert entry.response.status == 101


def test_frames_right_behind_the_request(app: App, serve: Serve) -> None:
    running = serve(app)
    client = running.client().get("/echo", HANDSHAKE)
    client.send(bytes.fromhex("818537fa213d7f9f4d5158") + b"\x88\x80" + bytes(4))
    status, fields, _ = client.read()
    assert status == 101
    assert fields["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert "content-length" not in fields
    assert client.rest() == b"\x81\x05Hello\x88\x00"


@pytest.mark.parametrize("kind", ["threads", "threads in a loop"])
def test_frames_before_the_thread_has_begun(app: App, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    started, go_on = threading.Event(), threading.Event()
    start = threading.Thread.start

    def start_late(thread: threading.Thread) -> None:
        if thread.name == "firstbyte-session":
            begin = thread.run
            monkeypatch.setattr(thread, "run", lambda: (started.set(), go_on.wait(WAIT), begin()))
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_late)
    running = serve(app)
    client = running.client().get("/echo", HANDSHAKE)
    assert started.wait(WAIT)
    client.send(bytes.fromhex("818537fa213d7f9f4d5158") + b"\x88\x80" + bytes(4))
    for _ in range(3):
        assert running.client().get("/").read()[0] == 200  # it has been told of the frames by now
    go_on.set()
    assert client.read()[0] == 101
    assert client.rest() == b"\x81\x05Hello\x88\x00"


@pytest.mark.parametrize(
    ("data", "code"),
    [(b"\x81\x00", 1002), (b"\x81\x81\0\0\0\0\xff", 1007), (b"\x82\xff" + (1 << 40).to_bytes(8, "big"), 1009)],
)
def test_who_breaks_a_rule_learns_which(app: App, serve: Serve, data: bytes, code: int) -> None:
    running = serve(app)
    with opened(running, ping_interval=None) as ws:
        ws.socket.sendall(data + b"and more" * 1000)
        with pytest.raises(ConnectionClosed) as caught:
            ws.recv(WAIT)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == code
    assert running.client().get("/").read()[0] == 200


def test_a_client_that_is_gone(app: App, serve: Serve, stay: Connect) -> None:
    running = serve(app)
    ws = stay(running)
    ws.send("x")
    assert ws.recv(WAIT) == "x"
    ws.socket.shutdown(2)
    running.recorder.wait_for("closed")


def test_on_drain_clients_are_told(app: App, serve: Serve, stay: Connect) -> None:
    running = serve(app)
    ws = stay(running)
    ws.send("x")
    assert ws.recv(WAIT) == "x"
    running.server.stop()
    with pytest.raises(ConnectionClosed) as caught:
        ws.recv(WAIT)
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 1001
    running.recorder.wait_for("closed")


def test_a_stop_waits_for_the_threads_of_websockets(serve: Serve, stay: Connect) -> None:
    """Also behind the end of their connections: what they close over is the server's until they have ended."""
    app = App()
    go_on, ended = threading.Event(), threading.Event()

    @app.websocket("/")
    def cleans_up(ws: SyncWebSocket) -> None:
        for _ in ws:
            pass
        go_on.wait(WAIT)
        ended.set()

    for loop in ("auto", "asyncio"):
        go_on.clear()
        ended.clear()
        running = serve(app, loop=loop)
        ws = stay(running, "/")
        ws.socket.shutdown(socket.SHUT_RDWR)
        running.recorder.wait_for("closed")
        stopping = threading.Thread(target=running.server.__exit__, args=(None, None, None))
        stopping.start()
        while running.server.reactor.open or not running.server.draining:
            stopping.join(0.01)
        stopping.join(0.2)
        assert stopping.is_alive()
        go_on.set()
        stopping.join(WAIT)
        assert ended.is_set()


def test_a_stop_in_a_hurry_cuts_the_websockets_of_threads(serve: Serve, stay: Connect) -> None:
    app = App()
    waits, ended = threading.Event(), threading.Event()

    @app.websocket("/")
    def stubborn(ws: SyncWebSocket) -> None:
        waits.set()
        while not ws._is_lost:  # whatever it is told
            ended.wait(0.01)
        ended.set()

    for loop in ("auto", "asyncio"):
        waits.clear()
        ended.clear()
        running = serve(app, loop=loop)
        stay(running, "/")
        assert waits.wait(WAIT)
        running.server.stop(0)
        assert ended.wait(WAIT)


def test_who_does_not_want_a_websocket_gets_an_answer(app: App, serve: Serve) -> None:
    client = serve(app).client()
    status, fields, _ = client.get("/echo").read()
    assert status == 426
    assert fields["upgrade"] == "websocket"
    assert client.get("/").read()[0] == 200


def test_pages_of_others_are_refused(app: App, serve: Serve) -> None:
    running = serve(app)
    with pytest.raises(InvalidStatus, match="403"):
        opened(running, origin="https://evil.example")
    with opened(running, origin=f"http://localhost:{running.server.port}"):
        pass


# -- what handlers are


@pytest.fixture
def told() -> list[Any]:
    return []


@pytest.fixture
def told_all() -> threading.Event:
    return threading.Event()


def test_routes_providers_and_middleware(
    is_async: bool, serve: Serve, told: list[Any], told_all: threading.Event
) -> None:
    app = App()

    @app.middleware
    def around(request: Request) -> Generator[None, Response, None]:
        response = yield
        response.headers["X-Around"] = str(response.status)

    @app.provide
    def user(request: Request) -> Iterator[User]:
        name = request.query.get("user")
        if name is None:
            raise HTTPError(401, "who are you?")
        yield User(name)
        told.append("ended")
        told_all.set()

    if is_async:

        @app.websocket("/rooms/{room:int}", name="room")
        async def aroom(ws: WebSocket, room: int, user: User, page: int = 1) -> None:
            await ws.send_json({"room": room, "user": str(user), "page": page})
            told.append(await ws.receive())

    else:

        @app.websocket("/rooms/{room:int}", name="room")
        def room(ws: SyncWebSocket, room: int, user: User, page: int = 1) -> None:
            ws.send_json({"room": room, "user": str(user), "page": page})
            told.append(ws.receive())

    running = serve(app)
    assert app.url_for("room", room=7) == "/rooms/7"
    with opened(running, "/rooms/7?user=ann&page=3") as ws:
        assert ws.response is not None
        assert ws.response.headers["X-Around"] == "101"
        assert json.loads(ws.recv(WAIT)) == {"room": 7, "user": "ann", "page": 3}
        assert told == []
        ws.send("bye")
        with pytest.raises(ConnectionClosed) as caught:
            ws.recv(WAIT)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1000
    assert told_all.wait(WAIT)
    assert told == ["bye", "ended"]
    for path, status in (("/rooms/7", 401), ("/rooms/x?user=a", 404), ("/rooms/7?user=a&page=x", 422)):
        with pytest.raises(InvalidStatus) as refused:
            opened(running, path)
        assert refused.value.response.status_code == status
        assert refused.value.response.headers["X-Around"] == str(status)


def test_subprotocols(is_async: bool, serve: Serve) -> None:
    app = App()
    add_echo(app, is_async, subprotocols=("v2", "v1"))
    running = serve(app)
    with opened(running, subprotocols=["v1", "v2"]) as ws:
        assert ws.subprotocol == "v2"
    with opened(running, subprotocols=["v3"]) as ws:
        assert ws.subprotocol is None


def test_a_handler_closes(is_async: bool, serve: Serve, told: list[Any], told_all: threading.Event) -> None:
    app = App()
    if is_async:

        @app.websocket("/")
        async def acloser(ws: WebSocket) -> None:
            await ws.close(4000, "full")
            assert ws.closed
            try:
                await ws.send("x")
            except WebSocketClosed as error:
                told.append(error.code)
                told_all.set()

    else:

        @app.websocket("/")
        def closer(ws: SyncWebSocket) -> None:
            ws.close(4000, "full")
            assert ws.closed
            try:
                ws.send("x")
            except WebSocketClosed as error:
                told.append(error.code)
                told_all.set()

    with opened(serve(app), "/") as ws:
        with pytest.raises(ConnectionClosed) as caught:
            ws.recv(WAIT)
        assert caught.value.rcvd is not None
        assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (4000, "full")
    assert told_all.wait(WAIT)
    assert told == [4000]


@pytest.mark.parametrize(
    ("error", "code"), [(ValueError("x"), 1011), (HTTPError(403, "no"), 1008), (HTTPError(500), 1011)]
)
def test_a_handler_that_fails(is_async: bool, serve: Serve, error: Exception, code: int) -> None:
    app = App()
    if is_async:

        @app.websocket("/")
        async def afails(ws: WebSocket) -> None:
            raise error

    else:

        @app.websocket("/")
        def fails(ws: SyncWebSocket) -> None:
            raise error

    with opened(serve(app), "/") as ws:
        with pytest.raises(ConnectionClosed) as caught:
            ws.recv(WAIT)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == code


def test_a_slow_reader_holds_up_its_sender_alone(
    is_async: bool, serve: Serve, told: list[Any], told_all: threading.Event
) -> None:
    app = App()
    add_echo(app, is_async)
    piece = bytes(100_000)
    count = 400
    if is_async:

        @app.websocket("/flood", deflate=None)
        async def aflood(ws: WebSocket) -> None:
            for number in range(count):
                await ws.send(piece)
                told.append(number)

    else:

        @app.websocket("/flood", deflate=None)
        def flood(ws: SyncWebSocket) -> None:
            for number in range(count):
                ws.send(piece)
                told.append(number)

    running = serve(app)
    with opened(running, "/flood", max_size=None, max_queue=1) as slow, opened(running) as other:
        assert slow.recv(WAIT) == piece
        other.send("x")
        assert other.recv(WAIT) == "x"
        assert len(told) < count
        for _ in range(count - 1):
            assert slow.recv(WAIT) == piece
        with pytest.raises(ConnectionClosed):
            slow.recv(WAIT)
    assert len(told) == count


def test_a_slow_handler_holds_up_its_peer(is_async: bool, serve: Serve) -> None:
    """What it does not take stays in the peer's hands, and comes when it does."""
    app = App()
    go = threading.Event()
    if is_async:

        @app.websocket("/slow", deflate=None)
        async def aslow(ws: WebSocket) -> None:
            await asyncio.to_thread(go.wait, WAIT)
            total = 0
            async for message in ws:
                total += len(message)
                if message == b"":
                    await ws.send(str(total))

    else:

        @app.websocket("/slow", deflate=None)
        def slow(ws: SyncWebSocket) -> None:
            go.wait(WAIT)
            total = 0
            for message in ws:
                total += len(message)
                if message == b"":
                    ws.send(str(total))

    with opened(serve(app), "/slow", compression=None, ping_interval=None) as ws:
        sent = threading.Thread(target=lambda: [ws.send(bytes(100_000)) for _ in range(300)] and ws.send(b""))
        sent.start()
        sent.join(1.0)
        assert sent.is_alive()
        go.set()
        assert ws.recv(WAIT) == "30000000"
        sent.join(WAIT)


def test_a_silent_peer_is_pinged(is_async: bool, serve: Serve) -> None:
    app = App()
    add_echo(app, is_async, ping_interval=0.05, ping_timeout=WAIT)
    with opened(serve(app, head_timeout=1), ping_interval=None) as ws:
        pong = ws.ping("ours")
        assert pong.wait(WAIT)
        ws.send("still there")
        assert ws.recv(WAIT) == "still there"


def test_a_peer_that_does_not_answer_is_given_up(is_async: bool, serve: Serve) -> None:
    app = App()
    add_echo(app, is_async, ping_interval=0.05, ping_timeout=0.05)
    running = serve(app, head_timeout=1)
    client = raw(running)
    assert client.rest() == b"\x89\x00"
    ((_, reason),) = running.recorder.wait_for("closed")
    assert reason == "ping timeout"


def test_limits(is_async: bool, serve: Serve) -> None:
    app = App()
    add_echo(app, is_async, limits=MessageLimits(100, 100))
    with opened(serve(app)) as ws:
        ws.send("x" * 100)
        assert ws.recv(WAIT) == "x" * 100
        ws.send("x" * 10_000)  # short when it is compressed
        with pytest.raises(ConnectionClosed) as caught:
            ws.recv(WAIT)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1009


def test_others_may_send(is_async: bool, serve: Serve, stay: Connect) -> None:
    """A broadcast: from another handler, which is another task or another thread."""
    app = App()
    members: list[Any] = []
    if is_async:

        @app.websocket("/members")
        async def amember(ws: WebSocket) -> None:
            members.append(ws)
            await ws.send("in")
            async for _ in ws:
                pass

        @app.post("/tell")
        async def atell() -> None:
            for member in members:
                await member.send("news")

    else:

        @app.websocket("/members")
        def member(ws: SyncWebSocket) -> None:
            members.append(ws)
            ws.send("in")
            for _ in ws:
                pass

        @app.post("/tell")
        def tell() -> None:
            for each in members:
                each.send("news")

    running = serve(app)
    sockets = [stay(running, "/members") for _ in range(3)]
    assert [ws.recv(WAIT) for ws in sockets] == ["in"] * 3
    client = running.client().send(b"POST /tell HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
    assert client.read()[0] == 204
    assert [ws.recv(WAIT) for ws in sockets] == ["news"] * 3
    for ws in sockets:
        ws.close()


# -- what cannot be a route


def test_a_handler_says_where_its_websocket_goes() -> None:
    app = App()
    with pytest.raises(RouteError, match="must have one parameter for its WebSocket"):

        @app.websocket("/a")
        async def none() -> None: ...

    with pytest.raises(RouteError, match=": a def takes a SyncWebSocket"):

        @app.websocket("/b")
        def other(ws: WebSocket) -> None: ...

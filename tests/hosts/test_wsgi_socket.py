"""The socket in the environ of a WSGI application: Flask-Sock, simple-websocket, and whoever uses it by hand."""

from __future__ import annotations

import json
import selectors
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

import needs
from engine.certificates import pair
from engine.support import WAIT, Running, Serve
from engine.websocket_support import HANDSHAKE, Connect, echoed_through_tls, frames, opened, raw
from firstbyte import App
from firstbyte.engine.tls import TLS
from firstbyte.hosts.wsgi import WSGI
from firstbyte.wire.websocket.frames import CLOSE, TEXT
from hosts.support import Told

ANSWER = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX-Own: yes\r\n\r\n"


@pytest.fixture
def driver(each_driver: str) -> str:
    return each_driver


def code_of(ws: Any) -> tuple[int, str]:
    with pytest.raises(ConnectionClosed) as caught:
        ws.recv(WAIT)
    assert caught.value.rcvd is not None
    return caught.value.rcvd.code, caught.value.rcvd.reason


# -- Flask-Sock


@pytest.fixture
def flask(told: Told) -> Any:
    flask = needs.package("flask")
    flask_sock = needs.package("flask_sock")
    app = flask.Flask("chat", root_path=str(Path(__file__).parent))
    app.config["SOCK_SERVER_OPTIONS"] = {"subprotocols": ["chat"], "ping_interval": 25}
    sock = flask_sock.Sock(app)

    @app.get("/")
    def index() -> str:
        return "hello"

    @sock.route("/echo/<name>")
    def echo(ws: Any, name: str) -> None:
        ws.send(json.dumps({"name": name, "q": flask.request.args.get("q"), "subprotocol": ws.subprotocol}))
        try:
            while True:
                ws.send(ws.receive())
        finally:
            told.say("left")

    @sock.route("/closes")
    def closes(ws: Any) -> None:
        ws.receive()
        ws.close(4001, "as you wish")

    @sock.route("/fails")
    def fails(ws: Any) -> None:
        raise ValueError("no")

    @app.before_request
    def guard() -> Any:
        return ("members alone", 401) if flask.request.path == "/secret" else None

    return app


@pytest.fixture
def running(serve: Serve, flask: Any) -> Running:
    return serve(WSGI(flask))


def test_flask_sock(running: Running, told: Told) -> None:
    with opened(running, "/echo/ann?q=1", subprotocols=["chat"], max_size=None) as ws:
        assert ws.subprotocol == "chat"
        assert json.loads(ws.recv(WAIT)) == {"name": "ann", "q": "1", "subprotocol": "chat"}
        for message in ("", "κόσμε", bytes(range(256)) * 10, "x" * 1_000_000):
            ws.send(message)
            assert ws.recv(WAIT) == message
        for number in range(100):
            ws.send(str(number))
        assert [ws.recv(WAIT) for _ in range(100)] == [str(number) for number in range(100)]
        ws.close(4000)
    assert told.wait(1) == ["left"]
    running.recorder.wait_for("closed")
    assert running.client().get("/").read()[2] == b"hello"


def test_flask_sock_closes(running: Running) -> None:
    with opened(running, "/closes") as ws:
        ws.send("x")
        assert code_of(ws) == (4001, "as you wish")
    running.recorder.wait_for("closed")


def test_flask_sock_refuses_and_fails(running: Running) -> None:
    for path, status in (("/secret", 401), ("/none", 404)):
        with pytest.raises(InvalidStatus) as caught:
            opened(running, path)
        assert caught.value.response.status_code == status
    assert running.client().get("/echo/a").read()[0] >= 400
    with opened(running, "/fails") as ws, pytest.raises(ConnectionClosed):
        ws.recv(WAIT)


def test_many_clients_of_flask_sock(serve: Serve, flask: Any, stay: Connect, told: Told) -> None:
    """Each has a thread of its own: none is taken from the requests."""
    running = serve(WSGI(flask), threads=2)
    sockets = [stay(running, f"/echo/{number}") for number in range(20)]
    assert running.client().get("/").read()[2] == b"hello"
    for number, ws in enumerate(sockets):
        assert json.loads(ws.recv(WAIT))["name"] == str(number)
        ws.send("x")
    assert [ws.recv(WAIT) for ws in sockets] == ["x"] * 20


def test_a_client_of_flask_sock_that_is_gone(running: Running, stay: Connect, told: Told) -> None:
    ws = stay(running, "/echo/ann")
    ws.recv(WAIT)
    ws.socket.shutdown(socket.SHUT_RDWR)
    assert told.wait(1) == ["left"]
    running.recorder.wait_for("closed")


def test_on_drain_clients_of_flask_sock_are_told(running: Running, stay: Connect, told: Told) -> None:
    ws = stay(running, "/echo/ann")
    ws.recv(WAIT)
    running.server.stop()
    assert code_of(ws)[0] == 1001
    assert told.wait(1) == ["left"]


def test_flask_sock_through_tls_and_under_a_mount(serve: Serve, flask: Any, tmp_path: Path) -> None:
    app = App()
    app.mount("/flask", WSGI(flask))
    running = serve(app, tls=TLS(*pair(tmp_path, "localhost")))
    assert echoed_through_tls(running, ["x" * 500_000], "/flask/echo/ann", 1) == ["x" * 500_000]


# -- by hand


def test_what_is_sent_and_received_by_hand(serve: Serve, told: Told) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        sock = environ["gunicorn.socket"]
        assert sock is environ["werkzeug.socket"]
        for at in range(0, len(ANSWER), 20):  # the head may come in pieces
            assert sock.send(ANSWER[at : at + 20]) <= 20
        sock.sendall(b"first")
        told.say(sock.getpeername()[0])
        told.say(sock.getsockname()[0])
        sock.settimeout(0.01)
        with pytest.raises(TimeoutError):
            sock.recv(10)
        sock.setblocking(True)
        with selectors.DefaultSelector() as selector:
            selector.register(sock, selectors.EVENT_READ)
            assert selector.select(0) == []
            sock.sendall(b"go")
            assert len(selector.select(WAIT)) == 1
            data = sock.recv(2)
            assert len(selector.select(0)) == 1
            while len(data) < 5:
                data += sock.recv(10)
            assert selector.select(0) == []
            sock.sendall(data)
            assert len(selector.select(WAIT)) == 1
            assert sock.recv(10) == b""  # it has ended
        sock.close()
        with pytest.raises(OSError, match="closed"):
            sock.send(b"x")
        told.say(sock.fileno() if sock._signal is None else -1)
        return []

    client = raw(serve(WSGI(app)), "/")
    while client.buffer != b"firstgo":
        assert client.more()
    client.send(b"hello")
    while client.buffer != b"firstgohello":
        client.more()
    client.sock.shutdown(socket.SHUT_WR)
    assert client.rest() == b"firstgohello"
    assert told.wait(3) == ["127.0.0.1", "127.0.0.1", -1]


def test_a_slow_client_makes_the_application_wait(serve: Serve, told: Told) -> None:
    piece = bytes(1 << 20)

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        sock = environ["werkzeug.socket"]
        sock.send(ANSWER)
        for number in range(32):
            sock.send(piece)
            told.say(number)
        sock.close()
        return None  # what it returns counts no more

    client = raw(serve(WSGI(app)), "/")
    told.wait(1)
    threading.Event().wait(0.1)  # it could go on, and must not
    assert len(told.things) < 32
    received = len(client.buffer) + sum(map(len, iter(lambda: client.sock.recv(1 << 16), b"")))
    assert received == 32 << 20


def test_a_client_that_does_not_read_is_cut(serve: Serve, told: Told) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        sock = environ["werkzeug.socket"]
        sock.send(ANSWER)
        try:
            while True:
                sock.send(bytes(1 << 20))
        except OSError as error:
            told.say(type(error).__name__)
        return []

    running = serve(WSGI(app), write=0.3)
    raw(running, "/")
    assert told.wait(1) == ["BrokenPipeError"]
    ((_, reason),) = running.recorder.wait_for("closed")
    assert reason == "writing timeout"


def test_an_application_that_does_not_receive_lets_its_client_wait(serve: Serve, told: Told) -> None:
    go_on = threading.Event()

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        sock = environ["werkzeug.socket"]
        sock.send(ANSWER)
        go_on.wait(WAIT)
        total = 0
        while data := sock.recv(1 << 16):
            total += len(data)
        told.say(total)
        return []

    client = raw(serve(WSGI(app)), "/")
    sender = threading.Thread(target=lambda: [client.send(bytes(1 << 20)) for _ in range(32)])
    sender.start()
    sender.join(0.3)
    assert sender.is_alive()
    go_on.set()
    sender.join(WAIT)
    client.sock.shutdown(socket.SHUT_WR)
    assert told.wait(1) == [32 << 20]


@pytest.mark.parametrize("first", [b"HTTP/1.1 200 OK\r\n\r\n", b"\x81\x01x" * 10_000])
def test_what_is_no_answer_to_a_handshake(serve: Serve, first: bytes) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        with pytest.raises(ValueError, match="head of a 101"):
            environ["werkzeug.socket"].send(first)
        start_response("400 Bad Request", [("Content-Type", "text/plain")])
        return [b"no"]

    client = serve(WSGI(app)).client()
    assert client.get("/", HANDSHAKE).read()[::2] == (400, b"no")
    assert client.get("/", HANDSHAKE).read()[::2] == (400, b"no")


def test_an_application_that_raises(serve: Serve) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        raise ValueError("no")

    assert serve(WSGI(app)).client().get("/", HANDSHAKE).read()[0] == 500


def test_who_asks_for_no_websocket_has_no_socket(serve: Serve) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [str("werkzeug.socket" in environ).encode()]

    client = serve(WSGI(app)).client()
    assert client.get().read()[2] == b"False"
    assert client.get("/", "Upgrade-Insecure-Requests: 1\r\n").read()[2] == b"False"
    assert client.get("/", HANDSHAKE).read()[2] == b"True"


def test_a_close_is_slipped_in_when_the_server_stops(serve: Serve, told: Told) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        sock = environ["werkzeug.socket"]
        sock.send(ANSWER)
        sock.send(b"\x81\x02in")
        told.say(sock.recv(100))
        sock.close()
        return []

    running = serve(WSGI(app))
    client = raw(running, "/")
    while len(client.buffer) < 4:
        client.more()
    running.server.stop()
    while len(client.buffer) < 8:
        client.more()
    client.send(b"bye")
    assert frames(client.rest()) == [(TEXT, b"in"), (CLOSE, b"\x03\xe9")]
    assert told.wait(1) == [b"bye"]

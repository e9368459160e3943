"""The life of a connection, over a real socket."""

from __future__ import annotations

import socket
import struct
import threading

import pytest

from engine.support import WAIT, Client, Serve
from firstbyte import App, HTTPError, Request, Response
from firstbyte.http.handler import Endpoint


@pytest.fixture
def driver(each_driver: str) -> str:
    return each_driver


GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def test_a_request_byte_by_byte(serve: Serve, app: App, poller: str) -> None:
    client = serve(app).client()
    for byte in GET:
        client.send(bytes([byte]))
    status, fields, body = client.read()
    assert (status, body) == (200, b"hello")
    assert {"server", "date", "content-type", "content-length"} <= fields.keys()


def test_keep_alive_and_close(serve: Serve, app: App, poller: str) -> None:
    client = serve(app).client()
    for _ in range(3):
        assert client.get().read()[0] == 200
    assert client.get(fields="Connection: close\r\n").read()[1]["connection"] == "close"
    assert client.closed()


def test_http_1_0_closes_unless_asked_not_to(serve: Serve, app: App) -> None:
    running = serve(app)
    client = running.client().send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert client.read()[1]["connection"] == "keep-alive"
    client.send(b"GET / HTTP/1.0\r\n\r\n")
    assert client.read()[1]["connection"] == "close"
    assert client.closed()


def test_a_thousand_pipelined_requests_are_answered_in_order(serve: Serve, poller: str) -> None:
    app = App()
    app.add_route("/{n:int}", lambda n: str(n))
    client = serve(app).client()
    sender = threading.Thread(
        target=lambda: client.send(b"".join(f"GET /{n} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for n in range(1000)))
    )
    sender.start()
    assert [int(client.read()[2]) for _ in range(1000)] == list(range(1000))
    sender.join()


def test_large_answers_to_pipelined_requests(serve: Serve, poller: str) -> None:
    app = App()
    app.add_route("/", lambda: b"x" * 100_000)
    client = serve(app).client().send(GET * 200)
    for _ in range(200):
        assert len(client.read()[2]) == 100_000


def test_a_thousand_connections_are_kept(serve: Serve, app: App) -> None:
    running = serve(app)
    clients = [running.client() for _ in range(1000)]
    for _ in range(2):
        for client in clients:
            client.get()
        assert all(client.read()[2] == b"hello" for client in clients)
    assert running.server.reactor.open == 1000


def test_a_half_closed_client_is_answered(serve: Serve, app: App) -> None:
    client = serve(app).client().send(GET)
    client.sock.shutdown(socket.SHUT_WR)
    assert client.read()[2] == b"hello"
    assert client.closed()


@pytest.mark.parametrize(
    ("data", "rule"),
    [(b"GET / HT", "head-cut"), (b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc", "body-cut")],
)
def test_a_request_that_is_cut_off_is_refused(serve: Serve, app: App, data: bytes, rule: str) -> None:
    app.add_route("/echo", lambda request: request.body, ["POST"])
    running = serve(app)
    client = running.client().send(data)
    client.sock.shutdown(socket.SHUT_WR)
    assert client.read()[0] == 400
    assert running.recorder.wait_for("rejected")[0][1].rule == rule


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET / HTTP/1.1\nHost: x\n\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505),
        (b"GET /" + b"a" * 9000, 414),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 40_000, 431),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nHost: x\r\nExpect: miracles\r\nContent-Length: 1\r\n\r\n", 417),
    ],
)
def test_refusals_have_their_status_and_close(serve: Serve, app: App, request_bytes: bytes, status: int) -> None:
    client = serve(app).client().send(request_bytes)
    came, fields, body = client.read()
    assert (came, fields["connection"]) == (status, "close")
    assert str(status).encode() in body
    client.sock.shutdown(socket.SHUT_WR)
    assert client.closed()


def test_a_client_that_resets_harms_nobody(serve: Serve, app: App) -> None:
    running = serve(app)
    for _ in range(20):
        client = Client(running.server.port).get()
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
    running.recorder.wait_for("closed", 20)
    assert running.client().get().read()[0] == 200


def test_a_client_that_leaves_while_its_handler_runs(serve: Serve, app: App) -> None:
    entered, leave = threading.Event(), threading.Event()

    def wait() -> str:
        entered.set()
        assert leave.wait(WAIT)
        return "late"

    app.add_route("/wait", wait)
    running = serve(app)
    client = running.client().get("/wait")
    assert entered.wait(WAIT)
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    assert running.client().get().read()[0] == 200
    leave.set()
    running.recorder.wait_for("closed")
    assert running.client().get().read()[0] == 200


def test_head_and_statuses_without_a_body(serve: Serve, app: App) -> None:
    app.add_route("/nothing", lambda: None)
    client = serve(app).client()
    client.send(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
    status, fields, _ = client.read(head_only=True)
    assert (status, fields["content-length"]) == (200, "5")
    assert client.get("/nothing").read()[0] == 204
    assert client.get().read()[2] == b"hello"


class Raw:
    """A handler that is no app."""

    def __init__(self, call: object) -> None:
        self.call = call

    def resolve(self, request: Request) -> Endpoint:
        if isinstance(self.call, Exception):
            raise self.call
        return Endpoint(self.call)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("call", "status"),
    [
        (ValueError("in resolve"), 500),
        (HTTPError(403, "no", {"X-Why": "because"}), 403),
        (lambda request: 1 / 0, 500),
        (lambda request: exit(3), 500),
        (lambda request: "no Response", 500),
        (lambda request: Response("hi", headers={"Content-Length": "99"}), 500),
    ],
)
def test_a_handler_at_fault_is_a_500_and_the_server_lives_on(serve: Serve, call: object, status: int) -> None:
    client = serve(Raw(call)).client()
    for _ in range(2):
        assert client.get().read()[0] == status

"""Request bodies: complete before the handler, or read by it."""

from __future__ import annotations

import hashlib
import socket
import tempfile
import threading
from typing import Any

import pytest

from engine.support import WAIT, Serve
from firstbyte import App, Request, Response
from firstbyte.http.handler import Endpoint


@pytest.fixture
def driver(each_driver: str) -> str:
    return each_driver


@pytest.fixture
def app() -> App:
    app = App()

    @app.post("/digest")
    def digest(request: Request) -> dict[str, Any]:
        body = request.body_file
        digest = hashlib.sha256()
        while piece := body.read(65536):
            digest.update(piece)
        return {
            "sha256": digest.hexdigest(),
            "in_file": not hasattr(body, "getbuffer"),
            "trailers": str(request.trailers),
        }

    app.add_route("/small", lambda request: request.body, ["POST"], max_body=10)
    app.add_route("/", lambda: "hello")
    return app


def head(path: str, length: int, fields: str = "") -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n{fields}\r\n".encode()


@pytest.mark.parametrize("size", [0, 1, 100, 4096, 1_048_576, 1_048_577, 3_000_000])
def test_a_body_arrives_whole(serve: Serve, app: App, size: int, poller: str) -> None:
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    client = serve(app).client().send(head("/digest", size) + body)
    answer = client.read()[2]
    assert hashlib.sha256(body).hexdigest().encode() in answer
    assert (b'"in_file":true' in answer) == (size > 1_048_576)
    assert client.get().read()[2] == b"hello"


@pytest.mark.parametrize("size", [100, 65_536, 300_000, 1_048_576, 1_200_000])
def test_what_stands_behind_a_body_is_the_next_request(serve: Serve, app: App, size: int, poller: str) -> None:
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    client = serve(app).client()
    client.send(head("/digest", size) + body[:50])
    client.send(body[50:] + head("/small", 3) + b"abc" + head("/digest", size) + body)
    digest = hashlib.sha256(body).hexdigest().encode()
    assert digest in client.read()[2]
    assert client.read()[2] == b"abc"
    assert digest in client.read()[2]


def test_a_chunked_body_with_trailers(serve: Serve, app: App) -> None:
    client = serve(app).client()
    client.send(b"POST /digest HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    client.send(b"5\r\nhello\r\n").send(b"0\r\nX-Sum: 1\r\n\r\n")
    answer = client.read()[2]
    assert hashlib.sha256(b"hello").hexdigest().encode() in answer
    assert b"X-Sum" in answer


def test_continue_is_sent_when_the_body_is_wanted(serve: Serve, app: App) -> None:
    client = serve(app).client().send(head("/digest", 5, "Expect: 100-continue\r\n"))
    assert client.read()[0] == 100
    assert client.send(b"hello").read()[0] == 200


@pytest.mark.parametrize(
    ("path", "length", "status"), [("/digest", 10**9, 413), ("/small", 11, 413), ("/none", 5, 404)]
)
def test_continue_is_not_sent_for_a_body_that_is_not_wanted(
    serve: Serve, app: App, path: str, length: int, status: int
) -> None:
    client = serve(app).client().send(head(path, length, "Expect: 100-continue\r\n"))
    assert client.read()[0] == status
    client.sock.shutdown(socket.SHUT_WR)
    assert client.closed()


@pytest.mark.parametrize(("path", "status"), [("/digest", 413), ("/none", 404), ("/", 405)])
def test_an_early_answer_can_be_read_by_a_client_that_is_still_sending(
    serve: Serve, app: App, path: str, status: int
) -> None:
    client = serve(app).client().send(head(path, 100_000_000))
    stop = threading.Event()

    def upload() -> None:
        while not stop.is_set():
            client.send(b"x" * 65536)

    thread = threading.Thread(target=upload)
    thread.start()
    try:
        assert client.read()[0] == status
    finally:
        stop.set()
        thread.join()


def test_a_chunked_body_beyond_the_limit(serve: Serve, app: App) -> None:
    client = serve(app).client().send(b"POST /small HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    client.send(b"a\r\n0123456789\r\n1\r\n0\r\n")
    assert client.read()[0] == 413


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("size", [2, 20_000])
def test_a_short_body_that_nobody_reads_is_thrown_away(serve: Serve, app: App, together: bool, size: int) -> None:
    """It must never be taken for the next request, whether it comes with its head or behind it."""
    client = serve(app).client()
    body = b"GET / HTTP/1.1\r\nHost: smuggled\r\n\r\n".ljust(size, b"x")[:size]
    for _ in range(3):
        if together:
            client.send(head("/none", size) + body)
        else:
            client.send(head("/none", size))
            client.send(body)
        assert client.read()[0] == 404
        assert client.get().read()[2] == b"hello"


def test_a_disk_that_is_full(serve: Serve, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**options: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    client = serve(app).client().send(head("/digest", 1_100_000) + b"x" * 1_100_000)
    assert client.read()[0] == 507


class Streaming:
    """A handler whose endpoint reads its own body."""

    def __init__(self, limit: int | None = None) -> None:
        self.endpoint = Endpoint(self.answer, streams_body=True, max_body=limit)
        self.pieces: list[bytes] = []
        self.got = threading.Event()

    def resolve(self, request: Request) -> Endpoint:
        return self.endpoint

    def answer(self, request: Request) -> Response:
        size = 0
        for piece in request.stream():
            self.pieces.append(piece)
            size += len(piece)
            self.got.set()
        return Response(str(size))


@pytest.mark.parametrize("warm", [0, 20], ids=["first call", "known to be fast"])
def test_an_endpoint_reads_its_body_as_it_comes(serve: Serve, warm: int, poller: str) -> None:
    handler = Streaming()
    client = serve(handler).client()
    for _ in range(warm):
        assert client.send(head("/", 0)).read()[2] == b"0"
    client.send(head("/", 10, "Expect: 100-continue\r\n"))
    assert client.read()[0] == 100
    handler.got.clear()
    client.send(b"hello")
    assert handler.got.wait(WAIT)  # before the rest is sent
    client.send(b"world")
    assert client.read()[2] == b"10"
    assert client.send(head("/", 3) + b"abc").read()[2] == b"3"


def test_a_streamed_body_beyond_the_limit(serve: Serve) -> None:
    app = App()
    app.mount("/", Streaming(limit=5))
    client = serve(app).client().send(head("/", 6) + b"abcdef")
    assert client.read()[0] == 413


def test_others_are_served_while_a_body_is_waited_for(serve: Serve) -> None:
    handler = Streaming()
    running = serve(handler, threads=2)
    slow = running.client().send(head("/", 10) + b"hello")
    assert handler.got.wait(WAIT)
    assert running.client().send(head("/", 3) + b"abc").read()[2] == b"3"
    assert slow.send(b"world").read()[2] == b"10"

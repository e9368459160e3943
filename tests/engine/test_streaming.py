"""Answers that are generated, read from files, or too large for a slow peer."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.support import WAIT, Client, Serve
from firstbyte import App, Response
from firstbyte.engine.reactor import describe


@pytest.fixture
def driver(each_driver: str) -> str:
    return each_driver


def slow_reader(port: int, path: str) -> Client:
    """A client with a small window that has asked and reads nothing."""
    client = Client.__new__(Client)
    client.sock = socket.socket()
    client.sock.settimeout(WAIT)
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.sock.connect(("127.0.0.1", port))
    client.buffer = b""
    return client.get(path)


def test_a_generator_is_sent_in_chunks_as_it_goes(serve: Serve, poller: str) -> None:
    app = App()
    step = threading.Semaphore(0)

    @app.get("/")
    def count() -> Iterator[str]:
        for number in range(3):
            assert step.acquire(timeout=WAIT)
            yield str(number)

    client = serve(app).client().get()
    for number in range(3):
        step.release()
        while str(number).encode() + b"\r\n" not in client.buffer:
            assert client.more()
    status, fields, body = client.read()
    assert (status, fields["transfer-encoding"], body) == (200, "chunked", b"012")
    step.release(3)
    assert client.get().read()[2] == b"012"


def test_http_1_0_gets_a_generator_until_the_end(serve: Serve) -> None:
    app = App()
    app.add_route("/", lambda: iter(["a", "b"]))
    client = serve(app).client().send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert client.rest().endswith(b"\r\n\r\nab")


def test_a_slow_peer_pauses_the_generator(serve: Serve, poller: str) -> None:
    app = App()
    made = 0

    @app.get("/")
    def endless() -> Iterator[bytes]:
        nonlocal made
        while True:
            made += 1
            yield b"x" * 10_000

    running = serve(app, threads=2)
    client = slow_reader(running.server.port, "/")
    running.clients.append(client)
    reactor = running.server.reactor
    while describe(reactor.connections) != {"writing": 1}:
        threading.Event().wait(0.01)
    paused = made
    assert paused * 10_000 < 16 * 1024 * 1024  # the kernel's buffers and the high-water mark, not more
    for _ in range(200):
        client.more()
    while made == paused:
        assert client.more()


def test_slow_readers_take_no_threads(serve: Serve) -> None:
    app = App()
    app.add_route("/big", lambda: b"x" * 5_000_000)
    app.add_route("/", lambda: "hello")
    running = serve(app, threads=1)
    readers = [slow_reader(running.server.port, "/big") for _ in range(100)]
    running.clients += readers
    for _ in range(10):
        assert running.client().get().read()[2] == b"hello"
    assert len(readers[0].read()[2]) == 5_000_000


@pytest.mark.parametrize("promised", [None, 1, 9], ids=["chunked", "too long", "too short"])
def test_a_generator_at_fault_breaks_the_connection_visibly(serve: Serve, promised: int | None) -> None:
    app = App()

    @app.get("/")
    def broken() -> Response:
        def pieces() -> Iterator[bytes]:
            yield b"ab"
            if promised is None:
                raise ValueError("in mid-stream")

        return Response(pieces(), headers={} if promised is None else {"Content-Length": str(promised)})

    app.add_route("/ok", lambda: "ok")
    running = serve(app)
    data = running.client().get().rest()
    assert not data.endswith(b"0\r\n\r\n")
    assert running.recorder.wait_for("closed")[0][1] == "response broken off"
    assert running.client().get("/ok").read()[2] == b"ok"


def test_a_generator_is_closed_when_its_client_leaves(serve: Serve) -> None:
    app = App()
    closed = threading.Event()

    @app.get("/")
    def endless() -> Iterator[bytes]:
        try:
            while True:
                yield b"x" * 1000
        finally:
            closed.set()

    client = serve(app).client().get()
    client.more()
    client.close()
    assert closed.wait(WAIT)


def test_a_generator_is_closed_for_head(serve: Serve) -> None:
    app = App()
    response_closed = threading.Event()

    class Pieces:
        def __iter__(self) -> Pieces:
            return self

        def __next__(self) -> bytes:
            return b"x"

        def close(self) -> None:
            response_closed.set()

    app.add_route("/", lambda: Response(Pieces()))
    client = serve(app).client().send(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert client.read(head_only=True)[0] == 200
    assert response_closed.wait(WAIT)


def test_a_large_file(serve: Serve, tmp_path: Path, poller: str) -> None:
    path = tmp_path / "large.bin"
    data = bytes(range(256)) * 20_000
    path.write_bytes(data)
    app = App()
    app.add_route("/", lambda: path)
    client = serve(app).client()
    for _ in range(3):
        status, fields, body = client.get().read()
        assert (status, fields["content-type"], body == data) == (200, "application/octet-stream", True)
    client.get(fields="Range: bytes=100000-299999\r\n")
    status, fields, body = client.read()
    assert (status, fields["content-range"]) == (206, f"bytes 100000-299999/{len(data)}")
    assert body == data[100_000:300_000]


def test_pipelined_files_and_generators(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(b"f" * 100_000)
    app = App()
    app.add_route("/file", lambda: path)
    app.add_route("/stream", lambda: iter([b"s" * 50_000] * 2))
    client = serve(app).client()
    client.send(b"GET /file HTTP/1.1\r\nHost: x\r\n\r\nGET /stream HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
    for _ in range(20):
        assert client.read()[2] == b"f" * 100_000
        assert client.read()[2] == b"s" * 100_000


def test_a_peer_that_never_reads_is_dropped(serve: Serve) -> None:
    app = App()
    app.add_route("/", lambda: b"x" * 20_000_000)
    running = serve(app, write=0.2)
    running.clients.append(slow_reader(running.server.port, "/"))
    assert running.recorder.wait_for("closed")[0][1] == "writing timeout"

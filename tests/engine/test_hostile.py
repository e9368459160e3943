"""What handlers and clients do wrong, and what must not come of it: a thread, a connection, the wheel lost for ever."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from engine.support import WAIT, Serve
from firstbyte import App, Request, Response, Server, Timeouts
from firstbyte.engine.listener import listen, listen_unix
from firstbyte.errors import ListenError
from firstbyte.http.handler import PROVEN


@pytest.fixture
def driver(each_driver: str) -> str:
    return each_driver


@pytest.mark.parametrize("error", [asyncio.CancelledError, KeyboardInterrupt, GeneratorExit, SystemExit])
def test_no_exception_of_a_handler_costs_a_thread(serve: Serve, app: App, error: type[BaseException]) -> None:
    def fails() -> str:
        raise error

    app.add_route("/fails", fails)
    running = serve(app, threads=2)
    for _ in range(6):
        assert running.client().get("/fails").read()[0] == 500
    assert running.client().get().read()[2] == b"hello"


def test_an_asynchronous_body_without_a_coroutine_is_a_500(serve: Serve, app: App) -> None:
    async def pieces() -> AsyncIterator[str]:
        yield "never"

    app.add_route("/pieces", lambda: Response(pieces()))
    assert serve(app).client().get("/pieces").read()[0] == 500


def test_empty_lines_do_not_keep_a_connection_for_ever(serve: Serve, app: App) -> None:
    running = serve(app, head_timeout=0.2, keep_alive=0.2)
    client = running.client()
    stopped = threading.Event()

    def send() -> None:
        while not stopped.wait(0.02):
            try:
                client.sock.sendall(b"\r\n")
            except OSError:
                return

    thread = threading.Thread(target=send)
    thread.start()
    try:
        assert running.recorder.wait_for("closed")
    finally:
        stopped.set()
        thread.join()


def test_answers_before_a_body_that_comes_are_sent(serve: Serve, app: App) -> None:
    """More than a socket takes at once, and the client reads only when it has sent its next request's head."""
    app.add_route("/large", lambda: b"x" * 20_000_000)
    app.add_route("/length", lambda request: str(len(request.body)), ["POST"])
    client = serve(app).client()
    client.get("/large").send(b"POST /length HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n")
    assert len(client.read()[2]) == 20_000_000
    client.send(b"12345")
    assert client.read()[2] == b"5"


def test_no_100_follows_the_final_head(serve: Serve, app: App) -> None:
    @app.route("/echo", ["POST"], streams_body=True)
    def echo(request: Request) -> Iterator[bytes]:
        yield from request.stream()

    client = serve(app).client()
    client.send(
        b"POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\nConnection: close\r\n\r\n"
    )
    while b"\r\n\r\n" not in client.buffer:
        assert client.more()
    assert client.send(b"hi").rest().count(b"HTTP/1.1") == 1


def test_a_body_that_is_awaited_when_all_threads_are_busy_does_not_stop_the_server(serve: Serve, app: App) -> None:
    gate = threading.Event()
    app.add_route("/gate", lambda: str(gate.wait(WAIT)))

    @app.route("/up", ["POST"], streams_body=True)
    def up(request: Request) -> str:
        return str(sum(map(len, request.stream())))

    running = serve(app, threads=2)
    head = b"POST /up HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n"
    quick = running.client()
    for _ in range(PROVEN + 2):
        assert quick.send(head + b"hi").read()[2] == b"2"
        assert running.client().get().read()[2] == b"hello"
    slow = [running.client().get("/gate") for _ in range(2)]
    waiting = running.client().send(head)  # its endpoint has been fast, and will wait
    assert quick.get().read()[2] == b"hello"
    gate.set()
    assert [client.read()[2] for client in slow] == [b"True"] * 2
    assert waiting.send(b"hi").read()[2] == b"2"


def test_a_generator_ends_outside_the_leader(serve: Serve, app: App, driver: str) -> None:
    ended = threading.Event()
    threads: list[str] = []

    def much() -> Iterator[bytes]:
        try:
            while True:
                yield b"x" * 65536
        finally:
            threads.append(threading.current_thread().name)
            ended.set()

    app.add_route("/much", much)
    app.add_route("/leader", lambda: threading.current_thread().name)
    running = serve(app, write=0.2)
    client = running.client().get("/much")
    assert client.read(head_only=True)[0] == 200
    assert ended.wait(WAIT)  # nobody reads: the deadline closes it
    leader = running.client().get("/leader").read()[2].decode() if driver == "auto" else "firstbyte-server"
    assert threads != [leader]


def test_idle_connections_make_room_for_new_clients(serve: Serve, app: App) -> None:
    running = serve(app, connections=4)
    idle = [running.client().get() for _ in range(4)]
    assert [client.read()[2] for client in idle] == [b"hello"] * 4
    assert running.client().get().read()[2] == b"hello"
    assert running.recorder.wait_for("closed")[0][1] == "made room for another client"


@pytest.mark.parametrize("given", [True, False])
def test_only_a_path_of_its_own_is_removed(tmp_path: Path, app: App, driver: str, given: bool) -> None:
    path = tmp_path / "socket"
    sockets = [listen_unix(str(path))] if given else []
    options = {"sockets": sockets} if given else {"unix": str(path)}
    server = Server(app, loop=driver, timeouts=Timeouts(drain=1), **options)  # type: ignore[arg-type]
    with server, socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 200")
    assert path.exists() is given


@pytest.mark.parametrize("host", ["a..b", "x" * 70, "."])
def test_what_is_no_host_is_said_to_be_none(host: str) -> None:
    with pytest.raises(ListenError, match="is no address of a host"):
        listen(host, 0)

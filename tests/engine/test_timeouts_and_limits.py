"""What is too slow or too much."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from engine.support import WAIT, Client, Serve
from firstbyte import App, Limits, Request, Timeouts
from firstbyte.engine.reactor import Reactor
from firstbyte.http.request import Ends


@pytest.fixture
def driver(each_driver: str) -> str:
    return each_driver


@contextmanager
def dripping(client: Client, drop: bytes) -> Iterator[None]:
    """Has a few bytes sent again and again."""
    done = threading.Event()

    def drip() -> None:
        while not done.wait(0.02):
            try:
                client.send(drop)
            except OSError:
                return

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def test_a_head_that_drips_ends_with_408(serve: Serve, app: App) -> None:
    """The deadline is for the whole head: bytes that keep coming do not put it off."""
    running = serve(app, head_timeout=0.3)
    client = running.client().send(b"GET / HTTP/1.1\r\nHost: x\r\nA: ")
    with dripping(client, b"a"):
        assert client.read()[0] == 408
    assert running.recorder.wait_for("rejected")[0][1].rule == "head-timeout"


def test_a_client_that_says_nothing_is_closed_without_a_word(serve: Serve, app: App) -> None:
    client = serve(app, head_timeout=0.2).client()
    assert client.closed()


def test_an_idle_connection_is_closed(serve: Serve, app: App) -> None:
    running = serve(app, keep_alive=0.2)
    client = running.client().get()
    assert client.read()[0] == 200
    assert client.closed()
    assert running.recorder.wait_for("closed")[0][1] == "keep-alive timeout"


def test_a_body_that_stalls_ends_with_408(serve: Serve, app: App) -> None:
    app.add_route("/post", lambda request: request.body, ["POST"])
    client = serve(app, body_timeout=0.2).client()
    client.send(b"POST /post HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab")
    assert client.read()[0] == 408


def whole(request: Request) -> bytes:
    return request.body


def streamed(request: Request) -> bytes:
    return b"".join(request.stream())


async def awaited(request: Request) -> bytes:
    return b"".join([piece async for piece in request.stream()])


@pytest.mark.parametrize("handler", [whole, streamed, awaited])
@pytest.mark.parametrize("framing", ["Content-Length: 100000", "Transfer-Encoding: chunked"])
def test_a_body_that_drips_ends_with_408(
    serve: Serve, app: App, handler: Callable[[Request], object], framing: str
) -> None:
    """The rate is that of the whole body: bytes that keep coming put its end off by what they are worth, not more."""
    app.add_route("/post", handler, ["POST"], streams_body=handler is not whole)
    client = serve(app, body_grace=0.2, body_rate=1000).client()
    client.send(f"POST /post HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n".encode())
    with dripping(client, b"1\r\na\r\n"):
        status, _, said = client.read()
    assert (status, b"too slowly" in said or b"in time" in said) == (408, True)


def test_a_body_that_is_fast_enough_may_take_long(serve: Serve, app: App) -> None:
    app.add_route("/post", whole, ["POST"])
    client = serve(app, body_grace=0.05, body_rate=1).client()
    client.send(b"POST /post HTTP/1.1\r\nHost: x\r\nContent-Length: 102\r\n\r\n" + b"a" * 100)  # worth 100 s
    for _ in range(2):
        time.sleep(0.1)
        client.send(b"b")
    assert client.read()[2] == b"a" * 100 + b"bb"


def test_two_hundred_slow_heads_do_not_slow_the_others(serve: Serve, app: App) -> None:
    running = serve(app, threads=1)
    slow = [running.client().send(b"GET / HTTP/1.1\r\nHo") for _ in range(200)]
    for _ in range(5):
        for client in slow:
            client.send(b"x")
        fast = [running.client().get() for _ in range(64)]
        assert all(client.read()[2] == b"hello" for client in fast)
    for client in slow:
        client.send(b": 1\r\nHost: x\r\n\r\n")
    assert all(client.read()[2] == b"hello" for client in slow)


def test_connections_beyond_the_limit_wait_their_turn(serve: Serve, app: App) -> None:
    running = serve(app, connections=3)
    first = [running.client().send(b"GET / HTTP/1.1\r\n") for _ in range(3)]
    waiting = running.client().get()
    waiting.sock.settimeout(0.3)
    with pytest.raises(TimeoutError):
        waiting.more()
    first[0].close()
    waiting.sock.settimeout(WAIT)
    assert waiting.read()[0] == 200


_EMFILE = """
import resource, threading, time, logging
logging.disable(logging.CRITICAL)
from firstbyte import App, Server
from firstbyte.engine.observer import Observer

class Failures(Observer):
    count = 0
    def accept_failed(self, error):
        Failures.count += 1

app = App()
app.add_route("/", lambda: "hello")
resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
with Server(app, port=0, observers=[Failures()]) as server:
    print(server.port, flush=True)
    input()
    spent = time.process_time()
    input()
    print(Failures.count, time.process_time() - spent, flush=True)
"""


def test_no_descriptors_left_does_not_spin() -> None:
    with subprocess.Popen([sys.executable, "-c", _EMFILE], stdin=-1, stdout=-1, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        port = int(process.stdout.readline())
        clients = [Client(port).get() for _ in range(60)]
        answered = clients[0].read()
        process.stdin.write("\n")
        process.stdin.flush()
        threading.Event().wait(1.0)  # the time over which it must not spin
        process.stdin.write("\n")
        process.stdin.flush()
        failures, seconds = process.stdout.readline().split()
        for client in clients[1:]:
            client.close()
        clients[0].get()
        assert answered[2] == clients[0].read()[2] == b"hello"
        clients[0].close()
    assert int(failures) > 0
    assert float(seconds) < 0.5


@pytest.mark.parametrize("kind", [Limits, Timeouts])
def test_values_below_zero_are_refused(kind: type[Limits] | type[Timeouts]) -> None:
    with pytest.raises(ValueError, match=r"body is -1"):
        kind(body=-1)


def test_lingering_ends(serve: Serve, app: App) -> None:
    running = serve(app, linger=0.2)
    client = running.client().send(b"BAD\r\n\r\n")
    assert client.read()[0] == 400
    assert client.sock.recv(10) == b""
    assert running.recorder.wait_for("closed")[0][1] == "linger timeout"
    with pytest.raises(OSError):
        for _ in range(1000):
            client.send(b"x" * 1000)


def test_a_request_that_came_while_the_process_had_no_processor_is_read(app: App) -> None:
    reactor = Reactor(app, Limits(), Timeouts(head=0.01))
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    reactor.adopt(ours, Ends(None, None))
    (connection,) = reactor.connections
    theirs.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    time.sleep(0.1)  # nobody looks at it until long after its deadline
    reactor.turn()
    assert reactor.connections == [connection]
    assert [fd for fd, _ in reactor.ready] == [connection.fd]
    reactor.close()
    theirs.close()

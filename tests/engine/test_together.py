"""Answers that are sent together: how long they wait, and for whom they do not."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from engine.support import WAIT
from firstbyte import Limits, Response, Timeouts
from firstbyte.engine.connection import Connection
from firstbyte.engine.loop import LoopDriver
from firstbyte.engine.pool import Worker
from firstbyte.engine.reactor import Reactor
from firstbyte.engine.threads import ThreadDriver
from firstbyte.http.handler import PROVEN, Endpoint
from firstbyte.http.request import Ends, Request

TOGETHER = 32
HOLD = 0.001

Call = Callable[[Request], Any]


def hello(request: Request) -> Response:
    return Response(request.raw_path)


class Paths:
    """A handler with an endpoint for each path, all of them light whatever the machine is doing, or as `paces` says."""

    def __init__(self) -> None:
        self.endpoints = {"/": Endpoint(hello), "/other": Endpoint(hello)}
        self.paces: dict[str, tuple[int, float]] = {}

    def add(self, path: str, call: Call, pace: tuple[int, float] = (PROVEN, 0.0), **facts: Any) -> None:
        self.endpoints[path] = Endpoint(call, **facts)
        self.paces[path] = pace

    def resolve(self, request: Request) -> Endpoint:
        endpoint = self.endpoints[request.raw_path]
        endpoint.pace.calls, endpoint.pace.seconds = self.paces.get(request.raw_path, (PROVEN, 0.0))
        return endpoint


class Batch:
    """A reactor whose leader is the test, and clients whose requests it finds in one turn, in their order."""

    def __init__(self, kind: type[ThreadDriver | LoopDriver] = ThreadDriver) -> None:
        self.handler = Paths()
        self.reactor = Reactor(self.handler, Limits(), Timeouts())
        self.driver: Any = kind(self.reactor, 2)
        if kind is ThreadDriver:
            self.driver._leader = Worker()
        self.clients: list[socket.socket] = []

    def ask(self, path: str, fields: str = "", count: int = 1) -> socket.socket:
        """The client's end of a new connection, over which the request has come."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.settimeout(WAIT)
        theirs.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n{fields}\r\n".encode() * count)
        self.reactor.adopt(ours, Ends(None, None))
        self.clients.append(theirs)
        return theirs

    def give(self, count: int = 1) -> None:
        for _ in range(count):
            self.reactor.give()

    def close(self) -> None:
        self.reactor.close()
        for client in self.clients:
            client.close()


@pytest.fixture
def batch() -> Iterator[Batch]:
    batch = Batch()
    yield batch
    batch.close()


@pytest.fixture
def loop_batch() -> Iterator[Batch]:
    batch = Batch(LoopDriver)
    yield batch
    batch.close()


@contextmanager
def running(batch: Batch) -> Iterator[None]:
    """Its driver at work in a thread, until this is left."""
    over = threading.Event()
    runs = threading.Thread(target=batch.driver.run, args=(over.is_set, lambda: None))
    runs.start()
    try:
        yield
    finally:
        over.set()
        batch.driver.wake()
        runs.join()
        batch.driver.stop()


def bodies(client: socket.socket) -> list[bytes]:
    """Those of the answers that are there now."""
    client.setblocking(False)
    try:
        data = client.recv(65536)
    except BlockingIOError:
        return []
    finally:
        client.settimeout(WAIT)
    return [part.rpartition(b"\r\n\r\n")[2] for part in data.split(b"HTTP/1.1 ")[1:]]


def test_answers_wait_for_light_calls_alone(batch: Batch) -> None:
    clients = [batch.ask("/") for _ in range(3)]
    batch.reactor.turn()
    batch.give(2)
    assert [bodies(client) for client in clients] == [[], [], []]
    batch.give()  # the last of the turn has nobody to wait for
    batch.reactor.send()
    assert [bodies(client) for client in clients] == [[b"/"]] * 3


def test_answers_wait_for_so_long_by_the_paces_of_calls(batch: Batch) -> None:
    batch.handler.add("/fast", hello, (PROVEN, HOLD * 0.4))
    clients = [batch.ask("/fast") for _ in range(8)]
    batch.reactor.turn()
    batch.give(3)
    assert not any(bodies(client) for client in clients)
    batch.give()
    assert [len(bodies(client)) for client in clients] == [1, 1, 1, 0, 0, 0, 0, 0]
    batch.give(2)
    assert not any(bodies(client) for client in clients)
    batch.give()
    assert [len(bodies(client)) for client in clients] == [0, 0, 0, 1, 1, 1, 0, 0]


def test_who_is_alone_is_answered_at_once(batch: Batch) -> None:
    client = batch.ask("/")
    batch.reactor.turn()
    batch.give()
    assert bodies(client) == [b"/"]


def test_so_many_wait_and_no_more(batch: Batch) -> None:
    clients = [batch.ask("/") for _ in range(TOGETHER + 2)]
    batch.reactor.turn()
    batch.give(TOGETHER - 1)
    assert not any(bodies(client) for client in clients)
    batch.give()
    assert [bodies(client) for client in clients] == [[b"/"]] * TOGETHER + [[]] * 2


@pytest.mark.parametrize(
    ("pace", "facts", "limit"),
    [
        ((PROVEN - 1, 0.0), {}, 3),
        ((PROVEN, 0.0), {"sends": True}, 3),
        ((PROVEN, 0.0), {"streams_body": True}, 3),
        ((PROVEN, 0.0), {}, 0),
    ],
    ids=["not proven", "sends", "reads", "no thread is left to take over"],
)
def test_nobody_waits_for_a_call_that_may_take_its_time(
    batch: Batch, pace: tuple[int, float], facts: dict[str, bool], limit: int
) -> None:
    answered = []
    batch.driver._limit = limit
    batch.handler.add("/long", lambda request: Response(str(answered.append(bodies(first)))), pace, **facts)
    first = batch.ask("/")
    batch.ask("/long")
    batch.ask("/")
    batch.reactor.turn()
    batch.give(2)
    assert answered == [[b"/"]]


def test_nobody_waits_for_what_is_no_request(batch: Batch) -> None:
    class Looking:
        def on_event(self, events: int) -> None:
            answered.append(bodies(first))

    answered: list[list[bytes]] = []
    first = batch.ask("/")
    reading, writing = os.pipe()
    os.write(writing, b"x")
    batch.reactor.watch_source(reading, Looking())  # type: ignore[arg-type]  # as much of a Source as is asked of it
    batch.ask("/")
    batch.reactor.turn()
    batch.give(2)
    assert answered == [[b"/"]]
    batch.reactor.ignore_source(reading)
    os.close(reading)
    os.close(writing)


def test_the_answers_over_one_connection_keep_their_order(batch: Batch) -> None:
    client = batch.ask("/", count=2)
    client.sendall(b"GET /other HTTP/1.1\r\nHost: x\r\n\r\nGET / HT")
    batch.ask("/")
    batch.reactor.turn()
    batch.give()
    assert bodies(client) == []
    batch.reactor.send()
    assert bodies(client) == [b"/", b"/", b"/other"]
    batch.give()
    client.sendall(b"TP/1.1\r\nHost: x\r\n\r\n")
    batch.reactor.turn()
    batch.give()
    assert bodies(client) == [b"/"]


def test_a_last_answer_is_not_put_off(batch: Batch) -> None:
    client = batch.ask("/", "Connection: close\r\n")
    batch.ask("/")
    batch.reactor.turn()
    batch.give()
    assert bodies(client) == [b"/"]
    assert client.recv(1) == b""


def test_a_connection_that_is_closed_meanwhile_is_left_alone(batch: Batch, caplog: pytest.LogCaptureFixture) -> None:
    client = batch.ask("/")
    batch.ask("/")
    batch.reactor.turn()
    batch.give()
    min(batch.reactor.connections, key=lambda connection: connection.fd).close("by the way")
    batch.reactor.send()
    assert client.recv(1) == b""
    assert not caplog.records


def test_a_client_that_has_left_harms_no_other(batch: Batch) -> None:
    first, second, _ = (batch.ask("/") for _ in range(3))
    batch.reactor.turn()
    batch.give(2)
    first.close()
    batch.reactor.send()
    assert bodies(second) == [b"/"]
    assert batch.reactor.open == 2


def test_who_leads_next_sends_what_a_call_that_was_light_holds_up(batch: Batch) -> None:
    """The call returns when the first client has its answer: without the next leader nobody would send that."""
    has_come = threading.Event()
    batch.handler.add("/stuck", lambda request: Response(str(has_come.wait(WAIT))))
    first, second = batch.ask("/"), batch.ask("/stuck")
    with running(batch):
        assert first.recv(65536).endswith(b"\r\n\r\n/")
        has_come.set()
        assert second.recv(65536).endswith(b"\r\n\r\nTrue")


@pytest.mark.parametrize(("pace", "was_sent"), [((PROVEN, 0.0), False), ((PROVEN, HOLD * 1.1), True)])
def test_answers_of_a_loop_are_sent_together_too(pace: tuple[int, float], was_sent: bool, loop_batch: Batch) -> None:
    answered = []

    async def look(request: Request) -> Response:
        answered.append(bodies(clients[0]))
        return hello(request)

    loop_batch.handler.add("/look", look, pace, is_async=True)
    clients = [loop_batch.ask(path) for path in ("/", "/look", "/other")]
    with running(loop_batch):
        for client in clients[was_sent:]:
            assert client.recv(65536)
        assert answered == [[b"/"] if was_sent else []]


@pytest.mark.parametrize("count", [1, 3])
def test_coroutines_that_end_together_are_answered_together(count: int, loop_batch: Batch) -> None:
    go = asyncio.Event()
    seen = []

    async def wait(request: Request) -> Response:
        if request.raw_path == "/last":
            go.set()
        else:
            await go.wait()
        return hello(request)

    def look(connection: Connection, request: Request, response: Response) -> None:
        seen.append([answer for client in clients for answer in bodies(client)])

    loop_batch.reactor.hooks.write_started = look
    for path in ("/wait", "/last"):
        loop_batch.handler.add(path, wait, is_async=True)
    clients = [loop_batch.ask(path) for path in ["/wait"] * count + ["/last"]]
    with running(loop_batch):
        for client in clients[:-1]:
            assert client.recv(65536).endswith(b"/wait")
    assert seen == [[], [b"/last"]] + [[]] * (count - 1)  # at the first of them, and then at none


def test_what_becomes_of_one_coroutine_is_nothing_to_those_that_end_with_it(
    loop_batch: Batch, caplog: pytest.LogCaptureFixture
) -> None:
    go = asyncio.Event()

    async def wait(request: Request) -> Response:
        if request.raw_path == "/last":
            go.set()
            return hello(request)
        await go.wait()
        task = asyncio.current_task()
        assert task is not None
        if request.raw_path == "/cancelled":
            task.cancel()
        if request.raw_path == "/raises":
            raise LookupError("this one")
        return hello(request)

    for path in ("/wait", "/cancelled", "/raises", "/last"):
        loop_batch.handler.add(path, wait, is_async=True)
    clients = [loop_batch.ask(path) for path in ("/wait", "/cancelled", "/raises", "/wait", "/last")]
    with running(loop_batch):
        first, cancelled, raises, second, _ = (client.recv(65536) for client in clients)
    assert first.endswith(b"/wait")
    assert second.endswith(b"/wait")
    assert cancelled == b""  # closed
    assert raises.startswith(b"HTTP/1.1 500 ")
    assert "this one" in caplog.text
    assert loop_batch.driver.unfinished == 0

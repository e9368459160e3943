"""Server-sent events over a real server, from functions and from coroutines."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from engine.support import WAIT, Connect, serving
from firstbyte import App, Event, Request, Response, Server, Timeouts, event_stream
from firstbyte.app import event_streams


class Database:
    """Something to be provided."""


class Feeds:
    """An app whose /feed gives what is put into its queue; it notes when one begins and ends."""

    def __init__(self, kind: str, keep_alive: float = 60.0) -> None:
        self.app = App()
        self.queue: queue.Queue[Any] = queue.Queue()
        self.ended = threading.Semaphore(0)
        self.begun = threading.Semaphore(0)
        self.last_ids: list[str | None] = []

        def feed(request: Request) -> Iterator[Event | None]:
            self.last_ids.append(request.headers.get("last-event-id"))
            try:
                self.begun.release()
                while True:
                    try:
                        item = self.queue.get(timeout=0.02)
                    except queue.Empty:
                        yield None
                        continue
                    if item is None:
                        return
                    yield item
            finally:
                self.ended.release()

        async def afeed(request: Request) -> AsyncIterator[Event | None]:
            self.last_ids.append(request.headers.get("last-event-id"))
            try:
                self.begun.release()
                while True:
                    while self.queue.empty():
                        await asyncio.sleep(0.005)
                    item = self.queue.get()
                    if item is None:
                        return
                    yield item
            finally:
                self.ended.release()

        @self.app.get("/feed")
        def stream(request: Request) -> Response:
            return event_stream(feed(request), keep_alive=keep_alive)

        @self.app.get("/afeed")
        async def astream(request: Request) -> Response:
            return event_stream(afeed(request), keep_alive=keep_alive)

        @self.app.get("/plain")
        def plain() -> str:
            return "plain"

        if kind == "def":
            self.app = _only_plain(self.app)
        self.path = "/afeed" if kind == "async def" else "/feed"


def _only_plain(app: App) -> App:
    """The same app without coroutines, so that it has no loop."""
    plain = App()
    for route in app.routes:
        if not asyncio.iscoroutinefunction(route.function):
            plain.add_route(route.pattern.text, route.function)
    return plain


# a function where there is no loop, a function where there is one, a coroutine
every_kind = pytest.mark.parametrize("kind", ["def", "def in a loop", "async def"])


@every_kind
def test_events_come_one_by_one(kind: str, connect: Connect) -> None:
    feeds = Feeds(kind)
    with serving(feeds.app) as server:
        client = connect(server).get(feeds.path, "Last-Event-ID: 6\r\n")
        status, fields, _ = client.read(head_only=True)  # at once, before the first event
        assert (status, fields["content-type"]) == (200, "text/event-stream; charset=utf-8")
        assert fields["cache-control"] == "no-store"
        for number in range(3):
            feeds.queue.put(Event(f"line\n{number}", "tick", str(number)))
            expected = b"event: tick\nid: %d\ndata: line\ndata: %d\n\n" % (number, number)
            while expected not in client.buffer:
                assert client.more()
        feeds.queue.put(None)
        client.buffer = b""
        while not client.buffer.endswith(b"0\r\n\r\n"):
            assert client.more()
        client.buffer = b""
        assert client.get("/plain").read()[2] == b"plain"  # the connection goes on
        assert feeds.ended.acquire(timeout=WAIT)
    assert feeds.last_ids == ["6"]


@every_kind
def test_silence_is_filled_with_comments(kind: str, connect: Connect) -> None:
    feeds = Feeds(kind, keep_alive=0.02)
    with serving(feeds.app, write=0.1) as server:
        client = connect(server).get(feeds.path)
        client.read(head_only=True)
        while client.buffer.count(b"3\r\n:\n\n\r\n") < 3:
            assert client.more()
        feeds.queue.put(None)


@every_kind
def test_a_client_that_leaves_ends_the_generator(kind: str, connect: Connect) -> None:
    feeds = Feeds(kind)
    with serving(feeds.app) as server:
        client = connect(server).get(feeds.path)
        client.read(head_only=True)
        assert feeds.begun.acquire(timeout=WAIT)
        client.close()
        assert feeds.ended.acquire(timeout=WAIT)


@every_kind
def test_a_stop_ends_the_answer_well(kind: str, connect: Connect) -> None:
    feeds = Feeds(kind)
    with serving(feeds.app) as server:
        client = connect(server).get(feeds.path)
        client.read(head_only=True)
        assert feeds.begun.acquire(timeout=WAIT)
        server.stop(WAIT)
        assert client.rest().endswith(b"0\r\n\r\n")
        assert feeds.ended.acquire(timeout=WAIT)


@every_kind
def test_the_next_request_waits_for_the_end(kind: str, connect: Connect) -> None:
    feeds = Feeds(kind)
    with serving(feeds.app) as server:
        client = connect(server).get(feeds.path)
        client.read(head_only=True)
        client.get("/plain")
        feeds.queue.put(Event("x"))
        while b"data: x\n\n" not in client.buffer:
            assert client.more()
        feeds.queue.put(None)
        while b"\r\n\r\nplain" not in client.buffer:
            assert client.more()


@every_kind
def test_streams_take_no_threads_of_requests(kind: str, connect: Connect) -> None:
    feeds = Feeds(kind)
    with Server(feeds.app, port=0, threads=1, timeouts=Timeouts(drain_idle=0.05)) as server:
        clients = [connect(server).get(feeds.path) for _ in range(8)]
        for client in clients:
            assert client.read(head_only=True)[0] == 200
        assert connect(server).get("/plain").read()[2] == b"plain"
        for _ in clients:
            feeds.queue.put(None)
        for _ in clients:
            assert feeds.ended.acquire(timeout=WAIT)


@every_kind
def test_a_slow_client_stops_the_generator(kind: str, connect: Connect) -> None:
    feeds = Feeds(kind)
    many = 3000
    with serving(feeds.app) as server:
        client = connect(server).get(feeds.path)
        client.read(head_only=True)
        for _ in range(many):
            feeds.queue.put(Event("x" * 10_000))
        feeds.queue.put(None)
        assert client.more()
        # What the buffers of both ends take is less than all.
        left = feeds.queue.qsize()
        assert left
        count = 0
        rest = client.buffer
        while not rest.endswith(b"0\r\n\r\n"):
            count += rest.count(b"data: ")
            client.buffer = b""
            assert client.more()
            rest = rest[-6:] + client.buffer if b"data: " not in rest[-6:] else client.buffer
        count += rest.count(b"data: ")
        assert count == many
        assert feeds.ended.acquire(timeout=WAIT)


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_a_generator_that_names_event_is_one_of_events(kind: str, connect: Connect) -> None:
    app = App()
    if kind == "def":

        @app.get("/")
        def feed():  # type: ignore[no-untyped-def]
            yield Event("one")

        @app.get("/declared")
        def declared() -> Iterator[Event]:
            yield Event.json({"a": 1}, retry=5)
    else:

        @app.get("/")
        async def afeed():  # type: ignore[no-untyped-def]
            yield Event("one")

        @app.get("/declared")
        async def adeclared() -> AsyncIterator[Event]:
            yield Event.json({"a": 1}, retry=5)

    with serving(app) as server:
        _, fields, body = connect(server).get().read()
        assert (fields["content-type"], body) == ("text/event-stream; charset=utf-8", b"data: one\n\n")
        assert connect(server).get("/declared").read()[2] == b'retry: 5\ndata: {"a":1}\n\n'


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_what_is_no_event_breaks_the_answer_off(kind: str, connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    app = App()

    async def acoroutine() -> AsyncIterator[Any]:
        yield "text"

    @app.get("/")
    def feed() -> Response:
        return event_stream(iter(["text"]))  # type: ignore[list-item]

    @app.get("/async")
    async def afeed() -> Response:
        return event_stream(acoroutine())

    with serving(app) as server:
        rest = connect(server).get("/" if kind == "def" else "/async").rest()
    assert rest.endswith(b"\r\n\r\n")
    assert "yields Event or None, not str" in caplog.text


def test_too_many_streams_of_functions_are_refused(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_streams, "MAX_THREADS", 1)
    feeds = Feeds("def")
    with serving(feeds.app) as server:
        assert connect(server).get(feeds.path).read(head_only=True)[0] == 200
        assert connect(server).get(feeds.path).read()[0] == 503
        feeds.queue.put(None)
        assert feeds.ended.acquire(timeout=WAIT)


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_what_is_provided_is_kept_for_the_stream(kind: str, connect: Connect) -> None:
    app = App()
    log: list[str] = []

    @app.provide
    def database() -> Iterator[Database]:
        log.append("open")
        yield Database()
        log.append("closed")

    if kind == "def":

        @app.get("/")
        def feed(db: Database) -> Iterator[Event]:
            log.append("event")
            yield Event("x")
    else:

        @app.get("/")
        async def afeed(db: Database) -> AsyncIterator[Event]:
            log.append("event")
            yield Event("x")

    with serving(app) as server:
        assert connect(server).get().read()[2] == b"data: x\n\n"
    assert log == ["open", "event", "closed"]

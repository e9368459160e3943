"""What observers hear."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.support import WAIT, Client, Serve
from firstbyte import App, Response, Server
from firstbyte.engine.connection import Connection
from firstbyte.engine.observer import EVENTS, Entry, Hooks, Observer
from firstbyte.errors import ProtocolError
from firstbyte.http.response import FileBody


@pytest.fixture
def driver(each_driver: str) -> str:
    return each_driver


REQUEST = ["first_byte", "head", "resolved", "handler_started", "handler_ended", "write_started", "write_ended"]


def test_a_requests_way_is_told_in_order(serve: Serve, app: App) -> None:
    running = serve(app)
    client = running.client().get()
    client.read()
    client.get(fields="Connection: close\r\n")
    client.read()
    assert running.recorder.wait_for("closed")[0][1] == "response complete"
    assert running.recorder.names() == ["accepted", *REQUEST, *REQUEST, "closed"]


def test_the_end_of_writing_has_the_status_and_the_size(serve: Serve, app: App) -> None:
    running = serve(app)
    client = running.client().get()
    client.more()
    size = len(client.buffer)
    entry = running.recorder.wait_for("write_ended")[0][1]
    assert entry.response is not None
    assert (entry.request.target, entry.response.status, entry.size, entry.body_size) == ("/", 200, size, 5)


def test_a_streamed_answer_is_counted_whole(serve: Serve, app: App) -> None:
    app.add_route("/stream", lambda: iter(["a" * 1000] * 3))
    running = serve(app)
    client = running.client().get("/stream", "Connection: close\r\n")
    size = len(client.rest())
    assert running.recorder.wait_for("write_ended")[0][1].size == size


def test_a_refusal_is_told_with_its_rule_and_byte(serve: Serve, app: App) -> None:
    running = serve(app)
    running.client().send(b"GET / HTTP/1.1\r\nHost : x\r\n\r\n").read()
    error = running.recorder.wait_for("rejected")[0][1]
    assert (error.status, error.rule, error.offset) == (400, "field-space-before-colon", 20)


def test_an_entry_has_the_whole_way(serve: Serve, app: App) -> None:
    app.add_route("/echo", lambda request: request.body, ["POST"])
    running = serve(app)
    for framing in ("Content-Length: 4\r\n\r\nbody", "Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n"):
        request = f"POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{framing}".encode()
        size = len(running.client().send(request).rest())
        entry = running.recorder.wait_for("write_ended")[-1][1]
        assert entry.endpoint is not None
        assert (entry.size, entry.body_size, entry.waited, entry.was_cut) == (size, 4, 0.0, False)
        assert entry.received == len(entry.request.head) + 4
        assert entry.began > 0
        running.recorder.events.clear()


@pytest.mark.parametrize(
    ("path", "method", "body_size"), [("/", "HEAD", 0), ("/empty", "GET", 0), ("/file", "GET", 3), ("/list", "GET", 13)]
)
def test_bytes_of_a_body_are_those_that_were_sent(
    serve: Serve, app: App, tmp_path: Path, path: str, method: str, body_size: int
) -> None:
    (tmp_path / "file").write_text("abc")
    app.add_route("/empty", lambda: Response(status=204))
    app.add_route("/file", lambda: Response(FileBody((tmp_path / "file").open("rb"), 0, 3)))
    app.add_route("/list", lambda: iter(["abc"]))  # 3 CR LF abc CR LF 0 CR LF CR LF
    running = serve(app)
    request = f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
    size = len(running.client().send(request).rest())
    entry = running.recorder.wait_for("write_ended")[0][1]
    assert (entry.size, entry.body_size) == (size, body_size)


def test_pipelined_requests_have_an_entry_each(serve: Serve, app: App) -> None:
    running = serve(app)
    client = running.client().send(b"".join(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % number for number in range(5)))
    for _ in range(5):
        client.read()
    entries = [details[1] for details in running.recorder.wait_for("write_ended", 5)]
    assert [entry.request.target for entry in entries] == [f"/{number}" for number in range(5)]
    assert [entry.began for entry in entries] == sorted({entry.began for entry in entries})


def test_waiting_for_a_thread_is_measured(serve: Serve, app: App) -> None:
    gate = threading.Event()
    app.add_route("/gate", lambda: str(gate.wait(WAIT)))
    running = serve(app, threads=1)
    first = running.client().get("/gate")
    running.recorder.wait_for("handler_started")
    second = running.client().get("/gate")
    running.recorder.wait_for("queued")
    gate.set()
    first.read()
    second.read()
    waits = [details[1].waited > 0 for details in running.recorder.wait_for("write_ended", 2)]
    assert sorted(waits) == [False, True]


def test_a_refused_request_is_known_if_its_head_was_valid(serve: Serve, app: App) -> None:
    targets = []

    class Refusals(Observer):
        def rejected(self, connection: Connection, error: ProtocolError) -> None:
            targets.append(connection.entry and connection.entry.request.target)

        def write_ended(self, connection: Connection, entry: Entry) -> None:
            pass

    app.add_route("/small", lambda request: "", ["POST"], max_body=1)
    with Server(app, port=0, observers=[Refusals()]) as server:
        chunked = b"POST /small HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n"
        for bad in (chunked, b"GET / HTTP/1.1\r\n\r\n"):
            client = Client(server.port).send(bad)
            client.rest()
            client.close()
    assert targets == ["/small", None]


def test_an_answer_that_is_cut_off_is_told_with_what_was_sent(serve: Serve, app: App) -> None:
    def broken() -> Iterator[str]:
        yield "a" * 1000
        raise ValueError("broken")

    app.add_route("/broken", broken)
    running = serve(app)
    size = len(running.client().get("/broken").rest())
    entry = running.recorder.wait_for("cut")[0][1]
    assert (entry.size, entry.was_cut, entry.response.status) == (size, True, 200)
    assert 1000 < entry.body_size < entry.size
    assert "write_ended" not in running.recorder.names()


def test_a_client_that_takes_none_of_a_long_answer(serve: Serve, app: App) -> None:
    body = b"a" * 30_000_000
    app.add_route("/long", lambda: body)
    running = serve(app)
    client = running.client().send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /long HTTP/1.1\r\nHost: x\r\n\r\n")
    assert client.read()[0] == 200
    client.close()
    cut = running.recorder.wait_for("cut")[-1][1]
    assert cut.request.target == "/long"
    assert 0 <= cut.body_size < len(body)


def test_a_request_that_has_no_answer_yet_is_told_when_its_client_leaves(serve: Serve, app: App) -> None:
    async def never() -> str:
        await asyncio.sleep(1000)
        return ""

    app.add_route("/never", never)
    running = serve(app)
    client = running.client().get("/never")
    running.recorder.wait_for("handler_started")
    client.close()
    entry = running.recorder.wait_for("cut")[0][1]
    assert (entry.response, entry.size, entry.request.target) == (None, 0, "/never")


def test_without_observers_there_is_nothing_to_call() -> None:
    hooks = Hooks([], lambda message: None)
    assert all(getattr(hooks, event) is None for event in EVENTS)
    assert all(getattr(Hooks([Observer()], lambda message: None), event) is None for event in EVENTS)


def test_an_observer_that_fails_harms_nothing(app: App, caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Observer):
        def head(self, connection: object, request: object) -> None:
            raise ValueError("broken")

    heard = []

    class Other(Observer):
        def head(self, connection: object, request: object) -> None:
            heard.append(request)

    with Server(app, port=0, observers=[Broken(), Other()]) as server, caplog.at_level(logging.ERROR):
        client = Client(server.port).get()
        assert client.read()[0] == 200
        client.close()
    assert len(heard) == 1
    assert "failed on head" in caplog.text

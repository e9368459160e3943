"""What a server does beside an answer: early hints before it, trailers behind it, jobs when it is sent."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from engine.support import WAIT, Connect, serving
from firstbyte import App, Request, Response
from firstbyte.engine import background

LINK = b"</app.css>; rel=preload; as=style"


def colours(kind: str) -> Callable[[Any], Any]:
    """The function as it is, or as a coroutine that waits before or not at all."""

    def colour(function: Any) -> Any:
        if kind == "def":
            return function

        async def coroutine(request: Request) -> Any:
            if kind == "waiting":
                await asyncio.sleep(0.001)
            return function(request)

        return coroutine

    return colour


every_kind = pytest.mark.parametrize("kind", ["def", "async", "waiting"])


@every_kind
def test_early_hints_come_before_the_answer(connect: Connect, kind: str) -> None:
    app = App()
    kept: list[Request] = []

    @app.route("/", ["GET", "POST"])
    @colours(kind)
    def index(request: Request) -> str:
        request.early_hints([LINK.decode(), "</b.js>; rel=preload"])
        kept.append(request)
        return "page"

    with serving(app) as server:
        client = connect(server)
        for _ in range(2):  # on one connection, and with what it sends at once
            client.get().get()
            for _ in range(2):
                assert client.read()[0] == 103
                assert client.read()[::2] == (200, b"page")
        kept[0].early_hints([LINK.decode()])  # too late: nothing is sent
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n!")
        client.more()
        assert client.buffer.startswith(b"HTTP/1.1 103 Early Hints\r\nLink: " + LINK + b"\r\nLink: </b.js>")
        assert client.read()[0] == 103
        assert client.read()[0] == 200
        old = connect(server).send(b"GET / HTTP/1.0\r\n\r\n")
        assert old.rest().startswith(b"HTTP/1.1 200")


def test_early_hints_that_are_none_are_a_fault(connect: Connect) -> None:
    app = App()

    @app.get("/")
    def index(request: Request) -> str:
        request.early_hints(["a\r\nb: c"])
        return "page"

    with serving(app) as server:
        assert connect(server).get().read()[0] == 500


@every_kind
def test_trailers_are_sent_to_those_who_ask(connect: Connect, kind: str) -> None:
    app = App()

    @app.get("/")
    @colours(kind)
    def index(request: Request) -> Response:
        size = 0

        def pieces() -> Iterator[bytes]:
            nonlocal size
            for piece in (b"one", b"two"):
                size += len(piece)
                yield piece

        return Response(pieces(), headers={"Trailer": "X-Size"}, trailers=lambda: {"X-Size": str(size)})

    with serving(app) as server:
        end = b"3\r\ntwo\r\n0\r\nX-Size: 6\r\n\r\n"
        asking = "TE: deflate;q=0.5, trailers\r\nConnection: close, TE\r\n"
        assert connect(server).get("/", asking).rest().endswith(end)
        assert connect(server).get("/", "Connection: close\r\n").rest().endswith(b"two\r\n0\r\n\r\n")
        assert connect(server).send(b"GET / HTTP/1.0\r\nTE: trailers\r\n\r\n").rest().endswith(b"onetwo")


def test_trailers_that_are_none_break_the_answer_off(connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    app = App()

    @app.get("/{name}")
    def index(name: str) -> Response:
        return Response(iter([b"x"]), trailers=lambda: {name: "1"})

    with serving(app) as server:
        for name in ("Content-Length", "a%20b"):
            assert connect(server).get(f"/{name}", "TE: trailers\r\n").rest().endswith(b"1\r\nx\r\n")
    assert "cannot stand in a trailer" in caplog.text
    assert "the trailers cannot be sent" in caplog.text


@every_kind
@pytest.mark.parametrize("job_kind", ["def", "async def"])
def test_the_connection_does_not_wait_for_what_runs_behind_an_answer(
    connect: Connect,
    kind: str,
    job_kind: str,
) -> None:
    app = App()
    begun, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def job(name: str) -> None:
        begun.set()
        assert go_on.wait(WAIT)
        ended.set()

    async def ajob(name: str) -> None:
        begun.set()
        assert await asyncio.to_thread(go_on.wait, WAIT)
        ended.set()

    @app.get("/")
    @colours(kind)
    def index(request: Request) -> str:
        request.after(job if job_kind == "def" else ajob, "ann")
        return "sent"

    app.add_route("/next", colours(kind)(lambda request: "next"))
    with serving(app) as server:
        client = connect(server)
        assert client.get().read()[2] == b"sent"
        assert begun.wait(WAIT)
        assert client.get("/next").read()[2] == b"next"
        assert not ended.is_set()
        go_on.set()
    assert ended.is_set()


@every_kind
def test_a_stop_waits_for_it_but_not_for_ever(connect: Connect, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    app = App()
    go_on = threading.Event()

    @app.get("/")
    @colours(kind)
    def index(request: Request) -> str:
        request.after(go_on.wait, WAIT)
        return "sent"

    with serving(app) as server:
        assert connect(server).get().read()[2] == b"sent"
        server.stop(0.05)
    go_on.set()
    assert "has not ended before the server did" in caplog.text


def test_it_runs_for_a_client_that_leaves_or_an_error(connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    app = App()
    gone, runs = threading.Event(), threading.Semaphore(0)

    @app.get("/left")
    def left(request: Request) -> Iterator[bytes]:
        request.after(runs.release)
        yield b"x"
        assert gone.wait(WAIT)
        while True:
            yield b"x" * 65536

    @app.get("/error")
    def error(request: Request) -> None:
        request.after(runs.release)
        request.after(lambda: 1 / 0)
        request.after(runs.release)
        raise ValueError("mine")

    with serving(app) as server:
        client = connect(server).get("/left")
        client.read(head_only=True)
        client.sock.close()
        gone.set()
        assert runs.acquire(timeout=WAIT)
        assert connect(server).get("/error").read()[0] == 500
        assert runs.acquire(timeout=WAIT)
        assert runs.acquire(timeout=WAIT)
    assert "ZeroDivisionError" in caplog.text


def test_it_begins_when_a_slow_client_has_all(connect: Connect) -> None:
    app = App()
    begun = threading.Event()

    @app.get("/")
    def index(request: Request) -> bytes:
        request.after(begun.set)
        return b"x" * 20_000_000

    with serving(app) as server:
        client = connect(server).get()
        client.more()
        assert not begun.is_set()  # more than the kernel takes is still to be sent
        assert len(client.read()[2]) == 20_000_000
        assert begun.wait(WAIT)


def test_too_many_that_have_not_ended_are_refused(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "UNFINISHED", 2)
    app = App()
    go_on, begun = threading.Event(), threading.Semaphore(0)

    def job() -> None:
        begun.release()
        assert go_on.wait(WAIT)

    @app.get("/")
    def index(request: Request) -> str:
        request.after(job)
        return "sent"

    with serving(app) as server:
        client = connect(server)
        for _ in range(2):
            assert client.get().read()[0] == 200
            assert begun.acquire(timeout=WAIT)
        status, fields, _ = client.get().read()
        assert (status, fields["retry-after"]) == (503, "5")
        go_on.set()


def test_too_many_of_one_request_are_refused(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "UNFINISHED", 2)
    app = App()
    ran = threading.Semaphore(0)

    @app.get("/{count:int}")
    def index(count: int, request: Request) -> str:
        for _ in range(count):
            request.after(ran.release)
        return "sent"

    with serving(app) as server:
        client = connect(server)
        assert client.get("/3").read()[0] == 503
        for _ in range(2):  # those that were taken run, behind that answer
            assert ran.acquire(timeout=WAIT)


def test_it_has_the_context_of_its_handler(connect: Connect) -> None:
    from contextvars import ContextVar

    name: ContextVar[str] = ContextVar("name", default="nobody")
    seen: list[str] = []
    both = threading.Barrier(2, timeout=WAIT)
    app = App()

    def job() -> None:
        seen.append(name.get())
        both.wait()

    @app.get("/")
    async def index(request: Request) -> str:
        name.set("ann")
        request.after(job)
        return ""

    with serving(app) as server:
        connect(server).get().read()
        both.wait()
    assert seen == ["ann"]

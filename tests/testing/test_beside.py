"""What the test client shows of early hints, trailers and what runs behind answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from firstbyte import App, Event, Request, Response
from firstbyte.client import Session
from firstbyte.testing import TestClient

LINK = "</app.css>; rel=preload; as=style"


def app_with(log: list[Any]) -> App:
    app = App()

    def note(what: str, times: int = 1) -> None:
        log.append(what * times)

    async def anote(what: str) -> None:
        await asyncio.sleep(0)
        log.append(what)

    @app.get("/hints")
    def hints(request: Request) -> str:
        request.early_hints([LINK])
        return "page"

    @app.get("/trailers")
    def trailers() -> Response:
        def pieces() -> Iterator[bytes]:
            log.append("body")
            yield b"x"

        return Response(pieces(), trailers=lambda: {"X-Sum": str(len(log))})

    @app.get("/after")
    def after(request: Request) -> str:
        request.after(note, "a", times=2)
        request.after(anote, "b")
        log.append("answer")
        return ""

    @app.get("/async-after")
    async def async_after(request: Request) -> str:
        request.after(anote, "c")
        request.after(note, "d")
        return ""

    @app.get("/fails")
    def fails(request: Request) -> str:
        request.after(lambda: 1 / 0)
        return "fine"

    return app


def test_early_hints_are_kept() -> None:
    with TestClient(app_with([])) as client:
        assert client.get("/hints").text == "page"
        assert client.early_hints == [LINK]
        client.get("/trailers")
        assert client.early_hints == []


def test_trailers_come_to_those_who_ask() -> None:
    with TestClient(app_with([])) as client:
        assert client.get("/trailers").trailers is None
        response = client.get("/trailers", headers={"TE": "trailers"})
        assert response.trailers is not None
        assert dict(response.trailers.items()) == {"X-Sum": "2"}


def test_what_runs_behind_an_answer_has_run() -> None:
    log: list[Any] = []
    with TestClient(app_with(log)) as client:
        client.get("/after")
        client.get("/async-after")
    assert log == ["answer", "aa", "b", "c", "d"]
    log.clear()
    Session(app=app_with(log)).get("/after")
    Session(app=app_with(log)).get("/async-after")
    assert sorted(log) == ["aa", "answer", "b", "c", "d"]


def test_what_fails_behind_an_answer_is_raised_in_the_test() -> None:
    with TestClient(app_with([])) as client, pytest.raises(ZeroDivisionError):
        client.get("/fails")
    with TestClient(app_with([]), raise_server_errors=False) as client:
        assert client.get("/fails").text == "fine"


def test_nothing_runs_behind_the_answer_to_a_request_that_nobody_received() -> None:
    with pytest.raises(RuntimeError, match="no server has received"):
        Request.build("GET", "/").after(print)
    Request.build("GET", "/").early_hints([LINK])


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_server_sent_events(kind: str) -> None:
    app = App()
    ended: list[str] = []

    def feed(request: Request) -> Iterator[Event]:
        try:
            for number in range(int(request.headers.get("last-event-id") or 0), 10):
                yield Event(str(number), id=str(number + 1))
        finally:
            ended.append("ended")

    async def afeed(request: Request) -> AsyncIterator[Event]:
        for event in feed(request):
            await asyncio.sleep(0)
            yield event

    app.add_route("/", feed if kind == "def" else afeed)
    with TestClient(app) as client:
        events = client.events("/")
        assert [next(events).data for _ in range(3)] == ["0", "1", "2"]
        events.close()  # type: ignore[attr-defined]
        response = client.get("/", headers={"Last-Event-ID": "9"})
        assert (response.text, response.headers["content-type"]) == (
            "id: 10\ndata: 9\n\n",
            "text/event-stream; charset=utf-8",
        )
    assert ended == ["ended", "ended"]


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_what_is_still_read_ends_with_the_client(kind: str) -> None:
    app = App()
    ended: list[str] = []

    def feed() -> Iterator[Event]:
        try:
            while True:
                yield Event("x")
        finally:
            ended.append("ended")

    async def afeed() -> AsyncIterator[Event]:
        try:
            while True:
                yield Event("x")
                await asyncio.sleep(0)
        finally:
            ended.append("ended")

    app.add_route("/", feed if kind == "def" else afeed)
    with TestClient(app) as client:
        events = client.events("/")
        assert next(events).data == "x"
    assert ended == ["ended"]
    events.close()  # type: ignore[attr-defined]

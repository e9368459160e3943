"""Middleware that does not keep its contract, or passes on what is not its own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from app.support import get
from firstbyte import App, Request, Response
from firstbyte.app.middleware import wrap


@pytest.fixture
def app() -> App:
    app = App()
    app.add_route("/", lambda: "secret")
    return app


def test_a_yielded_answer_is_a_fault_and_lets_nobody_through(app: App, caplog: pytest.LogCaptureFixture) -> None:
    """An asynchronous generator yields its answer; one that has lost its async must not open the door."""
    ended = []

    @app.middleware
    def auth(request: Request) -> Any:
        try:
            yield Response("no", 401)
        finally:
            ended.append(True)

    status, body = get(app, "/")
    assert (status, ended) == (500, [True])
    assert b"secret" not in body
    assert "yields its answer" in caplog.text


def swallowing(request: Request) -> Any:
    try:
        yield
    except ValueError:
        pass


async def swallowing_async(request: Request) -> Any:
    try:
        yield
    except ValueError:
        pass


def run(endpoint_call: Any, is_async: bool) -> Any:
    request = Request.build("GET", "/")
    return asyncio.run(endpoint_call(request)) if is_async else endpoint_call(request)


@pytest.mark.parametrize("middleware", [swallowing, swallowing_async])
def test_an_error_that_passes_by_keeps_its_cause(middleware: Any) -> None:
    def fail(request: Request) -> Response:
        try:
            raise KeyError("the cause")
        except KeyError as error:
            raise ValueError("what came of it") from error

    call, is_async = wrap(fail, False, [middleware])
    with pytest.raises(ValueError, match="what came of it") as caught:
        run(call, is_async)
    assert isinstance(caught.value.__cause__, KeyError)


def twice(request: Request) -> Any:
    yield
    yield


async def twice_async(request: Request) -> Any:
    yield
    yield


@pytest.mark.parametrize("middleware", [twice, twice_async])
def test_a_second_yield_closes_the_answer_that_is_thrown_away(middleware: Any) -> None:
    closed = []

    def pieces() -> Iterator[bytes]:
        try:
            yield b"a"
        finally:
            closed.append(True)

    body = pieces()
    next(body)
    call, is_async = wrap(lambda request: Response(body), False, [middleware])
    with pytest.raises(TypeError, match="second yield"):
        run(call, is_async)
    assert closed == [True]


def test_what_one_request_writes_is_not_the_next_ones(app: App, caplog: pytest.LogCaptureFixture) -> None:
    """All requests without path parameters share the mapping that says so."""
    app.add_route("/x", lambda request: request.path)

    @app.middleware
    def write(request: Request) -> Any:
        if request.query:
            request.path_params["language"] = "en"  # type: ignore[index]
        yield

    assert get(app, "/x?write=1")[0] == 500
    assert "does not support item assignment" in caplog.text
    assert get(app, "/x") == (200, b"/x")

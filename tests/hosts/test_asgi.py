"""ASGI applications as the host runs them: versions, contexts, middleware, cancellation and the stop."""

from __future__ import annotations

import asyncio
import contextvars
from typing import Any

import pytest

from engine.support import Client, Serve
from firstbyte import App, Request, Response, Server, Timeouts
from firstbyte.hosts.asgi import ASGI
from hosts.support import Receive, Scope, Send, Told, body, echo, host, start


@pytest.fixture
def driver(each_loop: str) -> str:
    return each_loop


def test_applications_of_asgi_2_are_taken(serve: Serve) -> None:
    class Old:
        def __init__(self, scope: Scope) -> None:
            self.scope = scope

        async def __call__(self, receive: Receive, send: Send) -> None:
            await send(start())
            await send(body(self.scope["path"].encode()))

    assert serve(ASGI(Old)).client().get("/old").read()[2] == b"/old"


def test_each_request_has_its_own_headers_state_and_context(serve: Serve) -> None:
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=0)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        text = f"{len(scope['headers'])} {scope['state']} {variable.get()}"
        scope["headers"].append((b"x", b"y"))
        scope["state"]["seen"] = True
        variable.set(1)
        await send(start())
        await send(body(text.encode()))

    client = serve(host(app)).client()
    assert [client.get().read()[2] for _ in range(2)] == [b"1 {} 0"] * 2


def test_middleware_of_an_app_sees_the_answers(serve: Serve) -> None:
    app = App()

    @app.middleware
    def mark(request: Request) -> Any:
        response: Response = yield
        response.headers["X-Marked"] = "yes"
        return response

    app.mount("/", host(echo))
    client = serve(app).client()
    for sent in (b"whole", b"chunks" * 50_000):
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(sent) + sent)
        _, fields, got = client.read()
        assert (fields["x-marked"], got) == ("yes", sent)


def test_cancellation_reaches_what_the_application_waits_for(serve: Serve, told: Told) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def inner() -> None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                told.say("inner cancelled")
                raise

        await send(start())
        await send(body(b"a", True))
        try:
            await asyncio.wait_for(inner(), 0.01)
        except TimeoutError:
            told.say("timed out")
        try:
            async with asyncio.timeout(0.01):
                await asyncio.create_task(inner())
        except TimeoutError:
            told.say("timed out")
        await send(body(b"b"))

    assert serve(host(app)).client().get().read()[2] == b"ab"
    assert told.things == ["inner cancelled", "timed out"] * 2


def test_work_after_the_answer_does_not_hold_the_connection(serve: Serve, told: Told) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        await send(body(scope["path"].encode()))
        if scope["path"] == "/first":
            await second.wait()
            told.say("done after the second")
        else:
            second.set()

    second = asyncio.Event()
    client = serve(host(app)).client()
    assert client.get("/first").read()[2] == b"/first"
    assert client.get("/second").read()[2] == b"/second"
    assert told.wait() == ["done after the second"]


def test_a_stop_waits_for_work_after_the_answer(told: Told) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        await send(body(b"x"))
        await asyncio.sleep(0.05)
        told.say("done")

    with Server(host(app), port=0) as server:
        client = Client(server.port)
        assert client.get().read()[2] == b"x"
        client.close()
    assert told.things == ["done"]


def test_an_application_that_never_returns_is_cancelled_when_the_stop_is_over(told: Told) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        told.say("begun")
        try:
            await asyncio.Event().wait()
        finally:
            told.say("ended")

    with Server(host(app), port=0, timeouts=Timeouts(drain=0.2)) as server:
        client = Client(server.port).get()
        told.wait()
    assert told.things == ["begun", "ended"]
    assert client.closed()
    client.close()

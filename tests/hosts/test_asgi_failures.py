"""ASGI applications that break the rules: whether they are answered with a 500 or cut, and what the log says."""

from __future__ import annotations

import asyncio
import logging
import re
from typing import Any

import pytest

from engine.support import Serve
from hosts.support import Receive, Scope, Send, body, host, start


@pytest.fixture
def driver(each_loop: str) -> str:
    return each_loop


async def raises_before(scope: Scope, receive: Receive, send: Send) -> None:
    raise KeyError("before")


async def raises_after_start(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start())
    raise KeyError("after start")


async def raises_in_body(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start())
    await send(body(b"part", True))
    raise KeyError("in body")


async def raises_after_waiting(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start())
    await send(body(b"part", True))
    await asyncio.sleep(0.001)
    raise KeyError("after waiting")


async def raises_when_done(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start())
    await send(body(b"part"))
    await asyncio.sleep(0.001)
    raise KeyError("when done")


async def body_before_start(scope: Scope, receive: Receive, send: Send) -> None:
    await send(body(b"x"))


async def two_starts(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start())
    await send(start())


async def body_after_the_end(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start())
    await send(body(b"part"))
    await asyncio.sleep(0.001)
    await send(body(b"more"))


async def unknown_message(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.nonsense"})


async def newline_in_header(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start(headers=[(b"x-a", b"b\r\nx-c: d")]))


async def newline_in_type(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start(headers=[(b"content-type", b"b\r\nx-c: d")]))


async def str_header(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start(headers=[("x-a", "b")]))  # type: ignore[list-item]


async def str_body(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start())
    await send(body("text"))  # type: ignore[arg-type]


async def bad_status(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start(99))


async def bad_length(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start(headers=[(b"content-length", b"-1")]))


async def length_too_long(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start(headers=[(b"content-length", b"9")]))
    await send(body(b"part"))


async def length_too_long_streamed(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start(headers=[(b"content-length", b"9")]))
    await send(body(b"part", True))
    await send(body())


async def length_too_short_streamed(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start(headers=[(b"content-length", b"4")]))
    await send(body(b"part", True))
    await send(body(b"more", True))


async def never_sends(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()


async def starts_only(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start())


async def returns_in_the_body(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start())
    await send(body(b"part", True))


async def unannounced_trailers(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start())
    await send(body(b"part", True))
    await send({"type": "http.response.trailers", "headers": []})


def no_coroutine(scope: Scope, receive: Receive, send: Send) -> list[bytes]:
    return [b"x"]


@pytest.mark.parametrize(
    ("app", "outcome", "log"),
    [
        (raises_before, 500, "before"),
        (raises_after_start, 500, "after start"),
        (raises_in_body, "cut", "in body"),
        (raises_after_waiting, "cut", "after waiting"),
        (raises_when_done, 200, "when done"),
        (body_before_start, 500, "http.response.body comes before http.response.start"),
        (two_starts, 500, "a second time"),
        (body_after_the_end, 200, "after the answer was complete"),
        (unknown_message, 500, "'http.response.nonsense' is no message"),
        (newline_in_header, 500, "x-a"),
        (newline_in_type, 500, "Content-Type"),
        (str_header, 500, "are bytes, not 'x-a': 'b'"),
        (str_body, 500, "is bytes, not str"),
        (bad_status, 500, "from 200 to 599, not 99"),
        (bad_length, 500, "no plain decimal|not a plain decimal"),
        (length_too_long, 500, "Content-Length says 9 bytes, but the body has 4"),
        (length_too_long_streamed, "cut", "5 bytes before its Content-Length"),
        (length_too_short_streamed, "cut", "4 bytes longer than its Content-Length"),
        (never_sends, 500, "returned without an answer"),
        (starts_only, 500, "returned before the end of an answer"),
        (returns_in_the_body, "cut", "returned before the end of its answer"),
        (unannounced_trailers, "cut", "without being announced"),
        (no_coroutine, 500, "list"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_applications_that_break_the_rules(
    serve: Serve, caplog: pytest.LogCaptureFixture, app: Any, outcome: int | str, log: str
) -> None:
    def logged() -> str:
        return "\n".join(record.getMessage() + str(record.exc_info) for record in caplog.records)

    caplog.set_level(logging.INFO)
    running = serve(host(app))
    client = running.client().get()
    if outcome == "cut":
        head, _, rest = client.rest().partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        assert b"part" in rest
        assert not rest.endswith(b"0\r\n\r\n")
    else:
        status, _, got = client.read()
        assert status == outcome
        assert status == 500 or got == b"part"
        assert b"Traceback" not in got
    client.close()
    running.server.__exit__(None, None, None)  # when all of the application has ended
    assert re.search(log, logged()), logged()


def test_an_application_that_never_reads_its_body_costs_the_client_nothing_else(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        await send(body(b"x"))

    client = serve(host(app)).client()
    for _ in range(2):
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello")
        assert client.read()[2] == b"x"
    client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\n\r\n")
    status, fields, _ = client.read()
    assert (status, fields["connection"]) == (200, "close")

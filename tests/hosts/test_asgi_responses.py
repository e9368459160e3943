"""What ASGI applications send: answers, pieces, files, early hints, and clients that read slowly."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from engine.support import Serve
from hosts.support import Receive, Scope, Send, Told, body, echo, host, start


@pytest.fixture
def driver(each_loop: str) -> str:
    return each_loop


@pytest.mark.parametrize(
    ("request_head", "messages", "expected"),
    [
        (b"GET / HTTP/1.1", [start(), body(b"hi")], (b"content-length: 2", b"hi")),
        (b"GET / HTTP/1.1", [start(), body(b"h", True), body(b"i")], (b"chunked", b"1\r\nh\r\n1\r\ni\r\n0\r\n\r\n")),
        (b"GET / HTTP/1.1", [start(), body(b"h", True), body()], (b"chunked", b"1\r\nh\r\n0\r\n\r\n")),
        (
            b"GET / HTTP/1.1",
            [start(headers=[(b"content-length", b"2")]), body(b"h", True), body(b"i")],
            (b"content-length: 2", b"hi"),
        ),
        (b"GET / HTTP/1.0", [start(), body(b"h", True), body(b"i")], (b"connection: close", b"hi")),
        (b"HEAD / HTTP/1.1", [start(), body(b"hi")], (b"content-length: 2", b"")),
        (b"HEAD / HTTP/1.1", [start(), body(b"h", True), body(b"i")], (b"chunked", b"")),
        (b"HEAD / HTTP/1.1", [start(headers=[(b"content-length", b"9")]), body()], (b"content-length: 9", b"")),
        (b"GET / HTTP/1.1", [start(204, []), body()], (b"204 no content", b"")),
        (b"GET / HTTP/1.1", [start(304, [(b"etag", b'"x"')]), body()], (b'etag: "x"', b"")),
        (
            b"GET / HTTP/1.1",
            [start(headers=[(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]), body()],
            (b"set-cookie: a=1\r\nset-cookie: b=2", b""),
        ),
        (
            b"GET / HTTP/1.1",
            [start(headers=[(b"transfer-encoding", b"chunked"), (b"keep-alive", b"timeout=5")]), body(b"x")],
            (b"content-length: 1", b"x"),
        ),
        (b"GET / HTTP/1.1", [start(headers=[(b"connection", b"close")]), body(b"x")], (b"connection: close", b"x")),
        (b"GET / HTTP/1.1", [start(headers=[(b"date", b"D"), (b"server", b"S")]), body(b"x")], (b"server: s", b"x")),
        (b"GET / HTTP/1.1", [start(), {"type": "http.response.body"}], (b"content-length: 0", b"")),
        (
            b"GET / HTTP/1.1",
            [start(), {"type": "http.response.body", "body": bytearray(b"x")}],
            (b"content-length: 1", b"x"),
        ),
        (
            b"GET / HTTP/1.1",
            [start(trailers=True), body(b"x"), {"type": "http.response.trailers", "headers": [(b"x-sum", b"1")]}],
            (b"chunked", b"1\r\nx\r\n0\r\nx-sum: 1\r\n\r\n"),
        ),
        (
            b"GET / HTTP/1.1",
            [
                start(trailers=True),
                body(b"x", True),
                body(b"y"),
                {"type": "http.response.trailers", "headers": [(b"a", b"1")], "more_trailers": True},
                {"type": "http.response.trailers", "headers": [(b"b", b"2")]},
            ],
            (b"chunked", b"1\r\nx\r\n1\r\ny\r\n0\r\na: 1\r\nb: 2\r\n\r\n"),
        ),
    ],
)
@pytest.mark.parametrize("waits", [False, True])
def test_answers(
    serve: Serve, request_head: bytes, messages: list[Any], expected: tuple[bytes, bytes], waits: bool
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            if waits:
                await asyncio.sleep(0.001)
            await send(message)
        if waits:
            await asyncio.sleep(0.001)

    client = serve(host(app)).client().send(request_head + b"\r\nHost: x\r\nConnection: close\r\n\r\n")
    head, _, rest = client.rest().partition(b"\r\n\r\n")
    assert expected[0] in head.lower()
    assert rest == expected[1]


def test_pieces_go_out_as_they_are_sent(serve: Serve, told: Told) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        await send(body(b"", True))  # the head alone
        told.say(asyncio.current_task())
        for number in range(3):
            await (await receive_number(receive, number))
            await send(body(b"%d" % number, True))
        told.say(asyncio.current_task())
        await send(body())

    async def receive_number(receive: Receive, number: int) -> Any:
        message = await receive()
        assert message["body"] == b"%d" % number
        return asyncio.sleep(0)

    client = serve(host(app)).client().send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n")
    while b"\r\n\r\n" not in client.buffer:
        assert client.more()
    for number in range(3):
        client.send(b"%d" % number)
        while b"\r\n1\r\n%d\r\n" % number not in client.buffer:  # with the line of its length, which may look like it
            assert client.more(), client.buffer
    assert client.read()[2] == b"012"
    first, second = told.things
    assert first is second


def test_pieces_may_come_from_tasks_of_the_application(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def stream() -> None:
            await send(start())
            for number in range(100):
                await send(body(b"%d," % number, True))
                if number % 10 == 0:
                    await asyncio.sleep(0)
            await send(body())

        async with asyncio.TaskGroup() as group:
            group.create_task(stream())

    client = serve(host(app)).client()
    for _ in range(2):
        assert client.get().read()[2] == b"".join(b"%d," % number for number in range(100))


@pytest.mark.parametrize("in_a_task", [False, True])
def test_a_client_that_reads_slowly_makes_the_application_wait(serve: Serve, told: Told, in_a_task: bool) -> None:
    pieces = 400

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def stream() -> None:
            for number in range(pieces):
                await send(body(b"x" * 65536, True))
                told.say(number)
            await send(body())

        await send(start())
        await (asyncio.create_task(stream()) if in_a_task else stream())

    client = serve(host(app)).client().get()
    told.wait()
    other = serve(host(echo)).client().get()
    assert other.read()[0] == 200
    assert len(told.things) < pieces
    assert len(client.read()[2]) == 65536 * pieces


def test_a_timeout_of_the_application_ends_its_waiting_for_a_slow_client(serve: Serve, told: Told) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        try:
            async with asyncio.timeout(0.05):
                while True:
                    await send(body(b"x" * 65536, True))
        except TimeoutError:
            told.say("timed out")
        await send(body(b"end"))

    client = serve(host(app)).client().get()
    assert told.wait() == ["timed out"]
    assert client.read()[2].endswith(b"xend")


@pytest.mark.parametrize("goes_on", [False, True])
def test_a_path_is_sent_as_a_file(serve: Serve, tmp_path: Path, goes_on: bool) -> None:
    (tmp_path / "file").write_bytes(b"f" * 100_000)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        await send({"type": "http.response.pathsend", "path": str(tmp_path / "file")})
        if goes_on:
            await asyncio.sleep(0.001)

    client = serve(host(app)).client()
    for _ in range(2):
        assert client.get().read()[2] == b"f" * 100_000


def test_early_hints_come_before_the_answer(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload", b"</b.js>; rel=preload"]})
        await asyncio.sleep(0.001)
        await send(start())
        await send(body(b"x"))

    client = serve(host(app)).client().get()
    status, fields, _ = client.read()
    assert (status, fields["link"]) == (103, "</b.js>; rel=preload")
    assert client.read()[2] == b"x"

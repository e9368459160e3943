"""What ASGI applications send: answers, pieces, files, early hints, and clients that read slowly."""

from __future__ import annotations

import asyncio
import io
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
        (b"GET / HTTP/1.1", [start(204, [(b"content-length", b"2")]), body(b"hi")], (b"204 no content", b"")),
        (b"GET / HTTP/1.1", [start(204, []), body(b"h", True), body(b"i")], (b"204 no content", b"")),
        (b"GET / HTTP/1.1", [start(205, [(b"content-length", b"2")]), body(b"hi")], (b"content-length: 0", b"")),
        (b"GET / HTTP/1.1", [start(205, []), body(b"h", True), body(b"i")], (b"205 reset content", b"")),
        (b"GET / HTTP/1.1", [start(304, []), body(b"hi")], (b"304 not modified", b"")),
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


class Reads(io.FileIO):
    """A file that tells how much of it is read at a time."""

    told: Told

    def read(self, size: int | None = -1, /) -> bytes:
        piece = super().read(size)
        self.told.say(len(piece))
        return piece


@pytest.fixture
def reads(told: Told, monkeypatch: pytest.MonkeyPatch) -> list[Reads]:
    """The files that are opened by their path."""
    opened: list[Reads] = []

    def open_told(path: Path, mode: str) -> Reads:
        opened.append(Reads(path, mode))
        opened[-1].told = told
        return opened[-1]

    monkeypatch.setattr(Path, "open", open_told)
    return opened


def pathsend(path: Path) -> dict[str, Any]:
    return {"type": "http.response.pathsend", "path": str(path)}


@pytest.mark.parametrize("leaves", [False, True])
def test_a_file_behind_which_the_application_goes_on_is_read_as_it_is_sent(
    serve: Serve, told: Told, reads: list[Reads], tmp_path: Path, leaves: bool
) -> None:
    size = 24 << 20
    with (tmp_path / "file").open("wb") as file:
        file.truncate(size)
    told.things.clear()
    end = Told()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        await send(pathsend(tmp_path / "file"))
        await asyncio.sleep(0.001)
        end.say(await receive())

    client = serve(host(app)).client().get()
    told.wait()
    other = serve(host(echo)).client().get()
    assert other.read()[0] == 200
    assert sum(told.things) < size
    if leaves:
        client.sock.close()
    else:
        status, fields, data = client.read()
        assert (status, fields["content-length"], len(data)) == (200, str(size), size)
    assert end.wait() == [{"type": "http.disconnect"}]
    assert max(told.things) == 64 * 1024
    assert reads[-1].closed


def test_a_file_may_have_trailers(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"hi")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start(trailers=True))
        await send(pathsend(tmp_path / "file"))
        with pytest.raises(RuntimeError, match=r"body comes after http\.response\.pathsend"):
            await send(body(b"more"))
        with pytest.raises(RuntimeError, match="pathsend comes after a body"):
            await send(pathsend(tmp_path / "file"))
        await send({"type": "http.response.trailers", "headers": [(b"x-sum", b"1")]})

    client = serve(host(app)).client()
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: close\r\n\r\n")
    assert client.rest().endswith(b"\r\n\r\n2\r\nhi\r\n0\r\nx-sum: 1\r\n\r\n")


@pytest.mark.parametrize("waits", [False, True])
def test_the_file_of_an_application_that_fails_is_closed(
    serve: Serve, reads: list[Reads], tmp_path: Path, waits: bool
) -> None:
    (tmp_path / "file").touch()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if waits:
            await asyncio.sleep(0.001)
        await send(start())
        await send(pathsend(tmp_path / "file"))
        raise ValueError("oh")

    assert serve(host(app)).client().get().read()[0] == 500
    assert reads[-1].closed


def test_a_file_that_becomes_shorter_ends_the_connection(
    serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"f" * 1000)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        await send(pathsend(path))
        path.write_bytes(b"f" * 10)
        await asyncio.sleep(0.001)

    data = serve(host(app)).client().get().rest()
    assert data.endswith(b"\r\n\r\n" + b"f" * 10)
    assert "the file has become shorter: 990 bytes are missing" in caplog.text


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

"""ASGI applications: the scope, the messages in both directions, and what becomes of those that break the rules."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import re
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from engine.support import Client, Serve
from firstbyte import App, Request, Response, Server, Timeouts
from firstbyte.errors import StartupError
from firstbyte.hosts.asgi import ASGI
from hosts.support import Receive, Scope, Send, Told, host

PLAIN = [(b"content-type", b"text/plain")]


def start(status: int = 200, headers: Iterable[tuple[bytes, bytes]] = PLAIN, **more: Any) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": headers, **more}


def body(piece: bytes = b"", more_body: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": piece, "more_body": more_body}


@pytest.fixture(params=["asyncio", "uvloop"])
def driver(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def told() -> Told:
    return Told()


# -- the scope


def scope_for(serve: Serve, request: bytes, around: Callable[[ASGI], Any] = lambda asgi: asgi) -> Scope:
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)
        await send(start())
        await send(body(b"seen"))

    client = serve(around(host(app))).client().send(request)
    assert client.read()[2] == b"seen"
    return seen[-1]


def test_the_scope_is_that_of_the_specification(serve: Serve) -> None:
    scope = scope_for(serve, b"GET /caf%C3%A9/%2F?a=1&b=%20 HTTP/1.1\r\nHost: x\r\nX-Two:  a \r\nx-two: \xff\r\n\r\n")
    client, server = scope.pop("client"), scope.pop("server")
    assert (client[0], server[0]) == ("127.0.0.1", "127.0.0.1")
    assert isinstance(client[1], int)
    assert scope == {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/café//",
        "raw_path": b"/caf%C3%A9/%2F",
        "query_string": b"a=1&b=%20",
        "root_path": "",
        "headers": [(b"host", b"x"), (b"x-two", b"a"), (b"x-two", b"\xff")],
        "state": {},
        "extensions": {"http.response.pathsend": {}, "http.response.trailers": {}, "http.response.early_hint": {}},
    }


def test_below_a_mount_the_path_begins_with_the_root_path(serve: Serve) -> None:
    def mounted(asgi: ASGI) -> App:
        app = App()
        app.mount("/a b", asgi)
        return app

    scope = scope_for(serve, b"GET /a%20b/c%2Fd HTTP/1.1\r\nHost: x\r\n\r\n", mounted)
    assert (scope["root_path"], scope["path"], scope["raw_path"]) == ("/a b", "/a b/c/d", b"/a%20b/c%2Fd")


def test_http_1_0_has_no_extensions_that_it_cannot_carry(serve: Serve) -> None:
    scope = scope_for(serve, b"GET / HTTP/1.0\r\n\r\n")
    assert scope["http_version"] == "1.0"
    assert scope["extensions"] == {"http.response.pathsend": {}}


def test_a_path_that_cannot_be_decoded_is_refused_before_the_application(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError

    assert serve(host(app)).client().get("/%FF").read()[0] == 400


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


# -- what is received


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the pieces that came, as they came."""
    await send(start())
    more = True
    while more:
        message = await receive()
        assert message["type"] == "http.request"
        more = message["more_body"]
        await send(body(message["body"], more))


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", b"hello"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", b"hello"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b""),
    ],
)
def test_bodies_reach_the_application(serve: Serve, sent: bytes, expected: bytes) -> None:
    client = serve(host(echo)).client()
    for _ in range(2):
        assert client.send(sent).read()[2] == expected


def test_a_body_is_read_as_it_comes(serve: Serve) -> None:
    client = serve(host(echo)).client()
    client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\nExpect: 100-continue\r\n\r\n")
    while b"100 Continue\r\n\r\n" not in client.buffer:
        client.more()
    client.buffer = b""
    client.send(b"abc")
    while b"abc" not in client.buffer:  # comes back before the rest is sent
        client.more()
    assert client.send(b"def").read()[2] == b"abcdef"


def test_a_body_and_an_answer_of_many_pieces_pass_each_other(serve: Serve) -> None:
    piece = bytes(range(256)) * 256
    client = serve(host(echo)).client()

    def send() -> None:
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (len(piece) * 64))
        for _ in range(64):
            client.send(piece)

    thread = threading.Thread(target=send)
    thread.start()
    assert client.read()[2] == piece * 64
    thread.join()


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"Content-Length: 100000000\r\n\r\n", 413),
        (b"Transfer-Encoding: chunked\r\n\r\nz\r\n", 400),
    ],
)
def test_a_body_that_cannot_be_read_is_answered_for_the_application(serve: Serve, sent: bytes, status: int) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert (await receive())["type"] == "http.disconnect"
        with pytest.raises(OSError, match="left"):
            await send(start())
        raise ValueError("no body")

    client = serve(host(app)).client().send(b"POST / HTTP/1.1\r\nHost: x\r\n" + sent)
    assert client.read()[0] == status


def test_a_body_that_does_not_come_in_time_is_answered_with_408(serve: Serve) -> None:
    client = serve(host(echo_whole), body_timeout=0.1).client()
    client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhe")
    assert client.read()[0] == 408


async def echo_whole(scope: Scope, receive: Receive, send: Send) -> None:
    whole, more = b"", True
    while more:
        message = await receive()
        whole += message.get("body", b"")
        more = message.get("more_body", False)
    await send(start())
    await send(body(whole))


def test_a_client_that_leaves_is_told_by_receive_and_by_send(serve: Serve, told: Told) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        told.say("waits")
        told.say((await receive())["type"])
        try:
            await send(start())
        except OSError as error:
            told.say(type(error).__name__)
        told.say((await receive())["type"])

    running = serve(host(app))
    client = running.client().get()
    told.wait()
    client.close()
    assert told.wait(4) == ["waits", "http.disconnect", "ClientDisconnected", "http.disconnect"]
    running.recorder.wait_for("closed")


def test_a_client_that_leaves_within_its_body_is_gone(serve: Serve, told: Told) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        told.say((await receive())["body"])
        told.say((await receive())["type"])

    client = serve(host(app)).client().send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhe")
    assert told.wait() == [b"he"]
    client.close()
    assert told.wait(2)[1] == "http.disconnect"


def test_a_stream_whose_client_has_left_ends_with_an_os_error(serve: Serve, told: Told) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        try:
            while True:
                await send(body(b"x" * 65536, True))
        except OSError:
            told.say("left")
            raise

    client = serve(host(app)).client().get()
    client.more()
    client.close()
    assert told.wait() == ["left"]


def test_when_the_answer_is_complete_receive_says_so(serve: Serve, told: Told) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def watch() -> None:
            told.say((await receive())["type"])

        await receive()
        watcher = asyncio.create_task(watch())
        await asyncio.sleep(0)
        await send(start())
        await send(body(b"done"))
        await watcher
        told.say((await receive())["type"])

    assert serve(host(app)).client().get().read()[2] == b"done"
    assert told.wait(2) == ["http.disconnect"] * 2


# -- what is sent


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
        client.more()
    for number in range(3):
        client.send(b"%d" % number)
        while b"\r\n%d\r\n" % number not in client.buffer:
            client.more()
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


# -- applications that break the rules: whether they are answered with a 500 or cut, and what the log says


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


# -- lifespan


def lifespan(told: Told, startup: str = "complete", shutdown: str = "complete") -> Any:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            assert (await receive())["type"] == "lifespan.startup"
            scope["state"]["made"] = ["at startup"]
            if startup == "raise":
                raise KeyError("within startup")
            await asyncio.sleep(0.001)
            await send({"type": f"lifespan.startup.{startup}", "message": "no database"})
            if startup == "failed":
                return
            assert (await receive())["type"] == "lifespan.shutdown"
            told.say("shutdown")
            if shutdown == "raise":
                raise KeyError("within shutdown")
            await send({"type": f"lifespan.shutdown.{shutdown}", "message": "no goodbye"})
            return
        told.say(scope["state"])
        await send(start())
        await send(body(b"x"))

    return app


def mounted(asgi: ASGI) -> App:
    app = App()
    app.mount("/", asgi)
    return app


@pytest.mark.parametrize("around", [lambda asgi: asgi, mounted], ids=["alone", "mounted"])
def test_the_lifespan_is_around_all_requests_and_its_state_in_each(told: Told, around: Any) -> None:
    with Server(around(ASGI(lifespan(told))), port=0) as server:
        client = Client(server.port)
        for _ in range(2):
            assert client.get().read()[2] == b"x"
        client.close()
    assert told.things == [{"made": ["at startup"]}, {"made": ["at startup"]}, "shutdown"]
    assert told.things[0] is not told.things[1]


def test_a_startup_that_fails_is_the_servers(told: Told) -> None:
    with pytest.raises(StartupError, match="no database"), Server(ASGI(lifespan(told, "failed")), port=0):
        raise AssertionError


@pytest.mark.parametrize("app", [lifespan(Told(), "raise"), echo], ids=["raises", "knows none"])
def test_an_application_without_a_lifespan_is_served(serve: Serve, app: Any) -> None:
    assert serve(ASGI(app)).client().get().read()[0] == 200


@pytest.mark.parametrize(("shutdown", "log"), [("failed", "no goodbye"), ("raise", "within shutdown")])
def test_a_shutdown_that_fails_is_logged(told: Told, caplog: pytest.LogCaptureFixture, shutdown: str, log: str) -> None:
    with Server(ASGI(lifespan(told, shutdown=shutdown)), port=0):
        pass
    assert told.things == ["shutdown"]
    assert any(log in record.getMessage() + str(record.exc_info) for record in caplog.records)


def test_applications_of_asgi_2_are_taken(serve: Serve) -> None:
    class Old:
        def __init__(self, scope: Scope) -> None:
            self.scope = scope

        async def __call__(self, receive: Receive, send: Send) -> None:
            await send(start())
            await send(body(self.scope["path"].encode()))

    assert serve(ASGI(Old)).client().get("/old").read()[2] == b"/old"

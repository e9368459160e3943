"""An App as an ASGI server calls it, without one; `hosts/test_foreign_servers.py` has the servers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from time import sleep
from typing import Any

import pytest

from firstbyte import App, Endpoint, Event, Request, Response, event_stream
from firstbyte.errors import HTTPError

Messages = list[dict[str, Any]]


def call(app: App, scope: dict[str, Any], incoming: Messages, leaves: bool = False) -> Messages:
    """What the app sends; behind `incoming` nothing comes, or the client leaves."""
    sent: Messages = []

    async def receive() -> dict[str, Any]:
        if incoming:
            return incoming.pop(0)
        if not leaves:
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    return sent


def http(method: str = "GET", path: str = "/", **more: Any) -> dict[str, Any]:
    return {"type": "http", "method": method, "path": path, "headers": [], "query_string": b"", **more}


def ask(app: App, scope: dict[str, Any], *pieces: bytes) -> tuple[int, bytes]:
    incoming = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    start, *bodies = call(app, scope, [*incoming, {"type": "http.request"}])
    assert [message.get("more_body", False) for message in bodies] == [True] * (len(bodies) - 1) + [False]
    return start["status"], b"".join(message["body"] for message in bodies)


@pytest.fixture
def app() -> App:
    app = App()

    @app.get("/{rest:path}")
    def where(rest: str, request: Request) -> str:
        return f"{request.root_path} {request.raw_path} {request.raw_query} {request.headers.get('x')}"

    @app.post("/length", max_body=300_000)
    async def length(request: Request) -> str:
        return str(len(await request.read()))

    @app.route("/stream", ["POST"], streams_body=True)
    async def stream(request: Request) -> AsyncIterator[bytes]:
        async def pieces() -> AsyncIterator[bytes]:
            async for piece in request.stream():
                yield piece

        return pieces()

    @app.route("/stream-def", ["POST"], streams_body=True)
    def stream_in_a_thread(request: Request) -> Iterator[bytes]:
        return request.stream()

    return app


@pytest.mark.parametrize(
    ("scope", "answer"),
    [
        (http(path="/a b"), b" /a%20b  None"),
        (http(path="/a/b", raw_path=b"/a%2Fb", query_string=b"q=1"), b" /a%2Fb q=1 None"),
        (http(path="/m n/a", raw_path=b"/m%20n/a", root_path="/m n"), b"/m%20n /a  None"),
        (http(path="/a", root_path="/m"), b"/m /a  None"),
        (http(path="/a", headers=[(b"x", b"\xff")]), " /a  ÿ".encode()),
    ],
)
def test_the_request_is_that_of_the_scope(app: App, scope: dict[str, Any], answer: bytes) -> None:
    assert ask(app, scope) == (200, answer)


@pytest.mark.parametrize(("path", "length"), [("/length", 2), ("/length", 290_000), ("/stream", 5), ("/stream-def", 5)])
def test_bodies(app: App, path: str, length: int) -> None:
    pieces = [b"x" * (length // 2), b"x" * (length - length // 2)]
    expected = str(length).encode() if path == "/length" else b"".join(pieces)
    assert ask(app, http("POST", path), *pieces) == (200, expected)


def test_a_body_beyond_the_limit_is_refused(app: App) -> None:
    assert ask(app, http("POST", "/length"), b"x" * 300_001)[0] == 413


def test_head_has_no_body(app: App) -> None:
    start, body = call(app, http("HEAD"), [{"type": "http.request"}])
    assert (b"content-length", b"8") in start["headers"]
    assert body == {"type": "http.response.body", "body": b""}


def test_a_client_that_leaves_cancels_the_coroutine() -> None:
    app, ends = App(), []

    @app.get("/")
    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ends.append("cancelled")

    assert call(app, http(), [{"type": "http.request"}], leaves=True) == []
    assert ends == ["cancelled"]


def test_a_client_that_leaves_within_its_body_is_not_answered(app: App) -> None:
    incoming = [{"type": "http.request", "body": b"x", "more_body": True}]
    assert call(app, http("POST", "/length"), incoming, leaves=True) == []


@pytest.mark.parametrize("fails", [False, True])
def test_the_lifespan_of_what_is_mounted_is_the_apps(fails: bool) -> None:
    steps = []

    class Mounted:
        is_async = True

        def resolve(self, request: Request) -> Endpoint:
            raise HTTPError(404)

        @asynccontextmanager
        async def lifespan(self) -> AsyncIterator[None]:
            steps.append("up")
            if fails:
                raise ValueError("no database")
            yield
            steps.append("down")

    app = App()
    app.mount("/", Mounted())
    incoming = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent: Messages = []

    async def receive() -> dict[str, Any]:
        return incoming.pop(0)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    if fails:
        with pytest.raises(ValueError, match="no database"):
            asyncio.run(app({"type": "lifespan"}, receive, send))
        assert sent == [{"type": "lifespan.startup.failed", "message": "no database"}]
    else:
        asyncio.run(app({"type": "lifespan"}, receive, send))
        assert [message["type"] for message in sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
        assert steps == ["up", "down"]


def test_other_protocols_are_refused(app: App) -> None:
    with pytest.raises(NotImplementedError, match="not webtransport"):
        call(app, {"type": "webtransport"}, [])


def test_it_can_be_called_twice_as_asgi_2_had_it() -> None:
    app = App()
    app.add_route("/", lambda: Response("x"))
    sent: Messages = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(app(http())(receive, send))
    assert sent[1]["body"] == b"x"


@pytest.mark.parametrize("extensions", [{"http.response.early_hint": {}}, None])
def test_early_hints_where_the_server_can(extensions: Any) -> None:
    app = App()

    @app.get("/")
    async def home(request: Request) -> str:
        request.early_hints(["</a.css>; rel=preload"])
        await asyncio.sleep(0)
        return "page"

    first, *_ = call(app, http(extensions=extensions), [{"type": "http.request"}])
    hint = {"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload"]}
    assert (first == hint) is (extensions is not None)


@pytest.mark.parametrize("leaves", [False, True])
def test_what_runs_behind_the_answer(leaves: bool, caplog: pytest.LogCaptureFixture) -> None:
    app = App()
    sent: list[str] = []

    async def ajob() -> None:
        await asyncio.sleep(0)
        sent.append("ajob")

    @app.get("/")
    async def home(request: Request) -> str:
        request.after(sent.append, "job")
        request.after(ajob)
        request.after(lambda: 1 / 0)
        if leaves:
            await asyncio.Event().wait()
        return "page"

    messages = call(app, http(), [{"type": "http.request"}], leaves)
    assert len(messages) == (0 if leaves else 2)
    assert sent == ["job", "ajob"]
    assert "failed in the background" in caplog.text


def events_app(kind: str, ended: list[str], keep_alive: float) -> App:
    app = App()

    def feed() -> Iterator[Event | None]:
        try:
            yield Event("one")
            while True:
                sleep(0.001)
                yield None
        finally:
            ended.append("ended")

    async def afeed() -> AsyncIterator[Event | None]:
        try:
            yield Event("one")
            await asyncio.Event().wait()
        finally:
            ended.append("ended")

    if kind == "def":
        app.get("/")(lambda: event_stream(feed(), keep_alive=keep_alive))
    else:

        @app.get("/")
        async def home() -> Response:
            return event_stream(afeed(), keep_alive=keep_alive)

    return app


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_event_streams_are_kept_alive_and_end_with_their_client(kind: str) -> None:
    ended: list[str] = []
    sent: Messages = []
    app = events_app(kind, ended, 0.005)

    async def talk() -> None:
        enough = asyncio.Event()
        requests = [{"type": "http.request"}]

        async def receive() -> dict[str, Any]:
            if requests:
                return requests.pop()
            await enough.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)
            if sum(each.get("body") == b":\n\n" for each in sent) == 2:
                enough.set()

        await app(http(), receive, send)

    asyncio.run(talk())
    bodies = [message.get("body") for message in sent[1:]]
    assert bodies[0] == b""
    assert [body for body in bodies if body != b":\n\n"][:2] == [b"", b"data: one\n\n"]  # comments are as time passes
    assert ended == ["ended"]

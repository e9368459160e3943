"""Sessions that talk to an app in the same process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from client.support import MakeFace
from firstbyte import App, Request, Response
from firstbyte.client import Timeout
from firstbyte.errors import BadResponse, ConfigurationError, IncompleteBody, TotalTimeout
from firstbyte.files.static import StaticFiles


def echo(request: Request) -> Response:
    text = f"{request.method} {request.target} {request.headers.get('x-a')} {request.body.decode()}"
    return Response(text, 201, {"X-B": "1", "Set-Cookie": "c=d; Path=/"})


def plain_app() -> App:
    app = App()
    app.add_route("/echo", echo, methods=["GET", "POST"])

    @app.get("/stream")
    def stream() -> Iterator[str]:
        yield "one\n"
        yield "two\n"

    @app.get("/moved")
    def moved() -> Response:
        return Response.redirect("/stream")

    @app.get("/broken")
    def broken() -> Response:
        return Response("hello", headers={"Content-Length": "3"})

    return app


def coroutine_app() -> App:
    app = App()

    async def aecho(request: Request) -> Response:
        await asyncio.sleep(0)
        return echo(request)

    app.add_route("/echo", aecho, methods=["GET", "POST"])

    @app.get("/stream")
    async def stream() -> AsyncIterator[str]:
        yield "one\n"
        await asyncio.sleep(0)
        yield "two\n"

    @app.get("/moved")
    def moved() -> Response:
        return Response.redirect("/stream")

    return app


def wsgi_app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
    path = environ["PATH_INFO"]
    if path == "/echo":
        body = environ["wsgi.input"].read()
        target = path + ("?" + environ["QUERY_STRING"] if environ["QUERY_STRING"] else "")
        start_response("201 Created", [("X-B", "1"), ("Set-Cookie", "c=d; Path=/")])
        text = f"{environ['REQUEST_METHOD']} {target} {environ.get('HTTP_X_A')} "
        return iter([text.encode() + body])
    if path == "/moved":
        start_response("303 See Other", [("Location", "/stream")])
        return iter([])
    if path == "/broken":
        start_response("200 OK", [("Content-Length", "3")])
        return iter([b"hello"])
    return late(start_response)


def late(start_response: Any) -> Iterator[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"one\n"
    yield b"two\n"


async def asgi_app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    async def start(status: int, *headers: tuple[bytes, bytes]) -> None:
        await send({"type": "http.response.start", "status": status, "headers": headers})

    request = await receive()
    if scope["path"] == "/echo":
        target = scope["path"] + ("?" + scope["query_string"].decode() if scope["query_string"] else "")
        text = f"{scope['method']} {target} {dict(scope['headers']).get(b'x-a', b'None').decode()} "
        await start(201, (b"x-b", b"1"), (b"set-cookie", b"c=d; Path=/"))
        await send({"type": "http.response.body", "body": text.encode() + request["body"]})
        return
    if scope["path"] == "/moved":
        await start(303, (b"location", b"/stream"))
        await send({"type": "http.response.body"})
        return
    if scope["path"] == "/broken":
        await start(200, (b"content-length", b"3"))
        await send({"type": "http.response.body", "body": b"hello"})
        return
    if scope["path"] == "/slow":
        await asyncio.sleep(60)
    await start(200)
    await send({"type": "http.response.body", "body": b"one\n", "more_body": True})
    await send({"type": "http.response.body", "body": b"two\n"})


class AsgiObject:
    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        await asgi_app(scope, receive, send)


APPS = {
    "app": plain_app,
    "coroutines": coroutine_app,
    "wsgi": lambda: wsgi_app,
    "asgi": lambda: asgi_app,
    "asgi object": AsgiObject,
}


@pytest.fixture(params=APPS)
def any_app(request: pytest.FixtureRequest) -> Any:
    return APPS[request.param]()


def test_a_request_and_its_answer(face: MakeFace, any_app: Any) -> None:
    session = face(app=any_app)
    response = session.post("/echo", params={"q": 1}, headers={"X-A": "2"}, content="body")
    assert response.text == "POST /echo?q=1 2 body"
    assert (response.status, response.ok, response.headers["x-b"]) == (201, True, "1")
    assert session.session.cookies["c"] == "d"
    assert session.post("/echo", content=iter([b"a", b"b"])).text.endswith(" ab")
    assert response.elapsed.total_seconds() > 0
    assert response.timings.done is not None


def test_streams_and_redirects(face: MakeFace, any_app: Any) -> None:
    session = face(app=any_app)
    with session.stream("GET", "/stream") as response:
        assert session.all(response, "lines") == ["one", "two"]
    with session.stream("GET", "/stream") as response:
        pass  # left
    moved = session.get("/moved")
    assert (moved.text, len(moved.history)) == ("one\ntwo\n", 1)
    assert session.head("/stream").content == b""


@pytest.mark.parametrize("app", [wsgi_app, asgi_app])
def test_a_length_that_is_not_true(face: MakeFace, app: Any) -> None:
    with pytest.raises(IncompleteBody, match="of the 3"):
        face(app=app).get("/broken")


def test_what_could_not_be_sent_is_refused(face: MakeFace) -> None:
    def injecting(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [("A", "b\r\n c")])
        return []

    with pytest.raises(BadResponse) as raised:
        face(app=injecting).get("/")
    assert raised.value.rule == "obs-fold"


def test_what_an_app_raises_is_seen(face: MakeFace) -> None:
    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        raise LookupError("a fault")

    def wsgi(environ: Any, start_response: Any) -> list[bytes]:
        raise LookupError("a fault")

    for app in (asgi, wsgi):
        with pytest.raises(LookupError, match="a fault"):
            face(app=app).get("/")


def test_apps_that_do_not_answer(face: MakeFace) -> None:
    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        pass

    with pytest.raises(RuntimeError, match="without a response"):
        face(app=asgi).get("/")
    with pytest.raises(RuntimeError, match="start_response"):
        face(app=lambda environ, start_response: []).get("/")
    slow = face(app=asgi_app, timeout=Timeout(total=0.1))
    if slow.is_async:
        with pytest.raises(TotalTimeout):
            slow.get("/slow")


def test_files(face: MakeFace, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"x" * 200_000)
    assert face(app=StaticFiles(tmp_path)).get("/large").content == b"x" * 200_000


@pytest.mark.parametrize("app", [1, lambda one: None])
def test_what_is_no_app(face: MakeFace, app: Any) -> None:
    with pytest.raises(ConfigurationError):
        face(app=app)

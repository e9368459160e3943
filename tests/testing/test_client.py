"""The test client, for every kind of app."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from firstbyte import App, HTTPError, Request, Response, UploadedFile
from firstbyte.errors import ConfigurationError, IncompleteBody
from firstbyte.testing import TestClient


class Fault(Exception):
    pass


def app_of(kind: str) -> Any:
    """The same app with functions, with coroutines, and as other servers would be given it."""
    if kind == "wsgi":
        app = app_of("def")
        return lambda environ, start_response: app(environ, start_response)
    if kind == "asgi":
        app = app_of("async def")

        async def asgi(scope: Any, receive: Any, send: Any) -> None:
            await app(scope, receive, send)

        return asgi
    app = App()

    def colour(function: Any) -> Any:
        if kind == "def":
            return function

        async def coroutine(request: Request) -> Any:
            await asyncio.sleep(0)
            return function(request)

        coroutine.__name__ = function.__name__
        return coroutine

    @app.route("/echo", ["GET", "POST"])
    @colour
    def echo(request: Request) -> Any:
        return {"method": request.method, "query": dict(request.query.items()), "body": request.text}

    @app.post("/json")
    @colour
    def json_(request: Request) -> Any:
        return request.json()

    @app.post("/upload")
    @colour
    def upload(request: Request) -> Any:
        file = request.form().files["file"]
        assert isinstance(file, UploadedFile)
        return {"name": file.filename, "size": len(file.read())}

    @app.get("/login")
    @colour
    def login(request: Request) -> Any:
        response = Response.redirect("/me")
        response.set_cookie("user", "ann")
        return response

    @app.get("/me")
    @colour
    def me(request: Request) -> Any:
        return request.cookies.get("user", "nobody")

    @app.get("/fault")
    @colour
    def fault(request: Request) -> Any:
        raise Fault("mine")

    @app.get("/refused")
    @colour
    def refused(request: Request) -> Any:
        raise HTTPError(418, "a teapot")

    if kind == "def":

        @app.get("/stream")
        def stream() -> Iterator[str]:
            yield "one\n"
            yield "two\n"

        @app.get("/broken")
        def broken() -> Iterator[str]:
            yield "one\n"
            raise Fault("mine")
    else:

        @app.get("/stream")
        async def astream() -> AsyncIterator[str]:
            yield "one\n"
            await asyncio.sleep(0)
            yield "two\n"

        @app.get("/broken")
        async def abroken() -> AsyncIterator[str]:
            yield "one\n"
            await asyncio.sleep(0)
            raise Fault("mine")

    return app


KINDS = ["def", "async def", "wsgi", "asgi"]
every_kind = pytest.mark.parametrize("kind", KINDS)


@every_kind
def test_what_a_session_can_do(kind: str) -> None:
    with TestClient(app_of(kind)) as client:
        assert client.get("/echo?a=1").json() == {"method": "GET", "query": {"a": "1"}, "body": ""}
        assert client.post("/echo", content=b"raw", params={"b": "2"}).json()["body"] == "raw"
        assert client.post("/json", json=[1, {"a": None}]).json() == [1, {"a": None}]
        assert client.post("/upload", files={"file": ("a.txt", b"12345")}).json() == {"name": "a.txt", "size": 5}
        response = client.get("/login")
        assert (response.text, response.url.path, [each.status for each in response.history]) == ("ann", "/me", [303])
        assert client.get("/me").text == "ann"
        assert client.get("/login", follow_redirects=False).status == 303
        assert client.get("/nothing").status == 404
        assert client.get("/refused").status == 418
        assert client.head("/stream").content == b""
        assert client.get("/stream").text == "one\ntwo\n"
        with client.stream("GET", "/stream") as response:
            assert list(response.lines()) == ["one", "two"]


def raising_wsgi(environ: Any, start_response: Any) -> Any:
    raise Fault("mine")


async def raising_asgi(scope: Any, receive: Any, send: Any) -> None:
    raise Fault("mine")


@pytest.mark.parametrize("app", [app_of("def"), app_of("async def"), raising_wsgi, raising_asgi])
def test_what_a_handler_raises_is_raised_in_the_test(app: Any) -> None:
    with TestClient(app) as client, pytest.raises(Fault, match="mine"):
        client.get("/fault")
    with TestClient(app, raise_server_errors=False) as client:
        assert client.get("/fault").status == 500


@every_kind
def test_and_what_its_generator_raises(kind: str) -> None:
    with TestClient(app_of(kind)) as client, pytest.raises(Fault, match="mine"):
        client.get("/broken")


@every_kind
def test_or_is_what_a_client_sees(kind: str) -> None:
    with TestClient(app_of(kind), raise_server_errors=False) as client:
        assert client.get("/fault").status == 500
        with pytest.raises(IncompleteBody):
            client.get("/broken")


def test_a_handler_of_an_error_answers_it() -> None:
    app = App()

    @app.get("/")
    def fault() -> None:
        raise Fault("mine")

    @app.error(Fault)
    def answer(request: Request, error: Fault) -> Any:
        return str(error), 409

    with TestClient(app) as client:
        response = client.get("/")
    assert (response.status, response.text) == (409, "mine")


class Spanned:
    """A handler with a lifespan that notes what happens, and where."""

    def __init__(self, is_async: bool, fails: str = "") -> None:
        self.is_async = is_async
        self.fails = fails
        self.app = App()
        self.log: list[str] = []
        self.threads: set[int] = set()

        @self.app.get("/")
        def index() -> str:
            self.log.append("request")
            return ""

    def resolve(self, request: Request) -> Any:
        return self.app.resolve(request)

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        self._note("up")
        yield
        self._note("down")

    def _note(self, what: str) -> None:
        self.threads.add(threading.get_ident())
        self.log.append(what)
        if self.fails == what:
            raise Fault(what)


@pytest.mark.parametrize("is_async", [False, True])
def test_the_lifespan_runs(is_async: bool) -> None:
    handler = Spanned(is_async)
    with TestClient(handler) as client:
        client.get("/")
    assert handler.log == ["up", "request", "down"]
    assert (handler.threads == {threading.get_ident()}) is not is_async


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("fails", ["up", "down"])
def test_what_the_lifespan_raises_is_raised(is_async: bool, fails: str) -> None:
    before = threading.active_count()
    with pytest.raises(Fault, match=fails), TestClient(Spanned(is_async, fails)) as client:
        client.get("/")
    assert threading.active_count() == before


def test_a_plain_app_needs_no_block_and_coroutines_say_that_they_do() -> None:
    assert TestClient(app_of("def")).get("/stream").text == "one\ntwo\n"
    with pytest.raises(ConfigurationError, match="with block"):
        TestClient(app_of("async def")).get("/stream")
    with pytest.raises(ConfigurationError):
        TestClient(object())


def test_a_request_has_a_body_limit_and_a_client() -> None:
    app = App()

    @app.post("/", max_body=3)
    def short(request: Request) -> str:
        return f"{request.client} {request.url} {request.text}"

    with TestClient(app, client=("192.0.2.1", 7), base_url="https://example.org") as client:
        assert client.post("/", content=b"123").text == "192.0.2.1:7 https://example.org/ 123"
        assert client.post("/", content=b"1234").status == 413


def test_leaving_a_stream_ends_its_generator() -> None:
    ended = threading.Event()
    app = App()

    @app.get("/plain")
    def plain() -> Iterator[str]:
        try:
            while True:
                yield "x"
        finally:
            ended.set()

    @app.get("/waiting")
    async def waiting() -> AsyncIterator[str]:
        try:
            yield "x"
            await asyncio.Event().wait()
        finally:
            ended.set()

    with TestClient(app) as client:
        for path in ("/plain", "/waiting"):
            ended.clear()
            with client.stream("GET", path) as response:
                assert next(response.chunks()).startswith(b"x")
            assert ended.is_set()


def test_an_asgi_app_is_told_that_the_client_has_left_and_its_lifespan_runs() -> None:
    log: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for step in ("startup", "shutdown"):
                assert (await receive())["type"] == f"lifespan.{step}"
                log.append(step)
                await send({"type": f"lifespan.{step}.complete"})
            return
        await receive()
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        log.append((await receive())["type"])

    with TestClient(app) as client, client.stream("GET", "/") as response:
        assert next(response.chunks()) == b"x"
    assert log == ["startup", "http.disconnect", "shutdown"]


def test_early_hints_and_trailers_of_an_asgi_app() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise NotImplementedError
        await send({"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload"]})
        await send({"type": "http.response.start", "status": 200, "trailers": True})
        await send({"type": "http.response.body", "body": b"x"})
        await send({"type": "http.response.trailers", "headers": [(b"x-sum", b"1")]})

    with TestClient(app) as client:
        response = client.get("/")
        assert (response.text, dict(response.trailers.items())) == ("x", {"x-sum": "1"})
        assert client.early_hints == ["</a.css>; rel=preload"]


def test_one_test_does_not_wait_for_another_ones_request() -> None:
    met = threading.Barrier(2, timeout=10)
    app = App()

    @app.get("/")
    def meet() -> str:
        met.wait()
        return "met"

    @app.get("/async")
    async def ameet() -> str:
        await asyncio.to_thread(met.wait)
        return "met"

    with TestClient(app) as client:
        for path in ("/", "/async"):
            texts: list[str] = []
            other = threading.Thread(target=lambda path=path, texts=texts: texts.append(client.get(path).text))
            other.start()
            assert client.get(path).text == "met"
            other.join()
            assert texts == ["met"]

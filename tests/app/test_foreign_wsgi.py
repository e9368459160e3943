"""An App as a WSGI application: what a server's call becomes, and what its answer becomes."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

from firstbyte import App, HTTPError, Limits, Request, Response
from firstbyte.app import behind, foreign_wsgi
from firstbyte.errors import ClientDisconnected, ResponseError
from firstbyte.http.request import Address


def call(app: Any, body: bytes = b"", **variables: Any) -> tuple[str, list[tuple[str, str]], bytes]:
    """Status, header fields and body that a server gets."""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "POST" if body else "GET",
        "wsgi.input": io.BytesIO(body),
        "QUERY_STRING": "",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/",
    }
    if body:
        environ["CONTENT_LENGTH"] = str(len(body))
    environ.update(variables)
    setup_testing_defaults(environ)
    told: list[Any] = []
    result = app(environ, lambda status, fields: told.append((status, fields)))
    data = b"".join(result)
    if hasattr(result, "close"):
        result.close()
    return *told[0], data


def seen(**variables: Any) -> Request:
    """The request that a handler sees."""
    requests: list[Request] = []

    class Keeping(App):
        def resolve(self, request: Request) -> Any:
            requests.append(request)
            return super().resolve(request)

    call(Keeping(), **variables)
    return requests[0]


def test_the_request() -> None:
    request = seen(
        REQUEST_METHOD="GET",
        PATH_INFO="/caf\xc3\xa9 x",
        QUERY_STRING="a=1",
        HTTP_ACCEPT_LANGUAGE="de",
        HTTP_HOST="example.org",
        CONTENT_TYPE="text/plain",
        REMOTE_ADDR="192.0.2.7",
        REMOTE_PORT="99",
        SERVER_NAME="192.0.2.1",
        SERVER_PORT="8000",
    )
    assert (request.method, request.path, request.raw_path) == ("GET", "/café x", "/caf%C3%A9%20x")
    assert (request.raw_query, request.minor, request.scheme) == ("a=1", 1, "http")
    assert (request.client, request.server) == (Address("192.0.2.7", 99), Address("192.0.2.1", 8000))
    assert request.headers["Accept-Language"] == "de"
    assert request.headers["Content-Type"] == "text/plain"
    assert str(request.url) == "http://example.org/caf%C3%A9%20x?a=1"


@pytest.mark.parametrize(
    ("variables", "root", "raw_path"),
    [
        ({"PATH_INFO": ""}, "", "/"),
        ({"SCRIPT_NAME": "/app", "PATH_INFO": ""}, "/app", "/"),
        ({"SCRIPT_NAME": "/a b", "PATH_INFO": "/x"}, "/a%20b", "/x"),
        ({"PATH_INFO": "/a/b", "REQUEST_URI": "/a%2Fb?q"}, "", "/a%2Fb"),
        ({"SCRIPT_NAME": "/r", "PATH_INFO": "/a/b", "RAW_URI": "/r/a%2Fb"}, "/r", "/a%2Fb"),
        ({"PATH_INFO": "/public", "REQUEST_URI": "/private"}, "", "/public"),  # what routes is what was authorised
        ({"PATH_INFO": "/x", "REQUEST_URI": "http://host/x"}, "", "/x"),
        ({"PATH_INFO": "/\xff"}, "", "/%FF"),
        ({"PATH_INFO": "*", "RAW_URI": "*", "REQUEST_METHOD": "OPTIONS"}, "", "*"),
    ],
)
def test_paths(variables: dict[str, str], root: str, raw_path: str) -> None:
    request = seen(**variables)
    assert (request.root_path, request.raw_path) == (root, raw_path)


def echo() -> App:
    app = App()
    app.add_route("/", lambda request: Response(request.body, headers={"X-A": "1"}, media_type="a/b"), ["POST"])
    app.add_route("/short", lambda request: Response(request.body), ["POST"], max_body=3)

    def stream(request: Request) -> Any:
        return {"pieces": [len(piece) for piece in request.stream()]}

    app.add_route("/stream", stream, ["POST"], streams_body=True)
    return app


@pytest.mark.parametrize("size", [1, 1_100_000])
def test_bodies(size: int) -> None:
    data = b"x" * size
    status, fields, body = call(echo(), data)
    assert (status, body) == ("200 OK", data)
    assert fields == [("Content-Type", "a/b"), ("X-A", "1"), ("Content-Length", str(size))]
    pieces = [1] if size == 1 else [65536] * 16 + [51424]
    assert json.loads(call(echo(), data, PATH_INFO="/stream")[2]) == {"pieces": pieces}


def test_a_body_without_a_length() -> None:
    variables = {"CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked"}
    assert call(echo(), b"abc", **variables, **{"wsgi.input_terminated": True})[2] == b"abc"
    assert call(echo(), b"abc", **variables)[0].startswith("411 ")
    assert call(echo(), b"abc", CONTENT_LENGTH="")[2] == b""  # PEP 3333: then there is none


def test_bodies_that_are_too_long_or_cut() -> None:
    assert call(echo(), b"abcd", PATH_INFO="/short")[0].startswith("413 ")
    assert call(echo(), b"abcd", PATH_INFO="/short", CONTENT_LENGTH="", **{"wsgi.input_terminated": True})[
        0
    ].startswith("413 ")
    with pytest.raises(ClientDisconnected):
        call(echo(), b"abcd", CONTENT_LENGTH="5")


def test_a_header_that_is_none_is_answered_with_400() -> None:
    status, _, body = call(echo(), HTTP_X_A="1\r\n2")
    assert status == "400 Bad Request"
    assert b"control character" in body


def test_the_limits_are_those_of_the_server() -> None:
    limits = Limits()
    assert (limits.body, limits.body_memory) == (foreign_wsgi.BODY, foreign_wsgi.BODY_MEMORY)


def test_answers_of_every_kind(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"0123456789" * 20_000)
    closed: list[str] = []
    app = App()

    @app.get("/stream")
    def stream() -> Iterator[str]:
        try:
            yield "a"
            yield ""
            yield "b"
        finally:
            closed.append("stream")

    app.get("/file")(lambda: tmp_path / "file")
    app.get("/none")(lambda: None)
    app.get("/old")(lambda: Response(b"", 304, {"Connection": "close", "ETag": '"1"'}))

    @app.get("/teapot")
    def teapot() -> None:
        raise HTTPError(418, "short and stout", {"X-Pot": "tea"})

    assert call(app, PATH_INFO="/stream")[2] == b"ab"
    assert closed == ["stream"]
    status, fields, body = call(app, PATH_INFO="/file", HTTP_RANGE="bytes=5-99999")
    assert (status, len(body), dict(fields)["Content-Length"]) == ("206 Partial Content", 99_995, "99995")
    assert body.startswith(b"5678901")
    assert call(app, PATH_INFO="/none") == ("204 No Content", [], b"")
    assert call(app, PATH_INFO="/old") == ("304 Not Modified", [("ETag", '"1"')], b"")
    status, fields, body = call(app, PATH_INFO="/file", REQUEST_METHOD="HEAD")
    assert (dict(fields)["Content-Length"], body) == ("200000", b"")
    status, fields, body = call(app, PATH_INFO="/teapot")
    assert (status, dict(fields)["X-Pot"]) == ("418 I'm a Teapot", "tea")
    assert call(app, PATH_INFO="/%zz")[0].startswith("404 ")


def test_what_the_server_must_write_is_refused() -> None:
    app = App()
    app.get("/")(lambda: Response(b"", headers={"Transfer-Encoding": "chunked"}))
    with pytest.raises(ResponseError, match="Transfer-Encoding"):
        call(app)


def test_coroutines_have_a_loop() -> None:
    app = App()
    ended: list[str] = []

    @app.post("/")
    async def home(request: Request) -> dict[str, str]:
        return {"body": request.text}

    @app.get("/ticks")
    async def ticks() -> AsyncIterator[str]:
        try:
            yield "1"
            yield "2"
        finally:
            ended.append("ticks")

    @app.route("/stream", ["POST"], streams_body=True)
    async def stream(request: Request) -> bytes:
        return b"".join([piece async for piece in request.stream()])

    assert call(app, b"abc")[2] == b'{"body":"abc"}'
    assert call(app, PATH_INFO="/ticks")[2] == b"12"
    assert ended == ["ticks"]
    assert call(app, b"abc", PATH_INFO="/stream")[2] == b"abc"
    assert call(app, PATH_INFO="/none")[0] == "404 Not Found"


def test_the_validator_finds_nothing() -> None:
    environ: dict[str, Any] = {"wsgi.input": io.BytesIO(b""), "QUERY_STRING": ""}
    setup_testing_defaults(environ)
    app = App()
    app.get("/")(lambda: iter(["a", "b"]))
    result = validator(app)(environ, lambda status, fields, exc_info=None: lambda data: None)
    assert list(result) == [b"a", b"b"]
    result.close()


def test_other_calls_are_refused() -> None:
    with pytest.raises(TypeError, match="2 arguments"):
        App()(1, 2, 3, 4)


def test_what_runs_behind_the_answer_does_not_hold_the_server() -> None:
    app = App()
    go_on, ran = threading.Event(), threading.Semaphore(0)

    def job() -> None:
        assert go_on.wait(20)
        ran.release()

    async def ajob() -> None:
        job()

    def fails() -> None:
        ran.release()
        raise ValueError("mine")

    @app.get("/")
    def home(request: Request) -> str:
        for each in (job, ajob, fails):
            request.after(each)
        return "page"

    assert call(app)[2] == b"page"
    go_on.set()
    for _ in range(3):
        assert ran.acquire(timeout=20)


def test_too_much_behind_answers_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(behind, "UNFINISHED", 0)
    app = App()

    @app.get("/")
    def home(request: Request) -> None:
        request.after(print)

    assert call(app)[0] == "503 Service Unavailable"

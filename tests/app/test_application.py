"""The app: from a request to an answer."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest

from app.support import ask, get
from firstbyte import App, Request, Response
from firstbyte.errors import ConfigurationError, RouteError


@pytest.fixture
def app() -> App:
    app = App()
    app.add_route("/", lambda: "home")
    app.add_route("/items/{id:int}", lambda id: {"id": id}, ["GET", "PUT"], name="item")
    app.add_route("/folder/", lambda: "folder")
    return app


# -- methods and paths


def test_methods(app: App) -> None:
    assert get(app, "/items/5") == (200, b'{"id":5}')
    assert ask(app, "HEAD", "/items/5").status == 200
    options = ask(app, "OPTIONS", "/items/5")
    assert (options.status, options.headers["Allow"]) == (204, "GET, HEAD, OPTIONS, PUT")
    refused = ask(app, "DELETE", "/items/5")
    assert (refused.status, refused.headers["Allow"]) == (405, "GET, HEAD, OPTIONS, PUT")
    assert ask(app, "OPTIONS", "*").headers["Allow"] == "GET, HEAD, OPTIONS, PUT"


def test_every_decorator() -> None:
    app = App()
    for method in ("get", "post", "put", "patch", "delete"):
        getattr(app, method)("/")(lambda method=method: method)
        assert ask(app, method.upper(), "/").body == method.encode()
    app.route("/both", ["GET", "POST"])(lambda: "both")
    assert ask(app, "POST", "/both").body == b"both"


def test_early_answers_need_no_body(app: App) -> None:
    for method, target in (("GET", "/none"), ("POST", "/"), ("OPTIONS", "/"), ("GET", "/folder")):
        assert app.resolve(Request.build(method, target)).streams_body
    assert not app.resolve(Request.build("GET", "/")).streams_body


def test_max_body_reaches_the_endpoint(app: App) -> None:
    app.add_route("/upload", lambda: "", ["POST"], max_body=5)
    assert app.resolve(Request.build("POST", "/upload")).max_body == 5


@pytest.mark.parametrize(
    ("policy", "path", "status", "location"),
    [
        ("redirect", "/folder?a=b", 308, "/folder/?a=b"),
        ("redirect", "/items/5/", 308, "/items/5"),
        ("redirect", "/none/", 404, None),
        ("redirect", "//evil.example/", 404, None),
        ("ignore", "/folder", 200, None),
        ("ignore", "/items/5/", 200, None),
        ("strict", "/folder", 404, None),
    ],
)
def test_trailing_slashes(
    policy: Literal["redirect", "ignore", "strict"], path: str, status: int, location: str | None
) -> None:
    app = App(trailing_slash=policy)
    app.add_route("/folder/", lambda: "folder")
    app.add_route("/items/{id:int}", lambda id: str(id))
    response = ask(app, "GET", path)
    assert (response.status, response.headers.get("location")) == (status, location)


def test_a_redirect_never_leads_to_another_host() -> None:
    app = App()
    app.add_route("/{rest:path}", lambda rest: rest, ["POST"])
    app.add_route("//evil.example/", lambda: "")
    response = ask(app, "GET", "//evil.example")
    assert not response.headers.get("location", "").startswith("//")


def test_a_path_that_cannot_be_decoded(app: App) -> None:
    response = ask(app, "GET", "/%zz")
    assert response.status == 400
    assert b"begins no escape" in response.body  # type: ignore[operator]


def test_url_for(app: App) -> None:
    assert app.url_for("item", id=7) == "/items/7"
    with pytest.raises(LookupError, match="no route has the name 'nope'"):
        app.url_for("nope")


# -- what is refused when it is added


def test_duplicates_name_both_places(app: App) -> None:
    def other() -> str:
        return ""

    with pytest.raises(RouteError, match=r"GET / is the route of both .*lambda.*test_application.py:\d+\) and .*other"):
        app.add_route("/", other)
    with pytest.raises(RouteError, match="the name 'item' is that of both"):
        app.add_route("/other", other, name="item")


def takes_more(id: int, colour) -> str:  # type: ignore[no-untyped-def]
    return ""


def positional(id: int, /) -> str:
    return ""


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (takes_more, r"takes_more .*nothing provides its parameter 'colour'"),
        (positional, "cannot be positional-only"),
        (lambda: "", "does not take id"),
    ],
)
def test_handlers_that_cannot_be_called(app: App, function: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        app.add_route("/x/{id:int}", function)


@pytest.mark.parametrize(
    ("methods", "message"),
    [("GET", "a list of names"), ([], "a list"), (["get"], "in capitals"), (["A B"], "no method")],
)
def test_methods_that_are_none(app: App, methods: Any, message: str) -> None:
    with pytest.raises(RouteError, match=message):
        app.add_route("/x", lambda: "", methods)


def test_middleware_that_is_none(app: App) -> None:
    with pytest.raises(ConfigurationError, match="is no generator"):
        app.middleware(lambda request: None)  # type: ignore[arg-type, return-value]


def test_error_handlers_that_cannot_be(app: App) -> None:
    app.error(404)(lambda request, error: "")
    with pytest.raises(ConfigurationError, match="both handle the error 404"):
        app.error(404)(lambda request, error: "")
    with pytest.raises(ConfigurationError, match="for a status or an exception"):
        app.error("404")  # type: ignore[arg-type]
        app.error("404")(lambda request, error: "")  # type: ignore[arg-type]


def test_options_that_are_none() -> None:
    with pytest.raises(ConfigurationError, match="redirect, ignore or strict"):
        App(trailing_slash="maybe")  # type: ignore[arg-type]


# -- what handlers take and return


def test_what_handlers_take(app: App) -> None:
    app.add_route("/1/{a}/{b:int}", lambda b, a: f"{a}{b}")
    app.add_route("/2/{a}", lambda a, request: f"{a} {request.method}")
    app.add_route("/3/{a}", lambda **values: str(values))
    app.add_route("/4", lambda colour="red": colour)

    @app.get("/5")
    def annotated(this: Request) -> str:
        return this.path

    assert get(app, "/1/x/2") == (200, b"x2")
    assert get(app, "/2/x") == (200, b"x GET")
    assert get(app, "/3/x") == (200, b"{'a': 'x'}")
    assert get(app, "/4") == (200, b"red")
    assert get(app, "/5") == (200, b"/5")


@dataclasses.dataclass
class Point:
    x: int


class Named(msgspec.Struct):
    name: str


HTML, JSON, BYTES = "text/html; charset=utf-8", "application/json", "application/octet-stream"


@pytest.mark.parametrize(
    ("value", "status", "body", "content_type"),
    [
        ("<p>", 200, b"<p>", HTML),
        (b"x", 200, b"x", BYTES),
        (bytearray(b"x"), 200, b"x", BYTES),
        ({"a": 1}, 200, b'{"a":1}', JSON),
        ([1, 2], 200, b"[1,2]", JSON),
        (1.5, 200, b"1.5", JSON),
        (True, 200, b"true", JSON),
        (Point(1), 200, b'{"x":1}', JSON),
        (Named("n"), 200, b'{"name":"n"}', JSON),
        (None, 204, b"", None),
        (("made", 201), 201, b"made", HTML),
        ((None, 404), 404, b"", None),
        (({"a": 1}, 201, {"X": "y"}), 201, b'{"a":1}', JSON),
        (Response("r", 418), 418, b"r", "text/plain; charset=utf-8"),
    ],
)
def test_what_handlers_return(value: Any, status: int, body: bytes, content_type: str | None) -> None:
    app = App()
    app.add_route("/", lambda: value)
    response = ask(app, "GET", "/")
    assert (response.status, response.body, response.headers.get("content-type")) == (status, body, content_type)


def test_generators_and_files(app: App, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("text")
    app.add_route("/file", lambda: path)

    @app.get("/stream")
    def stream() -> Iterator[str]:
        yield "a"
        yield "b"

    assert b"".join(ask(app, "GET", "/stream").body) == b"ab"  # type: ignore[arg-type]
    assert ask(app, "GET", "/file").body == b"text"


@pytest.mark.parametrize("value", [object(), ("a", "b"), ("a",), ("a", 999), {"a": object()}])
def test_what_cannot_be_returned_is_a_500(value: Any, caplog: pytest.LogCaptureFixture) -> None:
    app = App()
    app.add_route("/", lambda: value)
    assert ask(app, "GET", "/").status == 500
    assert len(caplog.records) == 1


# -- middleware


def test_the_order_of_middleware(app: App) -> None:
    told: list[str] = []

    def named(name: str) -> Any:
        def middleware(request: Request) -> Any:
            told.append(f"{name} in")
            yield
            told.append(f"{name} out")

        return middleware

    app.middleware(named("first"))
    app.middleware(named("second"))
    app.add_route("/x", lambda: told.append("handler"), middleware=[named("third")])
    get(app, "/x")
    assert told == ["first in", "second in", "third in", "handler", "third out", "second out", "first out"]


def test_middleware_sees_and_changes_every_response(app: App) -> None:
    @app.middleware
    def mark(request: Request) -> Any:
        response = yield
        response.headers["X-Status"] = str(response.status)
        return response

    for method, path, status in (("GET", "/", 200), ("GET", "/none", 404), ("PUT", "/", 405), ("GET", "/folder", 308)):
        response = ask(app, method, path)
        assert (response.status, response.headers["x-status"]) == (status, str(status))


def test_middleware_answers_early_or_instead(app: App) -> None:
    @app.middleware
    def early(request: Request) -> Any:
        if request.path == "/early":
            return "early", 403
        yield
        if request.query.get("instead"):
            return {"instead": True}

    assert get(app, "/early") == (403, b"early")
    assert get(app, "/?instead=1") == (200, b'{"instead":true}')
    assert get(app, "/") == (200, b"home")


def test_exceptions_are_thrown_in_at_the_yield(app: App, caplog: pytest.LogCaptureFixture) -> None:
    seen: list[str] = []

    @app.middleware
    def outer(request: Request) -> Any:
        try:
            yield
        except ValueError as error:
            return f"caught {error}", 409

    @app.middleware
    def inner(request: Request) -> Any:
        try:
            yield
        finally:
            seen.append("cleaned up")

    @app.get("/raise/{kind}")
    def fail(kind: str) -> None:
        raise {"value": ValueError("v"), "type": TypeError("t")}[kind]

    assert get(app, "/raise/value") == (409, b"caught v")
    assert get(app, "/raise/type")[0] == 500
    assert seen == ["cleaned up", "cleaned up"]


def test_a_swallowed_exception_is_not_lost(app: App, caplog: pytest.LogCaptureFixture) -> None:
    @app.middleware
    def swallow(request: Request) -> Any:
        try:
            yield
        except ZeroDivisionError:
            pass

    app.add_route("/boom", lambda: 1 / 0)
    assert get(app, "/boom")[0] == 500
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize(("place", "message"), [("before", "no response before its yield"), ("second", "second yield")])
def test_middleware_at_fault(place: str, message: str, caplog: pytest.LogCaptureFixture) -> None:
    app = App()
    app.add_route("/", lambda: "x")

    @app.middleware
    def faulty(request: Request) -> Any:
        if place == "before":
            return
        yield
        yield

    assert get(app, "/")[0] == 500
    assert message in caplog.text


def test_routes_can_be_added_after_a_request(app: App) -> None:
    assert get(app, "/late")[0] == 404
    app.add_route("/late", lambda: "late")
    assert get(app, "/late") == (200, b"late")

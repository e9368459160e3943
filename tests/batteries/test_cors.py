"""CORS: what a browser is told."""

from __future__ import annotations

import pytest

from app.support import ask
from firstbyte import App, HTTPError, Response
from firstbyte.batteries.basic_auth import basic_auth
from firstbyte.batteries.cors import cors
from firstbyte.errors import ConfigurationError

HERE = "https://app.example.org"
ALLOW = "access-control-allow-"


def app_with(*origins: str, **options: object) -> App:
    app = App()
    app.middleware(cors(*origins, **options))  # type: ignore[arg-type]

    @app.get("/")
    def hello() -> str:
        return "hello"

    @app.get("/varies")
    def varies() -> Response:
        return Response("x", headers={"Vary": "Accept"})

    @app.get("/fails")
    def fails() -> str:
        raise HTTPError(409, "no")

    @app.get("/breaks")
    def breaks() -> str:
        raise ZeroDivisionError

    return app


@pytest.mark.parametrize(
    ("origins", "origin", "allowed"),
    [
        ((), HERE, "*"),
        (("*",), HERE, "*"),
        ((), None, "*"),
        ((HERE,), HERE, HERE),
        ((HERE, "http://localhost:3000"), "http://localhost:3000", "http://localhost:3000"),
        ((HERE,), "https://evil.example.org", None),
        ((HERE,), "http://app.example.org", None),
        ((HERE,), "https://app.example.org:8443", None),
        ((HERE,), "https://app.example.org.evil.net", None),
        ((HERE,), None, None),
        (("https://*.example.org",), HERE, HERE),
        (("https://*.example.org",), "https://a.b.example.org", "https://a.b.example.org"),
        (("https://*.example.org",), "https://example.org", None),
        (("https://*.example.org",), "https://evilexample.org", None),
        (("https://*.example.org",), "https://evil.net/.example.org", None),
        (("null",), "null", "null"),
        ((HERE,), "null", None),
    ],
)
def test_whose_pages_may_read(origins: tuple[str, ...], origin: str | None, allowed: str | None) -> None:
    fields = {} if origin is None else {"origin": origin}
    for path in ("/", "/fails", "/breaks", "/nothing"):
        answer = ask(app_with(*origins), "GET", path, **fields)
        assert answer.headers.get(ALLOW + "origin") == allowed
        # What depends on the origin says so, whoever asks; what does not may be cached for all.
        assert ("Origin" in (answer.headers.get("vary") or "")) == (origins not in ((), ("*",)))
        assert ALLOW + "credentials" not in answer.headers


def test_vary_is_added_to() -> None:
    assert ask(app_with(HERE), "GET", "/varies").headers["vary"] == "Accept, Origin"


def test_credentials_and_what_may_be_read() -> None:
    app = app_with(HERE, credentials=True, expose=["X-Total"])
    answer = ask(app, "GET", "/", origin=HERE)
    assert answer.headers[ALLOW + "credentials"] == "true"
    assert answer.headers["access-control-expose-headers"] == "X-Total"
    other = ask(app, "GET", "/", origin="https://evil.net")
    assert not [name for name in other.headers if name.startswith("access-control")]


def preflight(app: App, method: str = "PUT", path: str = "/", origin: str = HERE, headers: str = "") -> Response:
    fields = {"origin": origin, "access-control-request-method": method}
    if headers:
        fields["access-control-request-headers"] = headers
    return ask(app, "OPTIONS", path, **fields)


def test_preflights() -> None:
    answer = preflight(app_with(HERE, credentials=True), "DELETE", "/any/where", headers="authorization,x-token")
    assert (answer.status, answer.body) == (204, b"")
    assert dict(answer.headers.items()) == {
        "Vary": "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
        "Access-Control-Allow-Origin": HERE,
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Allow-Methods": "GET, HEAD, POST, PUT, PATCH, DELETE",
        "Access-Control-Allow-Headers": "authorization, x-token",
        "Access-Control-Max-Age": "600",
    }


def test_preflights_that_are_refused() -> None:
    app = app_with(HERE, methods=["GET", "PUT"], headers=["X-Token"])
    foreign = preflight(app, origin="https://evil.net")
    assert not [name for name in foreign.headers if name.startswith("access-control")]
    assert ALLOW + "methods" not in preflight(app, "DELETE").headers
    assert preflight(app, "PUT", headers="x-other").headers[ALLOW + "headers"] == "X-Token"
    assert ALLOW + "headers" not in preflight(app_with(HERE), headers="bad name, a:b").headers


def test_an_options_request_that_is_no_preflight_is_the_apps() -> None:
    answer = ask(app_with(HERE), "OPTIONS", "/", origin=HERE)
    assert (answer.status, answer.headers["allow"]) == (204, "GET, HEAD, OPTIONS")
    assert answer.headers[ALLOW + "origin"] == HERE


def test_a_preflight_needs_no_password_and_a_refusal_can_be_read() -> None:
    app = app_with(HERE)
    app.middleware(basic_auth(["jane:secret"]))
    assert preflight(app).status == 204
    refused = ask(app, "GET", "/", origin=HERE)
    assert (refused.status, refused.headers[ALLOW + "origin"]) == (401, HERE)


@pytest.mark.parametrize(
    ("origins", "options"),
    [
        (["example.org"], {}),
        (["https://example.org/"], {}),
        (["https://example.org/path"], {}),
        (["https://*"], {}),
        (["https://a.*.org"], {}),
        (["*"], {"credentials": True}),
        ([], {"credentials": True}),
        ([HERE], {"methods": ["G T"]}),
        ([HERE], {"headers": ["X: y"]}),
    ],
)
def test_what_makes_no_sense(origins: list[str], options: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError):
        cors(*origins, **options)  # type: ignore[arg-type]

"""What an app answers when something is raised."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from app.support import ask, get
from firstbyte import App, HTTPError, Request
from firstbyte.errors import ClientDisconnected


@pytest.fixture
def app() -> App:
    return App()


def test_http_errors_by_accept(app: App) -> None:
    @app.get("/gone")
    def gone() -> None:
        raise HTTPError(410, "<gone>", {"X-Since": "May", "Vary": "Cookie"})

    response = ask(app, "GET", "/gone")
    assert (response.status, response.content_type, response.headers["x-since"]) == (
        410,
        "application/problem+json",
        "May",
    )
    assert response.body == b'{"type":"about:blank","title":"Gone","status":410,"detail":"<gone>"}'
    page = ask(app, "GET", "/gone", Accept="text/html,*/*;q=0.8")
    assert page.content_type == "text/html; charset=utf-8"
    assert response.headers["vary"] == page.headers["vary"] == "Accept, Cookie"  # RFC 9110 section 12.5.5
    assert b"&lt;gone&gt;" in page.body  # type: ignore[operator]


def test_an_unexpected_error_is_logged_once_with_its_id(app: App, caplog: pytest.LogCaptureFixture) -> None:
    app.add_route("/boom", lambda: 1 / 0)
    with caplog.at_level(logging.INFO):
        status, body = get(app, "/boom")
    assert status == 500
    assert b"ZeroDivisionError" not in body
    assert len(caplog.records) == 1
    identifier = caplog.records[0].getMessage().split("id ")[1].split(":")[0]
    assert identifier.encode() in body


def test_a_client_that_leaves_is_no_fault_of_the_program(app: App, caplog: pytest.LogCaptureFixture) -> None:
    @app.get("/leaves")
    def leaves() -> None:
        raise ClientDisconnected("the client left before the end of its body")

    with caplog.at_level(logging.INFO):
        assert get(app, "/leaves")[0] == 400
    (record,) = caplog.records
    assert (record.levelno, record.exc_info) == (logging.INFO, None)
    assert "the client left" in record.getMessage()


def test_the_debug_page(caplog: pytest.LogCaptureFixture) -> None:
    app = App(debug=True)

    @app.get("/boom")
    def boom() -> None:
        password = "hunter2"
        raise ValueError(f"<b>{len(password)}")

    status, body = get(app, "/boom", Accept="text/html", Authorization="Basic " + "terces"[::-1])
    assert status == 500
    assert b"&lt;b&gt;7" in body
    assert b"raise ValueError" in body
    assert b"(hidden)" in body
    assert b"Basic secret" not in body
    text = ask(app, "GET", "/boom")
    assert text.content_type == "text/plain; charset=utf-8"
    assert b"Traceback" in text.body  # type: ignore[operator]


def test_the_debug_page_of_endless_recursion_is_short(caplog: pytest.LogCaptureFixture) -> None:
    app = App(debug=True)

    @app.get("/")
    def again() -> Any:
        return again()

    _, body = get(app, "/", Accept="text/html")
    assert len(body) < 200_000
    assert b"earlier calls are left out" in body


class Special(LookupError):
    pass


def test_error_handlers_by_status_and_type(app: App) -> None:
    app.error(404)(lambda request, error: "no such page")
    app.error(LookupError)(lambda request, error: ("lookup", 409))
    app.error(Special)(lambda request, error: ("special", 410))
    app.error(500)(lambda request, error: "sorry")

    @app.get("/raise/{kind}")
    def fail(kind: str) -> None:
        raise {"key": KeyError("k"), "special": Special("s"), "other": ValueError("v"), "http": HTTPError(404)}[kind]

    assert get(app, "/none") == (404, b"no such page")
    assert get(app, "/raise/http") == (404, b"no such page")
    assert get(app, "/raise/key") == (409, b"lookup")
    assert get(app, "/raise/special") == (410, b"special")
    assert get(app, "/raise/other") == (500, b"sorry")


@pytest.mark.parametrize("around", [False, True])
def test_an_error_handler_may_raise_an_answer(app: App, around: bool) -> None:
    """As a handler may; whether there is middleware makes no difference."""

    @app.error(KeyError)
    def missing(request: Request, error: Exception) -> None:
        raise HTTPError(404, "no such key", {"X-Key": "k"})

    @app.error(409)
    def not_mine(request: Request, error: Exception) -> None:
        raise error

    @app.get("/raise/{kind}")
    def fail(kind: str) -> None:
        raise {"key": KeyError("k"), "conflict": HTTPError(409, "twice")}[kind]

    if around:

        @app.middleware
        def nothing(request: Request) -> Any:
            yield

    response = ask(app, "GET", "/raise/key")
    assert (response.status, response.headers["x-key"]) == (404, "k")
    status, body = get(app, "/raise/conflict")
    assert (status, b"twice" in body) == (409, True)


def test_an_error_handler_that_fails(app: App, caplog: pytest.LogCaptureFixture) -> None:
    app.error(404)(lambda request, error: 1 / 0)
    assert get(app, "/none")[0] == 500
    assert "the error handler failed" in caplog.text

"""Signals: what watchers are told, and that they have no say."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from app.support import ask, get
from firstbyte import App, HTTPError, Request, Response
from firstbyte.errors import ConfigurationError


@pytest.fixture
def log() -> list[str]:
    return []


@pytest.fixture
def app(log: list[str]) -> App:
    app = App()
    app.get("/")(lambda: "fine")
    app.get("/fail")(lambda: 1 / 0)
    app.get("/refuse", rules=[lambda request: HTTPError(403)])(lambda: "")

    @app.middleware
    def around(request: Request) -> Any:
        log.append("middleware")
        yield

    @app.request_started.connect
    def started(request: Request) -> None:
        log.append(f"started {request.target}")

    @app.request_finished.connect
    def finished(request: Request, response: Response) -> None:
        log.append(f"finished {response.status}")

    @app.request_failed.connect
    def failed(request: Request, error: Exception) -> None:
        log.append(f"failed {type(error).__name__}")

    return app


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/", ["middleware", "finished 200"]),
        ("/none", ["middleware", "finished 404"]),
        ("/refuse", ["middleware", "finished 403"]),
        ("/fail", ["middleware", "failed ZeroDivisionError", "finished 500"]),
    ],
)
def test_what_is_told(app: App, log: list[str], path: str, told: list[str]) -> None:
    ask(app, "GET", path)
    assert log == [f"started {path}", *told]


def test_a_watcher_that_fails_is_logged_and_harms_nobody(
    app: App, log: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*arguments: object) -> None:
        raise ValueError("broken watcher")

    for signal in (app.request_started, app.request_finished, app.request_failed):
        signal.connect(broken)
    app.request_started.connect(lambda request: log.append("the next one"))
    with caplog.at_level(logging.ERROR, "firstbyte.app"):
        assert get(app, "/") == (200, b"fine")
        assert get(app, "/fail")[0] == 500
    assert log.count("the next one") == 2
    assert [record.message.partition(", ")[2] for record in caplog.records if "watches" in record.message] == [
        "which watches request_started, failed",
        "which watches request_finished, failed",
        "which watches request_started, failed",
        "which watches request_failed, failed",
        "which watches request_finished, failed",
    ]


def test_one_that_is_disconnected_hears_no_more(app: App, log: list[str]) -> None:
    def watcher(request: Request) -> None:
        log.append("heard")

    app.request_started.connect(watcher)
    get(app, "/")
    app.request_started.disconnect(watcher)
    get(app, "/")
    assert log.count("heard") == 1
    with pytest.raises(ValueError, match="does not watch"):
        app.request_started.disconnect(watcher)


def test_coroutines(log: list[str]) -> None:
    app = App()
    app.request_finished.connect(lambda request, response: log.append(f"finished {response.status}"))
    app.request_failed.connect(lambda request, error: log.append(type(error).__name__))

    @app.get("/")
    async def root() -> str:
        return "fine"

    @app.get("/wait")
    async def wait() -> None:
        await asyncio.Event().wait()

    async def cancelled() -> None:
        request = Request.build("GET", "/wait")
        task = asyncio.create_task(app.resolve(request).call(request))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    request = Request.build("GET", "/")
    asyncio.run(app.resolve(request).call(request))
    asyncio.run(cancelled())
    assert log == ["finished 200", "CancelledError"]


async def _watcher(request: Request) -> None: ...


def test_a_watcher_is_a_plain_function() -> None:
    with pytest.raises(ConfigurationError, match="must be a plain function"):
        App().request_started.connect(_watcher)


def test_nothing_is_paid_where_nobody_watches() -> None:
    def call(request: Request) -> Response:
        raise AssertionError

    app = App()
    assert app._signals.around(call, False) is call
    app.request_failed.connect(lambda request, error: None)
    assert app._signals.around(call, False) is not call

"""What an app does before its first request and after its last."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from firstbyte import App, Endpoint, Request
from firstbyte.errors import ConfigurationError, StartupError


def noting(log: list[str], name: str, fails: str = "") -> Any:
    def lifespan(app: App) -> Iterator[None]:
        if fails == "start":
            raise ValueError("no database")
        log.append(name)
        yield
        log.append(f"/{name}")

    return lifespan


def anoting(log: list[str], name: str) -> Any:
    async def lifespan(app: App) -> AsyncIterator[None]:
        log.append(name)
        yield
        log.append(f"/{name}")

    return lifespan


class Mounted:
    """A handler with a lifespan."""

    def __init__(self, log: list[str]) -> None:
        self.log = log

    def resolve(self, request: Request) -> Endpoint:
        raise AssertionError

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        self.log.append("mounted")
        yield
        self.log.append("/mounted")


async def live(context: AbstractAsyncContextManager[Any], log: list[str]) -> None:
    async with context:
        log.append("-")


@pytest.mark.parametrize("make", [noting, anoting])
def test_they_run_in_the_order_of_adding_and_end_in_reverse(make: Any) -> None:
    log: list[str] = []
    app = App()
    app.lifespan(make(log, "one"))
    app.mount("/m", Mounted(log))
    app.group("/api").lifespan(make(log, "of a group"))
    app.lifespan(noting(log, "two"))
    assert app.is_async == (make is anoting)
    asyncio.run(live(app.lifespan(), log))
    order = ["one", "mounted", "of a group", "two"]
    assert log == [*order, "-", *(f"/{name}" for name in reversed(order))]


def test_they_get_the_app() -> None:
    seen: list[App] = []
    app = App()

    @app.group("/api").lifespan
    def lifespan(app: App) -> Iterator[None]:
        seen.append(app)
        yield

    asyncio.run(live(app.lifespan(), []))
    assert seen == [app]


def test_one_that_fails_ends_the_start_and_those_before_it() -> None:
    log: list[str] = []
    app = App()
    app.lifespan(noting(log, "one"))
    app.lifespan(noting(log, "two", fails="start"))
    app.lifespan(noting(log, "three"))
    with pytest.raises(
        StartupError, match=r"the lifespan .*noting.*test_lifespans.py:\d+\) failed: ValueError: no dat"
    ) as e:
        asyncio.run(live(app.lifespan(), log))
    assert "test_lifespans.py" in e.value.traceback
    assert log == ["one", "/one"]


def test_a_startup_error_is_told_as_it_is() -> None:
    app = App()

    @app.lifespan
    def lifespan(app: App) -> Iterator[None]:
        raise StartupError("set DATABASE_URL")
        yield

    with pytest.raises(StartupError, match=r"^set DATABASE_URL$"):
        asyncio.run(live(app.lifespan(), []))


def failing_at_the_end(app: App) -> Iterator[None]:
    yield
    raise ValueError("at the end")


@pytest.mark.parametrize(("count", "error"), [(1, ValueError), (2, ExceptionGroup)])
def test_one_that_fails_at_its_end_keeps_no_other_from_its_own(count: int, error: type[Exception]) -> None:
    log: list[str] = []
    app = App()
    app.lifespan(noting(log, "one"))
    for _ in range(count):
        app.lifespan(failing_at_the_end)
    app.lifespan(noting(log, "two"))
    with pytest.raises(error):
        asyncio.run(live(app.lifespan(), log))
    assert log == ["one", "two", "-", "/two", "/one"]


def _plain(app: App) -> None: ...


def _nothing() -> Iterator[None]:
    yield


def _two(app: App, other: int) -> Iterator[None]:
    yield


@pytest.mark.parametrize(("function", "problem"), [(_plain, "is no generator"), (_nothing, "one thing"), (_two, "one")])
def test_what_is_no_lifespan(function: Any, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        App().lifespan(function)

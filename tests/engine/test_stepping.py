"""The lifespan of a handler without coroutines, and that the server lives by it."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, nullcontext

import pytest

from engine.support import Client
from firstbyte import App, Server
from firstbyte.engine.stepping import stepped
from firstbyte.errors import StartupError


@asynccontextmanager
async def noting(log: list[str], fails: str = "") -> AsyncIterator[None]:
    if fails == "waits":
        await asyncio.sleep(0)
    if fails == "start":
        raise ValueError("no database")
    log.append("in")
    yield
    log.append("out")
    if fails == "end":
        raise ValueError("not closed")


def test_a_context_is_entered_and_left_without_a_loop() -> None:
    log: list[str] = []
    with stepped(noting(log)):
        log.append("-")
    with stepped(nullcontext()):
        pass
    assert log == ["in", "-", "out"]


@pytest.mark.parametrize(("fails", "problem"), [("start", "ValueError: no database"), ("waits", "must say `is_async`")])
def test_one_that_cannot_be_entered(fails: str, problem: str) -> None:
    with pytest.raises(StartupError, match=problem), stepped(noting([], fails)):
        raise AssertionError


def test_what_goes_wrong_at_the_end_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR), stepped(noting([], "end")):
        pass
    assert "the shutdown of the app failed" in caplog.text
    assert "not closed" in caplog.text


@pytest.mark.parametrize("loop", ["auto", "asyncio"])
def test_a_server_lives_within_the_lifespan_of_its_app(loop: str) -> None:
    log: list[str] = []
    app = App()

    @app.lifespan
    def opened(app: App) -> Iterator[None]:
        log.append("open")
        yield
        log.append("closed")

    app.get("/")(lambda: ",".join(log))
    with Server(app, port=0, loop=loop) as server:  # type: ignore[arg-type]
        client = Client(server.port)
        assert client.get().read()[2] == b"open"
        client.close()
    assert log == ["open", "closed"]


@pytest.mark.parametrize("loop", ["auto", "asyncio"])
def test_a_server_whose_app_cannot_start_does_not(loop: str) -> None:
    app = App()

    @app.lifespan
    def failing(app: App) -> Iterator[None]:
        raise ValueError("no database")
        yield

    with pytest.raises(StartupError, match=r"the lifespan .*failing.* failed: ValueError: no database"):
        Server(app, port=0, loop=loop).__enter__()  # type: ignore[arg-type]


def test_a_plain_lifespan_loads_no_loop() -> None:
    program = """
import sys
from firstbyte import App, Server
app = App()
@app.lifespan
def opened(app):
    yield
with Server(app, port=0):
    assert "asyncio" not in sys.modules
"""
    assert subprocess.run([sys.executable, "-c", program], timeout=60).returncode == 0

"""Middleware that does not keep its contract, or passes on what is not its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from app.support import ask, get
from firstbyte import App, Request, Response


@pytest.fixture
def app() -> App:
    app = App()
    app.add_route("/", lambda: "secret")
    return app


def test_a_yielded_answer_is_a_fault_and_lets_nobody_through(app: App, caplog: pytest.LogCaptureFixture) -> None:
    """An asynchronous generator yields its answer; one that has lost its async must not open the door."""
    ended = []

    @app.middleware
    def auth(request: Request) -> Any:
        try:
            yield Response("no", 401)
        finally:
            ended.append(True)

    status, body = get(app, "/")
    assert (status, ended) == (500, [True])
    assert b"secret" not in body
    assert "yields its answer" in caplog.text

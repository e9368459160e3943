"""Live and ready, as a balancer asks."""

from __future__ import annotations

import logging

import pytest

from app import support
from firstbyte import App, Response
from firstbyte.batteries import health
from firstbyte.batteries.health import Check, Health


def ask(path: str, *checks: Check, method: str = "GET") -> Response:
    app = App()
    app.mount("/health", Health(*checks))
    return support.ask(app, method, path)


def test_live_and_ready() -> None:
    assert (ask("/health/live").status, ask("/health/live").body) == (200, b"alive\n")
    ready = ask("/health/ready", lambda: None, lambda: "")
    assert (ready.status, ready.body, ready.headers["cache-control"]) == (200, b"ready\n", "no-store")


def test_every_reason_is_told_and_life_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    def database() -> str | None:
        raise OSError("the password of the database is secret")

    with caplog.at_level(logging.ERROR):
        ready = ask("/health/ready", lambda: "warming up", lambda: None, database)
    assert (ready.status, ready.body) == (503, b"warming up\ndatabase failed\n")
    assert "is secret" in caplog.text
    assert ask("/health/live", lambda: "warming up").status == 200


def test_a_process_that_drains_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "PROCESS_CHECKS", [lambda: "draining"])
    assert ask("/health/ready").body == b"draining\n"
    assert ask("/health/live").status == 200


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [("/", "GET", 404), ("/other", "GET", 404), ("/live", "POST", 405), ("/live", "HEAD", 200)],
)
def test_other_questions(path: str, method: str, status: int) -> None:
    assert ask(f"/health{path}", method=method).status == status

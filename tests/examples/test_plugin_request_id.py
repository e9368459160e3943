"""examples/plugin_request_id.py: in an app of its own, in a group, and on a real server."""

from __future__ import annotations

import logging
import runpy
from pathlib import Path
from typing import Any

import pytest

from engine.support import Serve
from firstbyte import App, Request, Response

EXAMPLE = Path(__file__).parents[2] / "examples" / "plugin_request_id.py"


@pytest.fixture
def example() -> dict[str, Any]:
    return runpy.run_path(str(EXAMPLE))


def ask(app: App, path: str, **headers: str) -> Response:
    request = Request.build("GET", path, {name.replace("_", "-"): value for name, value in headers.items()})
    response = app.resolve(request).call(request)
    assert isinstance(response, Response)
    return response


def test_handler_and_answer_have_the_same_id(example: dict[str, Any]) -> None:
    first, second = (ask(example["app"], "/") for _ in range(2))
    assert first.body == f"you are request {first.headers['X-Request-ID']}".encode()
    assert first.headers["X-Request-ID"] != second.headers["X-Request-ID"]
    assert first.headers["Server-Timing"].startswith("app;dur=")
    assert ask(example["app"], "/none").headers["X-Request-ID"]


@pytest.mark.parametrize(
    ("trusted", "came", "taken"),
    [(True, "abcdef-12345", True), (False, "abcdef-12345", False), (True, "a b", False), (True, "x" * 65, False)],
)
def test_an_id_is_taken_from_trusted_clients_if_it_is_one(
    example: dict[str, Any], trusted: bool, came: str, taken: bool
) -> None:
    app = App()
    app.install(example["request_ids"], header="X-Trace", trusted=trusted, timing=False)
    app.get("/")(lambda: "")
    response = ask(app, "/", X_Trace=came)
    assert (response.headers["X-Trace"] == came) == taken
    assert "Server-Timing" not in response.headers


def test_log_records_have_the_id(example: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    app = App()
    app.install(example["request_ids"])
    app.get("/")(lambda: logging.getLogger("mine").warning("hello"))
    caplog.handler.addFilter(example["InLogs"]())
    response = ask(app, "/")
    assert [record.request_id for record in caplog.records] == [response.headers["X-Request-ID"]]  # type: ignore[attr-defined]
    logging.getLogger("mine").warning("outside")
    assert caplog.records[-1].request_id == "-"  # type: ignore[attr-defined]


def test_a_failure_is_logged_with_the_id(example: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    assert ask(example["app"], "/fail").status == 500
    assert "failed: ValueError('on purpose')" in caplog.text


def test_it_can_be_installed_for_a_group_alone(example: dict[str, Any]) -> None:
    app = App()
    group = app.group("/api")
    group.install(example["request_ids"])
    app.get("/")(lambda: "")
    group.get("/")(lambda: "")
    assert "X-Request-ID" in ask(app, "/api/").headers
    assert "X-Request-ID" not in ask(app, "/").headers


def test_on_a_server(example: dict[str, Any], serve: Serve) -> None:
    client = serve(example["app"]).client()
    status, headers, body = client.get("/").read()
    assert (status, body) == (200, f"you are request {headers['x-request-id']}".encode())

"""The demo's app, without a socket."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from firstbyte import App, Request, Response
from firstbyte.demo.tasks import SITE, create_app

PROBLEM = "application/problem+json"
PAGE = "text/html; charset=utf-8"


def ask(app: App, method: str, target: str, body: object = b"", accept: str = "*/*") -> Response:
    """The answer to a request whose body is bytes as they are, anything else as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = Request.build(method, target, {"Host": "x", "Accept": accept}, data)
    response = app.resolve(request).call(request)
    assert isinstance(response, Response)
    return response


def read(response: Response) -> Any:
    assert isinstance(response.body, bytes)
    return json.loads(response.body)


def test_a_task_from_its_making_to_its_end(app: App) -> None:
    assert read(ask(app, "GET", "/tasks")) == []
    made = ask(app, "POST", "/tasks", {"title": " write "})
    task = read(made)
    assert (made.status, made.headers["location"], made.content_type) == (201, "/tasks/1", "application/json")
    assert task == {"id": 1, "title": "write", "done": False, "created": task["created"]}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", task["created"])
    assert read(ask(app, "GET", "/tasks/1")) == task
    assert read(ask(app, "GET", "/tasks")) == [task]
    assert read(ask(app, "PATCH", "/tasks/1", {"done": True})) == {**task, "done": True}
    assert read(ask(app, "PATCH", "/tasks/1", {"title": "x", "done": False})) == {**task, "title": "x"}
    assert (gone := ask(app, "DELETE", "/tasks/1")).status == 204
    assert gone.body == b""
    for method, body in (("GET", b""), ("PATCH", {"done": True}), ("DELETE", b"")):
        missing = ask(app, method, "/tasks/1", body)
        assert (missing.status, read(missing)["detail"]) == (404, "there is no task 1")


def test_health(app: App) -> None:
    ask(app, "POST", "/tasks", {"title": "one"})
    health = read(ask(app, "GET", "/health"))
    assert health == {"status": "ok", "time": health["time"], "tasks": 1}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", health["time"])


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "JSON"),
        (b"{", "JSON"),
        (b"title=x", "JSON"),
        (b'{"title": "\xff"}', "JSON"),
        (b'{"title": "\\ud800"}', "JSON"),
        (b'{"title": 1e400}', "JSON"),
        (b"[" * 100_000, "JSON"),
        ([], "object"),
        ("x", "object"),
        (None, "object"),
        ({}, "title is missing"),
        ({"title": None}, "a text"),
        ({"title": 5}, "a text"),
        ({"title": ["x"]}, "a text"),
        ({"title": ""}, "blank"),
        ({"title": " \n"}, "blank"),
        ({"title": "x" * 201}, "at most 200"),
        ({"title": "x", "done": True}, "'done'"),
        ({"title": "x", "colour": "red"}, "'colour'"),
    ],
)
def test_what_makes_no_task(app: App, body: object, says: str) -> None:
    response = ask(app, "POST", "/tasks", body, "text/html")
    problem = read(response)
    assert (response.status, response.content_type) == (400, PROBLEM)
    assert (problem["status"], problem["title"]) == (400, "Bad Request")
    assert says in problem["detail"]
    assert read(ask(app, "GET", "/tasks")) == []


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"}", "JSON"),
        ([], "object"),
        ({}, "nothing"),
        ({"done": 1}, "true or false"),
        ({"done": None}, "true or false"),
        ({"done": "true"}, "true or false"),
        ({"title": None}, "a text"),
        ({"title": " ", "done": True}, "blank"),
        ({"id": 2}, "'id'"),
        ({"created": "now", "title": "x"}, "'created'"),
    ],
)
def test_what_changes_no_task(app: App, body: object, says: str) -> None:
    task = read(ask(app, "POST", "/tasks", {"title": "as it was"}))
    response = ask(app, "PATCH", "/tasks/1", body)
    assert (response.status, response.content_type) == (400, PROBLEM)
    assert says in read(response)["detail"]
    assert read(ask(app, "GET", "/tasks/1")) == task


@pytest.mark.parametrize("accept", ["*/*", "text/html", "application/json"])
def test_errors_are_json_in_the_api_and_pages_in_the_site(app: App, accept: str) -> None:
    for path in ("/tasks/1", "/tasks/a/b", "/tasks/x", "/tasks/1.5", "/health/x", "/tasks/" + "9" * 19):
        response = ask(app, "GET", path, accept=accept)
        assert (response.status, response.content_type, read(response)["status"]) == (404, PROBLEM, 404), path
    for path in ("/nothing", "/tasksx", "/healthy", "/no/such/folder/", "/..%2ftasks.py", "/%00"):
        response = ask(app, "GET", path, accept=accept)
        if path != "/%00":
            assert (response.status, response.content_type) == (404, PAGE), path
            assert response.body == (SITE / "404.html").read_bytes()
        else:
            assert response.status == 400


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PUT", "/tasks", "GET, HEAD, OPTIONS, POST"),
        ("POST", "/tasks/1", "DELETE, GET, HEAD, OPTIONS, PATCH"),
        ("DELETE", "/health", "GET, HEAD, OPTIONS"),
        ("POST", "/", "GET, HEAD, OPTIONS"),
        ("PUT", "/about.html", "GET, HEAD, OPTIONS"),
    ],
)
def test_methods_that_are_not_there(app: App, method: str, path: str, allow: str) -> None:
    response = ask(app, method, path, accept="application/json")
    assert (response.status, response.headers["allow"], response.content_type) == (405, allow, PROBLEM)


def test_the_site(app: App) -> None:
    for path, file, kind in (
        ("/", "index.html", PAGE),
        ("/about.html", "about.html", PAGE),
        ("/style.css", "style.css", "text/css; charset=utf-8"),
        ("/app.js", "app.js", "text/javascript; charset=utf-8"),
        ("/icon.svg", "icon.svg", "image/svg+xml"),
    ):
        response = ask(app, "GET", path)
        assert (response.status, response.content_type) == (200, kind), path
        assert response.body == (SITE / file).read_bytes()


def test_two_apps_have_tasks_of_their_own(app: App) -> None:
    ask(app, "POST", "/tasks", {"title": "here"})
    assert read(ask(create_app(":memory:"), "GET", "/tasks")) == []


def test_the_example_takes_its_database_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASKS_DB", str(tmp_path / "mine.sqlite3"))
    example = Path(__file__).parent.parent.parent / "examples" / "tasks.py"
    app = runpy.run_path(str(example))["app"]
    assert ask(app, "POST", "/tasks", {"title": "x"}).status == 201
    assert (tmp_path / "mine.sqlite3").exists()

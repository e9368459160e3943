"""A client that walks through the demo and compares every answer with what it should be."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from time import perf_counter
from typing import Any, NamedTuple, TextIO
from urllib.parse import urlsplit

import click


class Step(NamedTuple):
    """One request and what must come of it. `{id}` in a path is the task that the walk has made."""

    what: str
    method: str
    path: str
    status: int
    check: Callable[[Answer], bool]
    expected: str
    body: bytes | None = None
    headers: dict[str, str] = {}


class Answer(NamedTuple):
    """A response as the checks see it."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON, or None."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def is_problem(self) -> bool:
        """True for a JSON problem (RFC 9457) of the answer's own status."""
        return isinstance(self.json, dict) and self.json.get("status") == self.status

    def is_page(self, text: bytes) -> bool:
        """True for an HTML page with that text in it."""
        return self.headers.get_content_type() == "text/html" and text in self.body


def _body(value: object) -> bytes:
    return json.dumps(value).encode()


_HTML = {"Accept": "text/html"}
STEPS = (
    Step("the site", "GET", "/", 200, lambda a: a.is_page(b"firstbyte"), "a page", None, _HTML),
    Step("its about page", "GET", "/about.html", 200, lambda a: a.is_page(b"About"), "a page", None, _HTML),
    Step("its style", "GET", "/style.css", 200, lambda a: a.headers.get_content_type() == "text/css", "CSS"),
    Step("a page that is not there", "GET", "/nothing", 404, lambda a: a.is_page(b"404"), "the 404 page", None, _HTML),
    Step("health", "GET", "/health", 200, lambda a: a.json["status"] == "ok", "status ok"),
    Step(
        "make a task",
        "POST",
        "/tasks",
        201,
        lambda a: a.json["title"] == "walk",
        "the task",
        _body({"title": " walk "}),
    ),
    Step("read it", "GET", "/tasks/{id}", 200, lambda a: a.json["done"] is False, "the task, not done"),
    Step(
        "find it in the list", "GET", "/tasks", 200, lambda a: any(t["title"] == "walk" for t in a.json), "it is there"
    ),
    Step(
        "do it", "PATCH", "/tasks/{id}", 200, lambda a: a.json["done"] is True, "the task, done", _body({"done": True})
    ),
    Step("its head alone", "HEAD", "/tasks/{id}", 200, lambda a: not a.body and "Date" in a.headers, "no body"),
    Step("what it allows", "OPTIONS", "/tasks/{id}", 204, lambda a: "PATCH" in (a.headers["Allow"] or ""), "Allow"),
    Step(
        "a method it has not",
        "PUT",
        "/tasks/{id}",
        405,
        lambda a: "PATCH" in (a.headers["Allow"] or ""),
        "Allow",
        b"{}",
    ),
    Step("no JSON", "POST", "/tasks", 400, Answer.is_problem, "a problem", b"title=walk"),
    Step("no title", "POST", "/tasks", 400, Answer.is_problem, "a problem", b"{}"),
    Step("a blank title", "POST", "/tasks", 400, Answer.is_problem, "a problem", _body({"title": "  "})),
    Step("not an object", "POST", "/tasks", 400, Answer.is_problem, "a problem", b"[]"),
    Step("an unknown member", "PATCH", "/tasks/{id}", 400, Answer.is_problem, "a problem", _body({"colour": "red"})),
    Step("throw it away", "DELETE", "/tasks/{id}", 204, lambda a: not a.body, "no body"),
    Step("it is gone", "GET", "/tasks/{id}", 404, Answer.is_problem, "a problem", None, _HTML),
    Step("so it cannot go again", "DELETE", "/tasks/{id}", 404, Answer.is_problem, "a problem"),
    Step("no part of the API", "GET", "/tasks/a/b", 404, Answer.is_problem, "a problem"),
)


def run_client(base_url: str, out: TextIO) -> int:
    """Walks through the demo at `base_url` over one connection and prints a table; 0 if every answer is as expected."""
    parts = urlsplit(base_url if "://" in base_url else f"http://{base_url}")
    if parts.scheme != "http" or not parts.hostname:
        click.echo(f"{base_url!r} is no address: write http://host:port", file=out)
        return 1
    connection = http.client.HTTPConnection(parts.hostname, parts.port or 80, timeout=10)
    good = 0
    made = 0
    try:
        click.echo(f"{'':2} {'step':26} {'request':22} {'status':10} {'ms':>6}  expected", file=out)
        for step in STEPS:
            path = step.path.replace("{id}", str(made))
            start = perf_counter()
            answer = _ask(connection, step, path)
            milliseconds = (perf_counter() - start) * 1000
            ok = answer.status == step.status and _holds(step, answer)
            good += ok
            if step.status == 201 and isinstance(answer.json, dict):
                made = answer.json.get("id", 0)
            mark = click.style("ok", fg="green") if ok else click.style("no", fg="red", bold=True)
            status = str(answer.status) if answer.status == step.status else f"{answer.status} ≠ {step.status}"
            request = f"{step.method} {path}"
            click.echo(f"{mark} {step.what:26} {request:22} {status:10} {milliseconds:6.1f}  {step.expected}", file=out)
            if not ok:
                click.echo(f"   came: {answer.body[:200]!r}", file=out)
    except (OSError, http.client.HTTPException) as error:
        click.echo(
            f"no answer from {base_url}: {error or type(error).__name__}; is `firstbyte demo` running there?", file=out
        )
        return 1
    finally:
        connection.close()
    click.echo(f"{good} of {len(STEPS)} answers are as they should be", file=out)
    return 0 if good == len(STEPS) else 1


def _ask(connection: http.client.HTTPConnection, step: Step, path: str) -> Answer:
    connection.request(step.method, path, step.body, step.headers)
    response = connection.getresponse()
    return Answer(response.status, response.headers, response.read())


def _holds(step: Step, answer: Answer) -> bool:
    """The step's check; an answer of quite another shape fails it as one of wrong values does."""
    try:
        return bool(step.check(answer))
    except (TypeError, KeyError, AttributeError):
        return False

"""A client that walks through the demo over one connection and compares every answer with what it should be."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from time import perf_counter
from typing import Any, NamedTuple, TextIO
from urllib.parse import urlsplit

import click

_TIMEOUT = 10.0  # seconds to wait for an answer
_SHOWN = 160  # bytes of a wrong answer's body that are shown


class Answer(NamedTuple):
    """A response as the checks see it."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON. Raises ValueError."""
        return json.loads(self.body)

    @property
    def kind(self) -> str:
        """What it carries, in a word or two."""
        return self.headers.get_content_type().removeprefix("application/") if "Content-Type" in self.headers else ""


class Expected(NamedTuple):
    """What must be true of an answer besides its status, in words and as a check of it."""

    words: str
    holds: Callable[[Answer], bool]


class Step(NamedTuple):
    """One request and what must come of it; `{id}` in a path is the task that the walk has made."""

    what: str
    method: str
    path: str
    status: int
    expected: Expected
    body: bytes | None = None
    headers: dict[str, str] = {}


def _page(text: str) -> Expected:
    return Expected(
        "a page", lambda answer: answer.headers.get_content_type() == "text/html" and text.encode() in answer.body
    )


def _task(title: str, done: bool) -> Expected:
    words = "the task, done" if done else "the task, not done"
    return Expected(words, lambda answer: (answer.json["title"], answer.json["done"]) == (title, done))


def _problem(word: str) -> Expected:
    """A JSON problem (RFC 9457) of the answer's own status whose detail has the word."""
    return Expected(
        f"a problem about {word}",
        lambda answer: answer.json["status"] == answer.status and word in answer.json["detail"],
    )


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


_BARE = Expected("no body", lambda answer: not answer.body)
_STYLE = Expected("a style sheet", lambda answer: answer.headers.get_content_type() == "text/css")
_WELL = Expected("status ok", lambda answer: answer.json["status"] == "ok" and answer.json["tasks"] >= 0)
_LISTED = Expected("the task among them", lambda answer: any(task["title"] == "walk" for task in answer.json))
_MADE = Expected("its Location", lambda answer: answer.headers["Location"] == f"/tasks/{answer.json['id']}")
_ALLOWED = Expected("Allow", lambda answer: {"GET", "PATCH", "DELETE"} <= set(answer.headers["Allow"].split(", ")))
_PART = Expected("its first 9 bytes", lambda answer: answer.body == b"<!doctype" and "Content-Range" in answer.headers)
_BROWSER = {"Accept": "text/html"}

STEPS = (
    Step("the site", "GET", "/", 200, _page("firstbyte"), headers=_BROWSER),
    Step("its other page", "GET", "/about.html", 200, _page("About"), headers=_BROWSER),
    Step("its style", "GET", "/style.css", 200, _STYLE),
    Step("the style, if it changed", "GET", "/style.css", 304, _BARE, headers={"If-None-Match": "*"}),
    Step("a part of a page", "GET", "/", 206, _PART, headers={"Range": "bytes=0-8"}),
    Step("a page that is not there", "GET", "/nothing", 404, _page("404"), headers=_BROWSER),
    Step("health", "GET", "/health", 200, _WELL),
    Step("make a task", "POST", "/tasks", 201, _MADE, _json({"title": "  walk "})),
    Step("find it in the list", "GET", "/tasks", 200, _LISTED),
    Step("read it", "GET", "/tasks/{id}", 200, _task("walk", done=False)),
    Step("its head alone", "HEAD", "/tasks/{id}", 200, _BARE),
    Step("do it", "PATCH", "/tasks/{id}", 200, _task("walk", done=True), _json({"done": True})),
    Step("rename it", "PATCH", "/tasks/{id}", 200, _task("run", done=True), _json({"title": "run"})),
    Step("no JSON", "POST", "/tasks", 400, _problem("JSON"), b"title=walk"),
    Step("no object", "POST", "/tasks", 400, _problem("object"), b"[]"),
    Step("no title", "POST", "/tasks", 400, _problem("missing"), b"{}"),
    Step("a title of no letters", "POST", "/tasks", 400, _problem("blank"), _json({"title": "  "})),
    Step("a title too long", "POST", "/tasks", 400, _problem("200"), _json({"title": "x" * 201})),
    Step("a title that is a number", "POST", "/tasks", 400, _problem("text"), _json({"title": 7})),
    Step("done that is a text", "PATCH", "/tasks/{id}", 400, _problem("done"), _json({"done": "yes"})),
    Step("an unknown member", "PATCH", "/tasks/{id}", 400, _problem("colour"), _json({"colour": "red"})),
    Step("a method it has not", "PUT", "/tasks/{id}", 405, _ALLOWED, b"{}"),
    Step("the methods it has", "OPTIONS", "/tasks/{id}", 204, _ALLOWED),
    Step("throw it away", "DELETE", "/tasks/{id}", 204, _BARE),
    Step("it is gone", "GET", "/tasks/{id}", 404, _problem("no task"), headers=_BROWSER),
    Step("it cannot go again", "DELETE", "/tasks/{id}", 404, _problem("no task")),
    Step("no part of the API", "GET", "/tasks/a/b", 404, _problem("/tasks/a/b"), headers=_BROWSER),
)  # fmt: skip


def run_client(base_url: str, out: TextIO) -> int:
    """Walks through the demo at `base_url` and prints a table; 0 if every answer is as it should be, else 1."""
    address = _address(base_url)
    if address is None:
        click.echo(f"{base_url!r} is no address of a demo: write http://host:port", file=out)
        return 1
    connection = http.client.HTTPConnection(*address, timeout=_TIMEOUT)
    try:
        connection.connect()
    except (OSError, UnicodeError) as error:  # the second for a name that no resolver takes
        click.echo(f"no server answers at {base_url} ({error}): start one with `firstbyte demo`", file=out)
        return 1
    try:
        return _walk(connection, out)
    finally:
        connection.close()


def _address(url: str) -> tuple[str, int] | None:
    """Host and port of an http URL, or of host:port; None for what is neither."""
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        port = 80 if parts.port is None else parts.port
    except ValueError:  # a port that is none, brackets that do not close
        return None
    host = parts.hostname or ""
    good = parts.scheme == "http" and host.isprintable() and " " not in host and parts.path in ("", "/")
    return (host, port) if host and port and good else None


def _walk(connection: http.client.HTTPConnection, out: TextIO) -> int:
    click.echo(click.style(_row("step", "request", "expected", "got", "ms", "ok"), bold=True), file=out)
    good = 0
    made = 0
    connections = 1
    for step in STEPS:
        path = step.path.replace("{id}", str(made))
        connections += connection.sock is None  # closed by the answer before: the request opens it anew
        start = perf_counter()
        try:
            connection.request(step.method, path, step.body, step.headers)
            response = connection.getresponse()
            answer = Answer(response.status, response.headers, response.read())
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            ok, got, shown = False, "no answer", f"{type(error).__name__}: {error}"
            over = isinstance(error, TimeoutError | ConnectionRefusedError)  # the other steps would go the same way
        else:
            ok, got, shown = _is_right(step, answer), f"{answer.status} {answer.kind}", repr(answer.body[:_SHOWN])[1:]
            over = False
            if ok and step.status == 201:
                made = answer.json["id"]
        milliseconds = f"{(perf_counter() - start) * 1000:.1f}"
        expected = f"{step.status} {step.expected.words}"
        mark = click.style("ok", fg="green") if ok else click.style("no", fg="red", bold=True)
        click.echo(_row(step.what, f"{step.method} {path}", expected, got, milliseconds, mark), file=out)
        if not ok:
            click.echo(click.style(f"    {shown}", fg="red"), file=out)
        good += ok
        if over:
            break
    over_connections = "one connection" if connections == 1 else f"{connections} connections"
    click.echo(f"{good} of {len(STEPS)} answers are as they should be, over {over_connections}", file=out)
    return 0 if good == len(STEPS) else 1


def _is_right(step: Step, answer: Answer) -> bool:
    """An answer of quite another shape is as wrong as one of other values."""
    try:
        return answer.status == step.status and step.expected.holds(answer)
    except (ValueError, TypeError, LookupError, AttributeError):
        return False


def _row(what: str, request: str, expected: str, got: str, milliseconds: str, mark: str) -> str:
    return f"{what:25} {request:17} {expected:32} {got:17} {milliseconds:>5}  {mark}"

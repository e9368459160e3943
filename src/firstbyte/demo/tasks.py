"""The tasks API, with the site beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from firstbyte.app.application import App
from firstbyte.app.pages import error_response
from firstbyte.demo.store import InvalidTask, Task, TaskStore, checked_title, now
from firstbyte.errors import HTTPError
from firstbyte.files.static import StaticFiles
from firstbyte.http.request import Request
from firstbyte.http.response import HTML, Response
from firstbyte.http.status import phrase

SITE = Path(__file__).parent / "site"
_API = ("/tasks", "/health")


def create_app(database: str | Path, *, debug: bool = False) -> App:
    """The demo's app, with its tasks in the SQLite file `database`. Raises ConfigurationError if that is none."""
    app = App(debug=debug)
    store = TaskStore(database)

    @app.get("/health")
    def health() -> dict[str, Any]:
        return {"status": "ok", "time": now(), "tasks": store.count()}

    @app.get("/tasks")
    def tasks() -> list[Task]:
        return store.all()

    @app.post("/tasks")
    def create(request: Request) -> tuple[Task, int, dict[str, str]]:
        fields = _fields(request, {"title"})
        if "title" not in fields:
            raise InvalidTask("title is missing")
        task = store.add(fields["title"])
        return task, 201, {"Location": app.url_for("task", id=task.id)}

    @app.get("/tasks/{id:int}", name="task")
    def task(id: int) -> Task:  # noqa: A002 - the path's name for it
        return _found(store.get(id), id)

    @app.patch("/tasks/{id:int}")
    def change(id: int, request: Request) -> Task:  # noqa: A002
        fields = _fields(request, {"title", "done"})
        if not fields:
            raise InvalidTask("nothing is to be changed: send title, done or both")
        return _found(store.change(id, **fields), id)

    @app.delete("/tasks/{id:int}")
    def remove(id: int) -> None:  # noqa: A002
        if not store.remove(id):
            raise _missing(id)

    @app.error(InvalidTask)
    def invalid(request: Request, error: InvalidTask) -> Response:
        return _problem(400, str(error))

    @app.error(HTTPError)
    def failed(request: Request, error: HTTPError) -> Response:
        if any(request.raw_path == path or request.raw_path.startswith(f"{path}/") for path in _API):
            return _problem(error.status, error.detail)  # whatever the client would rather have, an API speaks JSON
        if error.status == 404:
            return Response((SITE / "404.html").read_bytes(), 404, media_type=HTML)
        return error_response(request, error.status, error.detail)

    app.mount("/", StaticFiles(SITE, not_found=None))  # `failed` answers, which knows the API from the site
    return app


def _fields(request: Request, members: set[str]) -> dict[str, Any]:
    """The members of a task that the body has, checked. Raises HTTPError 400 or InvalidTask that says what is wrong."""
    fields = request.json()
    if not isinstance(fields, dict):
        raise HTTPError(400, "the body must be a JSON object")
    unknown = fields.keys() - members
    if unknown:
        raise InvalidTask(f"there is no member {min(unknown)!r} here: send {' or '.join(sorted(members))}")
    if "title" in fields:
        fields["title"] = checked_title(fields["title"])
    if "done" in fields and not isinstance(fields["done"], bool):
        raise InvalidTask("done must be true or false")
    return fields


def _found(task: Task | None, id: int) -> Task:  # noqa: A002
    if task is None:
        raise _missing(id)
    return task


def _missing(id: int) -> HTTPError:  # noqa: A002
    return HTTPError(404, f"there is no task {id}")


def _problem(status: int, detail: str) -> Response:
    """An error as the API tells it: a JSON problem (RFC 9457)."""
    problem = {"type": "about:blank", "title": phrase(status), "status": status, "detail": detail}
    return Response.json(problem, status, media_type="application/problem+json")

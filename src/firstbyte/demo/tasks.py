"""The tasks API, with the site beside it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from firstbyte.app.application import App
from firstbyte.app.pages import error_response
from firstbyte.demo.store import TITLE_MAX, Task, TaskStore
from firstbyte.errors import HTTPError
from firstbyte.files.static import StaticFiles
from firstbyte.http.request import Request
from firstbyte.http.response import HTML, Response

SITE = Path(__file__).parent / "site"
_API = ("/tasks", "/health")


def create_app(database: str | Path, *, debug: bool = False) -> App:
    """The demo's app, with its tasks in the SQLite file `database`."""
    app = App(debug=debug)
    store = TaskStore(database)

    @app.get("/health")
    def health() -> dict[str, Any]:
        return {"status": "ok", "time": datetime.now(UTC).isoformat(timespec="seconds"), "tasks": store.count()}

    @app.get("/tasks")
    def tasks() -> list[Task]:
        return store.all()

    @app.post("/tasks")
    def create(request: Request) -> tuple[Task, int, dict[str, str]]:
        fields = _fields(request, required="title")
        if "done" in fields:
            raise HTTPError(400, "a new task takes a title and nothing else")
        task = store.add(fields["title"])
        return task, 201, {"Location": app.url_for("task", id=task.id)}

    @app.get("/tasks/{id:int}", name="task")
    def task(id: int) -> Task:  # noqa: A002 - the path's name for it
        return _found(store.get(id), id)

    @app.patch("/tasks/{id:int}")
    def change(id: int, request: Request) -> Task:  # noqa: A002
        fields = _fields(request)
        return _found(store.change(id, fields.get("title"), fields.get("done")), id)

    @app.delete("/tasks/{id:int}")
    def remove(id: int) -> None:  # noqa: A002
        if not store.remove(id):
            raise HTTPError(404, f"there is no task {id}")

    @app.error(HTTPError)
    def answer(request: Request, error: HTTPError) -> Response:
        path = request.root_path + request.raw_path
        if any(path == prefix or path.startswith(prefix + "/") for prefix in _API):
            return _problem(request, error)
        if error.status == 404:
            return Response((SITE / "404.html").read_bytes(), 404, media_type=HTML)
        return error_response(request, error.status, error.detail)

    app.mount("/", StaticFiles(SITE))
    return app


def _fields(request: Request, required: str | None = None) -> dict[str, Any]:
    """The task's members in the body, checked. Raises HTTPError 400 that says what is wrong."""
    fields = request.json()
    if not isinstance(fields, dict):
        raise HTTPError(400, "the body must be a JSON object")
    unknown = sorted(fields.keys() - {"title", "done"})
    if unknown:
        raise HTTPError(400, f"a task has no member {unknown[0]!r}: it has title and done")
    if required is not None and required not in fields:
        raise HTTPError(400, f"the member {required!r} is missing")
    if "title" in fields:
        title = fields["title"].strip() if isinstance(fields["title"], str) else ""
        if not 0 < len(title) <= TITLE_MAX:
            raise HTTPError(400, f"title must be a text of 1 to {TITLE_MAX} characters")
        fields["title"] = title
    if "done" in fields and not isinstance(fields["done"], bool):
        raise HTTPError(400, "done must be true or false")
    return fields


def _found(task: Task | None, id: int) -> Task:  # noqa: A002
    if task is None:
        raise HTTPError(404, f"there is no task {id}")
    return task


def _problem(request: Request, error: HTTPError) -> Response:
    """The API's errors are JSON for every client, a browser too."""
    plain = Request.build(request.method, request.target, {"Accept": "application/json"})
    return error_response(plain, error.status, error.detail)

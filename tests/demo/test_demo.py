"""The demo, from its store to a browser."""

from __future__ import annotations

import http.client
import io
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.support import ask, get
from firstbyte import App, Server
from firstbyte.demo.client import STEPS, run_client
from firstbyte.demo.store import TaskStore
from firstbyte.demo.tasks import create_app


@pytest.fixture
def app(tmp_path: Path) -> App:
    return create_app(tmp_path / "tasks.sqlite3")


@pytest.fixture
def server(app: App) -> Iterator[Server]:
    with Server(app, port=0) as server:
        yield server


def test_the_store_under_many_threads(tmp_path: Path) -> None:
    store = TaskStore(tmp_path / "tasks.sqlite3")
    threads = [
        threading.Thread(target=lambda n=n: [store.add(f"{n} {m}") for m in range(50)])  # type: ignore[misc]
        for n in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {task.title for task in store.all()} == {f"{n} {m}" for n in range(16) for m in range(50)}
    assert len({task.id for task in store.all()}) == store.count() == 800
    store.close()
    again = TaskStore(tmp_path / "tasks.sqlite3")
    assert again.count() == 800
    again.close()


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'"x"', b"{}", b'{"title": 5}', b'{"title": ""}', b'{"title": " "}', b'{"title": null}',
     b'{"title": "x", "done": true}', b'{"title": "x", "colour": "red"}', json.dumps({"title": "x" * 201}).encode()],
)  # fmt: skip
def test_what_makes_no_task(app: App, body: bytes) -> None:
    response = ask(app, "POST", "/tasks", body, Accept="text/html")
    assert (response.status, response.content_type) == (400, "application/problem+json")
    assert get(app, "/tasks") == (200, b"[]")


def test_errors_are_json_in_the_api_and_pages_in_the_site(app: App) -> None:
    for path in ("/tasks/1", "/tasks/a/b", "/tasks/x", "/health/x"):
        assert ask(app, "GET", path, Accept="text/html").content_type == "application/problem+json", path
    page = ask(app, "GET", "/tasksx", Accept="*/*")
    assert (page.status, page.content_type) == (404, "text/html; charset=utf-8")
    assert b"Nothing is at this address" in page.body  # type: ignore[operator]
    assert ask(app, "PUT", "/tasks").headers["allow"] == "GET, HEAD, OPTIONS, POST"


def test_the_client_walks_through_all_of_it(server: Server) -> None:
    out = io.StringIO()
    assert run_client(f"http://127.0.0.1:{server.port}", out) == 0
    assert f"{len(STEPS)} of {len(STEPS)} answers" in out.getvalue()


def test_the_client_tells_what_is_wrong() -> None:
    app = App()
    app.add_route("/health", lambda: {"status": "ill"})
    with Server(app, port=0) as server:
        out = io.StringIO()
        assert run_client(f"127.0.0.1:{server.port}", out) == 1
    assert "404 ≠ 200" in out.getvalue()
    assert "ill" in out.getvalue()


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "ftp://x", "http://"])
def test_the_client_without_a_server(url: str) -> None:
    out = io.StringIO()
    assert run_client(url, out) == 1
    assert url in out.getvalue()


def test_ten_thousand_tasks_from_32_clients_are_all_there_once(server: Server) -> None:
    failures: list[object] = []

    def post(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        for n in range(number, 10_000, 32):
            connection.request("POST", "/tasks", json.dumps({"title": f"task {n}"}))
            response = connection.getresponse()
            if response.status != 201 or json.loads(response.read())["title"] != f"task {n}":
                failures.append(n)
        connection.close()

    threads = [threading.Thread(target=post, args=(number,)) for number in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("GET", "/tasks")
    tasks = json.loads(connection.getresponse().read())
    connection.close()
    assert sorted(task["title"] for task in tasks) == sorted(f"task {n}" for n in range(10_000))
    assert len({task["id"] for task in tasks}) == 10_000


def test_a_browser_shows_the_site_with_its_tasks(server: Server, tmp_path: Path) -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        if os.environ.get("CI"):
            pytest.fail("chromium is missing: run make deps")
        pytest.skip("chromium is missing: run make deps")
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.request("POST", "/tasks", json.dumps({"title": "seen <by> a browser"}))
    connection.getresponse().read()
    connection.close()
    options = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync "
        "--disable-background-networking --disable-component-update"
    )
    page = subprocess.run(
        [chromium, *options.split(), f"--user-data-dir={tmp_path}", "--virtual-time-budget=5000", "--dump-dom", f"http://127.0.0.1:{server.port}/"],
        capture_output=True, text=True, timeout=90, check=True,
    ).stdout  # fmt: skip
    assert "seen &lt;by&gt; a browser" in page
    assert "1 of 1 to do" in page

"""The client that walks through the demo."""

from __future__ import annotations

import io
import json
import re
import socket
import threading
from pathlib import Path

import pytest

from firstbyte import App, Request, Response, Server
from firstbyte.demo.client import STEPS, run_client
from firstbyte.http.handler import Endpoint, Handler


def walk(url: str | int, out: io.StringIO | None = None) -> tuple[int, list[str]]:
    """Exit code and lines of a walk through the demo at a port or an address."""
    out = out or io.StringIO()
    code = run_client(f"http://127.0.0.1:{url}" if isinstance(url, int) else url, out)
    return code, out.getvalue().splitlines()


def test_it_walks_through_all_of_the_demo(server: Server) -> None:
    for _ in range(2):  # it leaves nothing behind that would be in its own way
        code, lines = walk(server.port)
        assert code == 0, lines
        assert lines[-1] == f"{len(STEPS)} of {len(STEPS)} answers are as they should be, over one connection"
        assert len(lines) == len(STEPS) + 2
        assert all(
            re.fullmatch(r"\S.* (GET|POST|PATCH|PUT|DELETE|HEAD|OPTIONS) +/.* \d+\.\d  ok", line)
            for line in lines[1:-1]
        )
        assert "\x1b" not in "".join(lines)


def test_it_is_coloured_on_a_terminal(server: Server) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    _, lines = walk(server.port, Terminal())
    assert lines[1].endswith("\x1b[32mok\x1b[0m")


def test_the_page_about_the_demo_shows_it_as_it_is(server: Server) -> None:
    page = Path(__file__).parent.parent.parent.joinpath("docs", "demo.md").read_text()
    shown = page.split("$ firstbyte demo --client http://127.0.0.1:8000\n")[1].split("\n```")[0].splitlines()
    timeless = {re.sub(r" +\d+\.\d  ok$", "", line) for line in walk(server.port)[1]}
    for line in shown:
        assert line == "…" or re.sub(r" +\d+\.\d  ok$", "", line) in timeless


@pytest.mark.parametrize("form", ["127.0.0.1:{}", "http://localhost:{}", "http://127.0.0.1:{}/"])
def test_forms_of_an_address(server: Server, form: str) -> None:
    assert walk(form.format(server.port))[0] == 0


class Changed:
    """The demo with every answer put through `change`."""

    def __init__(self, app: App, change: object) -> None:
        self._app = app
        self._change = change

    def resolve(self, request: Request) -> Endpoint:
        call = self._app.resolve(request).call
        return Endpoint(lambda request: self._change(request, call(request)))  # type: ignore[operator]


def wrong_status(request: Request, response: Response) -> Response:
    response.status = 200 if response.status == 404 else response.status
    return response


def wrong_task(request: Request, response: Response) -> Response:
    return Response.json({"id": 1}) if request.target == "/tasks/1" and request.method == "GET" else response


def no_json(request: Request, response: Response) -> Response:
    return Response("so well") if request.target == "/health" else response


def no_allow(request: Request, response: Response) -> Response:
    if response.status == 405:
        del response.headers["allow"]
    return response


def page_as_text(request: Request, response: Response) -> Response:
    return Response(response.body, response.status) if request.target == "/about.html" else response


@pytest.mark.parametrize(
    ("change", "wrong"),
    [(wrong_status, 4), (wrong_task, 2), (no_json, 1), (no_allow, 1), (page_as_text, 1)],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_it_finds_what_is_wrong(app: App, change: object, wrong: int) -> None:
    handler: Handler = Changed(app, change)
    with Server(handler, port=0) as server:
        code, lines = walk(server.port)
    assert code == 1
    assert sum(line.endswith("  no") for line in lines) == wrong, "\n".join(lines)
    assert lines[-1].startswith(f"{len(STEPS) - wrong} of {len(STEPS)} ")


def test_it_shows_what_came_instead() -> None:
    app = App()
    app.add_route("/health", lambda: {"status": "ill", "tasks": 0})
    with Server(app, port=0) as server:
        code, lines = walk(server.port)
    assert code == 1
    row = next(index for index, line in enumerate(lines) if line.startswith("health "))
    assert lines[row].endswith("no")
    assert lines[row + 1].strip() == repr(json.dumps({"status": "ill", "tasks": 0}, separators=(",", ":")))


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "127.0.0.1:1", "http://name.invalid", f"http://{'a' * 80}"])
def test_without_a_server_it_says_so_in_one_line(url: str) -> None:
    code, lines = walk(url)
    assert (code, len(lines)) == (1, 1)
    assert lines[0].startswith(f"no server answers at {url} (")


@pytest.mark.parametrize(
    "url",
    ["", "http://", "ftp://x", "https://x", "http://x:99999", "http://x:y", "http://a b", "http://[::1", "http://x/y"],
)
def test_what_is_no_address_is_said_in_one_line(url: str) -> None:
    code, lines = walk(url)
    assert (code, lines) == (1, [f"{url!r} is no address of a demo: write http://host:port"])


def test_a_server_that_hangs_up_is_a_row_each_time() -> None:
    """It accepts and closes, again and again, until the client has asked everything."""
    listener = socket.create_server(("127.0.0.1", 0))

    def hang_up() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(65536)

    thread = threading.Thread(target=hang_up)
    thread.start()
    code, lines = walk(listener.getsockname()[1])
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()
    assert code == 1
    assert sum("no answer" in line and line.endswith("  no") for line in lines) == len(STEPS)
    assert lines[-1] == f"0 of {len(STEPS)} answers are as they should be, over {len(STEPS)} connections"


def test_a_server_that_goes_away_ends_the_walk() -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def answer_once() -> None:
        connection, _ = listener.accept()
        listener.close()
        with connection:
            connection.recv(65536)

    thread = threading.Thread(target=answer_once)
    thread.start()
    code, lines = walk(listener.getsockname()[1])
    thread.join()
    assert code == 1
    assert "ConnectionRefusedError" in lines[-2]
    assert sum(line.endswith("  no") for line in lines) == 2


def test_a_server_that_does_not_answer_ends_the_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firstbyte.demo.client._TIMEOUT", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        code, lines = walk(listener.getsockname()[1])
    assert (code, len(lines)) == (1, 4)
    assert "no answer" in lines[1]
    assert "TimeoutError" in lines[2]

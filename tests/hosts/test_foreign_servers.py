"""An App under gunicorn, uWSGI, waitress and wsgiref."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

import needs
from engine.support import WAIT

HERE = Path(__file__).parent

WSGIREF = """
import sys
from wsgiref.simple_server import make_server
from ours import app
make_server("127.0.0.1", int(sys.argv[1]), app).serve_forever()
"""
UWSGI = "import sys, pyuwsgi; pyuwsgi.run(sys.argv[1:])"

SERVERS: dict[str, tuple[str, Callable[[str], list[str]]]] = {
    "wsgiref": ("wsgiref", lambda port: ["-c", WSGIREF, port]),
    "waitress": ("waitress", lambda port: ["-m", "waitress", f"--listen=127.0.0.1:{port}", "ours:app"]),
    "gunicorn": (
        "gunicorn",
        lambda port: [
            *["-m", "gunicorn", "-k", "gthread", "--no-control-socket", "ours:app", "-b"],
            f"127.0.0.1:{port}",
        ],
    ),
    "uvicorn": (
        "uvicorn",
        lambda port: ["-m", "uvicorn", "ours:app", "--log-level", "warning", "--port", port],
    ),
    "hypercorn": ("hypercorn", lambda port: ["-m", "hypercorn", "asgi:ours:app", "-b", f"127.0.0.1:{port}"]),
    "granian": (
        "granian",
        lambda port: ["-m", "granian", "--interface", "asgi", "ours:app", "--port", port],
    ),
    "uwsgi": (
        "pyuwsgi",
        lambda port: [
            "-c",
            UWSGI,
            *["--die-on-term", "--need-app", "--wsgi", "ours:app", "--http-socket"],
            f"127.0.0.1:{port}",
        ],
    ),
}
"""The package of each, which may be missing here, and what Python is to run for it."""


@pytest.fixture(scope="module", params=SERVERS)
def port(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port at which a server of another house serves the App."""
    package, arguments = SERVERS[request.param]
    needs.package(package)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path_factory.mktemp(request.param) / "log"
    paths = [str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *arguments(str(port))], cwd=log.parent, stdout=output, stderr=output,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        )  # fmt: skip
    try:
        _wait_until_it_listens(process, port, log)
        yield port
    finally:
        process.terminate()
        try:
            process.wait(WAIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_it_listens(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + WAIT
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError(f"it does not come up: {log.read_text()[-2000:]}")


def ask(
    port: int, method: str, target: str, body: bytes | None = None, **fields: str
) -> tuple[int, http.client.HTTPMessage, bytes]:
    """The server's answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT)
    try:
        connection.request(method, target, body, {name.replace("_", "-"): value for name, value in fields.items()})
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def test_a_route_with_a_parameter_and_a_query(port: int) -> None:
    status, headers, body = ask(port, "GET", "/items/42?q=a%20b")
    assert (status, json.loads(body)) == (200, {"id": 42, "q": "a b", "client": True})
    assert headers["Content-Type"] == "application/json"
    assert headers["X-Marked"] == "yes"


@pytest.mark.parametrize("size", [0, 5, 400_000])
def test_bodies(port: int, size: int) -> None:
    data = b"x" * size
    status, headers, body = ask(port, "POST", "/echo", data, Content_Type="text/x; charset=utf-8")
    assert (status, body) == (200, data)
    assert headers["Content-Type"] == "text/x; charset=utf-8"
    assert json.loads(ask(port, "POST", "/count", data)[2]) == {"size": size}


def test_answers_of_every_kind(port: int) -> None:
    assert ask(port, "GET", "/ticks")[2] == b"".join(b"tick %d\n" % number for number in range(5))
    source = (HERE / "ours.py").read_bytes()
    assert ask(port, "GET", "/file")[2] == source
    status, headers, body = ask(port, "GET", "/file", Range="bytes=3-9")
    assert (status, body) == (206, source[3:10])
    assert ask(port, "GET", "/nothing")[::2] == (204, b"")
    status, headers, body = ask(port, "HEAD", "/file")
    assert (status, headers["Content-Length"], body) == (200, str(len(source)), b"")
    status, headers, body = ask(port, "GET", "/teapot")
    assert (status, json.loads(body)["detail"]) == (418, "short and stout")
    assert ask(port, "GET", "/none")[0] == 404
    assert ask(port, "DELETE", "/echo")[0] == 405


def test_coroutines(port: int) -> None:
    assert ask(port, "GET", "/awaited")[2] == b"/awaited"


# -- WebSockets, which ASGI has and WSGI has not


over_asgi = pytest.mark.parametrize("port", ["uvicorn", "hypercorn", "granian"], indirect=True)


def opened(port: int, path: str, **options: Any) -> ClientConnection:
    return connect(f"ws://127.0.0.1:{port}{path}", open_timeout=WAIT, close_timeout=WAIT, max_size=None, **options)


def closed(ws: ClientConnection) -> tuple[int, str]:
    with pytest.raises(ConnectionClosed) as caught:
        ws.recv(WAIT)
    assert caught.value.rcvd is not None
    return caught.value.rcvd.code, caught.value.rcvd.reason


@over_asgi
@pytest.mark.parametrize("path", ["/ws/echo/ann", "/ws/sync"])
def test_messages_of_websockets(request: pytest.FixtureRequest, port: int, path: str) -> None:
    with opened(port, path, subprotocols=["v1", "v2"]) as ws:
        if path == "/ws/echo/ann":
            assert ws.subprotocol == "v2"
            assert json.loads(ws.recv(WAIT)) == {"name": "ann", "subprotocol": "v2"}
            if request.node.callspec.params["port"] != "granian":  # it leaves out the headers of a websocket.accept
                assert ws.response is not None
                assert ws.response.headers["X-Marked"] == "yes"
        for message in ("", "κόσμε", b"", bytes(range(256)) * 10, "x" * 1_000_000):
            ws.send(message)
            assert ws.recv(WAIT) == message
        for number in range(100):
            ws.send(str(number))
        assert [ws.recv(WAIT) for _ in range(100)] == [str(number) for number in range(100)]


@over_asgi
def test_a_websocket_of_a_thread_closes_and_waits_for_a_slow_reader(port: int) -> None:
    with opened(port, "/ws/sync", max_queue=1) as ws:
        ws.send("flood")
        assert sum(len(ws.recv(WAIT)) for _ in range(200)) == 20_000_000
        ws.send("close")
        assert closed(ws) == (4001, "as you wish")


@over_asgi
def test_limits_and_failures_of_websockets(port: int) -> None:
    with opened(port, "/ws/sync") as ws:
        ws.send("x" * 1_048_577)
        assert closed(ws)[0] == 1009
    with opened(port, "/ws/fails") as ws:
        assert closed(ws)[0] == 1011


@over_asgi
@pytest.mark.parametrize(
    ("path", "status", "options"),
    [("/ws/refuses", 401, {}), ("/none", 404, {}), ("/ws/sync", 403, {"origin": "https://evil.example"})],
)
def test_websockets_that_are_refused(port: int, path: str, status: int, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidStatus) as caught:
        opened(port, path, **options)
    assert caught.value.response.status_code in (status, 403)  # a server without websocket.http.response answers 403

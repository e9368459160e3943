"""WSGI applications on a real server: what a client sees, and what the log says."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from wsgiref.validate import validator

import pytest

from engine.support import WAIT, Serve
from firstbyte import App
from firstbyte.hosts.wsgi import WSGI


def echo(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Answers with what it was sent, read as the validator allows."""
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    text = f"{environ['REQUEST_METHOD']} {environ['SCRIPT_NAME']}|{environ['PATH_INFO']}?{environ['QUERY_STRING']} "
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Length", environ.get("CONTENT_LENGTH", "none"))])
    return [text.encode("latin-1") + body]


@pytest.fixture(params=["auto", "asyncio"])
def driver(request: pytest.FixtureRequest) -> str:
    """Both drivers."""
    return str(request.param)


def test_the_validator_finds_nothing(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    app = App()
    app.mount("/in", WSGI(validator(echo)))
    client = serve(app).client()
    for _ in range(3):
        status, fields, body = client.get("/in/x%20y?q=1").read()
        assert (status, body) == (200, b"GET /in|/x y?q=1 ")
    client.send(b"POST /in/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    status, fields, body = client.read()
    assert (fields["x-length"], body) == ("5", b"POST /in|/? abcde")
    client.send(b"HEAD /in/ HTTP/1.1\r\nHost: x\r\n\r\n")
    assert client.read(head_only=True)[0] == 200
    client.send(b"GET /in/ HTTP/1.0\r\n\r\n")
    assert client.rest().endswith(b"\r\n\r\nGET /in|/? ")
    assert not caplog.records


def test_a_long_body_and_a_file(serve: Serve, tmp_path: Path) -> None:
    stored = tmp_path / "stored"

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        if environ["REQUEST_METHOD"] == "PUT":
            with stored.open("wb") as file:
                while block := environ["wsgi.input"].read(65536):
                    file.write(block)
            start_response("204 No Content", [])
            return []
        start_response("200 OK", [("Content-Length", str(stored.stat().st_size))])
        return environ["wsgi.file_wrapper"](stored.open("rb"))

    client = serve(WSGI(app)).client()
    data = os.urandom(3_000_000)
    client.send(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n" + data)
    assert client.read()[0] == 204
    assert client.get().read()[2] == data


def test_pieces_come_as_they_are_made(serve: Serve) -> None:
    more = threading.Event()

    def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield b"first"
        assert more.wait(WAIT)
        yield b"second"

    client = serve(WSGI(app)).client()
    client.get()
    while b"first" not in client.buffer:
        assert client.more()
    more.set()
    assert client.read()[2] == b"firstsecond"


def test_what_is_written_comes_while_the_application_runs(serve: Serve) -> None:
    more = threading.Event()

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        write = start_response("200 OK", LENGTH if environ["PATH_INFO"] == "/length" else [])
        write(b"first")
        assert environ["QUERY_STRING"] != "wait" or more.wait(WAIT)
        if environ["QUERY_STRING"] == "fail":
            raise ValueError("between")
        write(b"-")
        return [b"end"]

    running = serve(WSGI(app))
    client = running.client()
    assert client.get("/").read()[2] == b"first-end"  # from here on it is known that it writes
    client.get("/?wait")
    while b"first" not in client.buffer:
        assert client.more()
    more.set()
    assert client.read()[2] == b"first-end"
    assert client.get("/length").read()[2] == b"first-end"
    client.send(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
    client.send(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert [client.read(head_only=True)[0] for _ in range(2)] == [200, 200]
    assert client.get("/").read()[2] == b"first-end"
    client.get("/?fail")
    assert client.rest().endswith(b"first\r\n")
    assert running.client().get("/").read()[2] == b"first-end"


def test_a_client_that_leaves_closes_the_result(serve: Serve) -> None:
    closed = threading.Event()

    class Endless:
        def __iter__(self) -> Iterator[bytes]:
            while True:
                yield b"x" * 65536

        def close(self) -> None:
            closed.set()

    def app(environ: dict[str, Any], start_response: Any) -> Endless:
        start_response("200 OK", [])
        return Endless()

    client = serve(WSGI(app)).client()
    client.get()
    assert client.more()
    client.close()
    assert closed.wait(WAIT)


# -- bad applications: each has a clean 500 or a cut connection and a line in the log, and the server serves on


def start_then(*steps: Any) -> Any:
    """An application that starts well, gives pieces, and raises the exceptions among them."""

    def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", LENGTH if environ["PATH_INFO"] == "/length" else [])
        for step in steps:
            if isinstance(step, Exception):
                raise step
            yield step

    return app


LENGTH = [("Content-Length", "9")]


def raises(environ: dict[str, Any], start_response: Any) -> Any:
    raise ValueError("before the start")


def breaks_the_head(environ: dict[str, Any], start_response: Any) -> Any:
    start_response("200 OK", [("X-A", "1\r\nX-B: 2")])
    return [b"x"]


def lies(environ: dict[str, Any], start_response: Any) -> Any:
    start_response("200 OK", LENGTH)
    return [b"x"]


@pytest.mark.parametrize(
    ("app", "path", "said"),
    [
        (raises, "/", "ValueError: before the start"),
        (start_then(ValueError("after the start")), "/", "ValueError: after the start"),
        (start_then("text"), "/", "the body of the application has str in it"),
        (lambda environ, start_response: "text", "/", "returned str: it must return an iterable of bytes"),
        (lambda environ, start_response: [b"x"], "/", "did not call start_response"),
        (breaks_the_head, "/", "control character"),
        (lies, "/", "Content-Length: 9, but gave 1"),
    ],
)
def test_a_fault_before_anything_is_sent_is_a_500(
    serve: Serve, caplog: pytest.LogCaptureFixture, app: Any, path: str, said: str
) -> None:
    client = serve(WSGI(app)).client()
    for _ in range(2):  # on one connection
        status, _, body = client.get(path).read()
        assert status == 500
        assert b"Error" in body
        assert said.encode() not in body
    assert said in caplog.text
    assert "failed on GET /" in caplog.text


@pytest.mark.parametrize(
    ("app", "path", "said"),
    [
        (start_then(b"sent", ValueError("too late")), "/", "ValueError: too late"),
        (start_then(b"sent", ValueError("too late")), "/length", "ValueError: too late"),
        (start_then(b"sent", "text"), "/", "str in it"),
        (start_then(b"sent"), "/length", "the body ended 5 bytes before its Content-Length"),
        (start_then(b"sent", b"too long"), "/length", "3 bytes longer than its Content-Length"),
    ],
)
def test_a_fault_after_that_cuts_the_connection(
    serve: Serve, caplog: pytest.LogCaptureFixture, app: Any, path: str, said: str
) -> None:
    running = serve(WSGI(app))
    client = running.client().get(path)
    received = client.rest()
    assert received.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"sent" in received
    assert not received.endswith(b"0\r\n\r\n")
    running.recorder.wait_for("closed")
    assert said in caplog.text
    assert "broken off" in caplog.text
    assert running.client().get("/").read(head_only=True)[0] == 200


def test_an_application_that_never_reads_its_body(serve: Serve) -> None:
    app = start_then(b"done")
    client = serve(WSGI(app)).client()
    for size in (10, 3_000_000):
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)
        assert client.read()[2] == b"done"
    assert client.get().read()[2] == b"done"


def test_an_application_that_never_returns_holds_its_thread_alone(serve: Serve) -> None:
    held, let_go = threading.Event(), threading.Event()

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] == "/never":
            held.set()
            assert let_go.wait(WAIT)
        start_response("200 OK", [])
        return [b"served"]

    running = serve(WSGI(app), threads=2)
    stuck = running.client().get("/never")
    assert held.wait(WAIT)
    for _ in range(20):
        assert running.client().get("/").read()[2] == b"served"
    let_go.set()
    assert stuck.read()[2] == b"served"


def test_what_is_written_to_wsgi_errors_is_logged(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        print("a line of the app", file=environ["wsgi.errors"])
        start_response("200 OK", [])
        return []

    assert serve(WSGI(app)).client().get().read()[0] == 200
    assert [(record.name, record.levelno, record.message) for record in caplog.records] == [
        ("firstbyte.wsgi", logging.ERROR, "a line of the app")
    ]

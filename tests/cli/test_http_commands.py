"""The HTTP commands against a server of firstbyte, from the command line to what is printed."""

from __future__ import annotations

import base64
import json
import os
import pty
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import click
import pytest

from engine.support import WAIT
from firstbyte import App, Request, Response, Server
from firstbyte.cli import main


class Result(NamedTuple):
    """What came of a command."""

    code: int
    out: bytes
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Result]
EVERY = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE"]


def make_app(folder: Path) -> App:
    app = App()

    @app.route("/echo", EVERY)
    def echo(request: Request) -> dict[str, Any]:
        return {
            "method": request.method,
            "query": request.query.items(),
            "headers": {name.lower(): value for name, value in request.headers.items()},
            "body": request.body.decode(),
        }

    @app.get("/status/{status:int}")
    def status(status: int) -> tuple[str, int]:
        return f"it is {status}", status

    @app.get("/redirect")
    def redirect() -> Response:
        return Response(b"", 302, {"Location": "/echo"})

    @app.get("/again/{id:int}")
    def again(id: int) -> Response:
        return Response(b"", 302, {"Location": f"/again/{id + 1}"})

    @app.get("/count")
    def count() -> Iterator[str]:
        for number in range(3):
            yield f"{number}\n"

    @app.get("/binary")
    def binary() -> bytes:
        return bytes(range(256))

    @app.get("/remember")
    def remember() -> Response:
        response = Response("remembered")
        response.set_cookie("seen", "1", max_age=3600)
        return response

    @app.get("/closed")
    def closed(request: Request) -> Response:
        if request.headers.get("authorization") == "Basic " + base64.b64encode(b"ann:secret").decode():
            return Response("welcome")
        return Response("who are you?", 401, {"WWW-Authenticate": 'Basic realm="x"'})

    @app.get("/file.bin")
    def file() -> Path:
        return folder / "served.bin"

    return app


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("served")
    (folder / "served.bin").write_bytes(os.urandom(100_000))
    with Server(make_app(folder), port=0) as running:
        yield running


@pytest.fixture
def run(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> Run:
    """Runs a command in an empty folder; ":0" at the beginning of an argument is the server."""
    monkeypatch.chdir(tmp_path)

    def run_it(*arguments: str) -> Result:
        argv = [re.sub(r"\A:0(?=/|\Z)", f":{server.port}", argument) for argument in arguments]
        monkeypatch.setattr(sys, "argv", ["firstbyte", *argv])
        code = main()
        out, err = capfdbinary.readouterr()
        return Result(code, out, err.decode())

    return run_it


@contextmanager
def answering(data: bytes) -> Iterator[int]:
    """The port of a server that answers its one client with these bytes and closes."""

    def answer() -> None:
        sock, _ = listener.accept()
        with sock:
            sock.recv(10_000)
            sock.sendall(data)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(WAIT)
        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(WAIT)


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete", "options"])
def test_a_command_for_each_method(run: Run, method: str) -> None:
    result = run(method, ":0/echo", "q==a b")
    assert (result.code, result.err) == (0, "")
    assert result.json()["method"] == method.upper()
    assert result.json()["query"] == [["q", "a b"]]


def test_any_method(run: Run) -> None:
    assert run("request", "PURGE", ":0/echo").json()["method"] == "PURGE"
    result = run("request", "get", ":0/echo", "a=b").json()
    assert (result["method"], result["body"]) == ("GET", '{"a":"b"}')


def test_head_prints_no_body(run: Run) -> None:
    assert run("head", ":0/count").out == b""
    assert run("head", ":0/count", "--headers").out.startswith(b"HTTP/1.1 200 OK\n")


def test_fields_are_json(run: Run) -> None:
    result = run("post", ":0/echo", "title=milk", "done:=false", "X-Token:abc").json()
    assert json.loads(result["body"]) == {"title": "milk", "done": False}
    headers = result["headers"]
    assert (headers["content-type"], headers["x-token"]) == ("application/json", "abc")
    assert headers["accept"].startswith("application/json")


def test_a_form(run: Run) -> None:
    result = run("post", ":0/echo", "--form", "title=a b", "n:=1").json()
    assert result["body"] == "title=a+b&n=1"
    assert result["headers"]["content-type"] == "application/x-www-form-urlencoded"


def test_files_make_multipart(run: Run, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("buy milk")
    result = run("post", ":0/echo", "title=list", "notes@notes.txt").json()
    assert result["headers"]["content-type"].startswith("multipart/form-data; boundary=")
    assert 'name="title"\r\n\r\nlist\r\n' in result["body"]
    assert 'name="notes"; filename="notes.txt"\r\nContent-Type: text/plain' in result["body"]
    assert "\r\n\r\nbuy milk\r\n" in result["body"]


def test_a_raw_body(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data.csv").write_text("a,b")
    result = run("put", ":0/echo", "--raw", "@data.csv").json()
    assert (result["body"], result["headers"]["content-type"].partition(";")[0]) == ("a,b", "text/csv")
    assert run("put", ":0/echo", "--raw", '{"a":1}').json()["body"] == '{"a":1}'
    with (tmp_path / "data.csv").open() as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        assert run("put", ":0/echo", "--raw", "@-", "Content-Type:text/x").json()["body"] == "a,b"


def test_headers_can_be_left_out_and_empty(run: Run) -> None:
    headers = run("get", ":0/echo", "User-Agent:", "X-Empty;").json()["headers"]
    assert "user-agent" not in headers
    assert headers["x-empty"] == ""


@pytest.mark.parametrize(("status", "code"), [(200, 0), (302, 0), (404, 4), (503, 5)])
def test_the_exit_code_tells_the_status(run: Run, status: int, code: int) -> None:
    result = run("get", f":0/status/{status}")
    assert (result.code, result.out, result.err) == (code, f"it is {status}".encode(), "")


def test_a_pipe_gets_the_body_as_it_is(run: Run) -> None:
    assert run("get", ":0/binary").out == bytes(range(256))
    assert run("get", ":0/count").out == b"0\n1\n2\n"


def test_all_of_it_formatted(run: Run) -> None:
    result = run("get", ":0/status/404", "--pretty", "--headers", "--body")
    text = click.unstyle(result.out.decode())
    assert text.startswith("HTTP/1.1 404 Not Found\n")
    assert text.endswith("\n\nit is 404\n")


def test_redirects_are_followed_where_asked(run: Run) -> None:
    assert b"Location: /echo" in run("get", ":0/redirect", "--headers").out
    assert run("get", ":0/redirect", "--follow").json()["method"] == "GET"
    result = run("get", ":0/again/1", "--follow")
    assert result.code == 7
    assert "redirects" in result.err


def test_verbose_explains_the_bytes(run: Run) -> None:
    result = run("post", ":0/echo", "--verbose", "a=b")
    empty, *lines = result.err.splitlines()
    assert not empty
    assert re.fullmatch(r">      0  POST /echo HTTP/1.1␍␊ +request line: .*", lines[0])
    assert any(re.search(r'^> +\d+  \{"a":"b"\} +body$', line) for line in lines)
    assert any(re.search(r"^<      0  HTTP/1.1 200 OK␍␊ +status line", line) for line in lines)
    assert result.json()["method"] == "POST"
    redirected = run("get", ":0/redirect", "--verbose", "--follow").err
    assert redirected.count("request line") == 2


def test_verbose_shows_what_was_sent_before_it_failed(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        result = run("get", f":{listener.getsockname()[1]}", "--verbose", "--timeout", "0.3")
    assert result.code == 7
    assert "request line" in result.err
    assert result.err.splitlines()[-1].startswith("firstbyte: ")


def test_timing_is_a_waterfall(run: Run) -> None:
    result = run("get", ":0/count", "--timing")
    names = [line.split()[0] for line in result.err.strip().splitlines()]
    assert names == ["resolve", "connect", "send", "wait", "receive", "total"]
    assert result.out == b"0\n1\n2\n"


def test_credentials(run: Run) -> None:
    assert run("get", ":0/closed").code == 4
    assert run("get", ":0/closed", "--auth", "ann:secret").out == b"welcome"
    bearer = run("get", ":0/echo", "--auth-type", "bearer", "--auth", "t0ken").json()
    assert bearer["headers"]["authorization"] == "Bearer t0ken"


def test_a_session_keeps_its_cookies(run: Run, tmp_path: Path) -> None:
    run("get", ":0/remember", "--session", "jar.json")
    assert (tmp_path / "jar.json").stat().st_mode & 0o077 == 0
    assert run("get", ":0/echo", "--session", "jar.json").json()["headers"]["cookie"] == "seen=1"
    assert "cookie" not in run("get", ":0/echo").json()["headers"]
    (tmp_path / "jar.json").write_text("nonsense")
    result = run("get", ":0/echo", "--session", "jar.json")
    assert result.code == 2
    assert "jar.json" in result.err


def test_a_download(run: Run, tmp_path: Path) -> None:
    whole = run("get", ":0/file.bin").out
    result = run("get", ":0/file.bin", "--download")
    assert (result.code, result.out) == (0, b"")
    assert (tmp_path / "file.bin").read_bytes() == whole
    assert "100.0 kB" in result.err
    run("get", ":0/file.bin", "--download")
    assert (tmp_path / "file-1.bin").read_bytes() == whole
    run("get", ":0/file.bin", "--output", "own.bin")
    assert (tmp_path / "own.bin").read_bytes() == whole
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file-1.bin", "file.bin", "own.bin"]


def test_a_download_that_is_an_error(run: Run, tmp_path: Path) -> None:
    result = run("get", ":0/status/404", "--download")
    assert result.code == 4
    assert "404" in result.err
    assert list(tmp_path.iterdir()) == []


def test_a_download_that_is_cut_leaves_nothing(run: Run, tmp_path: Path) -> None:
    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf") as port:
        result = run("get", f"127.0.0.1:{port}/x", "--output", "x")
    assert result.code == 7
    assert "4 of the 100 bytes" in result.err.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


def test_a_download_to_nowhere(run: Run) -> None:
    result = run("get", ":0/file.bin", "--output", "nowhere/x")
    assert result.code == 2
    assert result.err == "firstbyte: nowhere/x cannot be written: No such file or directory\n"


def test_a_proxy(run: Run) -> None:
    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi") as port:
        result = run("get", "--proxy", f"http://127.0.0.1:{port}", "nowhere.invalid/x", "--verbose")
    assert result.out == b"hi"
    assert "GET http://nowhere.invalid/x HTTP/1.1" in result.err


def test_an_answer_that_is_no_http(run: Run) -> None:
    with answering(b"SSH-2.0-OpenSSH\r\n") as port:
        result = run("get", f"127.0.0.1:{port}")
    assert result.code == 7
    assert len(result.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["get", ":0", "milk"], 2, "'milk' is no request item"),
        (["get", ":0", "q=x"], 2, "GET has no body"),
        (["get", "ftp://x"], 2, "ftp"),
        (["get", ":99999"], 2, "port"),
        (["get", ":0", "X:a\nb"], 2, "X"),
        (["get", "http://unheard-of.invalid/"], 7, "unheard-of.invalid"),
        (["get", "http+unix://%2Fnowhere.sock/"], 7, "/nowhere.sock"),
        (["get", "--proxy", "nonsense://x", ":0"], 2, "nonsense"),
        (["post", ":0", "f@nowhere.txt"], 2, "nowhere.txt"),
    ],
)
def test_what_cannot_work_is_told_in_a_line(run: Run, arguments: list[str], code: int, message: str) -> None:
    result = run(*arguments)
    assert (result.code, result.out) == (code, b"")
    assert message in result.err
    assert len(result.err.splitlines()) == 1
    assert result.err.startswith("firstbyte: ")


def test_a_port_where_nobody_listens(run: Run) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        result = run("get", f"127.0.0.1:{port}")
    assert result.code == 7
    assert f"127.0.0.1:{port}" in result.err
    assert len(result.err.splitlines()) == 1


def test_on_a_terminal(server: Server, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "firstbyte", "get", f":{server.port}/echo"]
    environment = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, env=environment, cwd=tmp_path) as process:
        os.close(theirs)
        text = b""
        try:
            while piece := os.read(ours, 10_000):
                text += piece
        except OSError:  # Linux says so of the end
            pass
        assert process.wait(WAIT) == 0
    os.close(ours)
    assert b"\x1b[32m\x1b[1m200\x1b[0m" in text
    assert b'\x1b[34m"method"\x1b[0m: \x1b[32m"GET"\x1b[0m,' in text


def test_a_reader_that_leaves(server: Server) -> None:
    command = f"{sys.executable} -m firstbyte get :{server.port}/file.bin | head -c 10 | wc -c"
    result = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=WAIT, check=False)
    assert (result.stdout.strip(), result.stderr) == ("10", "")

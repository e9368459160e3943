"""The command line, as its users meet it."""

from __future__ import annotations

import http.client
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from engine.support import WAIT
from firstbyte import __version__, compiled

APP = """
from firstbyte import App
app = App()
app.add_route("/", lambda: "hello")
app.add_route("/boom", lambda: 1 / 0)
other = App()
number = 5
"""
BLOCKING = """
import time
async def block():
    until = time.monotonic() + 0.2
    while time.monotonic() < until: pass
    return "free"
app.add_route("/block", block)
"""


def firstbyte(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "firstbyte", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=WAIT, cwd=cwd, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "hello.py").write_text(APP)
    (tmp_path / "index.html").write_text("the folder")
    return tmp_path


@contextmanager
def running(
    folder: Path, *arguments: str, stderr: int = subprocess.PIPE
) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The command in a process of its own, with its port; stopped by Ctrl+C."""
    command = [sys.executable, "-m", "firstbyte", *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=folder) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        match = re.search(r"http://127\.0\.0\.1:(\d+)", line)
        assert match, line + process.stderr.read()
        try:
            yield process, int(match[1])
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
            assert process.wait(WAIT) == 0


def fetch(port: int, path: str = "/") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT)
    connection.request("GET", path)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response.status, body


@pytest.mark.parametrize("name", ["hello:app", "hello", "hello.py:app", "hello.py", "./hello.py:other"])
def test_an_app_is_found(folder: Path, name: str) -> None:
    with running(folder, "run", name, "--port", "0") as (_, port):
        assert fetch(port)[0] == (404 if "other" in name else 200)


def test_who_holds_the_loop_up_is_shown_without_what_runs_it(folder: Path) -> None:
    (folder / "hello.py").write_text(APP + BLOCKING)
    with running(folder, "run", "hello.py", "--port", "0", "--warn-blocking", "20") as (process, port):
        assert fetch(port, "/block") == (200, b"free")
        assert process.stderr is not None
        told = iter(process.stderr.readline, "")
        assert any("block has held up the event loop" in line for line in told)
        assert re.match(r'  File ".*hello\.py", line \d+, in block\n', next(told))


def test_the_start_line_and_the_access_log(folder: Path) -> None:
    with running(folder, "run", "hello:app", "--port", "0") as (process, port):
        fetch(port, "/?a=b")
        assert process.stderr is not None
        assert re.fullmatch(r"127\.0\.0\.1:\d+ GET /\?a=b 200 \d+ \d+\.\d ms\n", process.stderr.readline())
        fetch(port, "/boom")
        text = ""
        while "ZeroDivisionError: " not in text:
            text += process.stderr.readline()
        assert "500 id" in text
        assert " /boom 500 " in process.stderr.readline()
        with socket.create_connection(("127.0.0.1", port)) as sock:
            sock.sendall(b"GET / HTTP/1.1\nHost: x\n\n")
            sock.recv(1000)
        assert re.search(r"warning: .* refused with 400: .*LF.* \(bare-lf at byte 14\)", process.stderr.readline())


def test_the_first_record_of_a_folder_finds_the_log_set_up(folder: Path) -> None:
    """It is set up then: until there is one, `logging` is not even imported."""
    with running(folder, "0") as (process, port):
        assert process.stderr is not None
        assert "only this machine" in process.stderr.readline()
        with socket.create_connection(("127.0.0.1", port)) as sock:
            sock.sendall(b"GET / HTTP/1.1\nHost: x\n\n")
            sock.recv(1000)
        assert process.stderr.readline().startswith("warning: 127.0.0.1:")
        process.send_signal(signal.SIGINT)
        assert process.stderr.readline().startswith("stopping: ")
        assert process.wait(WAIT) == 0


def test_the_log_as_json(folder: Path) -> None:
    with running(folder, "run", "hello:app", "--port", "0", "--log-format", "json") as (process, port):
        fetch(port)
        fetch(port, "/boom")
        assert process.stderr is not None
        first, failure, second = (json.loads(process.stderr.readline()) for _ in range(3))
        assert (first["method"], first["target"], first["status"], first["client"]) == ("GET", "/", 200, "127.0.0.1")
        assert (failure["level"], second["status"]) == ("error", 500)
        assert "ZeroDivisionError" in failure["traceback"]


def test_no_access_log(folder: Path) -> None:
    with running(folder, "run", "hello:app", "--port", "0", "--no-access-log") as (process, port):
        fetch(port)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        assert process.stderr.read().splitlines() == [
            "stopping: finishing what runs, at most 30 s; again to stop at once",
            "stopped",
        ]


def test_metrics_and_readiness_while_draining(folder: Path) -> None:
    options = ("--port", "0", "--metrics", "127.0.0.1:0", "--no-access-log", "--timeout-drain", "20")
    with running(folder, "run", "hello:app", *options) as (process, port):
        assert process.stderr is not None
        match = re.search(r"metrics and health on http://127\.0\.0\.1:(\d+)", process.stderr.readline())
        assert match
        metrics = int(match[1])
        fetch(port, "/none")
        while b'{endpoint="404",method="GET",status="404"} 1' not in fetch(metrics, "/metrics")[1]:
            pass  # counted a moment after the client has its answer
        assert fetch(metrics, "/health/ready") == (200, b"ready\n")
        with socket.create_connection(("127.0.0.1", port), timeout=WAIT) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")  # a head that is not complete holds the server up
            while b'state="head"} 1' not in fetch(metrics, "/metrics")[1]:
                pass
            process.send_signal(signal.SIGTERM)
            assert "stopping" in process.stderr.readline()
            assert fetch(metrics, "/health/ready") == (503, b"draining\n")
            assert fetch(metrics, "/health/live")[0] == 200
            sock.sendall(b"\r\n")
            assert sock.recv(1000).startswith(b"HTTP/1.1 200 ")
        assert process.wait(WAIT) == 0


def test_an_access_log_in_a_file(folder: Path) -> None:
    options = ("--access-log", "access.log", "--access-log-format", "%(m)s %(U)s %(s)s")
    with running(folder, "run", "hello:app", "--port", "0", *options) as (_, port):
        fetch(port)
        fetch(port, "/none")
    assert (folder / "access.log").read_text() == "GET / 200\nGET /none 404\n"


def test_colours_on_a_terminal_alone(folder: Path) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "firstbyte", "run", "hello:app", "--port", "0"]
    with subprocess.Popen(command, stderr=theirs, cwd=folder) as process:
        os.close(theirs)
        text = b""
        while b"Ctrl+C" not in text:
            text += os.read(ours, 1000)
        port = int(re.search(rb"127\.0\.0\.1:(\d+)", text)[1])  # type: ignore[index]
        fetch(port)
        while b" ms" not in text:
            text += os.read(ours, 1000)
        process.send_signal(signal.SIGINT)
    os.close(ours)
    assert b"\x1b[32m200\x1b[0m" in text


def test_a_folder(folder: Path) -> None:
    with running(folder, "0", "--bind", "127.0.0.1", "--directory", str(folder)) as (_, port):
        assert fetch(port) == (200, b"the folder")
        assert fetch(port, "/none")[0] == 404


def test_the_demo_and_its_client(folder: Path) -> None:
    with running(folder, "demo", "--port", "0", "--no-access-log") as (_, port):
        walk = firstbyte("demo", "--client", f"http://127.0.0.1:{port}")
        assert walk.returncode == 0, walk.stdout
        assert re.search(r"(\d+) of \1 answers are as they should be", walk.stdout)


def test_limits_and_timeouts_reach_the_server(folder: Path) -> None:
    with running(folder, "run", "hello:app", "--port", "0", "--limit-request-line", "1k") as (_, port):
        assert fetch(port, "/" + "a" * 2000)[0] == 414
    with (
        running(folder, "run", "hello:app", "--port", "0", "--timeout-head", "0.1") as (_, port),
        socket.create_connection(("127.0.0.1", port), timeout=WAIT) as sock,
    ):
        sock.sendall(b"GET / ")
        assert b"408" in sock.recv(1000)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "nowhere:app"], "there is no module 'nowhere' in "),
        (["run", "nowhere.py"], "there is no file nowhere.py"),
        (["run", "hello:missing"], "hello has no 'missing': did you mean hello:app or hello:other?"),
        (["run", "hello:number"], "hello:number cannot be served, since it is int"),
        (
            ["run", "hello:App"],
            "since it is a class: name an instance of it: did you mean hello:app or hello:other?",
        ),
        (["run", "sub/queue.py"], "sub/queue.py has the name of a module of Python's own"),
        (["run", "broken:app"], "broken cannot be imported: ValueError: at import"),
        (["run", "lacking:app"], "lacking cannot be imported: ModuleNotFoundError: No module named 'not_installed'"),
        (["run", "twice:app"], "GET / is the route of both"),
        (["run", ":app"], "is no module name"),
        (["run", "hello:app", "--host", "192.0.2.1"], "192.0.2.1 is not an address of this machine"),
        (["8000", "--directory", "nowhere"], "there is no folder nowhere"),
        (["run", "hello:app", "--metrics", "9100"], "'9100' is no HOST:PORT: write 127.0.0.1:9100"),
        (["run", "hello:app", "--access-log", "no/where"], "the log no/where cannot be opened: No such file"),
        (["run", "hello:app", "--access-log-format", "combind"], "did you mean combined?"),
    ],
)
def test_what_cannot_work_is_told_in_a_line(folder: Path, arguments: list[str], message: str) -> None:
    (folder / "broken.py").write_text("raise ValueError('at import')\n")
    (folder / "sub").mkdir()
    (folder / "sub" / "queue.py").write_text(APP)
    (folder / "lacking.py").write_text("import not_installed\n")
    (folder / "twice.py").write_text(APP + "app.add_route('/', lambda: '')\n")
    result = firstbyte(*arguments, cwd=folder)
    assert result.returncode == 1
    assert message in result.stderr.splitlines()[-1]
    if "broken" in message:
        assert "raise ValueError('at import')" in result.stderr
    elif "lacking" not in message:
        assert len(result.stderr.splitlines()) == 1
    assert "firstbyte/cli" not in result.stderr


def test_closed_standard_streams(folder: Path) -> None:
    """As some init systems start programs; nothing that is logged may reach a client whose socket took the number."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    command = f"exec {sys.executable} -m firstbyte run hello:app --port {port} 0<&- 1>&- 2>&-"
    with subprocess.Popen(["/bin/sh", "-c", command], cwd=folder) as process:
        try:
            for _ in range(3):
                until = time.monotonic() + WAIT
                while True:
                    try:
                        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT)
                        connection.request("GET", "/")
                        break
                    except ConnectionRefusedError:
                        assert process.poll() is None
                        assert time.monotonic() < until
                        time.sleep(0.02)
                assert connection.getresponse().read() == b"hello"
                connection.close()
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(WAIT) == 0


def test_a_taken_port(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
        result = firstbyte("run", "hello:app", "--port", str(port), cwd=folder)
    assert result.returncode == 1
    assert result.stderr == (
        f"firstbyte: port {port} is taken: another program listens on 127.0.0.1:{port}; choose another with --port\n"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run"], "Missing argument 'APP'"),
        (["run", "x", "--port", "70000"], "70000"),
        (["run", "x", "--limit-body", "much"], "is no size"),
        (["run", "x", "--limit-body", "9" * 5000], "is no size"),
        (["run", "x", "--timeout-head", "0"], "must be above zero"),
        (["run", "x", "--threads", "0"], "0"),
        (["runn"], "No such command 'runn'"),
        (["demo", "http://x"], "a URL goes with --client"),
    ],
)
def test_wrong_usage(arguments: list[str], message: str) -> None:
    result = firstbyte(*arguments) if arguments != ["runn"] else subprocess.run(
        [sys.executable, "-c", "import sys; from firstbyte.cli import main; sys.exit(main())", "runn"],
        capture_output=True, text=True, timeout=WAIT, check=False,
    )  # fmt: skip
    assert result.returncode == 2
    assert message in result.stderr


def test_version_and_help() -> None:
    kind = "compiled" if compiled else "plain"
    assert firstbyte("--version").stdout.startswith(f"firstbyte {__version__}, {kind} Python")
    assert firstbyte("-V").stdout == firstbyte("--version").stdout
    assert firstbyte("-h").stdout == firstbyte("--help").stdout
    text = firstbyte("run", "--help").stdout
    for option in ("--host", "--threads", "--limit-body", "--timeout-keep-alive", "--log-format"):
        assert option in text


def test_a_folder_of_programs(folder: Path) -> None:
    programs = folder / "cgi-bin"
    programs.mkdir()
    for name, mode in (("it", 0o755), ("source", 0o644)):
        (programs / name).write_text("#!/bin/sh\necho Content-Type: text/plain\necho\necho ran $SCRIPT_NAME")
        (programs / name).chmod(mode)
    with running(folder, "0", "--cgi") as (_, port):
        assert fetch(port, "/cgi-bin/it") == (200, b"ran /cgi-bin/it\n")
        assert fetch(port, "/cgi-bin/source")[0] == 403
        for path in ("/cgi-bin%2fit", "/%63gi-bin/it", "/CGI-BIN/it", "/cgi-bin/"):
            status, body = fetch(port, path)
            assert (status, b"#!" in body) == (404, False)
        assert b"cgi-bin" not in fetch(port, "/cgi-bin/..")[1]
        assert fetch(port)[1] == b"the folder"


def test_no_folder_of_programs(folder: Path) -> None:
    result = firstbyte("0", "--cgi", cwd=folder)
    assert (result.returncode, "neither a folder cgi-bin nor htbin" in result.stderr) == (1, True)


def test_a_server_that_ends_takes_its_programs_with_it(folder: Path) -> None:
    (folder / "cgi-bin").mkdir()
    program = folder / "cgi-bin" / "it"
    program.write_text("#!/bin/sh\necho Content-Type: text/plain\necho\necho $$\nexec sleep 1000")
    program.chmod(0o755)
    with running(folder, "0", "--cgi") as (process, port):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT)
        connection.request("GET", "/cgi-bin/it")
        pid = int(connection.getresponse().readline())
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        while "again to stop at once" not in process.stderr.readline():
            pass
        process.send_signal(signal.SIGINT)
        process.wait(WAIT)
        connection.close()
    until = time.monotonic() + WAIT
    with suppress(FileNotFoundError, ProcessLookupError):  # it is gone, or a zombie that waits for its new parent
        while "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text():
            assert time.monotonic() < until
            time.sleep(0.01)

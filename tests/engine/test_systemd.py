"""Sockets that come from systemd, and states that it hears of."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.supervised import PROGRAM, Load, supervised, wait_until
from engine.support import WAIT
from firstbyte.engine.systemd import Notifier, activated_sockets
from firstbyte.errors import ConfigurationError


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """The socket at which systemd is told."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.settimeout(WAIT)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield sock


def receive(sock: socket.socket) -> dict[str, str]:
    return dict(line.split("=", 1) for line in sock.recv(4096).decode().splitlines())


def test_states_of_a_server_with_workers(tmp_path: Path, told: socket.socket) -> None:
    with supervised(tmp_path) as server:
        assert receive(told) == {"READY": "1", "STATUS": "serving, generation 1"}
        server.process.send_signal(signal.SIGHUP)
        reloading = receive(told)
        assert reloading["RELOADING"] == "1"
        assert int(reloading["MONOTONIC_USEC"]) > 0
        assert receive(told) == {"READY": "1", "STATUS": "serving, generation 2"}
        server.program.write_text("1 / 0")
        server.process.send_signal(signal.SIGHUP)
        assert "RELOADING" in receive(told)
        failed = receive(told)
        assert failed["READY"] == "1"
        assert "ZeroDivisionError" in failed["STATUS"]
        server.process.terminate()
        assert receive(told)["STOPPING"] == "1"


def test_states_of_a_server_without_workers(tmp_path: Path, told: socket.socket) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    command = [sys.executable, "-m", "firstbyte", "run", str(tmp_path / "program.py"), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        assert receive(told)["READY"] == "1"
        process.terminate()
        assert receive(told)["STOPPING"] == "1"
        assert process.wait(WAIT) == 0


def test_a_name_in_the_abstract_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(f"\0firstbyte-{os.getpid()}")
        monkeypatch.setenv("NOTIFY_SOCKET", f"@firstbyte-{os.getpid()}")
        notifier = Notifier()
        assert "NOTIFY_SOCKET" not in os.environ
        notifier.ready("serving")
        assert receive(sock)["READY"] == "1"


def test_nobody_to_tell(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    Notifier().stopping()
    assert not caplog.records
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "none"))
    Notifier().stopping()
    assert "systemd cannot be told" in caplog.text


def activated(folder: Path, sock: socket.socket, *options: str) -> subprocess.Popen[bytes]:
    """A server that is given a socket, as systemd does it: as descriptor 3, with the process's own number."""
    (folder / "program.py").write_text(PROGRAM)
    script = (
        "import os, sys; os.dup2(int(sys.argv[1]), 3); os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()))"
    )
    script += "; os.execv(sys.executable, [sys.executable, *sys.argv[2:]])"
    command = ["-m", "firstbyte", "run", str(folder / "program.py"), "--no-access-log", *options]
    fd = sock.fileno()
    return subprocess.Popen([sys.executable, "-c", script, str(fd), *command], pass_fds=[fd], stderr=subprocess.DEVNULL)


@pytest.mark.parametrize("options", [(), ("--workers", "2")], ids=["alone", "workers"])
def test_a_socket_that_is_given_outlives_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
        load = Load(port)
        with activated(tmp_path, sock, *options) as first:
            load.__enter__()
            first.terminate()
            assert first.wait(WAIT) == 0
        with activated(tmp_path, sock, *options) as second:  # who came in between has waited
            load.answered.clear()
            wait_until(lambda: load.answered.total() > 0)
            load.__exit__()
            second.terminate()
            assert second.wait(WAIT) == 0
        assert not load.failed


def test_sockets_for_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTEN_FDS", "1")
    monkeypatch.setenv("LISTEN_PID", "1")
    assert activated_sockets() == []
    assert "LISTEN_FDS" not in os.environ


def test_a_descriptor_that_is_no_listening_socket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with socket.socket() as sock:
        monkeypatch.setattr("firstbyte.engine.systemd.FIRST_DESCRIPTOR", os.dup(sock.fileno()))
        monkeypatch.setenv("LISTEN_FDS", "1")
        monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
        with pytest.raises(ConfigurationError, match="no listening stream socket"):
            activated_sockets()


def test_a_given_unix_socket_keeps_its_path(tmp_path: Path) -> None:
    path = tmp_path / "http"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
        sock.listen()
        with activated(tmp_path, sock) as process:
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(path))
                client.sendall(b"GET / HTTP/1.0\r\n\r\n")
                assert client.recv(100).startswith(b"HTTP/1.1 200")
            process.terminate()
            assert process.wait(WAIT) == 0
    assert path.exists()

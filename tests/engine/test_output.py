"""What is sent with what."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from firstbyte.engine.output import Output
from firstbyte.http.response import FileBody


class Recorder:
    """A socket that notes what is sent with flags, and how."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.sent: list[tuple[bytes, int]] = []

    def fileno(self) -> int:
        return self.sock.fileno()

    def send(self, data: bytes, flags: int = 0) -> int:
        self.sent.append((data, flags))
        return self.sock.send(data)


@pytest.mark.skipif(not hasattr(socket, "MSG_MORE"), reason="this system cannot hold a packet back")
@pytest.mark.parametrize(("count", "waits"), [(5, True), (0, False)])
def test_a_head_waits_for_its_file(tmp_path: Path, count: int, waits: bool) -> None:
    (tmp_path / "file").write_bytes(b"bytes")
    ours, theirs = socket.socketpair()
    with ours, theirs, (tmp_path / "file").open("rb") as file:
        recorder: Any = Recorder(ours)
        output = Output(recorder)
        output.buffers.append(b"head")
        output.file = FileBody(file, 0, count)
        assert output.flush()
        assert output.send_file()
        assert recorder.sent == ([(b"head", socket.MSG_MORE)] if waits else [])  # else it went without the object
        assert theirs.recv(100)[:4] == b"head"

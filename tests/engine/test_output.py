"""What is sent with what."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from firstbyte.engine import output
from firstbyte.engine._sys import transmit_more
from firstbyte.http.response import FileBody


@pytest.mark.parametrize(("count", "waits"), [(5, True), (0, False)])
def test_a_head_waits_for_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, waits: bool) -> None:
    held: list[bytes] = []

    def transmit_more(sock: socket.socket, data: bytes) -> int:
        held.append(data)
        return real(sock, data)

    real = output.transmit_more
    monkeypatch.setattr(output, "transmit_more", transmit_more)
    (tmp_path / "file").write_bytes(b"bytes")
    ours, theirs = socket.socketpair()
    with ours, theirs, (tmp_path / "file").open("rb") as file:
        sends = output.Output(ours)
        sends.buffers.append(b"head")
        sends.file = FileBody(file, 0, count)
        assert sends.flush()
        assert sends.send_file()
        assert held == ([b"head"] if waits else [])
        assert theirs.recv(4, socket.MSG_WAITALL) == b"head"
        assert theirs.recv(count, socket.MSG_WAITALL) == b"bytes"[:count]


@pytest.mark.parametrize("data", [b"head", memoryview(b"head")])
def test_what_more_follows_is_sent_whole_and_to_a_peer_that_is_there(data: bytes | memoryview) -> None:
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            assert transmit_more(ours, data) == 4
            assert theirs.recv(100) == b"head"
        with pytest.raises(BrokenPipeError):
            transmit_more(ours, data)

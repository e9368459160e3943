"""Messages between processes, and what is no such message."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.support import WAIT
from firstbyte.engine import channel, control
from firstbyte.engine.channel import Ask, Channel, Drain, Failed, FromWorker, Ready, Sources, ToWorker
from firstbyte.engine.control import ControlServer, GetStatus, Reloaded, Request, ask, listen_control, running
from firstbyte.errors import ConfigurationError
from firstbyte.http.request import Address

Pair = tuple[Channel, Channel]
ADDRESS = Address("127.0.0.1", 8000)


@pytest.fixture
def pair() -> Iterator[Pair]:
    """The supervisor's end and the worker's."""
    ours, theirs = socket.socketpair()
    yield Channel(ours, FromWorker), Channel(theirs, ToWorker)
    ours.close()
    theirs.close()


def test_messages_arrive_in_order(pair: Pair) -> None:
    ours, theirs = pair
    ours.send(Ask())
    ours.send(Drain(2.5, last=True))
    assert theirs.receive() == [Ask(), Drain(2.5, True)]
    theirs.send(Ready())
    theirs.close()
    assert ours.receive() == [Ready()]
    assert ours.closed


def test_a_message_that_comes_in_pieces(pair: Pair) -> None:
    ours, theirs = pair
    for byte in b'{"type":"Ask"}':
        ours.sock.send(bytes([byte]))
        assert theirs.receive() == []
    ours.sock.send(b"\n")
    assert theirs.receive() == [Ask()]


def test_a_message_that_is_longer_than_the_socket_takes(pair: Pair) -> None:
    ours, theirs = pair
    reason = "x" * 1_000_000
    theirs.send(Failed(reason))
    assert theirs.unsent
    sender = threading.Thread(target=theirs.flush_patiently)
    sender.start()
    received: list[object] = []
    while not received and ours.wait(WAIT):
        received += ours.receive()
    sender.join()
    assert received == [Failed(reason)]


@pytest.mark.parametrize(
    "line", [b"nonsense\n", b'{"type":"Ready"}\n', b'{"type":"Drain","seconds":"soon"}\n', b"\xff\n"]
)
def test_what_is_no_message_closes(pair: Pair, line: bytes) -> None:
    ours, theirs = pair
    ours.sock.send(line)
    assert theirs.receive() == []
    assert theirs.closed


def test_a_line_without_an_end_closes(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "LONGEST", 1000)
    ours, theirs = pair
    ours.sock.send(b"x" * 1001)
    assert theirs.receive() == []
    assert theirs.closed


def test_a_peer_that_does_not_read_is_given_up(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "LONGEST", 1000)
    ours, _ = pair
    while not ours.unsent:
        ours.send(Drain(1.0))
    while not ours.closed:
        ours.send(Drain(1.0))
    assert len(ours.unsent) < 2000


def test_a_peer_that_is_gone(pair: Pair) -> None:
    ours, theirs = pair
    theirs.close()
    ours.send(Ask())
    assert ours.closed
    assert not ours.unsent


def test_the_control_socket_takes_so_many_clients_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "CLIENTS", 1)
    sources = Sources()
    server = ControlServer(tmp_path / "control", ADDRESS, sources, lambda client, request: None)
    with socket.socket(socket.AF_UNIX) as first, socket.socket(socket.AF_UNIX) as second:
        for sock in (first, second):
            sock.settimeout(WAIT)
            sock.connect(str(tmp_path / "control"))
        sources.turn(WAIT)
        sources.turn(WAIT)
        assert second.recv(1) == b""
        server.close()
        assert first.recv(1) == b""
    assert not (tmp_path / "control").exists()


def test_an_answer_for_a_client_that_has_left_goes_nowhere(tmp_path: Path) -> None:
    sources = Sources()
    asked: list[Channel] = []
    server = ControlServer(tmp_path / "control", ADDRESS, sources, lambda client, request: asked.append(client))
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(tmp_path / "control"))
        sources.turn(WAIT)
        Channel(sock, Request).send(GetStatus())
        sources.turn(WAIT)
        assert len(asked) == 1
    sources.turn(WAIT)
    server.reply(asked[0], Reloaded(1, 0.0))
    server.close()


def test_a_server_that_does_not_answer(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tmp_path / "control"))
        sock.listen()
        with pytest.raises(ConfigurationError, match=r"did not answer within 0\.05 s"):
            ask(tmp_path / "control", GetStatus(), 0.05)
        sock.accept()[0].close()
        closer = threading.Thread(target=lambda: sock.accept()[0].close())
        closer.start()
        with pytest.raises(ConfigurationError, match="ended without an answer"):
            ask(tmp_path / "control", GetStatus(), WAIT)
        closer.join()


def test_where_the_control_socket_is_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    first, path = listen_control(None, ADDRESS)
    second, other = listen_control(None, ADDRESS)  # the same port on another address
    third, unix = listen_control(None, Address("/run/shop.http", 0))
    assert path == tmp_path / "firstbyte" / "8000.sock"
    assert other == tmp_path / "firstbyte" / f"8000-{os.getpid()}.sock"
    assert unix == tmp_path / "firstbyte" / "shop.http.sock"
    assert running() == sorted([path, other, unix])
    for sock in (first, second, third):
        sock.close()
    assert running() == []
    again, path = listen_control(None, ADDRESS)  # in the place of one that a dead server has left
    assert path == tmp_path / "firstbyte" / "8000.sock"
    again.close()

"""Where a server can listen."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from engine.support import Client
from firstbyte import App, Server
from firstbyte.engine.listener import listen, listen_unix
from firstbyte.errors import ListenError


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


def test_port_0_is_told(app: App) -> None:
    with Server(app, "127.0.0.1", 0) as server:
        assert server.port > 0
        assert str(server.addresses[0]) == f"127.0.0.1:{server.port}"


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_ipv6(app: App) -> None:
    with Server(app, "::1", 0) as server, socket.create_connection(("::1", server.port)) as sock:
        sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert sock.recv(100).startswith(b"HTTP/1.1 200")
        assert str(server.addresses[0]) == f"[::1]:{server.port}"


def test_a_unix_socket(app: App, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with Server(app, unix=str(path)) as server:
        assert server.addresses[0] == (str(path), 0)
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(path))
            sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert sock.recv(100).startswith(b"HTTP/1.1 200")
    assert not path.exists()


def test_a_dead_servers_unix_socket_is_taken_over(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    listen_unix(path).close()
    again = listen_unix(path)
    with pytest.raises(ListenError, match="is taken"):
        listen_unix(path)
    again.close()


def test_a_file_is_not_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("mine")
    with pytest.raises(ListenError, match="is taken"):
        listen_unix(str(path))
    assert path.read_text() == "mine"


def test_a_taken_port(app: App) -> None:
    with Server(app, port=0) as server, pytest.raises(ListenError, match=f"port {server.port} is taken.*--port"):
        listen("127.0.0.1", server.port)


@pytest.mark.parametrize(
    ("host", "port", "message"),
    [
        ("192.0.2.1", 0, "not an address of this machine"),
        ("no.such.host.invalid", 0, "no address of a host"),
        ("127.0.0.1", 70_000, "no port"),
    ],
)
def test_addresses_that_cannot_be_listened_on(host: str, port: int, message: str) -> None:
    with pytest.raises(ListenError, match=message):
        listen(host, port)


def test_sockets_that_are_given(app: App) -> None:
    sock = socket.create_server(("127.0.0.1", 0))
    with Server(app, sockets=[sock]) as server:
        client = Client(server.port).get()
        assert client.read()[2] == b"hello"
        client.close()

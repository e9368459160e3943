"""A proxy that runs before a server of ours or a raw one."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest

from client.support import RawServer, read_request
from engine.support import Client, Running, Serve
from firstbyte.proxy import Proxy

Proxied = Callable[..., Running]


@pytest.fixture
def proxied(serve: Serve) -> Proxied:
    """Starts a proxy: `proxied(upstream, ..., via="p")`; an upstream is a URL, or a server that runs."""

    def start(*upstreams: str | Running | RawServer, **options: Any) -> Running:
        server_options = options.pop("server", {})
        return serve(Proxy(*map(url_of, upstreams), **options), **server_options)

    return start


def url_of(server: str | Running | RawServer) -> str:
    """Where a server is, without a path."""
    if isinstance(server, str):
        return server
    return server.url if isinstance(server, RawServer) else f"http://127.0.0.1:{server.server.port}"


class Upstream:
    """A raw server that writes down the requests it gets and answers each with the same bytes."""

    def __init__(self, answer: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") -> None:
        self.answer = answer
        self.requests: list[bytes] = []

    def __call__(self, sock: socket.socket) -> None:
        while True:
            self.requests.append(read_request(sock))
            sock.sendall(self.answer)

    @property
    def heads(self) -> list[list[str]]:
        """The lines of each head."""
        return [request.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n") for request in self.requests]

    def fields(self, name: str, which: int = 0) -> list[str]:
        """The values of a field in one of the requests."""
        pairs = (line.partition(":") for line in self.heads[which][1:])
        return [value.strip() for field, _, value in pairs if field.lower() == name.lower()]


def ask(client: Client, lines: str = "", method: str = "GET", path: str = "/") -> tuple[int, dict[str, str], bytes]:
    """One request with further field lines, each ended by a newline, and its answer."""
    fields = "".join(f"{line}\r\n" for line in lines.splitlines())
    client.send(f"{method} {path} HTTP/1.1\r\nHost: example.org\r\n{fields}\r\n".encode("latin-1"))
    return client.read(method == "HEAD")

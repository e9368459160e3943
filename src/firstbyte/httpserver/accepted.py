"""Clients of other servers: `socketserver.TCPServer(address, Handler)` accepts them, and the engine does the rest."""

from __future__ import annotations

import socket
import socketserver
import ssl
from collections.abc import Callable
from typing import Any, cast

from firstbyte.httpserver.conversation import Conversation
from firstbyte.httpserver.servers import HTTPServer


def serve_accepted(
    client: socket.socket, address: Any, server: socketserver.BaseServer, answer: Callable[[Conversation], None]
) -> None:
    """Has `answer` answer the request of a client that `server` has accepted; its connection ends with it.

    Raises TypeError for what is no connection, and for one that is encrypted already: TLS is the engine's to speak.
    """
    if not isinstance(client, socket.socket):
        raise TypeError(f"{type(client).__name__} is no connection of a client: handlers are made by a server")
    if isinstance(client, ssl.SSLSocket):
        raise TypeError(f"{type(server).__name__} has no TLS here: use HTTPServer of firstbyte.httpserver")
    with _Stand(client, address, server, answer) as stand:
        stand._serve_one()


class _Stand(HTTPServer):
    """Stands in the place of a server that has accepted a client, for as long as that is served."""

    def __init__(
        self,
        client: socket.socket,
        address: Any,
        server: socketserver.BaseServer,
        answer: Callable[[Conversation], None],
    ) -> None:
        super().__init__(server.server_address, type(server), bind_and_activate=False)
        self._client = client
        self._address = address
        self._server = server
        self._answer_by = answer

    def finish_request(self, request: Any, client_address: Any) -> None:
        """See `socketserver.BaseServer.finish_request`."""
        self._answer_by(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """See `socketserver.BaseServer.handle_error`: the other server's is asked."""
        self._server.handle_error(request, client_address)

    def _listening(self) -> socket.socket:
        return cast(socket.socket, _Waiting(self._client, self._address))


class _Waiting:
    """What a listener uses of a listening socket. One client waits at it, who has been accepted already."""

    def __init__(self, client: socket.socket, address: Any) -> None:
        self._client = client
        self._address = address
        self.family = client.family
        self._bell, ringer = socket.socketpair()
        with ringer:
            ringer.send(b"!")  # it can be read once, as a listening socket with one client can

    def accept(self) -> tuple[socket.socket, Any]:
        """The client, the first time. Raises BlockingIOError."""
        if not self._bell.recv(1):
            raise BlockingIOError
        return self._client.dup(), self._address

    def fileno(self) -> int:
        """Of what is readable while the client waits."""
        return self._bell.fileno()

    def getsockname(self) -> Any:
        """The server's end."""
        return self._client.getsockname()

    def setblocking(self, flag: bool) -> None:
        """As of a socket."""
        self._bell.setblocking(flag)

    def close(self) -> None:
        """As of a socket; the client's connection stays open."""
        self._bell.close()

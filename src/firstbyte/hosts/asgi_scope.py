"""What an ASGI application is told of a request."""

from __future__ import annotations

from typing import Any

from firstbyte.http.percent import decode_path
from firstbyte.http.request import Address, Request
from firstbyte.wire.head import remember
from firstbyte.wire.websocket.handshake import is_handshake

VERSION = "3.0"
SPEC_VERSION = "2.3"
"""What apps are told. Starlette ends a stream whose client has left at once by this one, by a later one with the next
piece only; that `send` raises OSError then, as 2.4 has it, holds all the same."""


def scope_of(request: Request, state: dict[str, Any]) -> dict[str, Any]:
    """The scope of a request; of one that asks for a WebSocket, `websocket_scope` makes the rest.

    `path` and `raw_path` begin with `root_path`, as apps expect since 2024.
    """
    known = _known.get(request.head) if request.head else None
    if (
        known is None
        or known.method is not request.method
        or known.raw_path is not request.raw_path
        or known.raw_query is not request.raw_query
        or known.root_path != request.root_path
        or known.scheme != request.scheme
    ):
        known = _Known(request)
        if request.head:
            remember(_known, request.head, known)
    client, server = request.client, request.server
    extensions = _EXTENSIONS.copy() if request.minor else {"http.response.pathsend": {}}  # HTTP/1.0 has no others
    if request.tls is not None:
        extensions["tls"] = request.tls.extension
    scope = known.scope.copy()
    scope["asgi"] = _ASGI.copy()
    scope["headers"] = known.headers[:]
    scope["client"] = client if client is not None and client.port else None
    if server is not known.server:
        scope["server"] = _server(server)
    scope["state"] = state.copy()
    scope["extensions"] = extensions
    return scope


class _Known:
    """What of a scope is the head's alone: clients send the same ones again and again (see `HeadScanner`)."""

    __slots__ = ("headers", "method", "raw_path", "raw_query", "root_path", "scheme", "scope", "server")

    def __init__(self, request: Request) -> None:
        self.method = request.method  # a middleware may have changed these
        self.raw_path = request.raw_path
        self.raw_query = request.raw_query
        self.root_path = request.root_path
        self.scheme = request.scheme
        self.server = request.server
        self.headers = request.raw_headers
        root_path = decode_path(request.root_path) if request.root_path else ""
        self.scope: dict[str, Any] = {
            "type": "websocket" if is_handshake(request) else "http",
            "asgi": None,
            "http_version": "1.1" if request.minor else "1.0",
            "method": request.method,
            "scheme": request.scheme,
            "path": root_path + request.path,
            "raw_path": (request.root_path + request.raw_path).encode("latin-1"),
            "query_string": request.raw_query.encode("latin-1"),
            "root_path": root_path,
            "headers": None,
            "client": None,
            "server": _server(request.server),
            "state": None,
            "extensions": None,
        }


def _server(server: Address | None) -> tuple[str, int | None] | None:
    return server if server is None or server.port else (server.host, None)


def versions() -> dict[str, str]:
    """What the scope says of ASGI itself."""
    return _ASGI.copy()


_ASGI = {"version": VERSION, "spec_version": SPEC_VERSION}
_EXTENSIONS: dict[str, dict[str, Any]] = {
    "http.response.pathsend": {},
    "http.response.trailers": {},
    "http.response.early_hint": {},
}
_known: dict[bytes, _Known] = {}

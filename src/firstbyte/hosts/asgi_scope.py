"""What an ASGI application is told of a request."""

from __future__ import annotations

from typing import Any

from firstbyte.http.percent import decode_path
from firstbyte.http.request import Request

VERSION = "3.0"
SPEC_VERSION = "2.3"
"""What apps are told. Starlette ends a stream whose client has left at once by this one, by a later one with the next
piece only; that `send` raises OSError then, as 2.4 has it, holds all the same."""


def scope_of(request: Request, state: dict[str, Any]) -> dict[str, Any]:
    """The scope of an HTTP connection. `path` and `raw_path` begin with `root_path`, as apps expect since 2024."""
    path, raw_path, root_path = request.path, request.raw_path, ""
    if request.root_path:
        root_path = decode_path(request.root_path)
        path, raw_path = root_path + path, request.root_path + raw_path
    client, server = request.client, request.server
    extensions: dict[str, dict[str, Any]] = {"http.response.pathsend": {}}
    if request.minor:  # HTTP/1.0 has neither
        extensions["http.response.trailers"] = {}
        extensions["http.response.early_hint"] = {}
    if request.tls is not None:
        extensions["tls"] = request.tls.extension
    return {
        "type": "http",
        "asgi": versions(),
        "http_version": "1.1" if request.minor else "1.0",
        "method": request.method,
        "scheme": request.scheme,
        "path": path,
        "raw_path": raw_path.encode("latin-1"),
        "query_string": request.raw_query.encode("latin-1"),
        "root_path": root_path,
        "headers": request.raw_headers,
        "client": client if client is not None and client.port else None,
        "server": server if server is None or server.port else (server.host, None),
        "state": state.copy(),
        "extensions": extensions,
    }


def versions() -> dict[str, str]:
    """What the scope says of ASGI itself."""
    return {"version": VERSION, "spec_version": SPEC_VERSION}

"""Servers of `firstbyte.httpserver` in a thread, as programs for the standard library run them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.client import HTTPConnection, HTTPResponse
from typing import Any

import pytest

from engine.support import WAIT
from firstbyte.httpserver import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer

Start = Callable[..., HTTPServer]


class Quiet(BaseHTTPRequestHandler):
    """A handler that logs nothing."""

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts servers that are shut down with the test: `start(Handler, kind=HTTPServer)`."""
    with ExitStack() as stack:

        def begin(handler: Any, kind: type[HTTPServer] = ThreadingHTTPServer) -> HTTPServer:
            server = stack.enter_context(kind(("127.0.0.1", 0), handler))
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            stack.callback(thread.join, WAIT)
            stack.callback(server.shutdown)
            return server

        yield begin


def ask(
    server: HTTPServer, path: str = "/", method: str = "GET", body: Any = None, headers: dict[str, str] | None = None
) -> tuple[int, HTTPResponse, bytes]:
    """The answer to one request: its status, itself, its body."""
    connection = HTTPConnection("127.0.0.1", server.server_port, timeout=WAIT)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return response.status, response, response.read()
    finally:
        connection.close()

"""Servers as objects: addresses, serving and stopping."""

from __future__ import annotations

import http.server
import queue
import socket
import socketserver
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

import pytest

from engine.support import WAIT, Client
from firstbyte import httpserver
from firstbyte.httpserver import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from firstbyte.wire.limits import Limits
from httpserver.support import Quiet, Start, ask


class Hello(Quiet):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"hello")

    def do_POST(self) -> None:
        self.do_GET()


def test_the_classes_are_the_standard_librarys_too() -> None:
    assert issubclass(ThreadingHTTPServer, socketserver.ThreadingMixIn)
    assert issubclass(ThreadingHTTPServer, HTTPServer)
    assert issubclass(HTTPServer, http.server.HTTPServer)
    assert issubclass(BaseHTTPRequestHandler, socketserver.StreamRequestHandler)


def test_a_server_knows_where_it_is() -> None:
    with HTTPServer(("127.0.0.1", 0), Hello) as server:
        assert server.server_address == server.socket.getsockname()
        assert server.server_address[1] == server.server_port
        assert server.server_name == socket.getfqdn("127.0.0.1")
        server.server_name = "example.org"
        assert server.server_name == "example.org"
    assert server.socket.fileno() == -1


def test_binding_may_be_left_for_later() -> None:
    server = HTTPServer(("127.0.0.1", 0), Hello, bind_and_activate=False)
    server.server_bind()
    server.server_activate()
    server.server_close()
    with pytest.raises(OSError), HTTPServer(("127.0.0.1", 0), Hello) as taken:
        HTTPServer(taken.server_address, Hello)


def test_a_server_may_serve_again() -> None:
    with HTTPServer(("127.0.0.1", 0), Hello) as server:
        for _ in range(2):
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            assert ask(server)[2] == b"hello"
            server.shutdown()
            thread.join(WAIT)
            assert not thread.is_alive()


def test_the_function_that_programs_import_for_a_quick_start(capsys: pytest.CaptureFixture[str]) -> None:
    """`from http.server import SimpleHTTPRequestHandler, test`, undocumented and often copied."""
    told: queue.Queue[Any] = queue.Queue()

    class Telling(ThreadingHTTPServer):
        def server_activate(self) -> None:
            super().server_activate()
            told.put(self)

    thread = threading.Thread(target=httpserver.test, args=(Hello, Telling), kwargs={"port": 0, "bind": "127.0.0.1"})
    thread.start()
    server = told.get(timeout=WAIT)
    assert ask(server)[2] == b"hello"
    server.shutdown()
    thread.join(WAIT)
    assert "Serving HTTP on 127.0.0.1" in capsys.readouterr().out
    assert signature(httpserver.test).parameters["ServerClass"].default is ThreadingHTTPServer


def test_a_shutdown_that_comes_first_is_not_lost() -> None:
    with HTTPServer(("127.0.0.1", 0), Hello) as server:
        server.shutdown()
        server.serve_forever()


@pytest.mark.parametrize("kind", [HTTPServer, ThreadingHTTPServer])
def test_a_handler_may_shut_its_server_down(kind: type[HTTPServer]) -> None:
    class Quit(Quiet):
        def do_GET(self) -> None:
            self.server.shutdown()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"bye")

    with kind(("127.0.0.1", 0), Quit) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        assert ask(server)[2] == b"bye"
        thread.join(WAIT)
        assert not thread.is_alive()


def test_a_request_that_runs_is_answered_before_the_end(start: Start) -> None:
    entered, leave = threading.Event(), threading.Event()

    class Slow(Hello):
        def do_GET(self) -> None:
            entered.set()
            assert leave.wait(WAIT)
            super().do_GET()

    server = start(Slow)
    client = Client(server.server_port).get()
    assert entered.wait(WAIT)
    stopping = threading.Thread(target=server.shutdown)
    stopping.start()
    leave.set()
    assert client.read()[2] == b"hello"
    stopping.join(WAIT)
    client.close()


def test_nobody_coming_is_told_after_the_timeout() -> None:
    told = []

    class Waiting(HTTPServer):
        timeout = 0.01

        def handle_timeout(self) -> None:
            told.append(True)

    with Waiting(("127.0.0.1", 0), Hello) as server:
        server.handle_request()
    assert told == [True]


def test_a_client_that_says_nothing_is_a_request_handled() -> None:
    with HTTPServer(("127.0.0.1", 0), Hello) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        Client(server.server_port).close()
        thread.join(WAIT)
        assert not thread.is_alive()


def test_clients_may_be_refused(start: Start) -> None:
    class Choosy(ThreadingHTTPServer):
        def verify_request(self, request: Any, client_address: Any) -> bool:
            return bool(client_address[0] != "127.0.0.1" or request.getpeername() != client_address)

    assert ask(start(Hello, Choosy))[0] == 403


@pytest.fixture(params=[socketserver.TCPServer, socketserver.ThreadingTCPServer])
def accepting(request: pytest.FixtureRequest) -> Iterator[Callable[[Any], socketserver.TCPServer]]:
    """Starts servers of the standard library's: `accepting(Handler)`."""
    with ExitStack() as stack:

        def begin(handler: Any) -> socketserver.TCPServer:
            server: socketserver.TCPServer = stack.enter_context(request.param(("127.0.0.1", 0), handler))
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            stack.callback(thread.join, WAIT)
            stack.callback(server.shutdown)
            return server

        yield begin


def test_a_server_that_only_accepts_is_served_for(accepting: Callable[[Any], socketserver.TCPServer]) -> None:
    class Own(Hello):
        def __init__(self, word: bytes, *arguments: Any) -> None:
            self.word = word
            super().__init__(*arguments)

        def do_POST(self) -> None:
            assert self.client_address[0] == "127.0.0.1"
            self.send_response(200)
            self.send_header("X-Server", type(self.server).__name__)
            self.end_headers()
            self.wfile.write(self.word + self.rfile.read(int(self.headers["Content-Length"])))

    server = accepting(partial(Own, b"own "))
    for _ in range(2):
        Client(server.server_address[1]).close()  # says nothing
        client = Client(server.server_address[1]).send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody")
        status, fields, body = client.read()
        assert (status, fields["x-server"], body) == (200, type(server).__name__, b"own body")
        assert client.closed()
        client.close()
    client = Client(server.server_address[1]).send(b"GET / HTTP/1.1\r\n\r\n")
    assert client.read()[0] == 400
    client.close()


def test_a_server_that_only_accepts_hears_of_faults(
    accepting: Callable[[Any], socketserver.TCPServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = []
    monkeypatch.setattr(socketserver.BaseServer, "handle_error", lambda *arguments: told.append(sys.exc_info()[0]))

    class Faulty(Quiet):
        def do_GET(self) -> None:
            raise LookupError

    server = accepting(Faulty)
    client = Client(server.server_address[1]).get()
    assert client.read()[0] == 500
    assert told == [LookupError]
    client.close()


def test_a_handler_is_made_by_a_server() -> None:
    with pytest.raises(TypeError, match="object is no connection of a client"):
        Hello(object(), ("127.0.0.1", 1), None)


def test_a_server_that_only_accepts_has_no_tls() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours, theirs = socket.socketpair()
    client = context.wrap_socket(ours, server_side=True, do_handshake_on_connect=False)
    refusal = pytest.raises(TypeError, match="TCPServer has no TLS here")
    with socketserver.TCPServer(("127.0.0.1", 0), Hello) as server, theirs, client, refusal:
        Hello(client, ("127.0.0.1", 1), server)


def test_what_is_not_called_is_said(caplog: pytest.LogCaptureFixture) -> None:
    class Accepting(ThreadingHTTPServer):
        def get_request(self) -> Any:
            return super().get_request()

    for kind in (HTTPServer, ThreadingHTTPServer, Accepting):
        kind(("127.0.0.1", 0), Hello).server_close()
    (record,) = caplog.records
    assert "Accepting.get_request is not called" in record.getMessage()


def test_limits_are_the_engines_and_may_be_others(start: Start) -> None:
    class Small(ThreadingHTTPServer):
        limits = Limits(body=10)

    server = start(Hello, Small)
    assert ask(server, "/", "POST", b"x" * 10)[0] == 200
    assert ask(server, "/", "POST", b"x" * 11)[0] == 413


def test_a_unix_socket_serves(tmp_path: Path) -> None:
    class Unix(HTTPServer):
        address_family = socket.AF_UNIX

        def server_bind(self) -> None:
            socketserver.TCPServer.server_bind(self)

    path = str(tmp_path / "s")
    with Unix(path, Hello) as server:  # type: ignore[arg-type]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(path)
            sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
            data = b""
            while piece := sock.recv(65536):
                data += piece
        assert data.endswith(b"hello")
        server.shutdown()
        thread.join(WAIT)
        assert Path(path).is_socket()  # the program's to remove, since it may serve again

"""What handlers read, write and cannot get wrong."""

from __future__ import annotations

import csv
import io
import logging
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from engine.support import WAIT, Client
from engine.test_streaming import slow_reader
from firstbyte.httpserver import BaseHTTPRequestHandler, HTTPServer
from httpserver.support import Quiet, Start, ask

Answer = Callable[[Any], None]


def answering(answer: Answer) -> type[Quiet]:
    """A handler whose GET and POST are a function of it."""

    class Handler(Quiet):
        def do_GET(self) -> None:
            answer(self)

        def do_POST(self) -> None:
            answer(self)

        def do_HEAD(self) -> None:
            answer(self)

    return Handler


def head(handler: BaseHTTPRequestHandler, *fields: tuple[str, str], status: int = 200) -> None:
    handler.send_response(status)
    for field in fields:
        handler.send_header(*field)
    handler.end_headers()


# -- what is read


def test_the_request_line_and_the_fields_are_those_that_came(start: Start) -> None:
    seen: dict[str, Any] = {}

    def answer(handler: Quiet) -> None:
        for name in ("command", "path", "requestline", "request_version", "raw_requestline", "close_connection"):
            seen[name] = getattr(handler, name)
        seen["fields"] = handler.headers.get_all("x-many"), handler.headers["X-LATIN"], handler.headers.get("none")
        seen["type"] = handler.headers.get_content_type(), handler.headers.get_param("charset")
        seen["ends"] = handler.client_address[0], handler.connection.getsockname()[1]
        head(handler)

    server = start(answering(answer))
    ask(server, "/a%20b?c=d", headers={"X-Latin": "Ärger", "Content-Type": "text/plain; charset=utf-8"})
    assert seen["path"] == "/a%20b?c=d"
    assert (seen["command"], seen["request_version"], seen["close_connection"]) == ("GET", "HTTP/1.1", False)
    assert seen["requestline"] == "GET /a%20b?c=d HTTP/1.1"
    assert seen["raw_requestline"] == b"GET /a%20b?c=d HTTP/1.1\r\n"
    assert seen["fields"] == (None, "Ärger", None)
    assert seen["type"] == ("text/plain", "utf-8")
    assert seen["ends"] == ("127.0.0.1", server.server_port)
    client = Client(server.server_port).get(fields="X-Many: 1\r\nX-Many: 2\r\n")
    client.read()
    assert seen["fields"][0] == ["1", "2"]
    client.close()


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("//evil.example/x", "/evil.example/x"),
        ("///evil.example", "/evil.example"),
        ("http://127.0.0.1/x?y", "http://127.0.0.1/x?y"),
        ("/a//b", "/a//b"),
    ],
)
def test_a_path_never_names_a_host_by_two_slashes(start: Start, target: str, path: str) -> None:
    server = start(answering(lambda handler: (head(handler), handler.wfile.write(handler.path.encode()))))  # type: ignore[arg-type, func-returns-value]
    client = Client(server.server_port).get(target)
    assert client.read()[2] == path.encode()
    client.close()


@pytest.mark.parametrize("size", [3, 600_000])
def test_the_fields_are_those_of_the_body_as_it_is_read(start: Start, size: int) -> None:
    def answer(handler: Quiet) -> None:
        assert "Transfer-Encoding" not in handler.headers
        data = handler.rfile.read(int(handler.headers["Content-Length"]))
        head(handler)
        handler.wfile.write(str(len(data)).encode())

    server = start(answering(answer))
    assert ask(server, "/", "POST", iter([b"x" * (size - 1), b"y"]))[2] == str(size).encode()  # in chunks
    assert ask(server, "/", "POST", b"x" * size)[2] == str(size).encode()


@pytest.mark.parametrize("size", [0, 5, 600_000])
def test_rfile_ends_with_the_body(start: Start, size: int) -> None:
    def answer(handler: Quiet) -> None:
        data = handler.rfile.read()
        assert handler.rfile.read() == b""
        head(handler)
        handler.wfile.write(str(len(data)).encode())

    server = start(answering(answer))
    assert ask(server, "/", "POST", b"x" * size)[2] == str(size).encode()
    pieces = iter([b"x" * size, b"yz"]) if size else iter([b"yz"])  # no length: in chunks
    assert ask(server, "/", "POST", pieces)[2] == str(size + 2).encode()


def test_an_override_may_answer_before_the_method_is_called(start: Start) -> None:
    class Guarded(answering(head)):  # type: ignore[misc]
        def parse_request(self) -> bool:
            if not super().parse_request():
                return False
            if "Authorization" in self.headers:
                return True
            self.send_error(401)
            return False

    server = start(Guarded)
    assert ask(server)[0] == 401
    assert ask(server, headers={"Authorization": "Basic x"})[0] == 200


# -- what is written


def test_a_length_that_is_given_is_kept_and_the_connection_too(start: Start) -> None:
    def answer(handler: Quiet) -> None:
        head(handler, ("Content-Length", "6"), ("Connection", "keep-alive"))
        handler.wfile.write(b"abc")
        handler.wfile.write(memoryview(b"def"))

    client = Client(start(answering(answer)).server_port)
    for _ in range(2):
        status, fields, body = client.get().read()
        assert (status, fields["content-length"], body) == (200, "6", b"abcdef")
        assert "connection" not in fields
    client.close()


def test_without_a_length_it_is_chunked_and_until_the_end_for_http_1_0(start: Start) -> None:
    server = start(answering(lambda handler: (head(handler), handler.wfile.write(b"text"))))  # type: ignore[arg-type, func-returns-value]
    client = Client(server.server_port)
    assert client.get().read()[1]["transfer-encoding"] == "chunked"
    assert client.send(b"GET / HTTP/1.0\r\n\r\n").rest().endswith(b"\r\n\r\ntext")
    client.close()


@pytest.mark.parametrize("way", ["field", "attribute"])
def test_a_handler_may_close_the_connection(start: Start, way: str) -> None:
    def answer(handler: Quiet) -> None:
        handler.close_connection = way == "attribute"
        head(handler, *([("Connection", "close")] if way == "field" else []))

    client = Client(start(answering(answer)).server_port).get()
    assert client.read()[1]["connection"] == "close"
    assert client.closed()
    client.close()


def test_chunks_that_a_handler_makes_itself_are_sent_as_what_is_in_them(start: Start) -> None:
    def answer(handler: Quiet) -> None:
        head(handler, ("Transfer-Encoding", "chunked"))
        for piece in (b"3\r\nab", b"c\r\n2;x=y\r", b"\nde\r\n", b"0\r\n\r\n"):
            handler.wfile.write(piece)

    server = start(answering(answer))
    assert ask(server)[2] == b"abcde"
    client = Client(server.server_port).send(b"GET / HTTP/1.0\r\n\r\n")
    assert client.rest().endswith(b"\r\n\r\nabcde")
    client.close()


@pytest.mark.parametrize("written", [b"not a chunk\r\n", b"3\r\nabc\r\n"])
def test_chunks_that_are_none_or_end_early_break_the_answer_off(
    start: Start, written: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    def answer(handler: Quiet) -> None:
        head(handler, ("Transfer-Encoding", "chunked"))
        handler.wfile.write(written)

    client = Client(start(answering(answer)).server_port).get()
    assert b"\r\n0\r\n" not in client.rest()
    assert "chunk" in capsys.readouterr().err
    client.close()


def test_parts_of_a_stream_have_heads_of_their_own(start: Start) -> None:
    def answer(handler: Quiet) -> None:
        head(handler, ("Content-Type", "multipart/x-mixed-replace; boundary=frame"))
        for picture in (b"one", b"two"):
            handler.wfile.write(b"--frame\r\n")
            handler.send_header("Content-Type", "image/jpeg")
            handler.send_header("Content-Length", str(len(picture)))
            handler.end_headers()
            handler.wfile.write(picture + b"\r\n")

    _, response, body = ask(start(answering(answer)))
    assert response.headers.get_all("Content-Type") == ["multipart/x-mixed-replace; boundary=frame"]
    part = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: 3\r\n\r\n%b\r\n"
    assert body == part % b"one" + part % b"two"


def test_a_head_may_be_ended_twice(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    def answer(handler: Quiet) -> None:
        handler.send_error(404)
        handler.end_headers()

    client = Client(start(answering(answer)).server_port)
    for _ in range(2):
        status, fields, body = client.get().read()
        assert (status, len(body)) == (404, int(fields["content-length"]))
    assert "Traceback" not in capsys.readouterr().err
    client.close()


def test_files_around_wfile_work(start: Start) -> None:
    def answer(handler: Quiet) -> None:
        head(handler, ("Content-Type", "text/csv"))
        with io.TextIOWrapper(handler.wfile, "utf-8", newline="") as text:
            csv.writer(text).writerow(["a", "ü"])

    assert ask(start(answering(answer)))[2] == "a,ü\r\n".encode()


def test_the_answer_to_head_has_no_body_whatever_is_written(start: Start) -> None:
    server = start(answering(lambda handler: (head(handler, ("Content-Length", "4")), handler.wfile.write(b"text"))))  # type: ignore[arg-type, func-returns-value]
    client = Client(server.server_port)
    for _ in range(2):
        status, fields, _ = client.send(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n").read(head_only=True)
        assert (status, fields["content-length"], client.buffer) == (200, "4", b"")
    client.close()


@pytest.mark.parametrize("status", [204, 205, 304])
def test_errors_that_have_no_body_have_none(start: Start, status: int) -> None:
    server = start(answering(lambda handler: handler.send_error(status)))
    for method in ("GET", "HEAD"):
        found, response, body = ask(server, "/", method)
        assert (found, body) == (status, b"")
        assert "Content-Type" not in response.headers


def test_an_error_page_says_nothing_that_a_browser_would_run(start: Start) -> None:
    server = start(answering(lambda handler: handler.send_error(404, "<script>", "<img>")))
    status, response, body = ask(server)
    assert (status, response.headers["Content-Length"]) == (404, str(len(body)))
    assert b"&lt;script&gt;" in body
    assert b"<img>" not in body


def test_an_answer_nothing_of_which_is_sent_may_become_another(start: Start) -> None:
    def answer(handler: Quiet) -> None:
        head(handler, ("X-First", "1"), ("Content-Length", "9"))
        handler.send_error(503)

    status, response, _ = ask(start(answering(answer)))
    assert (status, response.headers["X-First"]) == (503, None)


def test_a_100_continue_is_not_sent_twice(start: Start) -> None:
    def answer(handler: Quiet) -> None:
        handler.send_response_only(100)
        handler.end_headers()
        head(handler)

    assert ask(start(answering(answer)))[0] == 200


def test_versions_are_those_that_the_class_names(start: Start) -> None:
    class Named(answering(head)):  # type: ignore[misc]
        server_version = "Mine/2"
        sys_version = "Py"

    assert ask(start(Named))[1].headers["Server"] == "Mine/2 Py"
    assert ask(start(answering(head)))[1].headers["Server"] == "firstbyte"


def test_the_log_is_the_standard_librarys(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    class Logging(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(404, "none here")

    ask(start(Logging), "/x")
    error, request = capsys.readouterr().err.splitlines()
    assert error.startswith("127.0.0.1 - - [")
    assert error.endswith("] code 404, message none here")
    assert request.endswith('] "GET /x HTTP/1.1" 404 -')


# -- programs that do by themselves what the parent does


@pytest.mark.parametrize("step", [1, 7, 1000])
@pytest.mark.parametrize(
    ("written", "status", "body", "stays"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX-Own: 1\r\n\r\ntext", 200, b"text", True),
        (b"HTTP/1.0 404 None\r\nX-Own: 1\r\n\r\ntext", 404, b"text", False),
        (
            b"HTTP/1.1 200 OK\r\nX-Own: 1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ntext\r\n0\r\n\r\n",
            200,
            b"text",
            True,
        ),
        (b"HTTP/1.1 100 Go\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Own: 1\r\n\r\n", 200, b"", True),
    ],
)
def test_an_answer_may_be_written_with_its_head(
    start: Start, written: bytes, status: int, body: bytes, stays: bool, step: int
) -> None:
    def answer(handler: Quiet) -> None:
        for at in range(0, len(written), step):
            handler.wfile.write(written[at : at + step])

    client = Client(start(answering(answer)).server_port)
    found, fields, data = client.get().read()
    assert (found, data, fields["x-own"]) == (status, body, "1")
    assert client.get().read()[0] == status if stays else client.closed()
    client.close()


def test_a_head_that_is_written_in_part_is_no_answer(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    assert ask(start(answering(lambda handler: handler.wfile.write(b"HTTP/1.1 200 OK\r\n"))))[0] == 500
    assert "did not answer" in caplog.text


def test_the_socket_may_be_used_as_one(start: Start) -> None:
    class Raw(Quiet):
        def setup(self) -> None:
            super().setup()
            self.connection.settimeout(5)
            self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def do_POST(self) -> None:
            text = self.request.recv(3) + self.request.recv(100) + self.request.recv(100)
            self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(text))
            assert self.connection.send(text) == len(text)

    assert ask(start(Raw), "/", "POST", b"some text")[2] == b"some text"


def test_a_handler_may_read_its_request_line_by_itself(start: Start) -> None:
    class Own(Quiet):
        def handle_one_request(self) -> None:
            self.raw_requestline = self.rfile.readline(65537)
            if not self.raw_requestline:
                self.close_connection = True
                return
            if not self.parse_request():
                return
            getattr(self, "do_" + self.command)()
            self.wfile.flush()

        def do_POST(self) -> None:
            head(self)
            self.wfile.write(self.raw_requestline + self.rfile.read())

    assert ask(start(Own), "/x", "POST", b"a\nb")[2] == b"POST /x HTTP/1.1\r\na\nb"


def test_a_loop_over_the_requests_of_a_connection_ends_with_the_one_there_is(start: Start) -> None:
    class Loop(Quiet):
        def handle(self) -> None:
            self.close_connection = True
            self.handle_one_request()
            while not self.close_connection:
                self.handle_one_request()

        def do_GET(self) -> None:
            head(self, ("Content-Length", "2"))
            self.wfile.write(b"ok")

    client = Client(start(Loop).server_port)
    for _ in range(3):
        assert client.get().read()[2] == b"ok"
    client.close()


# -- what goes wrong


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda handler: 1 / 0, "ZeroDivisionError"),
        (lambda handler: head(handler, ("X", "a\r\nSet-Cookie: b=c")), "control character"),
        (lambda handler: head(handler, ("X Y", "a")), "not a token"),
        (lambda handler: head(handler, status=999), "999 is no status"),
        (lambda handler: head(handler, status=101), "101 is no status"),
        (lambda handler: handler.end_headers(), "without send_response()"),
        (lambda handler: handler.wfile.write(b"<p>text</p>\r\n"), "before send_response()"),
        (lambda handler: handler.wfile.write(b"HTTP/1.1 200 OK\nX: y\n\n"), "must be the head of an answer"),
        (lambda handler: handler.wfile.write(b"HTTP/1.1 200 OK\r\nX Y: z\r\n\r\n"), "must be the head of an answer"),
        (lambda handler: handler.wfile.write(b"HTTP/1.1 101 Go\r\nUpgrade: x\r\n\r\n"), "cannot be upgraded"),
        (lambda handler: (head(handler), handler.wfile.write("text")), "bytes-like object is required"),
        (lambda handler: (head(handler), handler.wfile.write(7)), "bytes-like object is required"),
        (lambda handler: head(handler, ("Transfer-Encoding", "gzip")), "chunked is all there is"),
    ],
)
def test_a_fault_before_anything_is_sent_is_a_500(
    start: Start, capsys: pytest.CaptureFixture[str], answer: Answer, said: str
) -> None:
    server = start(answering(answer))
    status, response, _ = ask(server)
    assert status == 500
    assert "Set-Cookie" not in response.headers
    error = capsys.readouterr().err
    assert "Exception occurred during processing of request from ('127.0.0.1'" in error
    assert said in error


def test_a_handler_that_says_nothing_is_a_500(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    assert ask(start(answering(lambda handler: None)), "/x")[0] == 500
    assert "did not answer GET /x" in caplog.text


@pytest.mark.parametrize("length", ["3", "5"])
def test_a_length_that_does_not_hold_breaks_the_answer_off(start: Start, length: str) -> None:
    def answer(handler: Quiet) -> None:
        head(handler, ("Content-Length", length))
        handler.wfile.write(b"ab")
        handler.wfile.write(b"cd")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(HTTPServer, "handle_error", lambda *arguments: None)
        client = Client(start(answering(answer)).server_port).get()
        assert client.rest().endswith(b"ab" if length == "3" else b"abcd")
        client.close()


def test_a_fault_after_the_first_bytes_breaks_the_answer_off_and_is_told(start: Start) -> None:
    told = threading.Event()

    class Telling(HTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            told.set()

    def answer(handler: Quiet) -> None:
        head(handler)
        handler.wfile.write(b"half")
        raise LookupError

    client = Client(start(answering(answer), Telling).server_port).get()
    rest = client.rest()
    assert b"half" in rest
    assert b"\r\n0\r\n" not in rest
    assert told.wait(WAIT)
    client.close()


def test_a_client_that_leaves_is_a_broken_pipe_and_no_fault(
    start: Start, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    left = threading.Event()

    def answer(handler: Quiet) -> None:
        head(handler)
        try:
            while True:
                handler.wfile.write(b"x" * 65536)
        except BrokenPipeError:
            left.set()
            raise

    server = start(answering(answer))
    client = slow_reader(server.server_port, "/")
    client.sock.recv(1)
    client.sock.close()
    assert left.wait(WAIT)
    server.shutdown()
    assert capsys.readouterr().err == caplog.text == ""

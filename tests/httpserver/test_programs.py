"""Typical programs for `http.server`, each with the one line changed."""

from __future__ import annotations

import inspect
import json
import os
import re
import socketserver
import ssl
import threading
import urllib.error
import urllib.request
import wsgiref.simple_server
import xmlrpc.client
import xmlrpc.server
from email.parser import BytesParser
from email.policy import HTTP
from functools import partial
from http.client import HTTPSConnection
from http.cookies import SimpleCookie
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import parse_qs, urlparse
from wsgiref.validate import validator

import pytest

from engine.certificates import client_context, pair
from engine.support import WAIT, Client
from firstbyte.httpserver import BaseHTTPRequestHandler, HTTPServer, SimpleHTTPRequestHandler, ThreadingHTTPServer
from httpserver.support import Quiet, Start, ask


class Api(Quiet):
    """A JSON API whose routes are regular expressions."""

    def do_GET(self) -> None:
        routes = ((r"/items/?", self.on_items), (r"/items/(?P<key>\d+)", self.on_item))
        for pattern, answer in routes:
            match = re.fullmatch(pattern, urlparse(self.path).path)
            if match:
                self.reply(*answer(**match.groupdict()))
                return
        self.send_error(404)

    do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 - the standard library's names

    def do_OPTIONS(self) -> None:
        self.send_response(204)
        self.send_header("Allow", "GET, POST, PUT, DELETE, OPTIONS")
        self.end_headers()

    def reply(self, status: int, value: Any) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def body(self) -> Any:
        return json.loads(self.rfile.read(int(self.headers["Content-Length"])))

    @property
    def items(self) -> dict[str, Any]:
        return self.server.items  # type: ignore[attr-defined, no-any-return]

    def on_items(self) -> tuple[int, Any]:
        if self.command == "POST":
            self.items[str(len(self.items) + 1)] = self.body()
            return 201, {"id": len(self.items)}
        return 200, self.items

    def on_item(self, key: str) -> tuple[int, Any]:
        if self.command == "PUT":
            self.items[key] = self.body()
        if key not in self.items:
            return 404, {"error": "no such item"}
        return 200, self.items.pop(key) if self.command == "DELETE" else self.items[key]


def test_a_json_api(start: Start) -> None:
    server = start(Api)
    server.items = {}  # type: ignore[attr-defined]
    assert ask(server, "/items", "POST", b'{"name": "a"}')[::2] == (201, b'{"id": 1}')
    assert ask(server, "/items/1", "PUT", b'{"name": "b"}')[::2] == (200, b'{"name": "b"}')
    assert ask(server, "/items?page=1")[::2] == (200, b'{"1": {"name": "b"}}')
    status, response, body = ask(server, "/items/1", "OPTIONS")
    assert (status, response.headers["Allow"], body) == (204, "GET, POST, PUT, DELETE, OPTIONS", b"")
    assert ask(server, "/items/1", "DELETE")[0] == 200
    assert ask(server, "/items/1")[::2] == (404, b'{"error": "no such item"}')
    status, response, body = ask(server, "/other")
    assert (status, response.headers["Content-Type"]) == (404, "text/html;charset=utf-8")
    assert b"Error code: 404" in body
    assert ask(server, "/items", "PATCH")[0] == 501


def test_a_form_that_uploads_a_file(start: Start, tmp_path: Path) -> None:
    class Upload(Quiet):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-type", "text/html")
            self.end_headers()
            self.wfile.write(b'<form method="post" enctype="multipart/form-data"><input type="file" name="f"></form>')

        def do_POST(self) -> None:
            length = int(self.headers.get("content-length", 0))
            head = b"Content-Type: %b\r\n\r\n" % self.headers["content-type"].encode()
            form = BytesParser(policy=HTTP).parsebytes(head + self.rfile.read(length))
            for part in form.iter_parts():  # type: ignore[attr-defined]
                (tmp_path / part.get_filename()).write_bytes(part.get_payload(decode=True))
            self.send_response(303)
            self.send_header("Location", "/")
            self.end_headers()

    server = start(Upload)
    content = os.urandom(400_000).replace(b"\r", b"").replace(b"\n", b"")
    body = (
        b'--sep\r\nContent-Disposition: form-data; name="f"; filename="a.bin"\r\n'
        b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n"
        + content
        + b"\r\n--sep--\r\n"
    )
    status, response, _ = ask(server, "/", "POST", body, {"Content-Type": "multipart/form-data; boundary=sep"})
    assert (status, response.headers["Location"]) == (303, "/")
    assert (tmp_path / "a.bin").read_bytes() == content
    assert b"<form" in ask(server)[2]


def test_a_static_server_with_cors_cache_headers_and_types_of_its_own(start: Start, tmp_path: Path) -> None:
    class Cors(SimpleHTTPRequestHandler):
        extensions_map = {**SimpleHTTPRequestHandler.extensions_map, ".wasm": "application/wasm", ".foo": "text/x-foo"}

        def end_headers(self) -> None:
            self.send_header("Access-Control-Allow-Origin", "*")
            self.send_header("Cache-Control", "no-store, must-revalidate")
            super().end_headers()

        def do_OPTIONS(self) -> None:
            self.send_response(200, "ok")
            self.send_header("Access-Control-Allow-Methods", "GET, OPTIONS")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    (tmp_path / "a.foo").write_bytes(b"x" * 300_000)
    server = start(partial(Cors, directory=str(tmp_path)))
    status, response, body = ask(server, "/a.foo")
    assert (status, response.headers["Content-Type"], body) == (200, "text/x-foo", b"x" * 300_000)
    assert response.headers["Cache-Control"] == "no-store, must-revalidate"
    assert ask(server, "/a.foo", "HEAD")[1].headers["Content-Length"] == "300000"
    assert ask(server, "/a.foo", "OPTIONS")[1].headers["Access-Control-Allow-Methods"] == "GET, OPTIONS"
    modified = response.headers["Last-Modified"]
    assert ask(server, "/a.foo", headers={"If-Modified-Since": modified})[::2] == (304, b"")
    assert ask(server, "/none")[1].headers["Access-Control-Allow-Origin"] == "*"


def test_a_single_page_app_falls_back_to_its_index(start: Start, tmp_path: Path) -> None:
    class App(SimpleHTTPRequestHandler):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, directory=str(tmp_path), **kwargs)

        def do_GET(self) -> None:
            if not Path(self.translate_path(self.path)).exists():
                self.path = "/index.html"
            super().do_GET()

        def log_message(self, *args: Any) -> None:
            pass

    (tmp_path / "index.html").write_text("the app")
    (tmp_path / "app.js").write_text("code()")
    server = start(App)
    assert ask(server, "/users/7?tab=1")[2] == b"the app"
    assert ask(server, "/")[2] == b"the app"
    assert ask(server, "/app.js")[2] == b"code()"


def test_a_proxy_by_urllib(start: Start) -> None:
    class Proxy(Quiet):
        def do_GET(self) -> None:
            upstream = self.server.upstream + self.path  # type: ignore[attr-defined]
            request = urllib.request.Request(upstream, headers={"X-By": "proxy"})
            try:
                with urllib.request.urlopen(request, timeout=WAIT) as answer:
                    self.send_response(answer.status)
                    for name, value in answer.headers.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(answer.read())
            except urllib.error.HTTPError as error:
                with error:
                    self.send_error(error.code, error.reason)

    class Origin(Quiet):
        def do_GET(self) -> None:
            if self.path == "/none":
                return self.send_error(404)
            self.send_response(200)
            self.send_header("Content-Length", "5")
            self.send_header("X-By", self.headers["x-by"])
            self.end_headers()
            self.wfile.write(b"found")
            return None

    origin = start(Origin)
    proxy = start(Proxy)
    proxy.upstream = f"http://127.0.0.1:{origin.server_port}"  # type: ignore[attr-defined]
    status, response, body = ask(proxy, "/x")
    assert (status, response.headers["X-By"], body) == (200, "proxy", b"found")
    assert ask(proxy, "/none")[0] == 404


def test_a_server_made_threading_by_the_mix_in_answers_at_once(start: Start) -> None:
    barrier = threading.Barrier(3)

    class Meet(Quiet):
        def do_GET(self) -> None:
            barrier.wait(WAIT)
            self.send_response(204)
            self.end_headers()

    class Threaded(socketserver.ThreadingMixIn, HTTPServer):
        daemon_threads = True
        allow_reuse_address = True

    server = start(Meet, Threaded)
    clients = [Client(server.server_port).get() for _ in range(3)]
    assert [client.read()[0] for client in clients] == [204] * 3
    for client in clients:
        client.close()


def test_a_server_without_the_mix_in_runs_one_handler_at_a_time(start: Start) -> None:
    inside: list[str] = []
    most = 0
    entered, leave = threading.Semaphore(0), threading.Semaphore(0)

    class Alone(Quiet):
        def do_GET(self) -> None:
            nonlocal most
            inside.append(self.path)
            most = max(most, len(inside))
            if self.path == "/slow":
                entered.release()
                assert leave.acquire(timeout=WAIT)
            inside.remove(self.path)
            self.send_response(204)
            self.end_headers()

    server = start(Alone, HTTPServer)
    for _ in range(12):  # it has proven fast
        ask(server, "/fast")
    slow = Client(server.server_port).get("/slow")
    assert entered.acquire(timeout=WAIT)
    others = [Client(server.server_port).get("/fast") for _ in range(5)]
    leave.release()
    assert [client.read()[0] for client in (slow, *others)] == [204] * 6
    assert most == 1
    for client in (slow, *others):
        client.close()


def test_what_is_written_slowly_is_sent_as_it_is_written(start: Start) -> None:
    step = threading.Semaphore(0)

    class Events(Quiet):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            self.wfile.flush()
            for number in range(3):
                assert step.acquire(timeout=WAIT)
                self.wfile.write(f"data: {number}\n\n".encode())

    client = Client(start(Events).server_port).get()
    while b"\r\n\r\n" not in client.buffer:
        assert client.more()
    for number in range(3):
        step.release()
        while f"data: {number}\n\n".encode() not in client.buffer:
            assert client.more()
    assert client.read()[1]["transfer-encoding"] == "chunked"
    client.close()


def test_sessions_by_cookie_on_the_server(start: Start) -> None:
    class Counting(Quiet):
        def do_GET(self) -> None:
            cookie = SimpleCookie(self.headers.get("Cookie"))
            name = cookie["sid"].value if "sid" in cookie else "new"
            counts = self.server.counts  # type: ignore[attr-defined]
            counts[name] = counts.get(name, 0) + 1
            self.send_response(200)
            self.send_header("Set-Cookie", f"sid={name}")
            self.send_header("Set-Cookie", "seen=1")
            self.end_headers()
            self.wfile.write(str(counts[name]).encode())

    class Counter(HTTPServer):
        def __init__(self, *args: Any) -> None:
            self.counts: dict[str, int] = {}
            super().__init__(*args)

    server = start(Counting, Counter)
    assert ask(server)[2] == b"1"
    status, response, body = ask(server, headers={"Cookie": "sid=new"})
    assert (status, response.headers.get_all("Set-Cookie"), body) == (200, ["sid=new", "seen=1"], b"2")


def test_a_form_and_a_log_of_its_own(start: Start) -> None:
    lines = []

    class Form(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            fields = parse_qs(self.rfile.read().decode())
            self.send_response(200)
            self.end_headers()
            self.wfile.writelines(value[0].encode() for value in fields.values())

        def log_message(self, format: str, *args: Any) -> None:
            lines.append(f"{self.address_string()} {self.client_address[0]} {format % args}")

    server = start(Form)
    assert ask(server, "/form", "POST", b"a=1&b=2")[2] == b"12"
    assert lines == ['127.0.0.1 127.0.0.1 "POST /form HTTP/1.1" 200 -']


def test_tls_by_a_wrapped_socket(tmp_path: Path) -> None:
    class Secret(Quiet):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"secret")

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair(tmp_path, "localhost"))
    server = HTTPServer(("127.0.0.1", 0), Secret)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        connection = HTTPSConnection("localhost", server.server_port, context=client_context(), timeout=WAIT)
        connection.request("GET", "/")
        assert connection.getresponse().read() == b"secret"
        connection.close()
    finally:
        server.shutdown()
        thread.join(WAIT)
        server.server_close()


@pytest.mark.parametrize("kind", [HTTPServer, ThreadingHTTPServer])
def test_one_request_is_handled_and_the_program_goes_on(kind: type[HTTPServer]) -> None:
    class Callback(Quiet):
        def do_GET(self) -> None:
            self.server.code = parse_qs(urlparse(self.path).query)["code"][0]  # type: ignore[attr-defined]
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"you may close this window")

    with kind(("127.0.0.1", 0), Callback) as server:
        server.timeout = WAIT
        for code in ("one", "two"):
            thread = threading.Thread(target=server.handle_request)
            thread.start()
            assert ask(server, f"/?code={code}")[2] == b"you may close this window"
            thread.join(WAIT)
            assert not thread.is_alive()
            assert server.code == code  # type: ignore[attr-defined]


def changed(module: ModuleType) -> ModuleType:
    """A module of the standard library that is a program for `http.server`, with its import changed."""
    new = ModuleType(module.__name__)
    source = inspect.getsource(module)
    old = "from http.server import"
    assert old in source
    exec(compile(source.replace(old, "from firstbyte.httpserver import"), module.__name__, "exec"), vars(new))
    return new


def test_the_wsgi_server_of_the_standard_library() -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        data = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        start_response("200 OK", [("Content-Type", "text/plain"), ("X-Path", environ["PATH_INFO"])])
        return [data, b" and more"]

    module = changed(wsgiref.simple_server)
    server = module.make_server("127.0.0.1", 0, validator(app))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        for size in (4, 300_000):
            status, response, body = ask(server, "/x", "POST", b"x" * size)
            assert (status, response.headers["X-Path"], body) == (200, "/x", b"x" * size + b" and more")
    finally:
        server.shutdown()
        thread.join(WAIT)
        server.server_close()


def test_the_xml_rpc_server_of_the_standard_library() -> None:
    server = changed(xmlrpc.server).SimpleXMLRPCServer(("127.0.0.1", 0), logRequests=False)
    server.register_function(pow)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        with xmlrpc.client.ServerProxy(f"http://127.0.0.1:{server.server_address[1]}/") as proxy:
            assert [proxy.pow(2, 10), proxy.pow(3, 4)] == [1024, 81]
            with pytest.raises(xmlrpc.client.Fault, match="not supported"):
                proxy.nothing()
    finally:
        server.shutdown()
        thread.join(WAIT)
        server.server_close()

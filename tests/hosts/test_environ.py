"""What a WSGI application is told."""

from __future__ import annotations

import logging
import tempfile
from typing import Any

import pytest

from firstbyte.hosts.wsgi import WSGI
from firstbyte.http.request import Address, Ends, Request
from firstbyte.wire.head import HeadScanner
from firstbyte.wire.limits import Limits
from hosts.support import ENDS, scanned


class Telling(WSGI):
    """Hosts an application that keeps its environ."""

    def __init__(self) -> None:
        super().__init__(self.keep)

    def keep(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        self.environ = environ
        start_response("200 OK", [])
        return [b""]


def environ_of(request: Request, host: Telling | None = None) -> dict[str, Any]:
    host = host or Telling()
    host.resolve(request).call(request)
    assert type(host.environ) is dict
    return host.environ


def test_the_variables_of_a_plain_request() -> None:
    environ = environ_of(scanned("GET /a%20b/%C3%A9?x=1&y=%20 HTTP/1.1\nHost: example.org\nAccept: text/html\n\n"))
    wanted = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/a b/\xc3\xa9",
        "QUERY_STRING": "x=1&y=%20",
        "REQUEST_URI": "/a%20b/%C3%A9?x=1&y=%20",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": "192.0.2.1",
        "SERVER_PORT": "8000",
        "REMOTE_ADDR": "192.0.2.7",
        "REMOTE_PORT": "4711",
        "HTTP_HOST": "example.org",
        "HTTP_ACCEPT": "text/html",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
    }
    assert {name: environ.get(name) for name in wanted} == wanted
    assert environ["wsgi.input"].read() == b""
    assert "CONTENT_LENGTH" not in environ
    assert "CONTENT_TYPE" not in environ


@pytest.mark.parametrize(
    ("fields", "variables"),
    [
        ("X-A: 1\nX-A: 2", {"HTTP_X_A": "1,2"}),
        ("Cookie: a=1\nCookie: b=2", {"HTTP_COOKIE": "a=1; b=2"}),
        ("X_User: root", {"HTTP_X_USER": None}),
        ("X_User: root\nX-User: guest", {"HTTP_X_USER": "guest"}),
        ("X-Name: caf\xe9", {"HTTP_X_NAME": "caf\xe9"}),
        ("Content-Type: text/plain", {"CONTENT_TYPE": "text/plain", "HTTP_CONTENT_TYPE": None}),
        ("Content-Length: 0", {"CONTENT_LENGTH": "0", "HTTP_CONTENT_LENGTH": None}),
        ("Transfer-Encoding: chunked", {"CONTENT_LENGTH": None, "HTTP_TRANSFER_ENCODING": None}),
    ],
)
def test_header_fields(fields: str, variables: dict[str, str | None]) -> None:
    environ = environ_of(scanned(f"GET / HTTP/1.1\nHost: a\n{fields}\n\n"))
    assert {name: environ.get(name) for name in variables} == variables


def test_the_same_head_again_gives_an_environ_of_its_own() -> None:
    scanner, host = HeadScanner(Limits()), Telling()
    head = "GET /x HTTP/1.1\nHost: a\n\n"
    first = environ_of(scanned(head, scanner=scanner), host)
    first["PATH_INFO"] = "/spoiled"
    del first["HTTP_HOST"]
    other = Ends(Address("192.0.2.9", 1), Address("192.0.2.2", 443), "https")
    again = environ_of(scanned(head, scanner=scanner, ends=other), host)
    assert again["PATH_INFO"] == "/x"
    assert again["HTTP_HOST"] == "a"
    assert again["REMOTE_ADDR"] == "192.0.2.9"
    assert (again["wsgi.url_scheme"], again["HTTPS"], again["SERVER_PORT"]) == ("https", "on", "443")
    assert "HTTPS" not in environ_of(scanned(head, scanner=scanner), host)


def test_what_was_changed_on_the_request_counts() -> None:
    host = Telling()
    head = "GET /blog/post HTTP/1.1\nHost: a\n\n"
    environ_of(scanned(head), host)
    request = scanned(head)
    request.headers["Host"] = "b"
    request.headers.add("X-By", "middleware")
    request.client = Address("198.51.100.4", 0)
    request.scheme = "https"
    request.move_to_mount("/blog")
    environ = environ_of(request, host)
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == ("/blog", "/post")
    assert (environ["HTTP_HOST"], environ["HTTP_X_BY"]) == ("b", "middleware")
    assert (environ["REMOTE_ADDR"], environ["wsgi.url_scheme"]) == ("198.51.100.4", "https")
    assert environ["REQUEST_URI"] == "/blog/post"


def test_the_host_that_a_trusted_proxy_forwards() -> None:
    request = scanned("GET / HTTP/1.1\nHost: inner\n\n")
    assert request.headers  # as whoever reads Forwarded does
    request.forwarded_host = "shop.example"
    assert environ_of(request)["HTTP_HOST"] == "shop.example"


def test_a_unix_socket_has_a_name_and_a_port_all_the_same() -> None:
    environ = environ_of(scanned("GET / HTTP/1.1\nHost: a\n\n", ends=Ends(None, Address("/run/x.sock", 0))))
    assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == ("localhost", "80")


def test_the_body_in_memory_and_in_a_file() -> None:
    head = "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n"
    environ = environ_of(scanned(head, b"one\ntwo\n"))
    assert environ["CONTENT_LENGTH"] == "8"
    assert list(environ["wsgi.input"]) == [b"one\n", b"two\n"]
    with tempfile.TemporaryFile() as file:
        file.write(b"x" * 100_000 + b"\nend")
        request = scanned(head)
        request._body = file
        environ = environ_of(request)
        assert environ["CONTENT_LENGTH"] == "100004"
        assert environ["wsgi.input"].readline() == b"x" * 100_000 + b"\n"
        assert environ["wsgi.input"].read() == b"end"


def test_asterisk_form_asks_for_the_root() -> None:
    environ = environ_of(scanned("OPTIONS * HTTP/1.1\nHost: a\n\n"))
    assert (environ["PATH_INFO"], environ["REQUEST_URI"]) == ("/", "*")


def test_requests_that_were_built_from_parts() -> None:
    environ = environ_of(Request.build("PUT", "/x?y", {"Content-Type": "a/b"}, b"body", client=ENDS.client))
    assert (environ["PATH_INFO"], environ["QUERY_STRING"], environ["CONTENT_TYPE"]) == ("/x", "y", "a/b")
    assert environ["CONTENT_LENGTH"] == "4"


def test_heads_that_are_remembered_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firstbyte.hosts.environ._KNOWN", 4)
    host = Telling()
    for number in range(20):
        assert environ_of(scanned(f"GET /{number} HTTP/1.1\nHost: a\n\n"), host)["PATH_INFO"] == f"/{number}"
    assert len(host.environs._known) <= 4
    environ_of(scanned(f"GET / HTTP/1.1\nHost: a\nX-Long: {'x' * 2000}\n\n"), host)
    assert len(host.environs._known) <= 4


def test_a_head_is_remembered_for_every_client() -> None:
    host = Telling()
    for client in (Address("192.0.2.7", 4711), None, Address("192.0.2.8", 80), Address("", 0), None):
        environ = environ_of(scanned("GET / HTTP/1.1\nHost: a\n\n", ends=Ends(client, ENDS.server)), host)
        told = environ.get("REMOTE_ADDR"), environ.get("REMOTE_PORT")
        assert told == ((None, None) if client is None else (client.host, str(client.port)))
        assert environ["wsgi.input"].read() == b""
        environ["wsgi.input"].close()


def test_ports_that_are_remembered_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firstbyte.hosts.environ._PORTS", 4)
    host = Telling()
    for port in [*range(20), *range(20)]:
        ends = Ends(Address("192.0.2.7", port), ENDS.server)
        assert environ_of(scanned("GET / HTTP/1.1\nHost: a\n\n", ends=ends), host)["REMOTE_PORT"] == str(port)


def test_errors_are_logged_by_line(caplog: pytest.LogCaptureFixture) -> None:
    errors = environ_of(scanned("GET / HTTP/1.1\nHost: a\n\n"))["wsgi.errors"]
    with caplog.at_level(logging.ERROR, "firstbyte.wsgi"):
        print("one", "line", file=errors)
        errors.write("another ")
        errors.writelines(["line\n", "and an end"])
        errors.flush()
        errors.flush()
        errors.write("x" * 70_000)
    assert caplog.messages == ["one line", "another line", "and an end", "x" * 70_000]
    with pytest.raises(TypeError, match="takes str"):
        errors.write(b"bytes")

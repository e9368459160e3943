"""The scope of a request: on a server, and when its head is known from one before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from engine.support import Serve
from firstbyte import App
from firstbyte.hosts.asgi import ASGI
from firstbyte.hosts.asgi_scope import scope_of
from firstbyte.http.request import Address, Ends, Request
from firstbyte.wire.head import HeadScanner
from firstbyte.wire.limits import Limits
from hosts.support import ENDS, Receive, Scope, Send, body, host, scanned, start

HEAD = "GET /a%20b?c=d HTTP/1.1\nHost: a\nX-One: 1\n\n"


@pytest.fixture
def driver(each_loop: str) -> str:
    return each_loop


@pytest.fixture
def scanner() -> HeadScanner:
    return HeadScanner(Limits())


# -- on a server


def scope_for(serve: Serve, request: bytes, around: Callable[[ASGI], Any] = lambda asgi: asgi) -> Scope:
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)
        await send(start())
        await send(body(b"seen"))

    client = serve(around(host(app))).client().send(request)
    assert client.read()[2] == b"seen"
    return seen[-1]


@pytest.mark.parametrize(
    ("fields", "seen"),
    [
        (b"A: 1\r\nhOst: x\r\nB: 2\r\n", [(b"a", b"1"), (b"host", b"it:81"), (b"b", b"2")]),
        (b"Host:\r\n", [(b"host", b"it:81")]),
        (b"X-Host: x\r\nHost: x\r\n", [(b"x-host", b"x"), (b"host", b"it:81")]),
    ],
)
def test_an_absolute_target_says_which_host(
    serve: Serve, fields: bytes, seen: list[tuple[bytes, bytes]]
) -> None:  # RFC 9112 section 3.2.2
    scope = scope_for(serve, b"GET http://it:81/a HTTP/1.1\r\n" + fields + b"\r\n")
    assert (scope["path"], scope["headers"]) == ("/a", seen)


def test_an_absolute_target_of_http_1_0_is_a_host() -> None:
    request = scanned("GET http://it/a HTTP/1.0\nA: 1\n\n")
    assert request.raw_headers == [(b"host", b"it"), (b"a", b"1")]


def test_the_scope_is_that_of_the_specification(serve: Serve) -> None:
    scope = scope_for(serve, b"GET /caf%C3%A9/%2F?a=1&b=%20 HTTP/1.1\r\nHost: x\r\nX-Two:  a \r\nx-two: \xff\r\n\r\n")
    client, server = scope.pop("client"), scope.pop("server")
    assert (client[0], server[0]) == ("127.0.0.1", "127.0.0.1")
    assert isinstance(client[1], int)
    assert scope == {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/café//",
        "raw_path": b"/caf%C3%A9/%2F",
        "query_string": b"a=1&b=%20",
        "root_path": "",
        "headers": [(b"host", b"x"), (b"x-two", b"a"), (b"x-two", b"\xff")],
        "state": {},
        "extensions": {"http.response.pathsend": {}, "http.response.trailers": {}, "http.response.early_hint": {}},
    }


def test_below_a_mount_the_path_begins_with_the_root_path(serve: Serve) -> None:
    def mounted(asgi: ASGI) -> App:
        app = App()
        app.mount("/a b", asgi)
        return app

    scope = scope_for(serve, b"GET /a%20b/c%2Fd HTTP/1.1\r\nHost: x\r\n\r\n", mounted)
    assert (scope["root_path"], scope["path"], scope["raw_path"]) == ("/a b", "/a b/c/d", b"/a%20b/c%2Fd")


def test_http_1_0_has_no_extensions_that_it_cannot_carry(serve: Serve) -> None:
    scope = scope_for(serve, b"GET / HTTP/1.0\r\n\r\n")
    assert scope["http_version"] == "1.0"
    assert scope["extensions"] == {"http.response.pathsend": {}}


def test_a_path_that_cannot_be_decoded_is_refused_before_the_application(serve: Serve) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError

    assert serve(host(app)).client().get("/%FF").read()[0] == 400


# -- of a head that is known


def test_what_an_app_does_to_its_scope_is_not_found_by_the_next(scanner: HeadScanner) -> None:
    state: dict[str, Any] = {"pool": 1}
    first = scope_of(scanned(HEAD, scanner=scanner), state)
    expected = {**first, "headers": [*first["headers"]], "asgi": {**first["asgi"]}}
    expected |= {"state": {**first["state"]}, "extensions": {**first["extensions"]}}
    for name in ("asgi", "state", "extensions"):
        first[name]["mine"] = {}
    first["headers"].append((b"mine", b""))
    first["path"] = "/mine"
    assert scope_of(scanned(HEAD, scanner=scanner), state) == expected


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"method": "PUT"}, {"method": "PUT"}),
        ({"raw_path": "/other"}, {"path": "/other", "raw_path": b"/other"}),
        ({"raw_query": "e=f"}, {"query_string": b"e=f"}),
        (
            {"root_path": "/m%20"},
            {"root_path": "/m ", "path": "/m /a b", "raw_path": b"/m%20/a%20b"},
        ),
        ({"scheme": "https"}, {"scheme": "https"}),
        ({"client": Address("192.0.2.9", 5)}, {"client": ("192.0.2.9", 5)}),
    ],
)
def test_what_was_changed_of_a_known_head_is_told(
    scanner: HeadScanner, changes: dict[str, Any], told: dict[str, Any]
) -> None:
    before = scope_of(scanned(HEAD, scanner=scanner), {})
    request = scanned(HEAD, scanner=scanner)
    for name, value in changes.items():
        setattr(request, name, value)
    assert scope_of(request, {}) == before | told
    assert scope_of(scanned(HEAD, scanner=scanner), {}) == before


def test_the_ends_are_the_connections_own(scanner: HeadScanner) -> None:
    assert scope_of(scanned(HEAD, scanner=scanner), {})["client"] == ("192.0.2.7", 4711)
    unix = Ends(Address("/run/a", 0), Address("/run/a", 0), "https")
    scope = scope_of(scanned(HEAD, scanner=scanner, ends=unix), {})
    assert (scope["client"], scope["server"], scope["scheme"]) == (None, ("/run/a", None), "https")


def test_a_request_without_a_head_has_its_own_fields() -> None:
    path = "/same"
    scopes = [scope_of(Request.build("GET", path, {"X-Number": number}, client=ENDS.client), {}) for number in "12"]
    assert [scope["headers"] for scope in scopes] == [[(b"x-number", b"1")], [(b"x-number", b"2")]]


@pytest.mark.parametrize("upgrade", ["Upgrade: websocket", "UPGRADE: WebSocket"])
def test_a_handshake_is_told_from_its_like(scanner: HeadScanner, upgrade: str) -> None:
    head = f"GET / HTTP/1.1\nHost: a\nConnection: upgrade\n{upgrade}\n\n"
    assert [scope_of(scanned(head, scanner=scanner), {})["type"] for _ in range(2)] == ["websocket"] * 2
    assert scope_of(scanned(HEAD, scanner=scanner), {})["type"] == "http"


def test_a_head_too_long_to_be_remembered(scanner: HeadScanner) -> None:
    long = HEAD.replace("/a", "/" + "a" * 2000)
    for _ in range(2):
        assert scope_of(scanned(long, scanner=scanner), {})["path"] == "/" + "a" * 2000 + " b"

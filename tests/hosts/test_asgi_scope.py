"""The scope of a request, whose head is known from one before."""

from __future__ import annotations

from typing import Any

import pytest

from firstbyte.hosts.asgi_scope import scope_of
from firstbyte.http.request import Address, Ends, Request
from firstbyte.wire.head import HeadScanner
from firstbyte.wire.limits import Limits
from hosts.support import ENDS, scanned

HEAD = "GET /a%20b?c=d HTTP/1.1\nHost: a\nX-One: 1\n\n"


@pytest.fixture
def scanner() -> HeadScanner:
    return HeadScanner(Limits())


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

"""The opening handshake: who is let in, what is agreed on, and what a client makes of the answer."""

from __future__ import annotations

import pytest

from firstbyte.errors import HTTPError, ProtocolError
from firstbyte.http.headers import Headers
from firstbyte.http.request import Request
from firstbyte.wire.websocket.deflate import WIDE, Deflate
from firstbyte.wire.websocket.handshake import (
    ANY_ORIGIN,
    accept,
    accept_value,
    check_response,
    new_key,
    request_fields,
)

KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # that of RFC 6455 section 1.3, and what answers it
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
FIELDS = {
    "Host": "example.org",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": KEY,
    "Sec-WebSocket-Version": "13",
}


def asked(
    changes: dict[str, str | None] | None = None, more: tuple[tuple[str, str], ...] = (), **kinds: object
) -> Request:
    """A request for a WebSocket, with some of its fields changed or, by None, left out."""
    fields = {**FIELDS, **(changes or {})}
    given = [(name, value) for name, value in fields.items() if value is not None]
    return Request.build(str(kinds.pop("method", "GET")), "/ws", [*given, *more], **kinds)  # type: ignore[arg-type]


# -- the server's end


def test_the_example_of_the_rfc() -> None:
    agreement = accept(asked())
    assert agreement.fields == (("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", ACCEPT))
    assert (agreement.subprotocol, agreement.deflate) == (None, None)


@pytest.mark.parametrize(
    "changes",
    [
        {"Upgrade": "WebSocket"},
        {"Upgrade": "h2c, websocket"},
        {"Connection": "keep-alive, upgrade"},
        {"Connection": "UPGRADE ,close"},
        {"Sec-WebSocket-Extensions": "unknown; x=1"},
    ],
)
def test_who_is_let_in(changes: dict[str, str | None]) -> None:
    assert dict(accept(asked(changes), deflate=Deflate()).fields)["Sec-WebSocket-Accept"] == ACCEPT


@pytest.mark.parametrize(
    ("status", "changes", "kinds"),
    [
        (405, {}, {"method": "POST"}),
        (426, {}, {"minor": 0}),
        (426, {"Upgrade": None}, {}),
        (426, {"Upgrade": "websockets"}, {}),
        (426, {"Upgrade": "websocket/13"}, {}),
        (426, {"Connection": None}, {}),
        (426, {"Connection": "keep-alive"}, {}),
        (426, {"Sec-WebSocket-Version": None}, {}),
        (426, {"Sec-WebSocket-Version": "8"}, {}),
        (426, {"Sec-WebSocket-Version": "13, 8"}, {}),
        (400, {"Sec-WebSocket-Key": None}, {}),
        (400, {"Sec-WebSocket-Key": ""}, {}),
        (400, {"Sec-WebSocket-Key": KEY[:-1]}, {}),
        (400, {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZTEyMw=="}, {}),
        (400, {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZ!=="}, {}),
        (400, {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jé==="}, {}),
        (400, {"Sec-WebSocket-Protocol": "chat, chat"}, {}),
        (400, {"Sec-WebSocket-Protocol": "a b"}, {}),
        (400, {"Sec-WebSocket-Extensions": "a b"}, {}),
        (403, {"Origin": "https://evil.example"}, {}),
        (403, {"Origin": "null"}, {}),
        (403, {"Origin": ""}, {}),
    ],
)
def test_who_is_not(status: int, changes: dict[str, str | None], kinds: dict[str, object]) -> None:
    with pytest.raises(HTTPError) as caught:
        accept(asked(changes, **kinds), deflate=Deflate())
    assert caught.value.status == status
    if status == 426:
        assert caught.value.headers["Upgrade"] == "websocket"
        assert ("Sec-WebSocket-Version" in caught.value.headers) is ("Sec-WebSocket-Version" in changes)


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [("Sec-WebSocket-Key", KEY, 400), ("Sec-WebSocket-Version", "13", 426), ("Origin", "http://example.org", 403)],
)
def test_fields_that_are_given_twice(name: str, value: str, status: int) -> None:
    with pytest.raises(HTTPError) as caught:
        accept(asked({name: value}, ((name, value),)))
    assert caught.value.status == status


@pytest.mark.parametrize(
    ("origin", "host", "scheme", "origins", "allowed"),
    [
        (None, "example.org", "http", (), True),
        ("http://example.org", "example.org", "http", None, True),
        ("http://EXAMPLE.org", "example.org:80", "http", None, True),
        ("https://example.org", "example.org", "https", None, True),
        ("https://example.org:8443", "example.org:8443", "https", None, True),
        ("https://example.org", "example.org", "http", None, True),  # TLS ends before a proxy
        ("http://example.org", "example.org", "https", None, False),
        ("http://example.org:81", "example.org", "http", None, False),
        ("http://a.example.org", "example.org", "http", None, False),
        ("http://example.org.evil", "example.org", "http", None, False),
        ("http://a.example", "example.org", "http", ["http://b.example", "http://a.example"], True),
        ("https://a.example", "example.org", "http", ["https://a.example:443/"], True),
        ("http://a.example", "example.org", "http", ["https://a.example"], False),
        ("http://example.org", "example.org", "http", [], False),
        ("http://example.org", "example.org", "http", ["https://a.example"], False),
        ("null", "example.org", "http", ["null"], False),
        ("http://evil.example", "example.org", "http", ANY_ORIGIN, True),
        ("null", "example.org", "http", ANY_ORIGIN, True),
    ],
)
def test_origins(origin: str | None, host: str, scheme: str, origins: list[str] | None, allowed: bool) -> None:
    request = asked({"Origin": origin, "Host": host}, scheme=scheme)
    if allowed:
        accept(request, origins=origins)
    else:
        with pytest.raises(HTTPError, match="403"):
            accept(request, origins=origins)


@pytest.mark.parametrize(
    ("offered", "ours", "chosen"),
    [
        (None, ("chat",), None),
        ("chat", (), None),
        ("chat", ("chat",), "chat"),
        ("a, b", ("b", "a"), "b"),
        ("a,b", ("c",), None),
        ("Chat", ("chat",), None),
    ],
)
def test_subprotocols(offered: str | None, ours: tuple[str, ...], chosen: str | None) -> None:
    agreement = accept(asked({"Sec-WebSocket-Protocol": offered}), ours)
    assert agreement.subprotocol == chosen
    assert dict(agreement.fields).get("Sec-WebSocket-Protocol") == chosen


def test_subprotocols_in_two_fields() -> None:
    more = (("Sec-WebSocket-Protocol", "a"), ("Sec-WebSocket-Protocol", "b"))
    assert accept(asked(more=more), ("b",)).subprotocol == "b"


def test_compression_is_agreed_on() -> None:
    request = asked({"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"})
    agreement = accept(request, deflate=Deflate())
    assert dict(agreement.fields)["Sec-WebSocket-Extensions"] == "permessage-deflate; client_max_window_bits=12"
    assert agreement.deflate == Deflate()
    assert accept(request).deflate is None


# -- the client's end


def test_the_client_and_the_server_agree() -> None:
    key = new_key()
    fields = request_fields(key, ("a", "b"), WIDE)
    agreement = accept(Request.build("GET", "/", [("Host", "h"), *fields]), ("b",), deflate=Deflate())
    ours = check_response(key, 101, Headers(agreement.fields), ("a", "b"), WIDE)
    assert ours.subprotocol == agreement.subprotocol == "b"
    assert ours.deflate is not None
    assert agreement.deflate is not None
    assert ours.deflate.client_max_window_bits == agreement.deflate.client_max_window_bits == 12


def test_keys_are_new() -> None:
    assert len({new_key() for _ in range(20)}) == 20


@pytest.mark.parametrize("subprotocols", [("a b",), ("a", "a"), ("",)])
def test_what_cannot_be_offered(subprotocols: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="different tokens"):
        request_fields(KEY, subprotocols)


ANSWER = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": ACCEPT}


@pytest.mark.parametrize(
    ("rule", "status", "changes"),
    [
        ("websocket-refused", 200, {}),
        ("websocket-refused", 403, {}),
        ("websocket-upgrade", 101, {"Upgrade": "h2c"}),
        ("websocket-connection", 101, {"Connection": "close"}),
        ("websocket-accept", 101, {"Sec-WebSocket-Accept": ACCEPT.lower()}),
        ("websocket-protocol", 101, {"Sec-WebSocket-Protocol": "c"}),
        ("websocket-protocol", 101, {"Sec-WebSocket-Protocol": "a, b"}),
        ("websocket-extensions", 101, {"Sec-WebSocket-Extensions": "permessage-deflate"}),
    ],
)
def test_answers_that_are_refused(rule: str, status: int, changes: dict[str, str]) -> None:
    with pytest.raises(ProtocolError) as caught:
        check_response(KEY, status, Headers({**ANSWER, **changes}), ("a", "b"))
    assert caught.value.rule == rule


def test_the_answer_to_a_key() -> None:
    assert accept_value(KEY) == ACCEPT

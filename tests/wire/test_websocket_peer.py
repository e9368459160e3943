"""Against another implementation of both ends: the protocol of the `websockets` library, without I/O as well."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory, ServerPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.http11 import Request as TheirRequest
from websockets.http11 import Response as TheirResponse
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from firstbyte.http.headers import Headers
from firstbyte.http.request import Request
from firstbyte.wire.websocket.deflate import WIDE, Deflate
from firstbyte.wire.websocket.events import BinaryMessage, Closed, Ping, Pong, TextMessage
from firstbyte.wire.websocket.handshake import accept, check_response, new_key, request_fields
from firstbyte.wire.websocket.limits import MessageLimits
from firstbyte.wire.websocket.protocol import Connection

SETTINGS = settings(derandomize=True, max_examples=60, deadline=None)
LIMITS = MessageLimits()
DEFLATES: list[Deflate | None] = [
    None,
    Deflate(threshold=0),
    WIDE,
    Deflate(True, True, 9, 10),
    Deflate(True),
    Deflate(False, True),
]


def our_server(deflate: Deflate | None) -> tuple[Connection, ClientProtocol]:
    """A connection between our server and their client, behind its handshake."""
    offers = [ClientPerMessageDeflateFactory(client_max_window_bits=True)] if deflate else None
    theirs = ClientProtocol(parse_uri("ws://example.org/ws"), extensions=offers, max_size=None)
    request = theirs.connect()
    theirs.send_request(request)
    assert isinstance(request, TheirRequest)
    theirs.data_to_send()
    asked = Request.build("GET", request.path, list(request.headers.raw_items()))
    agreement = accept(asked, deflate=deflate)
    assert (agreement.deflate is not None) is (deflate is not None)
    head = "".join(f"{name}: {value}\r\n" for name, value in agreement.fields)
    theirs.receive_data(f"HTTP/1.1 101 Switching Protocols\r\n{head}\r\n".encode())
    assert isinstance(theirs.events_received()[0], TheirResponse)
    assert theirs.state is State.OPEN, theirs.handshake_exc
    return Connection(False, LIMITS, agreement.deflate), theirs


def our_client(deflate: Deflate | None) -> tuple[Connection, ServerProtocol]:
    """A connection between our client and their server."""
    theirs = ServerProtocol(extensions=[ServerPerMessageDeflateFactory()], max_size=None)
    key = new_key()
    fields = "".join(f"{name}: {value}\r\n" for name, value in request_fields(key, (), deflate))
    theirs.receive_data(f"GET /ws HTTP/1.1\r\nHost: example.org\r\n{fields}\r\n".encode())
    (request,) = theirs.events_received()
    assert isinstance(request, TheirRequest)
    answer = theirs.accept(request)
    theirs.send_response(answer)
    theirs.data_to_send()
    agreement = check_response(key, answer.status_code, Headers(list(answer.headers.raw_items())), (), deflate)
    assert (agreement.deflate is not None) is (deflate is not None)
    return Connection(True, LIMITS, agreement.deflate), theirs


ENDS: dict[str, Any] = {"server": our_server, "client": our_client}
MESSAGES = st.lists(st.one_of(st.text(max_size=400), st.binary(max_size=400)), max_size=6)


@pytest.mark.parametrize("role", ENDS)
@pytest.mark.parametrize("deflate", DEFLATES)
@given(messages=MESSAGES)
@SETTINGS
def test_what_we_send_they_read(role: str, deflate: Deflate | None, messages: list[str | bytes]) -> None:
    ours, theirs = ENDS[role](deflate)
    for message in messages:
        half = len(message) // 2
        sent = ours.send_text(message) if isinstance(message, str) else ours.send_binary(message)
        theirs.receive_data(sent + ours.send_fragment(message[:half], False) + ours.send_fragment(message[half:], True))
        whole, first, rest = theirs.events_received()
        wire = message.encode() if isinstance(message, str) else message
        assert (whole.opcode, whole.data) == (Opcode.TEXT if isinstance(message, str) else Opcode.BINARY, wire)
        assert bytes(first.data) + bytes(rest.data) == wire
        assert theirs.parser_exc is None


@pytest.mark.parametrize("role", ENDS)
@pytest.mark.parametrize("deflate", DEFLATES)
@given(messages=MESSAGES, cut=st.integers(1, 50))
@SETTINGS
def test_what_they_send_we_read(role: str, deflate: Deflate | None, messages: list[str | bytes], cut: int) -> None:
    ours, theirs = ENDS[role](deflate)
    expected: list[object] = []
    for message in messages:
        wire = message.encode() if isinstance(message, str) else message
        send = theirs.send_text if isinstance(message, str) else theirs.send_binary
        half = len(wire) // 2
        send(wire)
        send(wire[:half], fin=False)
        theirs.send_ping(b"?")
        theirs.send_continuation(wire[half:], fin=True)
        event = TextMessage(message) if isinstance(message, str) else BinaryMessage(message)
        expected += [event, Ping(b"?"), event]
    data = b"".join(theirs.data_to_send())
    events = [event for at in range(0, len(data), cut) for event in ours.receive_data(data[at : at + cut])]
    assert events == expected


@pytest.mark.parametrize("role", ENDS)
def test_pings_both_ways(role: str) -> None:
    ours, theirs = ENDS[role](None)
    theirs.receive_data(ours.ping(b"1"))
    assert [frame.opcode for frame in theirs.events_received()] == [Opcode.PING]
    assert ours.receive_data(b"".join(theirs.data_to_send())) == [Pong(b"1")]
    theirs.send_ping(b"2")
    assert ours.receive_data(b"".join(theirs.data_to_send())) == [Ping(b"2")]
    theirs.receive_data(ours.take_replies())
    assert theirs.events_received() == [Frame(Opcode.PONG, b"2")]


@pytest.mark.parametrize("role", ENDS)
def test_we_close(role: str) -> None:
    ours, theirs = ENDS[role](None)
    theirs.receive_data(ours.close(3001, "enough"))
    assert (theirs.close_rcvd.code, theirs.close_rcvd.reason) == (3001, "enough")
    (closed,) = ours.receive_data(b"".join(theirs.data_to_send()))
    assert isinstance(closed, Closed)
    assert closed.code == 3001
    assert ours.is_over


@pytest.mark.parametrize("role", ENDS)
def test_they_close(role: str) -> None:
    ours, theirs = ENDS[role](None)
    theirs.send_close(1001, "away")
    assert ours.receive_data(b"".join(theirs.data_to_send())) == [Closed(1001, "away")]
    theirs.receive_data(ours.take_replies())
    assert theirs.close_rcvd is not None
    assert theirs.close_rcvd.code == 1001


@pytest.mark.parametrize("role", ENDS)
def test_they_learn_what_they_have_broken(role: str) -> None:
    ours, theirs = ENDS[role](None)
    theirs.send_text(b"\xff")
    (failed,) = ours.receive_data(b"".join(theirs.data_to_send()))
    theirs.receive_data(ours.take_replies())
    assert theirs.close_rcvd.code == failed.code == 1007
    assert "UTF-8" in theirs.close_rcvd.reason

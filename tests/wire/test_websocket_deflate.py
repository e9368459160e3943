"""permessage-deflate: what is offered and agreed on, and messages that are compressed."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from firstbyte.errors import ProtocolError
from firstbyte.wire.websocket.deflate import NAME, WIDE, Deflate, answer_offers, check_answer, offer, parse_extensions
from firstbyte.wire.websocket.events import BinaryMessage, Event, Failed, Ping, TextMessage
from firstbyte.wire.websocket.frames import BINARY, CONTINUATION, PING, TEXT
from firstbyte.wire.websocket.limits import MessageLimits
from firstbyte.wire.websocket.protocol import Connection
from wire.websocket_support import CUTS, LIMITS, masked, receive, server

# -- the field


@pytest.mark.parametrize(
    ("value", "parsed"),
    [
        ("", []),
        ("foo", [("foo", [])]),
        ("foo, bar; baz", [("foo", []), ("bar", [("baz", None)])]),
        (" foo ;\ta=1 ; b = \"2\" ,, bar , ", [("foo", [("a", "1"), ("b", "2")]), ("bar", [])]),
        ("foo,", [("foo", [])]),
    ],
)  # fmt: skip
def test_extensions(value: str, parsed: object) -> None:
    assert parse_extensions(value) == parsed


@pytest.mark.parametrize(
    "value", ["foo bar", "foo;", ";a", "foo; a=", 'foo; a="', 'foo; a="b c"', 'foo; a="b', "föö", "=", '"a"']
)
def test_malformed_extensions(value: str) -> None:
    with pytest.raises(ProtocolError, match="no list of extensions") as caught:
        parse_extensions(value)
    assert (caught.value.status, caught.value.rule) == (400, "websocket-extensions")


@pytest.mark.parametrize(
    "wanted", [{"server_max_window_bits": 7}, {"client_max_window_bits": 16}, {"level": 10}, {"memory": 0}]
)
def test_what_zlib_cannot_do(wanted: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"8 to 15|level"):
        Deflate(**wanted)  # type: ignore[arg-type]


# -- the server's answer

S, C = "server_no_context_takeover", "client_no_context_takeover"
SB, CB = "server_max_window_bits", "client_max_window_bits"


@pytest.mark.parametrize(
    ("value", "wanted", "answer", "server_bits", "client_bits"),
    [
        ("", {}, None, 0, 0),
        ("x-webkit-deflate-frame", {}, None, 0, 0),
        (NAME, {}, NAME, 12, 15),
        (f"{NAME}; {CB}", {}, f"{NAME}; {CB}=12", 12, 12),
        (f"{NAME}; {CB}", {CB: 15}, NAME, 12, 15),
        (f"{NAME}; {CB}=10", {}, f"{NAME}; {CB}=10", 12, 10),
        (f"{NAME}; {CB}=15", {}, f"{NAME}; {CB}=12", 12, 12),
        (f"{NAME}; {SB}=10", {}, f"{NAME}; {SB}=10", 10, 15),
        (f"{NAME}; {SB}=15", {}, f"{NAME}; {SB}=12", 12, 15),
        (f'{NAME}; {SB}="9"', {}, f"{NAME}; {SB}=9", 9, 15),
        (f"{NAME}; {SB}=8; {CB}=8", {}, f"{NAME}; {SB}=8; {CB}=8", 8, 8),
        (f"{NAME}; {S}", {}, f"{NAME}; {S}", 12, 15),
        (f"{NAME}; {C}", {}, f"{NAME}; {C}", 12, 15),
        (NAME, {S: True}, f"{NAME}; {S}", 12, 15),
        (NAME, {C: True}, f"{NAME}; {C}", 12, 15),
        (f"{NAME}; {S}; {C}; {SB}=11; {CB}", {}, f"{NAME}; {S}; {C}; {SB}=11; {CB}=12", 11, 12),
        # An offer that cannot be had is passed over, for the next.
        (f"{NAME}; {SB}, {NAME}", {}, NAME, 12, 15),
        (f"{NAME}; {SB}=16, {NAME}", {}, NAME, 12, 15),
        (f"{NAME}; {SB}=7, {NAME}", {}, NAME, 12, 15),
        (f"{NAME}; {SB}=010, {NAME}", {}, NAME, 12, 15),
        (f"{NAME}; {CB}=0, {NAME}", {}, NAME, 12, 15),
        (f"{NAME}; {S}=1, {NAME}", {}, NAME, 12, 15),
        (f"{NAME}; {S}; {S}, {NAME}", {}, NAME, 12, 15),
        (f"{NAME}; {CB}; {CB}=10, {NAME}", {}, NAME, 12, 15),
        (f"{NAME}; unknown, {NAME}", {}, NAME, 12, 15),
        (f"{NAME}; unknown", {}, None, 0, 0),
        (f"foo, {NAME}; {SB}=10, {NAME}", {}, f"{NAME}; {SB}=10", 10, 15),
    ],
)
def test_offers(value: str, wanted: dict[str, Any], answer: str | None, server_bits: int, client_bits: int) -> None:
    found = answer_offers(value, Deflate(**wanted))
    assert (found[1] if found else None) == answer
    if found:
        assert (found[0].server_max_window_bits, found[0].client_max_window_bits) == (server_bits, client_bits)
        assert found[0].server_no_context_takeover is (S in found[1])
        assert found[0].client_no_context_takeover is (C in found[1])


# -- the client's offer, and its look at the answer


@pytest.mark.parametrize(
    ("wanted", "value"),
    [
        (WIDE, f"{NAME}; {CB}"),
        (Deflate(), f"{NAME}; {SB}=12; {CB}=12"),
        (Deflate(True, True, 15, 15), f"{NAME}; {S}; {C}; {CB}"),
    ],
)
def test_the_offer(wanted: Deflate, value: str) -> None:
    assert offer(wanted) == value


@pytest.mark.parametrize(
    ("answer", "agreed"),
    [
        (None, None),
        (NAME, (False, False, 15, 15)),
        (f"{NAME}; {S}; {C}; {SB}=10; {CB}=9", (True, True, 10, 9)),
    ],
)
def test_answers(answer: str | None, agreed: tuple[bool, bool, int, int] | None) -> None:
    found = check_answer(answer, WIDE)
    assert (found and (found.server_no_context_takeover, found.client_no_context_takeover,
                       found.server_max_window_bits, found.client_max_window_bits)) == agreed  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        (NAME, None),
        ("foo", WIDE),
        (f"{NAME}, {NAME}", WIDE),
        (f"{NAME}, foo", WIDE),
        (f"{NAME}; foo", WIDE),
        (f"{NAME}; {CB}", WIDE),
        (f"{NAME}; {SB}=16", WIDE),
        (f"{NAME}; {S}; {S}", WIDE),
        (NAME, Deflate(server_max_window_bits=10)),
        (f"{NAME}; {SB}=11", Deflate(server_max_window_bits=10)),
        (f"{NAME}; {CB}=11", Deflate(server_max_window_bits=15, client_max_window_bits=10)),
        (NAME, Deflate(server_no_context_takeover=True, server_max_window_bits=15)),
    ],
)
def test_answers_that_were_not_asked_for(answer: str, wanted: Deflate | None) -> None:
    with pytest.raises(ProtocolError):
        check_answer(answer, wanted)


# -- messages

AGREED = [Deflate(a, b, bits, bits, threshold=0) for a in (False, True) for b in (False, True) for bits in (8, 9, 15)]


@pytest.mark.parametrize("deflate", AGREED, ids=lambda each: f"{each.server_max_window_bits}")
@pytest.mark.parametrize("is_client", [False, True])
@pytest.mark.parametrize("cut", CUTS)
def test_messages_arrive(deflate: Deflate, is_client: bool, cut: Callable[[bytes], Iterable[bytes]]) -> None:
    limits = MessageLimits()
    sender, receiver = Connection(is_client, limits, deflate), Connection(not is_client, limits, deflate)
    noise = os.urandom(700)
    messages: list[Event] = [TextMessage("Hello" * 200), TextMessage(""), BinaryMessage(noise), BinaryMessage(noise)]
    sent = b""
    for event in messages:
        sent += sender.send_text(event.data) if isinstance(event, TextMessage) else sender.send_binary(event.data)  # type: ignore[union-attr, arg-type]
    sent += sender.send_fragment("Hello" * 50, False) + sender.ping() + sender.send_fragment("", False)
    sent += sender.send_fragment("Hello", False) + sender.send_fragment("", True)
    assert receive(receiver, cut(sent)) == [*messages, Ping(b""), TextMessage("Hello" * 51)]


def test_what_was_sent_before_is_not_sent_again() -> None:
    """Context takeover: the second time a message is a reference to the first."""
    data = os.urandom(1000)
    for resets, least, most in ((False, 0, 100), (True, 1000, 1100)):
        sender = server(LIMITS, Deflate(server_no_context_takeover=resets))
        sender.send_binary(data)
        assert least < len(sender.send_binary(data)) < most


def test_short_messages_are_not_compressed() -> None:
    sender = server(LIMITS, Deflate(threshold=10))
    assert sender.send_text("a" * 9)[0] == 0x81
    assert sender.send_text("a" * 10)[0] == 0xC1


def test_a_window_that_zlib_does_not_compress_within_is_kept_to_by_not_compressing() -> None:
    assert server(LIMITS, Deflate(server_max_window_bits=8)).send_text("a" * 500)[0] == 0x81


@pytest.mark.parametrize(
    "payload",
    [
        "f248cdc9c90700",  # section 7.2.3.1
        "000500faff48656c6c6f00",  # 7.2.3.3: a block that is not compressed
        "f348cdc9c9070000",  # 7.2.3.4: a final block
        "f248050000 00ffffcac9c90700".replace(" ", ""),  # 7.2.3.5: two blocks
    ],
)
@pytest.mark.parametrize("cut", CUTS)
def test_the_examples_of_the_rfc(payload: str, cut: Callable[[bytes], Iterable[bytes]]) -> None:
    connection = server(LIMITS, Deflate())
    frame = masked(TEXT, bytes.fromhex(payload), compressed=True)
    assert receive(connection, cut(frame * 3)) == [TextMessage("Hello")] * 3


def test_the_example_of_context_takeover() -> None:
    connection = server(LIMITS, Deflate())
    frames = masked(TEXT, bytes.fromhex("f248cdc9c90700"), compressed=True)
    frames += masked(TEXT, bytes.fromhex("f200110000"), compressed=True)
    assert connection.receive_data(frames) == [TextMessage("Hello")] * 2


def test_compressed_and_plain_messages_follow_each_other() -> None:
    connection = server(LIMITS, Deflate())
    frames = masked(TEXT, bytes.fromhex("f248cdc9c90700"), compressed=True) + masked(TEXT, b"plain")
    assert connection.receive_data(frames * 2) == [TextMessage("Hello"), TextMessage("plain")] * 2


# -- what breaks a rule


def squeezed(data: bytes, level: int = 9) -> bytes:
    work = zlib.compressobj(level, zlib.DEFLATED, -15)
    return (work.compress(data) + work.flush(zlib.Z_SYNC_FLUSH)).removesuffix(b"\x00\x00\xff\xff")


FINAL_BLOCK = b"\x03\x00"
FAILURES = [
    ("reserved-bits", 1002, masked(PING, compressed=True)),
    ("reserved-bits", 1002, masked(TEXT, b"\xf2\x48", False, True) + masked(CONTINUATION, b"", compressed=True)),
    ("reserved-bits", 1002, b"\xe1"),
    ("deflate", 1007, masked(BINARY, b"\xff\xff\xff", compressed=True)),
    ("deflate", 1007, masked(BINARY, FINAL_BLOCK * 50, compressed=True)),
    ("utf-8", 1007, masked(TEXT, squeezed(b"caf\xc3"), compressed=True)),
    ("message-too-big", 1009, masked(BINARY, squeezed(bytes(1001)), compressed=True)),
    ("message-too-big", 1009, masked(BINARY, squeezed(bytes(10_000_000))[:700], False, True)),
    ("frame-too-big", 1009, masked(BINARY, squeezed(os.urandom(900)), compressed=True)[:4]),
    (
        "message-too-big",
        1009,
        masked(BINARY, squeezed(bytes(600)) + b"\x00\x00\xff\xff", False, True)
        + masked(CONTINUATION, squeezed(bytes(600))),
    ),
]


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize(("rule", "code", "data"), FAILURES)
def test_what_is_refused(rule: str, code: int, data: bytes, cut: Callable[[bytes], Iterable[bytes]]) -> None:
    connection = server(LIMITS, Deflate(client_max_window_bits=15))
    events = receive(connection, cut(data))
    failures = [(event.rule, event.code) for event in events if isinstance(event, Failed)]
    assert failures == [(rule, code)]


def test_a_message_may_be_as_long_as_the_limit_when_it_is_decompressed() -> None:
    connection = server(LIMITS, Deflate(client_max_window_bits=15))
    frame = masked(BINARY, squeezed(bytes(1000)), compressed=True)
    assert connection.receive_data(frame) == [BinaryMessage(bytes(1000))]


def test_a_bomb_is_not_unpacked() -> None:
    """10 MiB in 10 KB: no more than the limit of it is ever made."""
    bomb = masked(BINARY, squeezed(bytes(10 << 20)), compressed=True)
    assert len(bomb) < 12_000
    connection = Connection(False, MessageLimits(1 << 16, 1 << 16), WIDE)
    (failed,) = connection.receive_data(bomb)
    assert isinstance(failed, Failed)
    assert failed.rule == "message-too-big"

"""What comes over a WebSocket, as events; what breaks a rule, as a Failed that names it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firstbyte.errors import WebSocketClosed
from firstbyte.wire.websocket.deflate import Deflate
from firstbyte.wire.websocket.events import BinaryMessage, Closed, Event, Failed, Ping, Pong, TextMessage
from firstbyte.wire.websocket.frames import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, FrameReader, mask, unmask
from firstbyte.wire.websocket.limits import MessageLimits
from firstbyte.wire.websocket.protocol import CODES, Connection
from wire.websocket_support import CUTS, KEY, LIMITS, bytewise, client, masked, plain, receive, server, whole

SETTINGS = settings(derandomize=True, max_examples=200, deadline=None)
TEXT_BYTES = "κόσμε 🌍".encode()

# -- what comes


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize(
    ("frames", "events"),
    [
        ([(TEXT, b"Hello")], [TextMessage("Hello")]),
        ([(TEXT, b"")], [TextMessage("")]),
        ([(BINARY, b"\x00\xff")], [BinaryMessage(b"\x00\xff")]),
        ([(BINARY, b"")], [BinaryMessage(b"")]),
        ([(TEXT, b"a" * 126)], [TextMessage("a" * 126)]),
        ([(BINARY, b"b" * 800)], [BinaryMessage(b"b" * 800)]),
        ([(TEXT, TEXT_BYTES)], [TextMessage("κόσμε 🌍")]),
        (
            [(TEXT, b"one"), (BINARY, b"two"), (TEXT, b"three")],
            [TextMessage("one"), BinaryMessage(b"two"), TextMessage("three")],
        ),
        ([(TEXT, b"Hel", False), (CONTINUATION, b"lo")], [TextMessage("Hello")]),
        ([(BINARY, b"", False), (CONTINUATION, b"", False), (CONTINUATION, b"")], [BinaryMessage(b"")]),
        ([(TEXT, TEXT_BYTES[:2], False), (CONTINUATION, TEXT_BYTES[2:])], [TextMessage("κόσμε 🌍")]),
        (
            [(TEXT, TEXT_BYTES[:1], False), (CONTINUATION, b"", False), (CONTINUATION, TEXT_BYTES[1:])],
            [TextMessage("κόσμε 🌍")],
        ),
        ([(TEXT, b"a" * 600, False), (CONTINUATION, b"b" * 400)], [TextMessage("a" * 600 + "b" * 400)]),
        ([(TEXT, b"Hel", False), (PING, b"?"), (CONTINUATION, b"lo")], [Ping(b"?"), TextMessage("Hello")]),
        (
            [(TEXT, b"Hel", False), (PONG, b"!"), (PING, b""), (CONTINUATION, b"lo")],
            [Pong(b"!"), Ping(b""), TextMessage("Hello")],
        ),
        ([(PING, b"p" * 125)], [Ping(b"p" * 125)]),
        ([(CLOSE, b"")], [Closed(1005, "")]),
        ([(CLOSE, b"\x03\xe8")], [Closed(1000, "")]),
        ([(CLOSE, b"\x0b\xb8" + "adé".encode())], [Closed(3000, "adé")]),
        ([(CLOSE, b"\x03\xe8" + b"r" * 123)], [Closed(1000, "r" * 123)]),
        ([(TEXT, b"half", False), (CLOSE, b"\x03\xe9")], [Closed(1001, "")]),
        (
            [(TEXT, b"last"), (CLOSE, b"\x03\xe8"), (TEXT, b"ignored"), (PING, b"")],
            [TextMessage("last"), Closed(1000, "")],
        ),
    ],
)
def test_events(
    frames: list[tuple[int, bytes, bool]], events: list[Event], cut: Callable[[bytes], Iterable[bytes]]
) -> None:
    """The same however the bytes are cut, and from either end."""
    assert receive(server(), cut(b"".join(masked(*each) for each in frames))) == events
    assert receive(client(), cut(b"".join(plain(*each) for each in frames))) == events


def test_the_examples_of_the_rfc() -> None:
    assert receive(client(), [bytes.fromhex("810548656c6c6f")]) == [TextMessage("Hello")]
    assert receive(server(), [bytes.fromhex("818537fa213d7f9f4d5158")]) == [TextMessage("Hello")]
    assert client().send_text("Hello") == bytes.fromhex("818537fa213d7f9f4d5158")
    assert server().ping(b"Hello") == bytes.fromhex("890548656c6c6f")
    assert server().send_binary(bytes(256))[:4] == bytes.fromhex("827e0100")
    large = MessageLimits(1 << 17, 1 << 17)
    frame = server(large).send_binary(bytes(65536))
    assert frame[:10] == bytes.fromhex("827f0000000000010000")
    assert receive(client(large), [frame]) == [BinaryMessage(bytes(65536))]


# -- what breaks a rule

FAILURES = [
    # rule, code, the bytes that a server gets
    ("reserved-bits", 1002, b"\xc1"),
    ("reserved-bits", 1002, b"\xa1"),
    ("reserved-bits", 1002, b"\x91"),
    ("reserved-bits", 1002, b"\xf9"),
    *(("opcode", 1002, bytes((0x80 | opcode,))) for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)),
    ("control-fragmented", 1002, bytes((PING,))),
    ("control-fragmented", 1002, bytes((CLOSE,))),
    ("unmasked", 1002, b"\x81\x05"),
    ("unmasked", 1002, b"\x89\x00"),
    ("control-too-long", 1002, b"\x89\xfe"),
    ("control-too-long", 1002, b"\x88\xff"),
    ("length-not-minimal", 1002, b"\x82\xfe\x00\x7d"),
    ("length-not-minimal", 1002, b"\x82\xff" + (0xFFFF).to_bytes(8, "big")),
    ("length", 1002, b"\x82\xff\x80" + bytes(7)),
    ("frame-too-big", 1009, b"\x82\xfe" + (801).to_bytes(2, "big")),
    ("frame-too-big", 1009, b"\x82\xff" + (2**63 - 1).to_bytes(8, "big")),
    ("message-too-big", 1009, masked(TEXT, b"a" * 700, False) + masked(CONTINUATION, b"b" * 301)[:8]),
    ("continuation", 1002, b"\x80\x80" + KEY),
    ("continuation", 1002, masked(TEXT, b"done") + masked(CONTINUATION)),
    ("interleaved", 1002, masked(TEXT, b"a", False) + masked(TEXT)),
    ("interleaved", 1002, masked(TEXT, b"", False) + masked(BINARY)),
    ("utf-8", 1007, masked(TEXT, b"\xff")),
    ("utf-8", 1007, masked(TEXT, b"caf\xc3")),
    ("utf-8", 1007, masked(TEXT, b"\xce", False) + masked(CONTINUATION, b"\xce")),
    ("utf-8", 1007, masked(TEXT, TEXT_BYTES[:1], False) + masked(CONTINUATION)),
    ("close-payload", 1002, masked(CLOSE, b"\x03")),
    *(
        ("close-code", 1002, masked(CLOSE, code.to_bytes(2, "big")))
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)
    ),
    ("close-reason", 1007, masked(CLOSE, b"\x03\xe8\xff")),
]


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("behind", [b"", masked(TEXT, b"never read"), os.urandom(40)], ids=["", "frame", "noise"])
@pytest.mark.parametrize(("rule", "code", "data"), FAILURES)
def test_what_is_refused(
    rule: str, code: int, data: bytes, behind: bytes, cut: Callable[[bytes], Iterable[bytes]]
) -> None:
    connection = server()
    before = masked(BINARY, b"fine") + masked(PING, b"p")
    events = receive(connection, cut(before + data + behind))
    good = [event for event in events if not isinstance(event, Failed)]
    assert good[:2] == [BinaryMessage(b"fine"), Ping(b"p")]
    (failed,) = [event for event in events if isinstance(event, Failed)]
    assert events[-1] is failed
    assert (failed.rule, failed.code) == (rule, code)
    assert failed.reason
    assert connection.is_over
    # The pong is on its way, and the peer learns why the connection ends.
    assert receive(client(), [connection.take_replies()]) == [Pong(b"p"), Closed(code, failed.reason)]
    assert connection.take_replies() == b""


@pytest.mark.parametrize(("rule", "code", "data"), FAILURES)
def test_nothing_is_refused_before_its_first_wrong_byte(rule: str, code: int, data: bytes) -> None:
    assert not any(isinstance(event, Failed) for event in receive(server(), whole(data[:-1])))


@pytest.mark.parametrize("data", [masked(TEXT, b"x"), masked(PING)])
def test_a_client_refuses_masked_frames(data: bytes) -> None:
    connection = client()
    (failed,) = connection.receive_data(data)
    assert isinstance(failed, Failed)
    assert (failed.rule, failed.code) == ("masked", 1002)


def test_a_text_is_refused_at_its_first_bad_byte() -> None:
    """In the middle of a frame whose rest has not come (what the Autobahn suite calls fail-fast)."""
    connection = server()
    frame = masked(TEXT, TEXT_BYTES + b"\xed\xa0" + b"edited")
    start = 6 + len(TEXT_BYTES)
    assert receive(connection, bytewise(frame[: start + 1])) == []
    (failed,) = connection.receive_data(frame[start + 1 : start + 2])
    assert isinstance(failed, Failed)
    assert failed.rule == "utf-8"


def bad_at(data: bytes) -> int | None:
    """Where a text cannot become valid any more, found by trying: the position of the byte, or None."""
    for at in range(1, len(data) + 1):
        try:
            data[:at].decode()
        except UnicodeDecodeError as error:
            if error.reason != "unexpected end of data":
                return at - 1
    return None


@given(st.one_of(st.binary(max_size=8), st.text(max_size=6).map(lambda text: text.encode("utf-8", "surrogatepass"))))
@SETTINGS
def test_utf_8_is_checked_byte_by_byte(data: bytes) -> None:
    connection = server()
    bad = bad_at(data)
    for at in range(len(data)):
        events = connection.receive_data(masked(CONTINUATION if at else TEXT, data[at : at + 1], False))
        assert bool(events) is (at == bad)
        if events:
            return


# -- sizes


@pytest.mark.parametrize("cut", CUTS)
def test_messages_may_have_the_whole_size_and_again(cut: Callable[[bytes], Iterable[bytes]]) -> None:
    frames = masked(BINARY, b"a" * 500, False) + masked(PING) + masked(CONTINUATION, b"b" * 500)
    message = BinaryMessage(b"a" * 500 + b"b" * 500)
    assert receive(server(), cut(frames * 3)) == [Ping(b""), message] * 3


def test_a_message_that_will_be_too_big_is_refused_by_its_header() -> None:
    connection = server()
    assert connection.receive_data(masked(BINARY, bytes(600), False)) == []
    (failed,) = connection.receive_data(masked(CONTINUATION, bytes(500), False)[:8])
    assert isinstance(failed, Failed)
    assert (failed.rule, failed.code) == ("message-too-big", 1009)


def test_limits_are_not_negative() -> None:
    with pytest.raises(ValueError, match="cannot be below zero"):
        MessageLimits(message=-1)


# -- sending


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 0xFFFF, 0x10000, 200_001])
@pytest.mark.parametrize("is_client", [False, True])
def test_messages_of_every_length_arrive(is_client: bool, size: int) -> None:
    limits = MessageLimits(300_000, 300_000)
    sender, receiver = Connection(is_client, limits), Connection(not is_client, limits)
    data = os.urandom(size)
    assert receiver.receive_data(sender.send_binary(data)) == [BinaryMessage(data)]
    assert receiver.receive_data(sender.send_text("x" * size)) == [TextMessage("x" * size)]


def test_fragments_become_a_message_and_may_be_parted_by_pings() -> None:
    one, other = server(), client()
    sent = (
        one.send_fragment("Hé", False) + one.ping(b"?") + one.send_fragment("", False) + one.send_fragment("llo", True)
    )
    assert receive(other, bytewise(sent)) == [Ping(b"?"), TextMessage("Héllo")]
    assert receive(other, [one.send_fragment(b"\xff", True)]) == [BinaryMessage(b"\xff")]


def test_a_message_is_not_sent_within_another() -> None:
    connection = server()
    connection.send_fragment("a", False)
    with pytest.raises(TypeError, match="before the last fragment"):
        connection.send_text("b")
    with pytest.raises(TypeError, match="all str or all bytes"):
        connection.send_fragment(b"b", True)


def test_what_is_no_text_is_not_sent() -> None:
    with pytest.raises(ValueError, match="surrogates not allowed"):
        server().send_text("\ud800")


@pytest.mark.parametrize("send", [Connection.ping, Connection.pong])
def test_control_frames_are_short(send: Callable[[Connection, bytes], bytes]) -> None:
    send(server(), bytes(125))
    with pytest.raises(ValueError, match="at most 125"):
        send(server(), bytes(126))


def test_every_frame_of_a_client_has_a_new_mask() -> None:
    connection = Connection(is_client=True)
    assert len({connection.send_binary(b"")[2:] for _ in range(20)}) == 20


# -- pings


def test_pings_are_answered_in_order_with_their_data() -> None:
    connection = server()
    connection.receive_data(b"".join(masked(PING, bytes((number,))) for number in range(10)))
    assert connection.take_replies() == b"".join(plain(PONG, bytes((number,))) for number in range(10))


# -- closing


@pytest.mark.parametrize("is_client", [False, True])
@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1001, "going"), (3000, "é" * 61), (4999, "x")])
def test_the_close_handshake(is_client: bool, code: int, reason: str) -> None:
    one, other = Connection(is_client), Connection(not is_client)
    assert other.receive_data(one.close(code, reason)) == [Closed(code, reason)]
    assert other.is_over
    assert not one.is_over
    assert one.receive_data(other.take_replies()) == [Closed(code, "")]
    assert one.is_over
    assert one.take_replies() == b""
    assert (other.close_code, other.close_reason) == (code, reason)
    assert one.receive_eof() == other.receive_eof() == []


def test_what_comes_before_the_close_is_answered_still_counts() -> None:
    connection = server()
    connection.close()
    assert connection.receive_data(masked(TEXT, b"late") + masked(PING)) == [TextMessage("late"), Ping(b"")]
    assert connection.take_replies() == b""  # nothing is sent behind a Close
    assert connection.receive_data(masked(CLOSE)) == [Closed()]


def test_a_close_without_a_code_is_answered_without_one() -> None:
    connection = server()
    connection.receive_data(masked(CLOSE))
    assert connection.take_replies() == plain(CLOSE)


@pytest.mark.parametrize("end", ["ours", "theirs", "fault"])
def test_nothing_is_sent_behind_a_close(end: str) -> None:
    connection = server()
    if end == "ours":
        connection.close(3001, "bye")
    else:
        connection.receive_data(masked(CLOSE, b"\x0b\xb9bye") if end == "theirs" else b"\xff")
    for send in (
        lambda: connection.send_text("x"),
        lambda: connection.send_binary(b"x"),
        lambda: connection.send_fragment("x", True),
        connection.ping,
        connection.pong,
    ):
        with pytest.raises(WebSocketClosed) as caught:
            send()
        assert caught.value.code == (1002 if end == "fault" else 3001)
    assert connection.close() == b""


@pytest.mark.parametrize("code", [*sorted(CODES), 3000, 4000, 4999])
def test_codes_that_may_be_sent(code: int) -> None:
    assert receive(server(), [client().close(code)]) == [Closed(code, "")]


@pytest.mark.parametrize("code", [-1, 0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 70000])
@pytest.mark.parametrize("end", [server, client])
def test_codes_that_may_not_be_sent(end: Callable[[], Connection], code: int) -> None:
    with pytest.raises(ValueError, match="no code to close with"):
        end().close(code)


def test_a_server_does_not_miss_extensions() -> None:
    with pytest.raises(ValueError, match="client's to send"):
        server().close(1010)


def test_a_reason_is_short() -> None:
    with pytest.raises(ValueError, match="at most 123 bytes in UTF-8, not 124"):
        server().close(1000, "é" * 62)


@pytest.mark.parametrize("before", [b"", masked(TEXT, b"cut")[:4], masked(TEXT, b"half", False)])
def test_a_connection_that_is_cut(before: bytes) -> None:
    connection = server()
    connection.receive_data(before)
    (failed,) = connection.receive_eof()
    assert isinstance(failed, Failed)
    assert (failed.code, failed.rule) == (1006, "cut")
    assert connection.take_replies() == b""
    assert connection.receive_eof() == []
    with pytest.raises(WebSocketClosed, match="1006"):
        connection.send_text("x")


# -- whatever comes


@given(st.binary(max_size=200), st.booleans())
@SETTINGS
def test_any_bytes_are_read_or_refused_however_they_are_cut(data: bytes, is_client: bool) -> None:
    ends = [Connection(is_client, MessageLimits(50, 50), Deflate()) for _ in CUTS]
    told = [receive(end, cut(data)) for end, cut in zip(ends, CUTS, strict=True)]
    assert len({tuple(each) for each in told}) == 1
    assert len({end.is_over for end in ends}) == 1


MESSAGES = st.lists(st.one_of(st.text(max_size=300), st.binary(max_size=300)), max_size=5)


@given(MESSAGES, st.booleans(), st.sampled_from([None, Deflate(), Deflate(True, True, 9, 9, threshold=0)]), st.data())
@SETTINGS
def test_what_is_sent_arrives(
    messages: list[str | bytes], is_client: bool, deflate: Deflate | None, data: st.DataObject
) -> None:
    limits = MessageLimits(4000, 4000)
    sender, receiver = Connection(is_client, limits, deflate), Connection(not is_client, limits, deflate)
    sent = b""
    for message in messages:
        parts = data.draw(st.lists(st.integers(0, len(message)), max_size=3).map(sorted))
        if not parts:
            sent += sender.send_text(message) if isinstance(message, str) else sender.send_binary(message)
            continue
        pieces = [message[a:b] for a, b in zip([0, *parts], [*parts, len(message)], strict=True)]
        for number, piece in enumerate(pieces):
            sent += sender.send_fragment(piece, number == len(pieces) - 1)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=8)))
    events = receive(receiver, [sent[a:b] for a, b in zip([0, *cuts], [*cuts, len(sent)], strict=True)])
    assert [event.data for event in events if isinstance(event, TextMessage | BinaryMessage)] == messages
    assert len(events) == len(messages)


# -- masks


@pytest.mark.parametrize("size", [*range(10), 125, 65536, 100_003])
def test_masking(size: int) -> None:
    data = os.urandom(size)
    expected = bytes(byte ^ KEY[at & 3] for at, byte in enumerate(data))
    assert mask(data, KEY) == expected
    assert mask(expected, KEY) == data
    assert mask(memoryview(expected), KEY) == data
    assert unmask(b"head" + KEY + expected, 4) == data


@given(st.binary(max_size=40), st.lists(st.integers(1, 9), max_size=20))
@SETTINGS
def test_a_mask_goes_on_where_it_was(data: bytes, sizes: list[int]) -> None:
    reader = FrameReader(True, 1000)
    frame = masked(BINARY, data)
    reader.feed(frame[:6])
    assert reader.read_header()
    at, said = 6, b""
    for size in [*sizes, len(frame)]:
        reader.feed(frame[at : at + size])
        at += size
        said += reader.read_payload()
    assert said == data
    assert not reader.left


# -- an answer to a Close that is put off


def test_what_is_owed_can_be_sent_before_the_close_is_answered() -> None:
    connection = Connection(defers_close=True)
    data = masked(TEXT, b"question") + masked(CLOSE, b"\x0b\xb8bye")
    assert connection.receive_data(data) == [TextMessage("question"), Closed(3000, "bye")]
    assert connection.take_replies() == b""
    assert connection.is_over
    assert connection.send_text("answer") == plain(TEXT, b"answer")
    assert connection.close(1000) == plain(CLOSE, b"\x0b\xb8")
    assert (connection.close_code, connection.close_reason) == (3000, "bye")
    assert connection.close() == b""
    with pytest.raises(WebSocketClosed):
        connection.send_text("too late")


def test_what_is_owed_can_be_sent_before_a_fault_is_answered() -> None:
    connection = Connection(defers_close=True)
    message, failed = connection.receive_data(masked(TEXT, b"question") + b"\xff")
    assert message == TextMessage("question")
    assert connection.take_replies() == b""
    other = client()
    assert receive(other, [connection.send_text("answer")]) == [TextMessage("answer")]
    assert receive(other, [connection.close()]) == [Closed(1002, failed.reason)]


def test_what_is_owed_cannot_be_sent_to_nobody() -> None:
    connection = Connection(defers_close=True)
    connection.receive_data(masked(CLOSE))
    assert connection.receive_eof() == []
    assert connection.close() == b""
    with pytest.raises(WebSocketClosed, match="1005"):
        connection.send_text("x")


# -- the short way, for a message that is whole and alone


@pytest.mark.parametrize("is_client", [False, True])
@pytest.mark.parametrize("size", [0, 1, 7, 8, 125, 126, 127, 800])
def test_a_whole_message_comes_the_short_way(is_client: bool, size: int) -> None:
    frame = plain if is_client else masked
    connection = client() if is_client else server()
    assert connection.receive_message(frame(BINARY, b"\x81" * size)) == b"\x81" * size
    assert connection.receive_message(frame(TEXT, b"t" * size)) == "t" * size
    assert not connection.take_replies()


FRAMES = st.builds(
    lambda frame, opcode, payload, fin, compressed: frame(opcode, payload, fin, compressed),
    st.sampled_from([masked, plain]),
    st.sampled_from([TEXT, BINARY, CONTINUATION, PING, PONG, CLOSE, 3, 11]),
    st.one_of(st.binary(max_size=130), st.sampled_from([b"x" * 125, b"x" * 126, b"x" * 801, TEXT_BYTES])),
    st.sampled_from([True, True, True, False]),
    st.sampled_from([False, False, False, True]),
)


@given(
    st.lists(st.one_of(FRAMES, FRAMES.map(lambda frame: frame[:-1]), st.binary(max_size=12)), max_size=6),
    st.booleans(),
    st.sampled_from([None, Deflate(threshold=0)]),
)
@SETTINGS
def test_both_ways_tell_the_same(pieces: list[bytes], is_client: bool, deflate: Deflate | None) -> None:
    short, long = Connection(is_client, LIMITS, deflate), Connection(is_client, LIMITS, deflate)
    for piece in pieces:
        message = short.receive_message(piece)
        if message is None:
            assert short.receive_data(piece) == long.receive_data(piece)
        else:
            assert [message] == [event.data for event in long.receive_data(piece)]  # type: ignore[union-attr]
        assert type(message) is not str or short.is_over is long.is_over is False


@pytest.mark.parametrize("is_client", [True, False])
def test_a_length_in_too_many_bytes_is_no_whole_message(is_client: bool) -> None:
    head = b"\x82\x7e\x00\x00" if is_client else b"\x82\xfe\x00\x00" + bytes(4)
    for rest in (b"", b"x"):
        connection = Connection(is_client)
        assert connection.receive_message(head + rest) is None
        assert connection.receive_data(head + rest)[0].code == 1002  # type: ignore[union-attr]

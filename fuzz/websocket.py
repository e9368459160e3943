"""What the frames of a WebSocket are fuzzed with: the same bytes to both ends, with and without compression."""

from __future__ import annotations

from types import ModuleType
from typing import Any

LIMIT = 1000  # bytes of a frame, and of a message
KEY = b"\x00" * 4  # masks are zero: what the fuzzer has learnt of frames holds behind a mask as well


def load() -> ModuleType:
    """The protocol, of whichever body of the package is being loaded."""
    from firstbyte.wire.websocket import protocol

    return protocol


def told(protocol: Any, mode: int, pieces: list[bytes]) -> tuple[Any, ...]:
    """All that one end makes of the pieces: a client for an odd `mode`, compressed for its second bit."""
    deflate = protocol.Deflate(server_no_context_takeover=bool(mode & 4)) if mode & 2 else None
    limits = protocol.MessageLimits(LIMIT, LIMIT)
    connection = protocol.Connection(bool(mode & 1), limits, deflate, new_key=lambda: KEY)
    events = [event for piece in pieces for event in connection.receive_data(piece)]
    replies = connection.take_replies()
    told = [(type(event).__name__, *event) for event in events]
    return told, replies, connection.is_over, connection.close_code, connection.close_reason


def blurred(outcome: tuple[Any, ...]) -> tuple[Any, ...]:
    """The same without what was wrong: of two faults in a compressed message, the cut says which is found first."""
    events, *rest = outcome
    if events and events[-1][0] == "Failed":
        return [*events[:-1], "Failed"], rest[1]
    return outcome


def whole(protocol: Any, mode: int, data: bytes) -> tuple[Any, ...]:
    """The same where the way of short messages (`receive_message`) is asked first, as a server does."""
    deflate = protocol.Deflate() if mode & 2 else None
    connection = protocol.Connection(bool(mode & 1), protocol.MessageLimits(LIMIT, LIMIT), deflate)
    message = connection.receive_message(data)
    if message is None:
        return ()
    return ("TextMessage" if isinstance(message, str) else "BinaryMessage", message)


def check(bodies: tuple[Any, ...], data: bytes) -> None:
    """Raises AssertionError if two bodies, or two cuts, of the same bytes differ. The first two bytes say how."""
    if len(data) < 3:
        return
    mode, cut, data = data[0], data[1] % len(data), data[2:]
    halves = [piece for piece in (data[:cut], data[cut:]) if piece]
    singles = [data[at : at + 1] for at in range(len(data))]
    by_cut = [[told(body, mode, pieces) for body in bodies] for pieces in ([data], halves, singles)]
    outcomes = [each[0] if not mode & 2 else blurred(each[0]) for each in by_cut]
    for each in (*by_cut, outcomes):
        assert all(outcome == each[0] for outcome in each), "\n".join(map(str, each))
    for message in [whole(body, mode, data) for body in bodies]:
        assert not message or outcomes[0][0] == [message], f"{message} {outcomes[0]}"


def seeds(protocol: Any) -> list[bytes]:
    """Inputs to begin with: good frames of every kind to each end."""
    found = []
    for mode in range(8):
        deflate = protocol.Deflate(threshold=0) if mode & 2 else None
        peer = protocol.Connection(not mode & 1, deflate=deflate, new_key=lambda: KEY)
        frames = [
            peer.send_text("κόσμε"), peer.send_binary(b"x" * 300), peer.send_fragment("a", False), peer.ping(b"p"),
            peer.send_fragment("b", True), peer.pong(b"q"), peer.close(1000, "bye"),
        ]  # fmt: skip
        found += [bytes((mode, 3)) + frame for frame in (*frames, b"".join(frames))]
    return found

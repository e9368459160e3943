"""What the tests of WebSocket share: ends of a connection, and ways to cut what comes."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from firstbyte.wire.websocket.deflate import Deflate
from firstbyte.wire.websocket.events import Event
from firstbyte.wire.websocket.frames import encode_frame
from firstbyte.wire.websocket.limits import MessageLimits
from firstbyte.wire.websocket.protocol import Connection

KEY = b"\x37\xfa\x21\x3d"  # that of the examples in RFC 6455 section 5.7
LIMITS = MessageLimits(message=1000, frame=800)


def server(limits: MessageLimits = LIMITS, deflate: Deflate | None = None) -> Connection:
    return Connection(False, limits, deflate)


def client(limits: MessageLimits = LIMITS, deflate: Deflate | None = None) -> Connection:
    return Connection(True, limits, deflate, lambda: KEY)


def masked(opcode: int, payload: bytes = b"", fin: bool = True, compressed: bool = False) -> bytes:
    """A client's frame."""
    return encode_frame(opcode, payload, KEY, fin, compressed)


def plain(opcode: int, payload: bytes = b"", fin: bool = True, compressed: bool = False) -> bytes:
    """A server's frame."""
    return encode_frame(opcode, payload, b"", fin, compressed)


def whole(data: bytes) -> Iterable[bytes]:
    return [data]


def bytewise(data: bytes) -> Iterable[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


def in_threes(data: bytes) -> Iterable[bytes]:
    return [data[at : at + 3] for at in range(0, len(data), 3)]


CUTS: list[Callable[[bytes], Iterable[bytes]]] = [whole, bytewise, in_threes]


def receive(connection: Connection, pieces: Iterable[bytes]) -> list[Event]:
    return [event for piece in pieces for event in connection.receive_data(piece)]

"""What comes over a WebSocket, as `Connection.receive_data` tells it."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from firstbyte.wire.websocket.frames import NO_CODE


class TextMessage(NamedTuple):
    """A whole text message."""

    data: str


class BinaryMessage(NamedTuple):
    """A whole binary message."""

    data: bytes


class Ping(NamedTuple):
    """A ping; its pong is among the replies already."""

    data: bytes


class Pong(NamedTuple):
    """An answer to a ping, or none that was asked for (RFC 6455 section 5.5.3)."""

    data: bytes


class Closed(NamedTuple):
    """The peer's Close; `code` is 1005 if it had none. Nothing comes after it."""

    code: int = NO_CODE
    reason: str = ""


class Failed(NamedTuple):
    """The peer broke a rule: `rule` is its short stable name, `code` the close code. Nothing comes after it.

    With code 1006 the connection was cut before a Close had come.
    """

    code: int
    reason: str
    rule: str


Event: TypeAlias = TextMessage | BinaryMessage | Ping | Pong | Closed | Failed

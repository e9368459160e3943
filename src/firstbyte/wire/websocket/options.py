"""What a WebSocket of a handler is to be like."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from firstbyte.wire.websocket.deflate import Deflate
from firstbyte.wire.websocket.limits import MessageLimits

_DEFLATE = Deflate()
_LIMITS = MessageLimits()


@dataclass(frozen=True, slots=True)
class Options:
    """What a WebSocket is like.

    `subprotocols`, the most welcome first; `origins` and `deflate` as `wire.websocket.handshake.accept` takes them;
    `limits` for what comes. A peer that is silent for `ping_interval` seconds is pinged (None: never), and given up
    when nothing has come for `ping_timeout` more. `close_timeout` is how long, in seconds, the peer's Close is waited
    for.
    """

    subprotocols: Sequence[str] = ()
    origins: Collection[str] | None = None
    deflate: Deflate | None = _DEFLATE
    limits: MessageLimits = _LIMITS
    ping_interval: float | None = 20.0
    ping_timeout: float = 20.0
    close_timeout: float = 5.0

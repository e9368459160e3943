"""An answer that waits for what is to be sent: its function has a thread of its own, the connection the reactor's."""

from __future__ import annotations

import threading
from time import monotonic
from typing import Any

from firstbyte._lazy import lazy_logger
from firstbyte.engine.incoming import has_left
from firstbyte.engine.upgrade import Takeover
from firstbyte.http.response import Feed
from firstbyte.http.upgrade import Session, Transport

logger = lazy_logger("firstbyte.engine")


class FeedTakeover(Takeover):
    """A Takeover whose peer is not spoken to: what it sends is its next request, which waits, or its leaving."""

    __slots__ = ()

    def _take_rest(self) -> None:
        pass

    def _receive(self) -> None:
        if has_left(self.connection):
            self.connection.close("client left")
        else:
            self._paused = True


class FeedSession(Session):
    """Sends what a feed gives; see `http.upgrade.Session`."""

    is_async = False

    def __init__(self, feed: Feed) -> None:
        super().__init__()
        self._feed = feed
        self._seconds, self._filler = feed.keep_alive
        self._has_room = True  # less waits to be sent than would make the feed wait
        self._is_over = False  # nobody is there any more, or the server stops
        self._transport: Any = None
        self._changed: threading.Condition

    def begin(self, transport: Transport, draining: bool) -> None:
        """See `Session`."""
        self._transport = transport
        self._changed = threading.Condition(transport.lock)
        self.deadline = monotonic() + self._seconds
        self._is_over = draining

    def run(self) -> None:
        """See `Session`."""
        try:
            while not self._is_over and (piece := next(self._feed, None)) is not None:
                with self._changed:
                    if piece and not self._is_over:
                        self.deadline = monotonic() + self._seconds
                        if not self._transport.send(piece):
                            self._has_room = False
                            self._changed.wait_for(lambda: self._is_over or self._has_room)
        finally:
            self._feed.close()

    def received(self, data: bytes, now: float) -> None:
        """See `Session`. It is told of nothing."""

    def writable(self) -> None:
        """See `Session`."""
        self._has_room = True
        self._changed.notify_all()

    def lost(self) -> None:
        """See `Session`."""
        self._is_over = True
        self._changed.notify_all()

    def due(self, now: float) -> None:
        """See `Session`."""
        self.deadline = now + self._seconds
        self._transport.send(self._filler)

    def drain(self) -> None:
        """See `Session`. The answer ends here, whenever its function does."""
        self._is_over = True
        self._changed.notify_all()
        self._transport.end_in_reactor()

    def abandon(self) -> None:
        """See `Session`."""
        self._feed.close()

"""Where messages wait for whoever receives them."""

from __future__ import annotations

from collections import deque


class Inbox:
    """Messages that wait for the handler: one at most while it keeps up, for which a deque would be much."""

    __slots__ = ("_first", "_rest", "count")

    def __init__(self) -> None:
        self._first: str | bytes | None = None
        self._rest: deque[str | bytes] | None = None  # not before there is a second
        self.count = 0

    def put(self, message: str | bytes) -> None:
        """Adds one."""
        self.count += 1
        if self.count == 1:
            self._first = message
            return
        if self._rest is None:
            self._rest = deque()
        self._rest.append(message)

    def take(self) -> str | bytes | None:
        """The one that came first; None if there is none."""
        first = self._first
        if first is not None:
            self.count -= 1
            self._first = self._rest.popleft() if self._rest else None
        return first

    def clear(self) -> None:
        """Forgets them."""
        self._first = self._rest = None
        self.count = 0

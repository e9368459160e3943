"""When to ping a peer, and when to give it up. No clock is read: every method is told the time."""

from __future__ import annotations

from math import inf

WAIT = 0  # there is nothing to do before `deadline`
PING = 1  # send a ping
LOST = 2  # the peer has not answered: end the connection


class KeepAlive:
    """Pings a peer that has been silent for `interval` seconds, and gives it up `timeout` seconds after that.

    Whatever comes from the peer is a sign of life, not its pong alone. `deadline` is when to call `due` next, on the
    clock of the times given; inf for an `interval` of None: then nobody is pinged.
    """

    __slots__ = ("_interval", "_is_waiting", "_timeout", "deadline")

    def __init__(self, now: float, interval: float | None = 20.0, timeout: float = 20.0) -> None:
        self._interval = inf if interval is None else interval
        self._timeout = timeout
        self._is_waiting = False  # for an answer to a ping
        self.deadline = now + self._interval

    def heard(self, now: float) -> None:
        """Something has come from the peer."""
        self._is_waiting = False
        self.deadline = now + self._interval

    def due(self, now: float) -> int:
        """What is to be done now: WAIT, PING or LOST."""
        if now < self.deadline:
            return WAIT
        if self._is_waiting:
            return LOST
        self._is_waiting = True
        self.deadline = now + self._timeout
        return PING

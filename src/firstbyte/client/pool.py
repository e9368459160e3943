"""The connections of a session: kept while they are idle, counted, and waited for when there are no more.

Whoever has acquired holds a slot, which goes back by `release` with the connection in it or by `discard` without.
Nothing is held across a wait but the place in the queue, and that is given up however the wait ends.
"""

from __future__ import annotations

import threading
from collections import deque
from time import monotonic

from firstbyte.client.network import Network, Stream, Waiter
from firstbyte.wire.response import ResponseReader


class Connection:
    """A connection to an origin, as the pool keeps it."""

    __slots__ = ("address", "idle_since", "opened", "origin", "reader", "stream", "used")

    def __init__(self, stream: Stream, origin: str, address: str) -> None:
        self.stream = stream
        self.origin = origin
        self.address = address  # for people
        self.reader = ResponseReader()
        self.used = 0  # exchanges that were begun on it
        self.idle_since = 0.0  # when it was used last, by `monotonic`
        self.opened: tuple[float | None, float | None, float | None] = (None, None, None)  # see Timings

    def close(self) -> None:
        """Ends it."""
        self.stream.close()


class Pool:
    """Connections by origin: the last one that became idle is used first, so that the others can be let go.

    At most `max_connections` are open, of them `max_per_origin` to one origin; one that was idle for `idle_timeout`
    seconds is closed. May be used by several threads, unless its network is a loop's.
    """

    def __init__(
        self,
        network: Network,
        max_connections: int = 100,
        max_per_origin: int | None = None,
        idle_timeout: float = 15.0,
    ) -> None:
        self._network = network
        self._max = max_connections
        self._max_per_origin = max_per_origin or max_connections
        self._idle_timeout = idle_timeout
        self._lock = threading.Lock()
        self._is_shared = not network.is_async  # else there is one thread, and no wait within what is short
        self._idle: dict[str, list[Connection]] = {}  # the last one of each is the last one used
        self._slots: dict[str, int] = {}  # by origin, idle connections included
        self._total = 0
        self._wants: deque[_Want] = deque()
        self._swept = monotonic()
        self.closed = False

    def take_idle(self, origin: str, now: float) -> Connection | None:
        """An idle connection to `origin` with its slot, if there is one; `now` is by `monotonic`."""
        if not self._is_shared:
            return self._pop_idle(origin, now)
        self._lock.acquire()  # `with` looks up more than it guards here, for every request twice
        try:
            return self._pop_idle(origin, now)
        finally:
            self._lock.release()

    async def acquire(self, origin: str, timeout: float | None, fresh: bool = False) -> Connection | None:
        """A slot: an idle connection to `origin`, or None if one must be opened (always, if `fresh`).

        Raises TimeoutError if no slot became free in time.
        """
        with self._lock:
            if not fresh and (connection := self._pop_idle(origin, monotonic())) is not None:
                return connection
            if self._take_slot(origin):
                return None
            want = _Want(origin, self._network.waiter(), fresh)
            self._wants.append(want)
        try:
            if not await want.waiter.wait(timeout):
                raise TimeoutError
        except BaseException:
            self._give_up(want)
            raise
        return want.connection

    def release(self, connection: Connection) -> None:
        """Gives a slot back with a connection that can be used again."""
        if self._is_shared:
            self._lock.acquire()  # see `take_idle`
            try:
                kept = self._keep(connection)
            finally:
                self._lock.release()
        else:
            kept = self._keep(connection)
        if not kept:
            connection.close()
            self.discard(connection.origin)

    def discard(self, origin: str) -> None:
        """Gives a slot back whose connection is closed, or never came about."""
        with self._lock:
            self._free_slot(origin)
            self._serve()

    def close(self) -> None:
        """Closes what is idle; what is in use is closed when it is given back."""
        with self._lock:
            self.closed = True
            for origin in list(self._idle):
                for connection in self._idle.pop(origin):
                    connection.close()
                    self._free_slot(origin)

    @property
    def open_connections(self) -> int:
        """How many slots are taken, by connections in use and idle ones."""
        return self._total

    @property
    def idle_connections(self) -> int:
        """How many connections wait to be used again."""
        return sum(len(idle) for idle in self._idle.values())

    # -- under the lock

    def _keep(self, connection: Connection) -> bool:
        if self.closed:
            return False
        if self._wants and self._hand_on(connection):
            return True
        idle = self._idle.get(connection.origin)
        if idle is None:
            self._idle[connection.origin] = [connection]
        else:
            idle.append(connection)
        if self._wants:
            self._serve()
        elif connection.idle_since - self._swept > self._idle_timeout:
            self._sweep()
        return True

    def _hand_on(self, connection: Connection) -> bool:
        """Gives a connection to the first who waits for one to its origin; whether there is such."""
        for want in self._wants:
            if want.origin == connection.origin and not want.fresh:
                self._wants.remove(want)
                want.grant(connection)
                return True
        return False

    def _pop_idle(self, origin: str, now: float) -> Connection | None:
        idle = self._idle.get(origin)
        if not idle:
            return None
        connection = idle.pop()
        if now - connection.idle_since < self._idle_timeout:
            return connection
        idle.append(connection)  # and so are those that were idle for longer
        self._sweep()
        return None

    def _take_slot(self, origin: str) -> bool:
        if self._slots.get(origin, 0) >= self._max_per_origin and not self._evict(origin):
            return False
        if self._total >= self._max and not self._evict():
            return False
        self._slots[origin] = self._slots.get(origin, 0) + 1
        self._total += 1
        return True

    def _free_slot(self, origin: str) -> None:
        self._total -= 1
        self._slots[origin] -= 1
        if not self._slots[origin]:
            del self._slots[origin]

    def _evict(self, origin: str | None = None) -> bool:
        """Closes the connection that was idle for longest, of `origin` or of all, to make room."""
        oldest = min(
            (idle[0] for name, idle in self._idle.items() if idle and origin in (None, name)),
            key=lambda connection: connection.idle_since,
            default=None,
        )
        if oldest is None:
            return False
        self._idle[oldest.origin].remove(oldest)
        self._close(oldest)
        return True

    def _serve(self) -> None:
        """Gives what slots there are to those who wait, in order; one whose origin is full is passed over."""
        for want in list(self._wants):
            if self._take_slot(want.origin):
                self._wants.remove(want)
                want.grant(None)

    def _sweep(self) -> None:
        """Closes what was idle for too long."""
        now = self._swept = monotonic()
        for origin in list(self._idle):
            kept = []
            for connection in self._idle.pop(origin):
                if now - connection.idle_since < self._idle_timeout:
                    kept.append(connection)
                else:
                    self._close(connection)
            if kept:
                self._idle[origin] = kept

    def _close(self, connection: Connection) -> None:
        connection.close()
        self._free_slot(connection.origin)

    def _give_up(self, want: _Want) -> None:
        with self._lock:
            if not want.granted:
                self._wants.remove(want)
                return
        # The wait ended in the moment of its success: someone else has the good of it.
        if want.connection is None:
            self.discard(want.origin)
        else:
            self.release(want.connection)


class _Want:
    """One who waits for a slot."""

    __slots__ = ("connection", "fresh", "granted", "origin", "waiter")

    def __init__(self, origin: str, waiter: Waiter, fresh: bool) -> None:
        self.origin = origin
        self.waiter = waiter
        self.fresh = fresh
        self.granted = False
        self.connection: Connection | None = None

    def grant(self, connection: Connection | None) -> None:
        """Hands a slot over, with or without a connection in it."""
        self.granted = True
        self.connection = connection
        self.waiter.wake()

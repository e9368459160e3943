"""The reactor: one poller, its connections, their deadlines. Who leads calls `turn` and gives each event its due."""

from __future__ import annotations

import heapq
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterable
from math import inf
from time import monotonic
from typing import TYPE_CHECKING

from firstbyte._lazy import lazy_logger
from firstbyte.engine._sys import ERROR, HANGUP, READ, Waker, poller, receive, transmit
from firstbyte.engine.background import Background
from firstbyte.engine.connection import Connection
from firstbyte.engine.hub import Hub
from firstbyte.engine.listener import Listener
from firstbyte.engine.observer import Observer
from firstbyte.engine.states import BODY, CLOSED, HEAD, STATES
from firstbyte.engine.timeouts import Timeouts
from firstbyte.http.handler import PROVEN, Endpoint, Handler
from firstbyte.http.request import Ends
from firstbyte.wire.limits import Limits

if TYPE_CHECKING:
    from firstbyte.engine.entrance import Arrival
    from firstbyte.waiting import Source

TOGETHER = 32  # connections whose answers are put off at most, for the last of them
HOLD = 0.001  # seconds that an answer is put off for at most, by the paces of the calls behind it
ROOM = 32  # idle connections closed at once when there are too many: to look for them costs a look at all

logger = lazy_logger("firstbyte.engine")


class Reactor(Hub):
    """Watches the listeners and connections of one process, and what else is given to it (see `Watcher`)."""

    __slots__ = (
        "_any_paused", "_connections", "_hand_back", "_held", "_listeners", "_next_sweep", "_poller", "_submitted",
        "_tick", "_unsent", "_waker", "drained", "gathers", "ready", "sources",
    )  # fmt: skip

    def __init__(
        self,
        handler: Handler,
        limits: Limits,
        timeouts: Timeouts,
        observers: Iterable[Observer] = (),
    ) -> None:
        super().__init__(handler, limits, timeouts, observers, _log_exception)
        self.background = Background()
        self.ready: list[tuple[int, int]] = []  # descriptors and events that nobody has dealt with yet
        self._unsent: list[Connection] = []  # answers put off; the leader's own, as `ready` is
        self.gathers = False  # the driver gives several answers now, and then calls `send`
        self._held = 0.0  # seconds that the calls behind the first of them take, by their paces
        self.drained: Callable[[], None] = lambda: None  # called in any thread when the last connection is closed
        self._any_paused = False
        self.sources: dict[int, Source] = {}  # by descriptor
        self._connections: dict[int, Connection | Arrival] = {}
        self._listeners: list[Listener] = []
        self._poller = poller()
        self._hand_back = threading.Lock()  # guards `busy` and the interest of a busy connection
        self._tick = timeouts.tick
        self._next_sweep = inf
        self._submitted: deque[Callable[[], None]] = deque()
        self._waker = Waker()
        self.sources[self._waker.fileno] = self
        self._poller.register(self._waker.fileno, READ)

    # -- the leader's part

    @property
    def fileno(self) -> int:
        """A descriptor that is readable when something is ready, for another poller to watch; -1 if there is none."""
        return self._poller.fileno

    @property
    def patience(self) -> float:
        """Seconds until something is due; -1 if nothing is."""
        return -1 if self._next_sweep == inf else max(0.0, self._next_sweep - monotonic())

    def turn(self, wait: bool = True) -> None:
        """Waits until something is ready or due; adds what is ready to `ready`, for `give`."""
        events = self._poller.poll(self.patience if wait else 0)
        self.now = now = monotonic()
        if now >= self._tails_until:
            self._renew_tails(now)
        if now >= self._next_sweep:
            self._sweep(now, {fd for fd, _ in events})
        events.reverse()  # `ready` is taken from its end: who was ready first is served first
        self.ready += events

    def give(self) -> None:
        """Gives the events of the next of `ready`, which is not empty, to whoever they are for."""
        fd, events = self.ready.pop()
        source = self.sources.get(fd)
        if source is None:
            return  # closed since the poll
        connection = source if isinstance(source, Connection) else None
        if self._unsent and (connection is None or connection.state != HEAD):
            self.send()  # a handshake, a file or a body may take longer than an answer
        try:
            if connection is not None:
                connection.on_event(events)
            else:
                source.on_event(events)
        except Exception:
            logger.exception("an event of %r failed", source)
            if connection is not None:
                connection.close("internal error")  # no other thread has it: it failed in its owner's hands

    def put_off(self, connection: Connection) -> bool:
        """See `Hub.put_off`. Sent together, answers wake a busy client once, which saves both of them work."""
        if not self.ready and not self.gathers:  # nobody else is to be answered
            return False
        if not self._unsent:
            self._held = 0.0
        self._unsent.append(connection)
        if len(self._unsent) >= TOGETHER:
            self.send()
        return True

    def send_before(self, endpoint: Endpoint) -> None:
        """Sends the answers that were put off, unless a call of this endpoint is known to be over soon enough."""
        if not self._unsent:
            return
        pace = endpoint.pace
        self._held += pace.seconds
        may_wait = endpoint.sends or (endpoint.streams_body and not endpoint.is_async)  # for its client
        if may_wait or self._held > HOLD or pace.calls < PROVEN:
            self.send()

    def send(self) -> None:
        """Sends the answers that were put off: for the driver, before it turns."""
        if not self._unsent:
            return
        unsent, self._unsent = self._unsent, []
        for connection in unsent:
            try:
                if connection.state != CLOSED:
                    connection.settle()  # it has answered all that had come
            except Exception:
                logger.exception("an answer over %r failed", connection)
                connection.close("internal error")

    def on_event(self, events: int) -> None:
        """The waker's event: runs what other threads have submitted."""
        self._waker.clear()
        while self._submitted:
            self._submitted.popleft()()

    def _sweep(self, now: float, arrived: set[int]) -> None:
        """Looks at every deadline, once a tick: cheaper than a timer per request, and late by a tick at most.

        A connection that waits for a request or its body, and is about to be told that it has come (`arrived`), is left
        alone: the client was in time, and only this process was not given a processor.
        """
        for connection in list(self._connections.values()):
            if connection.deadline <= now and (not connection.busy or connection.owner is not None):
                if connection.fd in arrived and isinstance(connection, Connection) and _awaits(connection):
                    continue
                connection.on_deadline()
        if self._any_paused:
            self._resume_listeners(now)
        self._next_sweep = now + self._tick if self._connections or self._any_paused else inf

    def _resume_now(self) -> None:
        self._resume_listeners(inf)  # there is room, or a descriptor

    def _resume_listeners(self, now: float) -> None:
        for listener in self._listeners:
            listener.resume(now)
        self._any_paused = any(listener.paused_until for listener in self._listeners)

    def pause(self, listener: Listener) -> None:
        """Stops watching a listener until its pause is over."""
        self.ignore_source(listener.fileno)
        self._any_paused = True
        self.sweep_soon()

    def sweep_soon(self) -> None:
        """Makes sure that deadlines are looked at within a tick."""
        if self._next_sweep == inf:
            self._next_sweep = self.now + self._tick

    # -- connections

    @property
    def connections(self) -> list[Connection | Arrival]:
        """The open connections, as they are now."""
        return list(self._connections.values())

    @property
    def open(self) -> int:
        """Number of open connections."""
        return len(self._connections)

    def add_listener(self, listener: Listener) -> None:
        """Begins to accept connections; before the reactor runs."""
        self._listeners.append(listener)
        self.watch_source(listener.fileno, listener, listener.interest)

    def watch_source(self, fd: int, source: Source, interest: int = READ) -> None:
        """Watches a descriptor for reading."""
        self.sources[fd] = source
        self._poller.register(fd, interest)

    def change_source(self, fd: int, interest: int) -> None:
        """See `Watcher.change_source`."""
        self._poller.modify(fd, interest)

    def receive(self, fd: int) -> bytes:
        """See `Watcher.receive`."""
        return receive(fd)

    def transmit(self, fd: int, data: bytes | memoryview) -> int:
        """See `Watcher.transmit`."""
        return transmit(fd, data)

    def ignore_source(self, fd: int) -> None:
        """Stops watching a descriptor."""
        if self.sources.pop(fd, None) is not None:
            self._poller.unregister(fd)

    def adopt(self, sock: socket.socket, ends: Ends) -> None:
        """Takes a connection that a listener has accepted, non-blocking."""
        connection = Connection(self, sock, ends)
        self._connections[connection.fd] = connection
        self.sources[connection.fd] = connection
        self._poller.register(connection.fd, READ)
        self.sweep_soon()
        if self.draining:  # it comes out of a handshake that had begun before
            connection.begin_drain()
        if self.hooks.accepted is not None:
            self.hooks.accepted(connection)

    def enter(self, arrival: Arrival) -> None:
        """Takes a client that has something to pass before it becomes a connection."""
        self._connections[arrival.fd] = arrival
        self.sources[arrival.fd] = arrival
        self._poller.register(arrival.fd, READ)
        self.sweep_soon()

    def make_room(self) -> bool:
        """Closes the connections that have been idle for longest, for new clients; False if none is idle."""
        idle = [each for each in self._connections.values() if isinstance(each, Connection) and each.is_idle]
        for connection in heapq.nsmallest(ROOM, idle, key=lambda each: each.deadline):
            connection.close("made room for another client")
        return bool(idle)

    def forget(self, connection: Connection | Arrival) -> None:
        """See `Hub.forget`. Lets go of a handshake, too."""
        with self._hand_back:  # so that `look_away` never changes a descriptor that has become another's
            del self._connections[connection.fd]
            del self.sources[connection.fd]
            if not connection.lost:
                self._poller.unregister(connection.fd)
        if self._any_paused:
            self.submit(self._resume_now)
        if self.draining and not self._connections:
            self.drained()

    def watch(self, connection: Connection, interest: int) -> None:
        """See `Hub.watch`."""
        if not connection.busy:
            if connection.interest != interest:
                connection.interest = interest
                self._poller.modify(connection.fd, interest)
            return
        with self._hand_back:
            if not connection.lost:
                if connection.interest != interest:
                    connection.interest = interest
                    self._poller.modify(connection.fd, interest)
                connection.busy = False
                if self._next_sweep != inf:
                    return
            else:
                interest = -1
        if interest < 0:
            connection.close("client left")
        else:
            self.submit(self.sweep_soon)

    def change_interest(self, connection: Connection | Arrival, interest: int) -> None:
        """Changes what is watched for of a handshake, or of a connection that a coroutine owns; in their own thread."""
        if connection.interest != interest and not connection.lost:
            connection.interest = interest
            self._poller.modify(connection.fd, interest)

    def lose(self, connection: Connection) -> None:
        """Lets go of the descriptor of a connection whose peer has left while a coroutine owns it."""
        if not connection.lost:
            connection.lost = True
            self._poller.unregister(connection.fd)

    def look_away(self, connection: Connection, events: int) -> bool:
        """See `Hub.look_away`."""
        with self._hand_back:
            if connection.state == CLOSED:
                return True
            if not connection.busy:
                return False
            if events & (ERROR | HANGUP):
                connection.lost = True
                self._poller.unregister(connection.fd)
            elif connection.interest:
                connection.interest = 0
                self._poller.modify(connection.fd, 0)
            return True

    # -- other threads' part

    def submit(self, work: Callable[[], None]) -> None:
        """Has the leader do something, soon; from any thread or signal handler."""
        self._submitted.append(work)
        self._waker.wake()

    def begin_drain(self) -> None:
        """Stops accepting, and lets every connection end with the request it is in. In the leader's thread."""
        if self.draining:
            return
        self.now = monotonic()
        for listener in self._listeners:
            self.ignore_source(listener.fileno)  # first: who comes now wakes another process, if there is one
            listener.accept_rest()
            listener.close()
        self._listeners.clear()
        self.draining = True
        self.idle_timeout = self.timeouts.drain_idle
        self._tick = min(self._tick, self.timeouts.drain_idle / 2)
        self._next_sweep = self.now
        for connection in self.connections:
            connection.begin_drain()
            if isinstance(connection, Connection) and connection.owner is not None:
                connection.owner.begin_drain()

    def close(self, all_ended: bool = True) -> None:
        """Closes everything at once. No thread runs the reactor any more, and none is in a handler if `all_ended`."""
        for connection in self.connections:
            if isinstance(connection, Connection) and connection.busy:
                # The server ends before the handler, whose thread does the rest.
                connection.state = CLOSED
                self.forget(connection)
                connection.sock.close()
            else:
                connection.close("server stopped")
        for listener in self._listeners:
            listener.close()
        self.sources.clear()  # who is told to stop watching one later need not know that nobody does
        self._poller.close()
        if all_ended:
            self._waker.close()


def _log_exception(message: str, *args: object) -> None:
    logger.exception(message, *args)  # the method itself would be looked up, and `logging` imported, at every start


def _awaits(connection: Connection) -> bool:
    return connection.state == BODY or (connection.state == HEAD and not connection.reader.pending)


def describe(connections: Iterable[Connection | Arrival]) -> dict[str, int]:
    """How many connections are in which state, by name; those a handler thread owns count as "handler"."""
    counts: dict[str, int] = {}
    for connection in connections:
        name = (
            "handler"
            if connection.busy
            else STATES[connection.state]
            if isinstance(connection, Connection)
            else connection.state
        )
        counts[name] = counts.get(name, 0) + 1
    return counts

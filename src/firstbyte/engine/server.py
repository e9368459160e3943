"""The server: listens, runs a handler, and stops without losing what it has begun."""

from __future__ import annotations

import gc
import signal
import socket
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from time import monotonic
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Literal

from firstbyte._lazy import lazy_logger
from firstbyte.engine._sys import keep_memory
from firstbyte.engine.listener import Listener, address_of, listen, listen_unix
from firstbyte.engine.observer import Observer
from firstbyte.engine.periodic import Election, Schedule
from firstbyte.engine.reactor import Reactor
from firstbyte.engine.threads import ThreadDriver
from firstbyte.engine.timeouts import Timeouts
from firstbyte.errors import StartupError
from firstbyte.http.handler import Handler
from firstbyte.http.request import Address
from firstbyte.http.services import periodic_of
from firstbyte.wire.limits import Limits

if TYPE_CHECKING:
    from firstbyte.engine.entrance import Entrance
    from firstbyte.engine.loop import LoopDriver
    from firstbyte.engine.tls import TLS, Certificates

logger = lazy_logger("firstbyte.engine")

WARN_BLOCKING = 0.1  # seconds
YOUNG = 2000  # objects made and not freed, from which the collector looks at them
THREADS = 64  # handlers that run at once; a thread costs some 30 KiB, and none is started before it is needed


def collect_later() -> None:
    """Has Python's collector look at young objects as seldom as Python 3.14 does, unless somebody has chosen how often.

    Some fifty coroutines that wait have 700 objects, the threshold before: they were looked at over and over again.
    """
    young, *older = gc.get_threshold()
    if young == 700:
        gc.set_threshold(YOUNG, *older)


class Server:
    """Serves a handler on a host and port, on a Unix socket, or on sockets that are given and listen already.

    `threads` is how many handlers may run at once. `run` blocks until `stop`, Ctrl+C or SIGTERM; `with server:` serves
    in threads of its own. Raises ListenError from `bind`, which both call, and ConfigurationError for certificates of
    `tls` that cannot be used; `plain_sockets` speak no TLS whatever the others do. With `proxy_protocol` every
    connection must begin with a proxy's PROXY header.

    A handler that has coroutines (`is_async`) is run in an asyncio loop: of the kind that `loop` names, uvloop with
    "auto" where that is installed; naming one runs any handler in it. What holds the loop up for `warn_blocking`
    seconds is named in the log.

    `remove_path` is the path of a Unix socket among `sockets` that is removed when the server stops to listen; one that
    it makes itself always is. With `shared`, other processes accept at the same sockets: a stop leaves them the clients
    that wait there; `election` says which of them does what the handler has to do again and again.
    """

    def __init__(
        self,
        handler: Handler,
        host: str = "127.0.0.1",
        port: int = 8000,
        *,
        unix: str | None = None,
        remove_path: str | None = None,
        tls: TLS | Certificates | None = None,
        proxy_protocol: bool = False,
        sockets: Sequence[socket.socket] = (),
        plain_sockets: Sequence[socket.socket] = (),
        threads: int = THREADS,
        loop: Literal["auto", "asyncio", "uvloop"] = "auto",
        warn_blocking: float = WARN_BLOCKING,
        limits: Limits | None = None,
        timeouts: Timeouts | None = None,
        observers: Iterable[Observer] = (),
        backlog: int = 1024,
        shared: bool = False,
        election: Election | None = None,
    ) -> None:
        self._host = host
        self._port = port
        self._unix = unix
        self._remove_path = remove_path
        self._tls = tls
        self._proxy_protocol = proxy_protocol
        self._entrance: Entrance | None = None
        self._plain_entrance: Entrance | None = None
        self._sockets = list(sockets)
        self._plain_sockets = list(plain_sockets)
        self._backlog = backlog
        self._shared = shared
        self._listeners: list[Listener] = []
        self.timeouts = timeouts or Timeouts()
        self.reactor = Reactor(handler, limits or Limits(), self.timeouts, observers)
        if threads < 1:
            raise ValueError(f"the number of threads is {threads}: there must be at least one")
        self._election = election
        self._schedule: Schedule | None = None
        self._threads = threads
        self._loop = loop
        self._warn_blocking = warn_blocking
        self._driver: ThreadDriver | LoopDriver | None = None  # chosen when the handler is complete: in `bind`
        self.reactor.drained = self._wake
        self._thread: threading.Thread | None = None
        self._stop_by = 0.0  # monotonic time by which a stop must be done; 0 before one is asked for
        self._signals = 0  # that asked it to stop
        self.on_signal: Callable[[], None] = lambda: None  # called when the first has come

    @property
    def addresses(self) -> list[Address]:
        """Where it listens: host and port as the system chose them, or the path of a Unix socket and 0."""
        return [address_of(sock.getsockname()) for sock in self._sockets]

    @property
    def port(self) -> int:
        """The port it listens on, after `bind`."""
        return self.addresses[0].port

    @property
    def threads(self) -> int:
        """How many handlers may run at once."""
        return self._threads

    @property
    def draining(self) -> bool:
        """Whether it has been told to stop."""
        return self._stop_by > 0

    @property
    def busy(self) -> int:
        """Number of handlers that run in threads of their own now."""
        return self._driver.busy if self._driver is not None else 0

    @property
    def waiting(self) -> int:
        """Number of requests that wait for a thread now."""
        return self._driver.waiting if self._driver is not None else 0

    def bind(self) -> None:
        """Begins to listen; clients that connect wait until the server runs. Raises ListenError."""
        if (self._tls is not None or self._proxy_protocol) and self._entrance is None:
            from firstbyte.engine.entrance import Entrance
            from firstbyte.engine.tls import TLS, Certificates

            certificates = Certificates(self._tls) if isinstance(self._tls, TLS) else self._tls
            self._entrance = Entrance(certificates, self._proxy_protocol)
            if self._proxy_protocol:
                self._plain_entrance = Entrance(None, True)
        if not self._sockets:
            if self._unix is not None:
                self._sockets = [listen_unix(self._unix, self._backlog)]
                self._remove_path = self._unix
            else:
                self._sockets = listen(self._host, self._port, self._backlog)
        for sock in (*self._sockets, *self._plain_sockets):
            sock.setblocking(False)
        if self._driver is None:
            if self._loop != "auto" or getattr(self.reactor.handler, "is_async", False):
                from firstbyte.engine.loop import LoopDriver  # here, since asyncio takes long to import

                self._driver = LoopDriver(self.reactor, self._threads, self._loop, self._warn_blocking)
            else:
                self._driver = ThreadDriver(self.reactor, self._threads)

    def run(self, signals: bool = True, ready: Callable[[], None] = lambda: None) -> None:
        """Serves until it is told to stop and everything that runs has ended, or its time is over.

        With `signals`, and in the main thread, SIGTERM and Ctrl+C stop it gracefully, a second one at once. `ready` is
        called when it begins to accept clients: at once, but for a handler that has to start up first (see `Handler`).
        Raises StartupError if that fails.
        """
        self.bind()
        keep_memory()
        collect_later()
        driver = self._driver
        assert driver is not None
        self._listeners = [
            *(Listener(self.reactor, sock, self._entrance, self._shared) for sock in self._sockets),
            *(Listener(self.reactor, sock, self._plain_entrance, self._shared) for sock in self._plain_sockets),
        ]
        for listener in self._listeners:
            self.reactor.add_listener(listener)
        previous: dict[signal.Signals, Any] = {}
        if signals and threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                previous[number] = signal.signal(number, self._on_signal)
        schedule = self._schedule = Schedule(periodic_of(self.reactor.handler), self.reactor.background, self._election)

        def begin() -> None:
            schedule.start()
            ready()

        try:
            driver.run(self._is_over, begin)
        finally:
            schedule.stop()
            for number, handler in previous.items():
                signal.signal(number, handler)
            ended = driver.stop()
            self.reactor.close(all_ended=self.reactor.background.end() and ended)
            self._remove()

    def stop(self, timeout: float | None = None) -> None:
        """Stops accepting and ends when what runs has ended, or after `timeout` seconds (default: Timeouts.drain).

        From any thread or signal handler; returns at once. 0 stops without waiting for anything.
        """
        by = monotonic() + (self.timeouts.drain if timeout is None else timeout)
        self._stop_by = min(by, self._stop_by or by)  # a stop that is already under way is never put off
        if self._driver is not None:
            self._driver.hurry = True
        self.reactor.submit(self._begin_drain)
        self._wake()

    def take_rest(self) -> None:
        """Makes the coming stop take all who still wait at shared sockets, since no other process will."""
        for listener in self._listeners:
            listener.takes_rest = True

    def __enter__(self) -> Server:
        self.bind()
        begun = threading.Event()
        failures: list[StartupError] = []

        def run() -> None:
            try:
                self.run(ready=begun.set)
            except StartupError as error:
                failures.append(error)
            finally:
                begun.set()

        self._thread = threading.Thread(target=run, name="firstbyte-server", daemon=True)
        self._thread.start()
        begun.wait()
        if failures:
            self._thread.join()
            raise failures[0]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        assert self._thread is not None
        self._thread.join()

    def _is_over(self) -> bool:
        if not self._stop_by:
            return False
        driver, reactor = self._driver, self.reactor
        is_idle = reactor.draining and not reactor.open and (driver is None or not driver.unfinished)
        is_idle = is_idle and not reactor.background.unfinished
        return is_idle or monotonic() >= self._stop_by

    def _begin_drain(self) -> None:
        if self._schedule is not None:
            self._schedule.stop()
        self.reactor.begin_drain()
        self._remove()
        self._wake()

    def _remove(self) -> None:
        """Removes the path of a Unix socket of our own, as soon as nobody listens there: another may take it next."""
        path, self._remove_path = self._remove_path, None
        if path is not None:
            Path(path).unlink(missing_ok=True)

    def _wake(self) -> None:
        if self._driver is not None:
            self._driver.wake()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1  # before anything else: the second may come while the first is being handled
        if self._signals == 1:
            self.stop()
            self.on_signal()
            logger.info("stopping: finishing what runs, at most %.0f s; again to stop at once", self.timeouts.drain)
        else:
            self.stop(0)

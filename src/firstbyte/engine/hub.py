"""What a connection knows of the reactor that watches it and of the driver that runs its handlers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from time import monotonic, time
from typing import TYPE_CHECKING, Any

from firstbyte.engine.observer import Hooks, Observer
from firstbyte.engine.timeouts import Timeouts
from firstbyte.http.dates import format_date
from firstbyte.http.handler import Endpoint, Handler
from firstbyte.http.request import Request
from firstbyte.http.response import Response
from firstbyte.wire.head import HeadScanner
from firstbyte.wire.limits import Limits
from firstbyte.wire.writer import Tails

if TYPE_CHECKING:
    from firstbyte.engine.background import Background
    from firstbyte.engine.connection import Connection


class Driver:
    """Decides in which thread, or in which loop, an endpoint runs."""

    __slots__ = ()

    def call(self, connection: Connection, request: Request, endpoint: Endpoint) -> Response | None:
        """The endpoint's answer, or None if another thread will give it: then the connection is that thread's."""
        raise NotImplementedError

    def detach(self, connection: Connection) -> bool:
        """Makes this thread one that may block for the connection, which is busy from here on.

        False if every thread is busy: the caller then gives the rest of its work to `enqueue`.
        """
        raise NotImplementedError

    def enqueue(self, connection: Connection, work: Callable[..., None], *arguments: object) -> None:
        """Leaves work for the next free thread; the connection is busy until that has done it."""
        raise NotImplementedError

    def give(self, connection: Connection | None, work: Callable[..., None], *arguments: object) -> None:
        """Has a thread that may block do something, for `connection` if it is for one; it is closed if that fails."""
        raise NotImplementedError

    def start_apart(self, work: Callable[[], None], end: Callable[[], None]) -> None:
        """Starts a thread for work alone, beyond the limit; `end` is called when the server stops without it.

        Raises RuntimeError if the operating system gives none.
        """
        raise NotImplementedError

    def about_to_block(self, connection: Connection) -> None:
        """This thread, in the connection's handler, is going to wait: if it leads, another leads in its place."""
        raise NotImplementedError


class Hub:
    """The part of a reactor that its connections see.

    `now` is the monotonic time of the last return of the poller: the clock of everything the leader does. `tails` are
    the ends of response heads for this second, for the leader; other threads take `fresh_tails`. `idle_timeout` is how
    long a connection waits for its next request, in seconds: less from when a drain begins.
    """

    __slots__ = (
        "_tails_until", "background", "draining", "driver", "handler", "hooks", "idle_timeout", "limits", "now",
        "resolve", "scanner", "tails", "timeouts",
    )  # fmt: skip

    def __init__(
        self,
        handler: Handler,
        limits: Limits,
        timeouts: Timeouts,
        observers: Iterable[Observer],
        failed: Callable[[str], None],
    ) -> None:
        self.handler = handler
        self.resolve = handler.resolve  # looked up once, not for every request
        self.limits = limits
        self.timeouts = timeouts
        self.scanner = HeadScanner(limits)
        self.hooks = Hooks(observers, failed)
        self.background: Background  # set by the reactor
        self.driver: Driver  # set by the driver that runs the reactor
        self.draining = False
        self.idle_timeout = timeouts.keep_alive
        self.now = monotonic()
        self.tails: Tails
        self._tails_until = 0.0
        self._renew_tails(self.now)

    def fresh_tails(self) -> Tails:
        """The ends of response heads for this second, for a thread that does not lead."""
        now = monotonic()
        if now >= self._tails_until:
            self._renew_tails(now)
        return self.tails

    def _renew_tails(self, now: float) -> None:
        today = time()
        self.tails = Tails(format_date(today))
        self._tails_until = now + 1 - today % 1

    def watch(self, connection: Connection, interest: int) -> None:
        """Waits for `interest` on a connection; a busy one becomes the leader's, and the caller is done with it."""
        raise NotImplementedError

    def put_off(self, connection: Connection) -> bool:
        """Has the answers of a connection sent a little later (`Connection.settle`), along with those of others.

        False if they are to be sent at once. In the leader's thread.
        """
        raise NotImplementedError

    def look_away(self, connection: Connection, events: int) -> bool:
        """Stops watching a busy connection that is ready, until it is released. False if it is busy no more."""
        raise NotImplementedError

    def forget(self, connection: Any) -> None:
        """Lets go of a connection that is being closed, in whichever thread. Its socket is closed after this."""
        raise NotImplementedError

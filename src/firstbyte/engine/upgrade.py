"""A connection in the hands of another protocol: what comes, goes and is due is told to its session.

To the rest of the engine it is a request whose answer has no end yet. All that happens to the connection happens in the
reactor's thread; a session whose `run` has a thread of its own sends from there, so one lock is around it all.
"""

from __future__ import annotations

import threading
from functools import partial
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any

from firstbyte._lazy import lazy_logger
from firstbyte.engine._sys import ERROR, HANGUP, READ, WRITE
from firstbyte.engine.exchange import Exchange
from firstbyte.engine.states import CLOSED
from firstbyte.errors import ClientDisconnected
from firstbyte.http.handler import Endpoint
from firstbyte.http.request import Request
from firstbyte.http.response import Feed, Response
from firstbyte.http.upgrade import Session

if TYPE_CHECKING:
    from firstbyte.engine.connection import Connection

logger = lazy_logger("firstbyte.engine")


class Takeover(Exchange):
    """The owner of a connection that another protocol has: its `Transport`."""

    __slots__ = (
        "_has_begun", "_has_ended", "_in_event", "_is_full", "_is_over", "_paused", "_session", "_shares", "lock",
    )  # fmt: skip

    def __init__(
        self, reactor: Any, connection: Connection, session: Session, request: Any = None, endpoint: Any = None
    ) -> None:
        super().__init__(reactor, connection, request, endpoint)
        self.lock = threading.RLock()
        self._session = session
        self._shares = not getattr(session, "is_async", True)  # else one thread does it all, and needs no lock
        self._has_begun = False  # the session's thread has started: nothing is told to it before
        self._in_event = False  # `_settle` follows
        self._is_over = False  # it has given the connection back, or lost it
        self._has_ended = False  # the peer sends no more
        self._is_full = False  # the session has been told to wait until it is `writable`
        self._paused = False

    def begin(self) -> None:
        """Gives the connection to its session, with what has come behind the request."""
        with self.lock:
            self._session.begin(self, self._reactor.draining)
            self._has_begun = True
            if self._is_over:
                self._session.lost()
            else:
                self._take_rest()
                self._settle()

    def end(self) -> None:
        """Takes the connection back when its session has run; whoever calls goes on with `Connection.advance`."""
        with self.lock:
            if not self._is_over:
                self._is_over = True
                self.connection.deadline = inf
                self.connection.end_body()

    def end_in_reactor(self) -> None:
        """`end`, and what follows: in the reactor's thread, for a session that has run in its own."""
        connection = self.connection
        if connection.owner is not self:
            return  # it has ended before its session
        try:
            self.end()
            connection.owner = None
            if connection.state != CLOSED:
                connection.busy = False
                connection.advance()
        except Exception:
            logger.exception("a connection failed behind its session")
            connection.close("internal error")

    # -- the session's part (see `Transport`)

    def send(self, data: bytes) -> bool:
        """See `Transport.send`."""
        if self._shares:
            with self.lock:
                return self._send(data)
        return self._send(data)

    def pause(self, paused: bool) -> None:
        """See `Transport.pause`."""
        with self.lock:
            if paused is not self._paused:
                self._paused = paused
                self._settle()

    def abort(self, reason: str) -> None:
        """See `Transport.abort`."""
        with self.lock:
            if not self._is_over:
                self.connection.close(reason)

    # -- the engine's part, in the reactor's thread

    def on_event(self, events: int) -> None:
        """The descriptor is ready."""
        if self._shares:
            with self.lock:
                self._take(events)
        else:
            self._take(events)

    def on_deadline(self) -> None:
        """The session's deadline has come, or the peer has not taken what is to be sent in time."""
        with self.lock:
            now = monotonic()
            if self._is_over:
                return
            if now >= self._write_by:
                self.connection.close("writing timeout")
            elif now >= self._session.deadline:
                self._session.due(now)
                self._settle()

    def on_close(self) -> None:
        """The connection is being closed."""
        with self.lock:
            if not self._is_over:
                self._is_over = True
                if self._has_begun:
                    self._session.lost()
                self._tell(ClientDisconnected("the client has left"))

    def begin_drain(self) -> None:
        """The server stops."""
        with self.lock:
            if self._has_begun and not self._is_over:
                self._session.drain()
                self._settle()

    def _send(self, data: bytes) -> bool:
        if self._is_over:
            return False
        connection = self.connection
        has_room = connection.push(data)
        if has_room and self._write_by == inf and connection.flush():  # all is sent: what is watched for stays as it is
            if not self._in_event:
                connection.deadline = self._session.deadline
            return True
        self._settle()
        self._is_full = not (has_room or self._is_over or self._write_by == inf)
        return not self._is_full

    def _take(self, events: int) -> None:
        connection = self.connection
        if self._is_over:
            return
        if not self._has_begun:
            self._reactor.change_interest(connection, 0)  # until it has: `_settle`
            return
        if events & WRITE:
            self._write_by = inf  # it takes something; set anew if that is not all
        if self._has_ended:
            if events & (ERROR | HANGUP):
                connection.close("client left")
        elif events & ~WRITE:
            self._in_event = True
            try:
                self._receive()
            finally:
                self._in_event = False
        self._settle()

    def _take_rest(self) -> None:
        rest = self.connection.reader.take_rest()
        if rest:
            self._session.received(rest, monotonic())

    def _receive(self) -> None:
        data = self.connection.receive()
        if data is not None:
            hub = self._reactor
            self._has_ended = not data
            self._session.received(data, hub.now)

    def _settle(self) -> None:
        """Watches the connection for what it now waits for, until what is now due."""
        if self._is_over:
            return
        connection = self.connection
        if connection.flush():
            self._write_by = inf
            if self._is_full:
                self._is_full = False
                self._session.writable()  # which may come back here, to send or to read on
        elif self._write_by == inf:
            self._write_by = monotonic() + self._reactor.timeouts.write
        if not self._is_over:  # the flush may have found the peer gone
            interest = 0 if self._paused or self._has_ended else READ
            if self._write_by != inf:
                interest |= WRITE
            connection.deadline = min(self._write_by, self._session.deadline)
            if connection.interest != interest:
                self._reactor.change_interest(connection, interest)


async def run(reactor: Any, connection: Connection, request: Request, endpoint: Endpoint, session: Session) -> None:
    """Runs a session whose `run` is a coroutine, in the Task that has answered with it."""
    takeover = Takeover(reactor, connection, session, request, endpoint)
    takeover.begin()
    await session.run()
    takeover.end()


def start(reactor: Any, connection: Connection, response: Response) -> bool:
    """Starts the thread of a session whose `run` is a function. Always False: the connection is no more the caller's.

    What a coroutine answers with is its Task's affair.
    """
    session: Any = response.body
    if isinstance(session, Feed):
        from firstbyte.engine.feed import FeedSession, FeedTakeover  # which knows this module

        response.body = iter(())  # the feed is its thread's to close
        session = FeedSession(session)
        takeover: Takeover = FeedTakeover(reactor, connection, session)
    elif getattr(session, "is_async", True):
        return False
    else:
        takeover = Takeover(reactor, connection, session)

    def run_and_end() -> None:
        try:
            takeover.begin()
            session.run()
        except Exception:
            logger.exception("a session failed in its thread")
            takeover.abort("internal error")
        reactor.submit(takeover.end_in_reactor)

    try:
        reactor.driver.start_apart(run_and_end, partial(takeover.abort, "server stopped"))
    except RuntimeError:
        logger.exception("no thread for a session can be started")
        session.abandon()
        connection.owner = None
        connection.close("no thread")
    return False

"""A bounded number of threads that take work in its order, each started when it is first needed."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING

from firstbyte._lazy import lazy_logger
from firstbyte.engine.hub import Driver

if TYPE_CHECKING:
    from firstbyte.engine.connection import Connection

logger = lazy_logger("firstbyte.engine")

STOP = 0.5  # seconds that threads which run no handler have to end when the server stops

Work = tuple["Connection | None", Callable[..., None], tuple[object, ...]]


class Worker:
    """One thread: the leader of a reactor, one that runs a handler, or one that waits for either."""

    __slots__ = ("baton", "thread", "token")

    def __init__(self) -> None:
        self.baton = threading.Lock()  # held while there is nothing to do; released by the one who gives it something
        self.baton.acquire()
        # Not empty while an inline handler runs that may still lose the wheel: who pops it has it. A list with room for
        # one keeps that room when it becomes empty; one that has grown would give it back, for every request.
        self.token: list[object] = [None]
        self.token.pop()
        self.thread: threading.Thread


class Pool(Driver):
    """What drivers have of threads: at most `limit`, and the work that waits for one of them."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._workers: list[Worker] = []
        self._idle: list[Worker] = []  # a stack: the thread that ran last is the warmest
        self._backlog: deque[Work] = deque()
        self._apart: dict[threading.Thread, Callable[[], None]] = {}  # those with work of their own, and what ends it
        self._stopping = False

    @property
    def busy(self) -> int:
        """Number of threads that are in handlers."""
        return len(self._workers) - len(self._idle)

    @property
    def unfinished(self) -> int:
        """Number of handlers that run although their answers are sent, or with their own threads."""
        return len(self._apart)

    @property
    def waiting(self) -> int:
        """Number of requests that wait for a thread."""
        return len(self._backlog)

    def leave(self, connection: Connection | None, work: Callable[..., None], *arguments: object) -> None:
        """Leaves work, for `connection` if it is for one, for the next free thread; none is started for it."""
        self._backlog.append((connection, work, arguments))
        self._rouse()  # a thread may have come free just now and not have seen it

    def give(self, connection: Connection | None, work: Callable[..., None], *arguments: object) -> None:
        """See `Driver.give`: for an idle thread, or a new one while there are fewer than the limit."""
        if self._stopping:
            work(*arguments)  # nobody else will
            return
        self._backlog.append((connection, work, arguments))
        worker = self._follower()
        if worker is not None:
            worker.baton.release()

    def start_apart(self, work: Callable[[], None], end: Callable[[], None]) -> None:
        """See `Driver.start_apart`."""

        def run() -> None:
            try:
                work()
            except Exception:
                logger.exception("work failed in its thread")
            finally:
                del self._apart[thread]

        thread = threading.Thread(target=run, name="firstbyte-session", daemon=True)
        self._apart[thread] = end
        try:
            thread.start()
        except RuntimeError:
            del self._apart[thread]
            raise

    def end_threads(self) -> bool:
        """Ends every thread that is not in a handler; those are left to end with the process. True if none is left."""
        self._stopping = True
        for worker in self._workers:
            try:
                worker.baton.release()
            except RuntimeError:
                pass  # it holds no wait: it runs
        until = monotonic() + STOP
        for worker in self._workers:
            worker.thread.join(max(0.0, until - monotonic()))  # first: nobody else is to touch a connection that ends
        threads = [worker.thread for worker in self._workers]
        for thread, end in list(self._apart.items()):
            end()
            threads.append(thread)
        for thread in threads:
            thread.join(max(0.0, until - monotonic()))
        return not any(thread.is_alive() for thread in threads)

    def _follower(self) -> Worker | None:
        """A thread that waits for its baton, taken off the idle ones or new; None if every thread is busy."""
        try:
            return self._idle.pop()
        except IndexError:
            if len(self._workers) >= self._limit:
                return None
        worker = Worker()
        worker.thread = threading.Thread(
            target=self._work, args=(worker,), name=f"firstbyte-{len(self._workers) + 1}", daemon=True
        )
        try:
            worker.thread.start()
        except RuntimeError:
            logger.exception("no thread beyond %d can be started", len(self._workers))
            return None
        self._workers.append(worker)
        return worker

    def _rouse(self) -> None:
        """Has an idle thread, if there is one, look at the backlog."""
        try:
            worker = self._idle.pop()
        except IndexError:
            return
        worker.baton.release()

    def _lead(self, me: Worker) -> None:
        """What a thread does before it looks at the backlog; a driver whose threads lead has something to do here."""

    def _work(self, me: Worker) -> None:
        me.baton.acquire()
        while not self._stopping:
            self._lead(me)
            while self._backlog:
                try:
                    connection, work, arguments = self._backlog.popleft()
                except IndexError:
                    break
                try:
                    work(*arguments)
                except BaseException:  # a thread that ended here would be missed by all who count on it
                    logger.exception("a connection failed in its thread")
                    if connection is not None:
                        connection.close("internal error")
            self._idle.append(me)
            if self._backlog or self._stopping:
                # Left between the look above and going idle: take it, unless someone has just picked this thread.
                try:
                    self._idle.remove(me)
                    continue
                except ValueError:
                    pass
            me.baton.acquire()

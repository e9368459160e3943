"""A worker: a process that a supervisor has forked, which imports the app and serves it on the sockets it was given."""

from __future__ import annotations

import atexit
import os
import random
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, NoReturn

import msgspec

from firstbyte._lazy import lazy_logger
from firstbyte.engine.channel import Ask, Channel, Closed, Drain, Failed, Figures, Ready, Reopen, Retire, ToWorker
from firstbyte.engine.connection import Connection
from firstbyte.engine.observer import Observer
from firstbyte.engine.server import Server
from firstbyte.errors import AppLoadError, ConfigurationError, StartupError
from firstbyte.http.handler import Handler
from firstbyte.http.request import Request

logger = lazy_logger("firstbyte.engine")

JITTER = 0.1  # of max_requests: workers that started together are not replaced together


@dataclass(frozen=True)
class Plan:
    """What a worker is to do.

    `load` gives the handler; it is called in the worker alone. `options` are the Server's. After `max_requests`, and up
    to a tenth more, the worker asks to be replaced; 0 for never. `reopen` is called when log files have been moved, and
    `close` at the worker's end. `figures` gives what the worker is to add to its own, as anything that msgspec can
    encode; `add_ended` is called in the supervisor to add the last of those to what other ended workers have left.
    """

    load: Callable[[], Handler]
    options: Mapping[str, Any] = field(default_factory=dict)
    max_requests: int = 0
    reopen: Callable[[], None] | None = None
    close: Callable[[], None] | None = None
    figures: Callable[[Server], object] | None = None
    add_ended: Callable[[msgspec.Raw, msgspec.Raw], msgspec.Raw] | None = None


def fork(plan: Plan, sockets: Sequence[socket.socket], abandon: Callable[[], None]) -> tuple[int, socket.socket]:
    """Starts a worker: its process id, and a socket that leads to it.

    `abandon` is called in the child, to close what is the parent's alone. Raises OSError if there is no process left.
    """
    ours, theirs = socket.socketpair()
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # none may run the supervisor's handler in the child
    try:
        pid = os.fork()
        if pid == 0:
            try:
                ours.close()
                signal.set_wakeup_fd(-1)
                for number in SIGNALS:
                    signal.signal(number, signal.SIG_DFL if number in _BY_DEFAULT else note)
                signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
                abandon()
                run(theirs, sockets, plan)
            finally:
                os._exit(1)  # whatever happens: the stack above is the supervisor's, and must not be unwound
    except OSError:
        ours.close()
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        theirs.close()
    return pid, ours


def run(sock: socket.socket, sockets: Sequence[socket.socket], plan: Plan) -> NoReturn:
    """Is the worker, from the fork to its end. `sock` leads to the supervisor."""
    code = 1
    try:
        atexit._clear()  # those are the supervisor's, and its business
        code = Worker(Channel(sock, ToWorker), plan).run(sockets)
        for thread in threading.enumerate():
            if not thread.daemon and thread is not threading.current_thread():
                thread.join()
        if plan.close is not None:
            plan.close()
        atexit._run_exitfuncs()
    except BaseException:
        logger.exception("a worker failed")
        code = 1
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):
                pass  # nobody reads what it says any more
        os._exit(code)


class Worker:
    """Serves until the supervisor says that it is enough, or is no more."""

    def __init__(self, channel: Channel, plan: Plan) -> None:
        self._channel = channel
        self._plan = plan
        limit = plan.max_requests
        self._counter = _Counter(self.retire, limit and limit + random.randrange(int(limit * JITTER) + 1))  # noqa: S311
        self._server: Server

    def run(self, sockets: Sequence[socket.socket]) -> int:
        """Returns the exit code."""
        options = dict(self._plan.options)
        options["observers"] = [self._counter, *options.get("observers", ())]
        try:
            self._server = Server(self._plan.load(), sockets=sockets, shared=True, **options)
            self._server.bind()
        except (Exception, SystemExit) as error:
            self._channel.send(_explained(error))
            self._channel.flush_patiently()
            return 1
        reactor = self._server.reactor
        signal.signal(signal.SIGTERM, self._on_signal)
        reactor.watch_source(self._channel.fileno, self)
        reactor.submit(lambda: self._channel.send(Ready()))
        try:
            self._server.run(signals=False)
        except StartupError as error:
            self._channel.send(_explained(error))
            self._channel.flush_patiently()
            return 1
        self._tell_figures()
        return 0

    def retire(self, reason: str) -> None:
        """Asks for another worker in this one's place; from any thread."""
        self._server.reactor.submit(lambda: self._channel.send(Retire(reason)))

    def on_event(self, events: int) -> None:
        """Does what the supervisor says; see `reactor.Source`."""
        for message in self._channel.receive():
            match message:
                case Drain():
                    if message.last:
                        self._server.take_rest()
                    self._server.stop(message.seconds)
                    self._server.reactor.submit(lambda: self._channel.send(Closed()))  # after the stop has begun
                case Ask():
                    self._tell_figures()
                case Reopen() if self._plan.reopen is not None:
                    self._plan.reopen()
        if self._channel.closed:
            self._server.reactor.ignore_source(self._channel.fileno)
            logger.error("the supervisor of worker %d is gone: the worker finishes what runs, and ends", os.getpid())
            self._server.stop()

    def _tell_figures(self) -> None:
        server = self._server
        details = None if self._plan.figures is None else self._plan.figures(server)
        figures = Figures(
            requests=self._counter.requests,
            connections=server.reactor.open,
            busy=server.busy,
            waiting=server.waiting,
            details=msgspec.Raw(msgspec.json.encode(details)),
        )
        self._channel.send(figures)
        self._channel.flush_patiently()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.retire("SIGTERM")


class _Counter(Observer):
    """Counts requests, and says when they have been enough (0: never)."""

    def __init__(self, enough: Callable[[str], None], limit: int) -> None:
        self.requests = 0
        self._enough = enough
        self._limit = limit

    def head(self, connection: Connection, request: Request) -> None:
        """Counts one."""
        self.requests += 1  # in one thread or another; CPython does not switch between them within this line
        if 0 < self._limit <= self.requests:
            self._limit = 0
            self._enough(f"it has had {self.requests} requests")


def _explained(error: BaseException) -> Failed:
    """Why the worker cannot serve. What the developer can mend in a line has no traceback but its own."""
    if isinstance(error, ConfigurationError):
        return Failed(str(error), error.traceback if isinstance(error, AppLoadError) else "")
    text = "".join(traceback.format_exception(error))
    return Failed(f"{type(error).__name__}: {error}", text[-(1 << 16) :])


def note(number: int, frame: FrameType | None) -> None:
    """Does nothing: the supervisor reads of signals in its loop, and workers leave most to it.

    Not SIG_IGN, since what is ignored stays so in the programs that an app starts.
    """


SIGNALS = tuple(
    getattr(signal, name)
    for name in ("SIGCHLD", "SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1")
    if hasattr(signal, name)
)
_BY_DEFAULT = {getattr(signal, name) for name in ("SIGCHLD", "SIGTERM") if hasattr(signal, name)}

"""The supervisor: a process of one thread that owns the listening sockets, and keeps workers serving on them.

It never imports the app. Workers are forked and inherit the sockets: whichever of them accepts next has the client, so
that a worker's end, planned or not, leaves everyone who still waits in the sockets' queues to the others. A generation
of workers is replaced by the next once all of that are ready; a single one by another once that is.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Sequence
from math import inf
from pathlib import Path
from time import monotonic

import msgspec

from firstbyte._lazy import lazy_logger
from firstbyte.engine import worker
from firstbyte.engine.channel import Ask, Channel, Closed, Failed, Figures, FromWorker, Ready, Reopen, Retire, Sources
from firstbyte.engine.control import ControlServer, GetStatus, Reloaded, Request, Status
from firstbyte.engine.listener import address_of
from firstbyte.engine.slots import (
    DRAINING,
    GRACE,
    READY,
    STARTING,
    Process,
    Slot,
    how_it_ended,
    resident_memory,
)  # fmt: skip
from firstbyte.engine.systemd import Notifier
from firstbyte.engine.timeouts import Timeouts
from firstbyte.engine.worker import Plan
from firstbyte.errors import AppLoadError, ConfigurationError

logger = lazy_logger("firstbyte.engine")

QUICK = 1.0  # seconds that handlers have when the server is asked to stop quickly
ANSWER = 1.0  # seconds that a worker has to tell its figures
CHECK = 1.0  # seconds between two looks at how much memory the workers hold
PROCESSES = 8  # for each slot, those that drain included, beyond which new ones wait for some to end
ROOM = 0.2  # seconds between two looks at whether there is room for another

STOPPING = "the server is stopping"


class Supervisor:
    """Runs `workers` processes that do what `plan` says on `sockets`, which listen.

    A worker that holds more than `max_rss` bytes is replaced (0: never). `control` is the path of the control socket,
    None for one of its own choice. `companions` are slots of workers that do something else beside these. With
    `keeps_sockets`, someone else has the sockets too: a stop leaves them as they are, with those who wait there. Raises
    ConfigurationError where processes cannot be forked.
    """

    def __init__(
        self,
        plan: Plan,
        sockets: Sequence[socket.socket],
        workers: int = 1,
        *,
        max_rss: int = 0,
        control: Path | None = None,
        companions: Sequence[Slot] = (),
        keeps_sockets: bool = False,
        notifier: Notifier | None = None,
        timeouts: Timeouts | None = None,
    ) -> None:
        if not hasattr(os, "fork"):
            raise ConfigurationError("this system cannot fork processes: serve with --workers 1")
        if max_rss and resident_memory(os.getpid()) is None:
            raise ConfigurationError("--max-rss needs /proc to tell how much memory a worker holds")
        if workers < 1:
            raise ValueError(f"the number of workers is {workers}: there must be at least one")
        self._plan = plan
        self.addresses = [address_of(sock.getsockname()) for sock in sockets]
        self._max_rss = max_rss
        self._check_at = monotonic() + CHECK if max_rss else inf
        self._control_path = control
        self._timeouts = timeouts or Timeouts()
        self._keeps_sockets = keeps_sockets
        self._notifier = notifier or Notifier()
        self.companions = companions
        self._slots = [*(Slot(str(index), plan, sockets) for index in range(1, workers + 1)), *companions]
        self._sockets = {sock for slot in self._slots for sock in slot.inherits}
        self._processes: dict[int, Process] = {}  # by process id
        self._generation = 0  # that serves; the next one is being started while there is a reload
        self._reload: _Reload | None = None
        self._reload_again: list[Channel] | None = None  # who asked while one was under way
        self._questions: list[_Question] = []
        self._started = monotonic()
        self._restarts = 0
        self._ended_requests = 0
        self._past = msgspec.Raw(b"null")  # the details of ended workers, added up
        self._problem = ""
        self._stops = 0  # how often it was asked to stop
        self._failure: AppLoadError | None = None  # of the first generation
        self._sources = Sources()

    def run(self, started: Callable[[], None] = lambda: None) -> None:
        """Serves until it is told to stop and every worker has ended. `started` is called when the first are ready.

        Raises AppLoadError if they never are; only in the main thread.
        """
        self._control = ControlServer(self._control_path, self.addresses[0], self._sources, self._on_request)
        self._wake_read, self._wake_write = socket.socketpair()
        self._wake_read.setblocking(False)
        self._wake_write.setblocking(False)
        self._sources.watch(self._wake_read.fileno(), self._on_signals)
        previous = {number: signal.signal(number, worker.note) for number in worker.SIGNALS}
        previous_fd = signal.set_wakeup_fd(self._wake_write.fileno(), warn_on_full_buffer=False)
        self._started_hook = started
        try:
            self._begin_generation([])
            while self._processes or not self._stops:
                self._turn()
        finally:
            signal.set_wakeup_fd(previous_fd)
            for number, handler in previous.items():
                signal.signal(number, handler)
            for process in self._processes.values():  # if this has failed itself, they see it and drain
                process.channel.close()
            for sock in (*self._sockets, self._wake_read, self._wake_write):
                sock.close()
            self._control.close()
        if self._failure is not None:
            raise self._failure

    @property
    def control_path(self) -> Path:
        """Where the control socket is, while it runs."""
        return self._control.path

    def reload(self) -> None:
        """Replaces all workers by new ones, if those come up; from a signal handler or the same thread."""
        self._ask_reload(None)

    def stop(self, seconds: float | None = None) -> None:
        """Ends the workers when what runs has ended, or after `seconds` (default: Timeouts.drain)."""
        self._stop(self._timeouts.drain if seconds is None else seconds)

    # -- the loop

    def _turn(self) -> None:
        """Waits until something happens or is due, and deals with it."""
        self._sources.turn(self._patience())
        now = monotonic()
        for process in list(self._processes.values()):
            if process.deadline <= now:
                self._overdue(process)
        for slot in self._slots:
            if slot.retry_at and slot.retry_at <= now and slot.successor is None:
                if slot.worker is None or self._has_room():
                    slot.retry_at = 0.0
                    self._start(slot, self._generation)
                else:
                    slot.retry_at = now + ROOM
        for question in list(self._questions):
            if not question.waits_for or question.until <= now:
                self._questions.remove(question)
                self._answer(question)
        if self._reload is not None and self._reload.settled_by < inf:
            self._settle_reload(self._reload)
        if self._check_at <= now:
            self._check_at = now + CHECK
            self._check_memory()
        if self._reload_again is not None and self._reload is None and self._has_room():
            clients, self._reload_again = self._reload_again, None
            self._begin_generation(clients)

    def _patience(self) -> float:
        """Seconds until something is due."""
        due = [process.deadline for process in self._processes.values()]
        due += [slot.retry_at for slot in self._slots if slot.retry_at and slot.successor is None]
        due += [question.until for question in self._questions]
        if self._reload is not None:
            due.append(self._reload.settled_by)
        return min(self._check_at, *due, inf) - monotonic()

    # -- workers

    def _start(self, slot: Slot, generation: int) -> None:
        """Forks a worker, which is to take the slot when it is ready."""
        try:
            pid, sock = worker.fork(slot.plan, slot.sockets, lambda: self._abandon(slot))
        except OSError as error:
            self._cannot_start(slot, generation, error)
            return
        channel = Channel(sock, FromWorker)
        process = Process(pid, channel, slot, generation, monotonic() + self._timeouts.start)
        slot.successor = self._processes[pid] = process
        self._sources.watch(channel.fileno, lambda events: self._hear(process))

    def _cannot_start(self, slot: Slot, generation: int, error: OSError) -> None:
        """The system has no process or descriptor left: a worker that is missing is tried again, a reload fails."""
        reason = f"no worker can be started: {error.strerror}"
        if self._reload is not None and self._reload.waits_for(generation):
            self._fail_reload(self._reload, reason, "")
        else:
            self._problem = reason
            logger.error("%s; tried again in %.1f s", reason, slot.retry_later(0))

    def _abandon(self, slot: Slot) -> None:
        """What the child does with the supervisor's: it closes everything but the sockets that it is to serve."""
        for process in self._processes.values():
            process.channel.close()
        self._control.abandon()
        self._wake_read.close()
        self._wake_write.close()
        for sock in self._sockets - slot.inherits:
            sock.close()

    def _hear(self, process: Process) -> None:
        """A worker has said something, or its end of the channel is closed: then it is ending, and will be reaped."""
        for message in process.channel.receive():
            match message:
                case Ready():
                    self._on_ready(process)
                case Failed():
                    process.why, process.traceback = message.reason, message.traceback
                case Closed():
                    process.accepts = False
                case Retire():
                    self._replace(process, message.reason)
                case Figures():
                    process.figures, process.asked = message, False
                    for question in self._questions:
                        question.waits_for.discard(process.pid)
        if process.channel.closed and process.channel.fileno in self._sources:
            self._sources.ignore(process.channel.fileno)
            process.deadline = min(process.deadline, monotonic() + GRACE)  # it ends, or is of no use

    def _on_ready(self, process: Process) -> None:
        if process.state != STARTING:
            return
        process.state = READY
        process.ready_at = monotonic()
        process.accepts = True
        process.deadline = inf
        reload = self._reload
        if reload is None or not reload.waits_for(process.generation):
            self._promote(process.slot)
        elif all(slot.successor is not None and slot.successor.state == READY for slot in self._slots):
            for slot in self._slots:
                self._promote(slot)
            self._generation = reload.generation
            reload.settled_by = monotonic() + ANSWER

    def _promote(self, slot: Slot) -> None:
        """Lets the successor serve alone: it is ready, so that nobody waits."""
        old = slot.promote()
        if old is not None:
            old.drain(self._timeouts.drain)
        if self._reload is None:
            self._problem = ""

    def _replace(self, process: Process, reason: str) -> None:
        """Starts another worker in the place of one that serves, which drains when that is ready."""
        if process.slot.worker is process and not process.retiring and not self._stops:
            process.retiring = True
            logger.info("worker %d is replaced: %s", process.pid, reason)
            process.slot.retry_at = monotonic()

    def _overdue(self, process: Process) -> None:
        if process.state == STARTING:
            process.why = f"it was not ready within {self._timeouts.start:g} s (--timeout-start)"
        elif not self._stops or process.state != DRAINING:
            logger.warning("worker %d did not end in time: it is killed with what it does", process.pid)
        process.deadline = inf
        process.send_signal(signal.SIGKILL)

    def _reap(self) -> None:
        """Takes leave of the workers that have ended."""
        for process in list(self._processes.values()):
            pid, status = os.waitpid(process.pid, os.WNOHANG)
            if pid:
                self._hear(process)  # what it said last
                if process.channel.fileno in self._sources:
                    self._sources.ignore(process.channel.fileno)
                process.channel.close()
                del self._processes[pid]
                for question in self._questions:
                    question.waits_for.discard(pid)
                self._keep_figures(process)
                self._on_end(process, how_it_ended(status))

    def _keep_figures(self, process: Process) -> None:
        """Adds what an ended worker has told last to the figures of those before it: totals must not fall."""
        if process.figures is not None:
            add_ended = process.slot.plan.add_ended
            if add_ended is not None:
                self._past = add_ended(self._past, process.figures.details)
            self._ended_requests += process.figures.requests

    def _on_end(self, process: Process, how: str) -> None:
        slot = process.slot
        if slot.successor is process:
            slot.successor = None
        elif slot.worker is process:
            slot.worker = None
        if self._stops and all(each.slot.outlives for each in self._processes.values()):
            for each in self._processes.values():
                each.drain(QUICK, last=each.state == READY)
        if process.state == DRAINING or self._stops:
            return
        lived = monotonic() - process.ready_at if process.ready_at else 0.0
        if process.state == STARTING:
            reason = process.why or f"worker {process.pid} {how} before it was ready"
        else:
            reason = f"worker {process.pid} {how}, after {lived:.0f} s"
            self._restarts += 1
        self._problem = reason
        if self._reload is not None and self._reload.waits_for(process.generation):
            self._fail_reload(self._reload, reason, process.traceback)
            return
        delay = slot.retry_later(lived)
        if slot.successor is None:
            logger.error("%s%s; another one is started in %.1f s", process.traceback, reason, delay)
        else:
            slot.retry_at = 0.0
            logger.error("%s; another one is being started", reason)

    def _check_memory(self) -> None:
        for slot in self._slots:
            if slot.worker is not None and slot.successor is None:
                held = resident_memory(slot.worker.pid) or 0
                if held > self._max_rss:
                    self._replace(slot.worker, f"it holds {held >> 20} MiB of memory")

    # -- generations

    def _ask_reload(self, client: Channel | None) -> None:
        """Reloads now, or after the reload that is under way: that may have read what has changed since."""
        self._reload_again = (self._reload_again or []) + ([client] if client is not None else [])

    def _has_room(self) -> bool:
        return len(self._processes) < PROCESSES * len(self._slots)

    def _begin_generation(self, clients: list[Channel]) -> None:
        if self._stops:
            return
        generation = self._generation + 1
        self._reload = reload = _Reload(generation, clients)
        if generation > 1:
            self._notifier.reloading()
        for slot in self._slots:
            if slot.successor is not None:
                slot.successor.drain(0)
            slot.retry_at = 0.0
            self._start(slot, generation)
            if self._reload is not reload:
                return  # it has failed already

    def _settle_reload(self, reload: _Reload) -> None:
        """All new workers serve. It is done when they alone do, so that whoever comes after it meets the new code."""
        old = [each for each in self._processes.values() if each.accepts and each.generation < reload.generation]
        if old and monotonic() < reload.settled_by:
            return
        self._problem = ""
        self._notifier.ready(f"serving, generation {reload.generation}")
        if reload.generation == 1:
            self._started_hook()
        else:
            logger.info("reloaded in %.1f s: generation %d", monotonic() - reload.began, reload.generation)
        self._end_reload(reload, "")

    def _fail_reload(self, reload: _Reload, reason: str, traceback: str) -> None:
        """A new worker has not come up: those that have go again, and the old ones stay."""
        is_first = reload.generation == 1
        for slot in self._slots:
            if slot.successor is not None:
                slot.successor.drain(self._timeouts.drain)
                slot.successor = None
            if not is_first and (slot.worker is None or slot.worker.retiring):
                slot.retry_later(0)
        self._end_reload(reload, reason, traceback)
        if is_first:
            self._failure = AppLoadError(reason, traceback)
            self._stop(0)
        else:
            self._problem = f"the reload failed: {reason}"
            self._notifier.ready(self._problem)
            logger.error("%sthe reload failed, the old workers go on: %s", traceback, reason)

    def _end_reload(self, reload: _Reload, reason: str, traceback: str = "") -> None:
        self._reload = None
        for client in reload.clients:
            self._control.reply(client, Reloaded(reload.generation, monotonic() - reload.began, reason, traceback))

    # -- signals

    def _on_signals(self, events: int) -> None:
        try:
            numbers = self._wake_read.recv(4096)
        except BlockingIOError:
            return
        for number in numbers:
            match number:
                case signal.SIGCHLD:
                    self._reap()
                case signal.SIGHUP:
                    self.reload()
                case signal.SIGUSR1:
                    self._reopen()
                case signal.SIGTERM:
                    self._stop(self._timeouts.drain)
                case signal.SIGINT | signal.SIGQUIT:
                    self._stop(QUICK)

    def _reopen(self) -> None:
        """Has everyone open their log files anew."""
        if self._plan.reopen is not None:
            self._plan.reopen()
        for process in self._processes.values():
            process.channel.send(Reopen())

    def _stop(self, seconds: float) -> None:
        """Stops; at once if it was asked to before."""
        self._stops += 1
        if self._stops > 1:
            for process in self._processes.values():
                process.kill()
            return
        if self._failure is None:
            logger.info("stopping: finishing what runs, at most %.0f s; again to stop at once", seconds)
        self._notifier.stopping()
        for process in self._processes.values():
            if not process.slot.outlives:
                process.drain(seconds, last=process.state == READY and not self._keeps_sockets)
        for slot in self._slots:
            slot.retry_at = 0.0
        for sock in self._sockets:
            sock.close()
        for address in self.addresses:
            if not address.port and address.host and not self._keeps_sockets:
                Path(address.host).unlink(missing_ok=True)
        reload, self._reload = self._reload, None
        for client in [*(reload.clients if reload is not None else ()), *(self._reload_again or ())]:
            self._control.reply(client, Reloaded(self._generation, 0.0, STOPPING))
        self._reload_again = None

    # -- the control socket

    def _on_request(self, client: Channel, message: Request) -> None:
        if isinstance(message, GetStatus):
            self._questions.append(self._ask_figures(client))
        elif self._stops:
            self._control.reply(client, Reloaded(self._generation, 0.0, STOPPING))
        else:
            self._ask_reload(client)

    def _ask_figures(self, client: Channel) -> _Question:
        """Asks every worker that serves, unless it owes an answer already."""
        serving = [process for process in self._processes.values() if process.ready_at]
        for process in serving:
            if not process.asked:
                process.asked = True
                process.channel.send(Ask())
        return _Question(client, {process.pid for process in serving})

    def _answer(self, question: _Question) -> None:
        processes = sorted(
            self._processes.values(), key=lambda each: (self._slots.index(each.slot), each.generation, each.pid)
        )
        scheme = "http" if self._plan.options.get("tls") is None else "https"
        status = Status(
            pid=os.getpid(),
            generation=self._generation,
            addresses=[f"{scheme}://{each}" if each.port else f"unix:{each.host}" for each in self.addresses],
            uptime=monotonic() - self._started,
            restarts=self._restarts,
            ended_requests=self._ended_requests,
            problem=self._problem,
            stopping=self._stops > 0,
            past=self._past,
            workers=[process.status() for process in processes],
        )
        self._control.reply(question.client, status)


class _Reload:
    """A generation that is being started, and who wants to hear how it went."""

    def __init__(self, generation: int, clients: list[Channel]) -> None:
        self.generation = generation
        self.clients = clients
        self.began = monotonic()
        self.settled_by = inf  # when it ends even if an old worker does not say that it accepts no more

    def waits_for(self, generation: int) -> bool:
        """Whether it can go wrong with a worker of that generation."""
        return self.settled_by == inf and generation == self.generation


class _Question:
    """A client that waits for the figures of workers."""

    def __init__(self, client: Channel, waits_for: set[int]) -> None:
        self.client = client
        self.waits_for = waits_for  # process ids
        self.until = monotonic() + ANSWER

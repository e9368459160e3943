"""What a supervisor knows of its workers: each process, and the slots that they fill."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Sequence
from pathlib import Path
from time import monotonic

from firstbyte.engine.channel import Channel, Drain, Figures
from firstbyte.engine.control import WorkerStatus
from firstbyte.engine.worker import Plan

STARTING, READY, DRAINING = "starting", "ready", "draining"

SHORTEST, LONGEST = 0.1, 10.0  # seconds until a worker that crashed is replaced: doubled each time
SETTLED = 10.0  # seconds that a worker must have served for its slot to begin again with the shortest
FOREVER = 1e9  # seconds, for what JSON cannot say
GRACE = 1.0  # seconds beyond its deadline that a worker has to end by itself


class Process:
    """One worker, as the supervisor sees it."""

    def __init__(self, pid: int, channel: Channel, slot: Slot, generation: int, start_by: float) -> None:
        self.pid = pid
        self.channel = channel
        self.slot = slot
        self.generation = generation
        self.state = STARTING
        self.started = monotonic()
        self.ready_at = 0.0
        self.accepts = False
        self.deadline = start_by  # monotonic time at which it is killed; inf while it serves
        self.why = ""  # it failed to start, or is about to be killed
        self.traceback = ""
        self.figures: Figures | None = None  # the last that came
        self.asked = False  # and has not answered yet
        self.retiring = False  # it has asked for another in its place

    def status(self) -> WorkerStatus:
        """It, for `firstbyte status`."""
        status = WorkerStatus(
            slot=self.slot.name,
            pid=self.pid,
            generation=self.generation,
            state=self.state,
            uptime=monotonic() - self.started,
            rss=resident_memory(self.pid),
            cpu=cpu_seconds(self.pid),
        )
        figures = self.figures
        if figures is not None and not self.asked:
            status.requests = figures.requests
            status.connections = figures.connections
            status.busy = figures.busy
            status.waiting = figures.waiting
            status.details = figures.details
        return status

    def drain(self, seconds: float, last: bool = False) -> None:
        """Has it finish what it does, within `seconds`; one that still imports its app ends at once."""
        if self.state == STARTING:
            self.send_signal(signal.SIGTERM)  # has no effect beside the message's once it may have accepted a client
        self.deadline = min(self.deadline, monotonic() + seconds + GRACE)
        self.state = DRAINING
        self.channel.send(Drain(min(seconds, FOREVER), last))

    def kill(self) -> None:
        """Ends it at once."""
        self.state = DRAINING  # so that its end surprises nobody
        self.send_signal(signal.SIGKILL)

    def send_signal(self, number: int) -> None:
        """Sends a signal to the process, which is ours until it is reaped."""
        os.kill(self.pid, number)


class Slot:
    """A place for one worker that serves, and for the one that is to take over from it; what they do, and where."""

    def __init__(self, name: str, plan: Plan, sockets: Sequence[socket.socket], outlives: bool = False) -> None:
        self.name = name
        self.plan = plan
        self.sockets = list(sockets)
        self.inherits = {*sockets, *plan.options.get("plain_sockets", ())}
        self.outlives = outlives  # it is stopped when the workers of all other slots have ended
        self.worker: Process | None = None
        self.successor: Process | None = None  # being started; ready, while it waits for those of other slots
        self.retry_at = 0.0  # monotonic time at which a new worker is to be started; 0 if none is
        self._failures = 0

    def promote(self) -> Process | None:
        """Puts the successor in the worker's place; the worker that was."""
        old, self.worker, self.successor = self.worker, self.successor, None
        self.retry_at = 0.0
        return old

    def retry_later(self, lived: float) -> float:
        """Notes that a worker is to be started, after one that had served for `lived` seconds; in how many seconds."""
        if lived >= SETTLED:
            self._failures = 0
        delay = min(LONGEST, SHORTEST * 2.0**self._failures)
        self._failures = min(self._failures + 1, 16)
        self.retry_at = monotonic() + delay
        return delay


def how_it_ended(status: int) -> str:
    """The end of a process, in words; `status` is `waitpid`'s."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"


def resident_memory(pid: int) -> int | None:
    """Bytes of memory that a process holds; None where the system does not tell (/proc)."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None


def cpu_seconds(pid: int) -> float | None:
    """Seconds of processor time that a process has used; None where the system does not tell (/proc)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

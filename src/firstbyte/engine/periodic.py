"""What an app does again and again, in one process of those that serve it.

Which one is decided by a lock on a file that all have inherited: the kernel frees it when its holder ends, however that
comes about. The file holds when each job last began, so that who takes over keeps the rhythm.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from functools import partial
from time import monotonic

from firstbyte._lazy import lazy_logger
from firstbyte.engine.background import Background
from firstbyte.http.services import Job, Periodic

logger = lazy_logger("firstbyte.engine")

STANDBY = 2.0  # seconds between two tries of a process that is not the one
_LONGEST = 1 << 20  # bytes of the file


class Election:
    """The one process, of those forked by the one that has made this, that may run periodic jobs."""

    def __init__(self) -> None:
        import tempfile  # here, as msgspec below: few have periodic jobs, and both take long to import

        self._file = tempfile.TemporaryFile(prefix="firstbyte-")  # noqa: SIM115 - open as long as the processes live
        self._is_won = False

    def win(self) -> bool:
        """Whether it is this process, now and until `give_up` or its end."""
        if not self._is_won:
            import fcntl  # here, since there is none on Windows, nor more than one process

            try:
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return False
            self._is_won = True
        return True

    def give_up(self) -> None:
        """Lets it be another."""
        if self._is_won:
            import fcntl

            fcntl.lockf(self._file, fcntl.LOCK_UN)
            self._is_won = False

    def close(self) -> None:
        """For a process that is none of them."""
        self._file.close()

    def read(self) -> dict[str, float]:
        """When each job last began, by its name, on the clock that all processes of the system share (monotonic)."""
        import msgspec

        data = os.pread(self._file.fileno(), _LONGEST, 0)
        return msgspec.json.decode(data, type=dict[str, float]) if data else {}

    def write(self, begun: dict[str, float]) -> None:
        """For who has won."""
        import msgspec

        data = msgspec.json.encode(begun)
        os.pwrite(self._file.fileno(), data, 0)
        os.ftruncate(self._file.fileno(), len(data))


class Schedule:
    """Begins each job once in its period, the first time after one; never while it still runs.

    Without an `election` this process is the one.
    """

    def __init__(self, jobs: Sequence[Periodic], background: Background, election: Election | None = None) -> None:
        self._jobs = {_unique(job, jobs, index): job for index, job in enumerate(jobs)}
        self._background = background
        self._election = election
        self._begun: dict[str, float] | None = None  # when each last began; known while this process is the one
        self._running: set[str] = set()
        self._changed = threading.Condition()
        self._stopping = False

    def start(self) -> None:
        """Begins, in a thread of its own, if there is something to do."""
        if self._jobs:
            threading.Thread(target=self._run, name="firstbyte-every", daemon=True).start()

    def stop(self) -> None:
        """Begins no job any more; another process may, when those that run have ended."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
            self._let_go()

    def _run(self) -> None:
        with self._changed:
            while not self._stopping:
                try:
                    wait = self._begin_due(monotonic()) if self._is_elected() else STANDBY
                except OSError:
                    logger.exception("what is to be done every so often cannot be begun now")
                    wait = STANDBY
                self._changed.wait(wait)

    def _is_elected(self) -> bool:
        if self._begun is None and (self._election is None or self._election.win()):
            self._begun = self._election.read() if self._election is not None else {}
        return self._begun is not None

    def _begin_due(self, now: float) -> float | None:
        """Begins what is due; how long it is until something else will be."""
        begun = self._begun
        assert begun is not None
        waits = []
        for name, job in self._jobs.items():
            last = begun.setdefault(name, now)
            if name in self._running:
                continue  # its end wakes the thread
            passed = now - last
            if passed >= job.seconds:
                begun[name] = last + passed // job.seconds * job.seconds  # what was missed is not made up for
                self._running.add(name)
                self._background.start(Job(job.function, after=partial(self._end, name), name=job.name))
            else:
                waits.append(job.seconds - passed)
        if self._election is not None:
            self._election.write(begun)
        return min(waits, default=None)

    def _end(self, name: str) -> None:
        with self._changed:
            self._running.discard(name)
            self._changed.notify_all()
            self._let_go()

    def _let_go(self) -> None:
        if self._stopping and not self._running and self._election is not None:
            self._election.give_up()


def _unique(job: Periodic, jobs: Sequence[Periodic], index: int) -> str:
    """A name for a job that is its own, and the same in every process."""
    return f"{job.name} {sum(each.name == job.name for each in jobs[:index])}"

"""A server's process on its core: started, weighed through /proc, and always ended.

A server and all that it starts are one session (setsid), so that the whole tree is found by its session number, also
when a parent in the middle has gone. Linux only, as all of the benchmark.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from bench.servers import ROOT

TICK = 1 / os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
GRACE = 3.0
"""Seconds a server has to end by itself before it is killed."""
# What a server finds in its environment: nothing of the user's that would set options of one peer and not of another.
PASSED_ON = ("PATH", "HOME", "LANG", "TZ")


class Process:
    """One server, pinned to `core` with all that it starts; a context manager that ends them all, however it is left.

    Both its output streams go to `log`.
    """

    def __init__(self, command: list[str], core: int, log: Path) -> None:
        self.command = ["taskset", "-c", str(core), *command]
        self.log = log
        self._popen: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Process":
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("wb") as log:
            self._popen = subprocess.Popen(
                self.command,
                cwd=ROOT,
                env=environment(os.environ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self._signal(signal.SIGTERM)
            deadline = time.monotonic() + GRACE
            while self._running() and time.monotonic() < deadline:
                time.sleep(0.02)
        finally:  # also on a second Ctrl+C while waiting
            self._signal(signal.SIGKILL)
            assert self._popen is not None
            self._popen.wait()

    @property
    def session(self) -> int:
        assert self._popen is not None, "entered first"
        return self._popen.pid

    def exit_status(self) -> int | None:
        """None while the first process runs; below 0, the signal that ended it."""
        assert self._popen is not None, "entered first"
        return self._popen.poll()

    def last_words(self, lines: int = 5) -> str:
        """The end of what it printed, or a word that it printed nothing."""
        printed = [line for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        return "\n".join(printed[-lines:]) or "(it printed nothing)"

    def cpu_seconds(self) -> float:
        """User and system time of the tree so far, children that have ended and been waited for included."""
        return sum(sum(map(int, stat[11:15])) for _, stat in tree(self.session)) * TICK

    def resident_mib(self) -> float:
        """Resident memory of the tree. Pages that processes share count once for each, as in `ps`."""
        return sum(int(stat[21]) for _, stat in tree(self.session)) * PAGE / 2**20

    def _running(self) -> bool:
        self.exit_status()  # reaps the first process, which would else stay a zombie of this session
        return any(True for _ in tree(self.session))

    def _signal(self, number: signal.Signals) -> None:
        for pid, _ in tree(self.session):
            try:
                os.kill(pid, number)
            except ProcessLookupError:  # ended between the look and the signal
                pass


def tree(session: int) -> Iterator[tuple[int, list[str]]]:
    """The processes of a session: pid, and the fields of /proc/PID/stat from the third (state) on; see proc(5)."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            text = (entry / "stat").read_text()
        except (FileNotFoundError, ProcessLookupError):  # ended meanwhile
            continue
        # The second field, the program's name, may have spaces and parentheses itself.
        fields = text.rpartition(")")[2].split()
        if int(fields[3]) == session:
            yield int(entry.name), fields


def environment(current: Mapping[str, str]) -> dict[str, str]:
    """The environment for a server: little, and firstbyte's own switches (FIRSTBYTE_PURE)."""
    return {name: value for name, value in current.items() if name in PASSED_ON or name.startswith("FIRSTBYTE_")}


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Within, SIGTERM and SIGHUP leave through the `with` statements as Ctrl+C does, so that no child outlives us."""

    def leave(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

"""Where log lines go: a file that can be reopened, or a stream that is somebody else's. No failure stops anything.

The lines of a regular file are gathered, at most `FULL` bytes and `DELAY` seconds of them: that costs a line a quarter
of what its own write would (0.5 against 2.2 µs). Those of a pipe or a terminal go out one by one, since someone may be
looking.
"""

from __future__ import annotations

import atexit
import os
import stat
import threading

from firstbyte._lazy import lazy_logger
from firstbyte.errors import ConfigurationError

logger = lazy_logger("firstbyte.access")

FULL = 64 * 1024  # bytes
DELAY = 1.0  # seconds
STANDARD_OUTPUT = 1


class LogFile:
    """Takes whole lines, from any thread, and appends them to the file at a path ("-" for standard output).

    A descriptor can be given instead of a path; it is left open. Raises ConfigurationError if the file cannot be
    opened. When it cannot be written any more, that is told once, and what was lost when it can be again.
    """

    def __init__(self, place: str | int) -> None:
        self._path = place if isinstance(place, str) and place != "-" else None
        if self._path is not None:
            try:
                self._fd = _open(self._path)
            except OSError as error:
                raise ConfigurationError(f"the log {self._path} cannot be opened: {error.strerror}") from None
        else:
            self._fd = place if isinstance(place, int) else STANDARD_OUTPUT
        self.name = self._path or {1: "on standard output", 2: "on standard error"}.get(self._fd, str(self._fd))
        self._gathers = self._path is not None and stat.S_ISREG(os.fstat(self._fd).st_mode)
        self._lock = threading.Lock()  # guards all that follows
        self._lines: list[bytes] = []
        self._size = 0
        self._lost = 0  # lines, since the last that could be written
        self._torn = b""  # the rest of a line that was written in part
        self._closed = threading.Event()
        self._waiting = threading.Lock()  # held while there is nothing to flush; no Condition, since one is enough
        self._waiting.acquire()
        self._flusher: threading.Thread | None = None  # started with the first line: in the process that writes
        atexit.register(self.close)

    @property
    def is_terminal(self) -> bool:
        """Whether a person looks at it."""
        return os.isatty(self._fd)

    def write(self, line: bytes) -> None:
        """Appends a line, which ends with a newline; it may be gathered with others first."""
        with self._lock:
            if not self._gathers:
                self._put(line)
                return
            self._lines.append(line)
            self._size += len(line)
            if self._size >= FULL:
                self._put_all()
            elif len(self._lines) == 1:
                self._flush_soon()

    def flush(self) -> None:
        """Writes what has been gathered."""
        with self._lock:
            self._put_all()

    def reopen(self) -> None:
        """Goes on in a new file at the path, for one that was moved away; safe in a signal handler.

        The new file takes the place of the old under the same descriptor, at once: nobody who writes need know.
        """
        if self._path is None or self._closed.is_set():
            return
        try:
            new = _open(self._path)
        except OSError as error:
            logger.error("the log %s cannot be reopened, the old file is kept: %s", self.name, error.strerror)
            return
        os.dup2(new, self._fd, inheritable=False)
        os.close(new)

    def close(self) -> None:
        """Writes what has been gathered and lets go of the file; lines that come later are lost."""
        with self._lock:
            if self._closed.is_set():
                return
            self._put_all()
            self._closed.set()
            if self._waiting.locked():
                self._waiting.release()
            if self._path is not None:
                os.close(self._fd)
                self._fd = -1
                self._gathers = False
        atexit.unregister(self.close)

    # -- with the lock held

    def _flush_soon(self) -> None:
        if self._flusher is None:
            self._flusher = threading.Thread(target=self._flush_late, name="firstbyte-log", daemon=True)
            self._flusher.start()
        if self._waiting.locked():
            self._waiting.release()

    def _put_all(self) -> None:
        if self._lines:
            data = b"".join(self._lines)
            self._lines.clear()
            self._size = 0
            self._put(data)

    def _put(self, lines: bytes) -> None:
        rest = self._torn + lines
        try:
            while rest:
                written = os.write(self._fd, rest)
                self._torn = b"" if rest[written - 1] == 0x0A else rest[written : rest.index(b"\n", written) + 1]
                rest = rest[written:]
        except OSError as error:
            if not self._lost:
                logger.error("the log %s cannot be written, lines are lost: %s", self.name, error.strerror)
            self._lost += rest.count(b"\n") - bool(self._torn)
            return
        if self._lost:
            lost, self._lost = self._lost, 0
            logger.error("the log %s can be written again; %d lines were lost", self.name, lost)

    # -- in a thread of its own

    def _flush_late(self) -> None:
        while True:
            self._waiting.acquire()
            if self._closed.wait(DELAY):
                return
            self.flush()


def _open(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)

"""One run of a program: what it writes, as it writes it, until it ends, its time is over or nobody listens any more."""

from __future__ import annotations

import atexit
import contextlib
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from firstbyte._lazy import lazy_logger

logger = lazy_logger("firstbyte.cgi")

PIECE = 64 * 1024  # bytes read at a time
LOOK = 0.25  # seconds of silence after which it is asked whether anybody still listens
END = 1.0  # seconds that a program which has closed its output has to end
_LINE = 4096  # bytes of a line of its standard error that are logged at most
_LINES = 1000  # of a run


class Script:
    """A program that runs, in a process group of its own, for at most `timeout` seconds. Raises OSError.

    Its standard input is the file `body`, or nothing; each line of its standard error is logged. `has_left` says
    whether nobody wants the rest. `over` tells that its time was. Whoever makes one must `close` it.
    """

    def __init__(
        self, path: Path, environment: Mapping[bytes, bytes], body: IO[bytes] | None, timeout: float,
        has_left: Callable[[], bool] = bool,
    ) -> None:  # fmt: skip
        self.name = path.name
        self.over = False
        self._has_left = has_left
        self._lock = threading.Lock()  # nobody signals a process that is gone: its number may be another's
        self._ended = False
        self._line = b""  # of the standard error, without its end yet
        self._said = 0  # lines of it
        arguments: Sequence[Path] = [path]
        self._process = subprocess.Popen(  # noqa: S603 - to run what is in the folder is what it is for
            arguments,
            stdin=subprocess.DEVNULL if body is None else body,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=path.parent,
            env=environment,
            bufsize=0,
            start_new_session=True,
        )
        assert self._process.stdout is not None and self._process.stderr is not None
        self._output, self._errors = self._process.stdout, self._process.stderr
        self._poll = select.poll()
        for pipe in (self._output, self._errors):
            os.set_blocking(pipe.fileno(), False)
            self._poll.register(pipe, select.POLLIN)
        self._clock = threading.Timer(timeout, self._end_time)
        self._clock.daemon = True
        _running.add(self)
        try:
            self._clock.start()
        except RuntimeError:  # the system gives no more threads
            self.close()
            raise

    def read(self) -> bytes:
        """The next bytes that it writes; none when it has closed its output, was ended, or nobody listens.

        Nor when it has ended by itself, and what it has left behind holds its output open, but is silent.
        """
        output = self._output.fileno()
        silence = 0.0  # seconds of it since the program's end was seen
        while not self.over and silence < END:  # what has left the group may still hold the output open
            ready = [fd for fd, _ in self._poll.poll(LOOK * 1000)]
            if self._errors.fileno() in ready:
                self._log()
            if output in ready:
                return os.read(output, PIECE)
            if self._has_left():
                break
            if not ready and self._has_exited():
                silence += LOOK
        return b""

    def close(self) -> None:
        """Ends the program, and every other of its group; one that has closed its output has a moment to do so."""
        self._clock.cancel()
        if self._ended:
            return
        self._output.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(0 if self.over or self._has_left() else END)
        with self._lock:
            self._kill()
            self._ended = True
            _running.discard(self)
        status = self._process.wait()
        self._log()
        if self._line:
            self._say(self._line)
        self._errors.close()
        if status and not self.over:
            logger.warning("%s ended with %s", self.name, _told(status))

    def _has_exited(self) -> bool:
        """Whether the program itself has. It is not waited for: its number must be its own while it has a group."""
        if sys.platform == "darwin":
            return False  # waitid came with Python 3.13 there
        return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def _end_time(self) -> None:
        """Its time is over, or the server's is."""
        with self._lock:
            if not self._ended:
                self.over = True
                self._kill()

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS says the latter of a group of the dead
            os.killpg(self._process.pid, signal.SIGKILL)

    def _log(self) -> None:
        """Logs a piece of what has come of the standard error: one that never ends is to keep nobody here."""
        try:
            data = os.read(self._errors.fileno(), PIECE)
        except BlockingIOError:
            return
        if not data:
            with contextlib.suppress(KeyError):
                self._poll.unregister(self._errors)
            return
        *lines, self._line = (self._line + data).split(b"\n")
        for line in lines:
            self._say(line)
        self._line = self._line[:_LINE]

    def _say(self, line: bytes) -> None:
        self._said += 1
        if self._said > _LINES:
            if self._said == _LINES + 1:
                logger.warning("%s: the rest of its standard error is not logged", self.name)
            return
        logger.warning("%s: %s", self.name, line[:_LINE].decode(errors="backslashreplace").rstrip())


_running: set[Script] = set()


@atexit.register
def _end_all() -> None:
    """The server ends without those that ran their programs: its time to drain was over."""
    for script in list(_running):
        script._end_time()


def _told(status: int) -> str:
    return f"status {status}" if status > 0 else signal.Signals(-status).name

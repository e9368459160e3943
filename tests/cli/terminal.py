"""A program on a terminal of its own, and what one sees there."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import threading
from types import TracebackType

WAIT = 60  # seconds after which a test gives up on something that must come


class Terminal:
    """Runs `command` on a pseudo terminal, in a `with` block."""

    def __init__(self, command: list[str], columns: int = 80) -> None:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self._fd = ours
        environment = {**os.environ, "TERM": "xterm", "NO_COLOR": "1"}
        self._process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        os.close(theirs)
        self._data = b""
        self._changed = threading.Condition(threading.RLock())
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._fd, 65536)
            except OSError:  # the program has ended
                data = b""
            with self._changed:
                self._data += data
                self._changed.notify_all()
            if not data:
                return

    def type(self, keys: str) -> None:
        """Presses keys."""
        os.write(self._fd, keys.encode())

    def screen(self) -> list[str]:
        """The lines that are seen, all since the beginning; of the controls, what this program uses."""
        lines = [""]
        with self._changed:
            data = self._data.decode("utf-8", "replace")
        for part in re.findall(r"\r\n|\n|\r|\x1b\[[0-9;]*[A-Za-z]|[^\r\n\x1b]+|\x1b", data):
            if part in ("\n", "\r\n"):
                lines.append("")
            elif part == "\x1b[K":
                lines[-1] = ""  # it is always written at the beginning of a line
            elif part != "\r" and not part.startswith("\x1b"):
                lines[-1] += part
        return lines

    def text(self) -> str:
        """What is seen."""
        return "\n".join(self.screen())

    def wait_for(self, text: str) -> bool:
        """Returns when this is seen."""
        with self._changed:
            found = self._changed.wait_for(lambda: text in self.text(), WAIT)
        assert found, f"no {text!r} on the terminal:\n{self.text()}"
        return found

    def wait_for_line(self, line: str) -> None:
        """Returns when this is the last line, all of it."""
        with self._changed:
            found = self._changed.wait_for(lambda: self.screen()[-1] == line, WAIT)
        assert found, f"the last line is not {line!r}:\n{self.text()}"

    def end(self, keys: str) -> int:
        """Presses keys that end it; its exit code."""
        self.type(keys)
        return self._process.wait(WAIT)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait(WAIT)
        self._reader.join(WAIT)
        os.close(self._fd)

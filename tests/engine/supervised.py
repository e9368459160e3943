"""Supervisors in processes of their own, and clients that count what fails."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.support import WAIT
from firstbyte.engine.control import GetStatus, Reload, Reloaded, Status, WorkerStatus, ask

PROGRAM = """
import os, time
from firstbyte import App
app = App()
app.add_route("/", lambda: str(os.getpid()))
app.add_route("/slow", lambda: time.sleep(1) or str(os.getpid()))
app.add_route("/stuck", lambda: time.sleep(60))
app.add_route("/exit", lambda: os._exit(7))
"""
# For tests that count every failure: a client that gets no processor for a moment, on a busy machine, would otherwise
# send its next request when its idle connection has been closed; a browser would see that and retry.
PATIENT = ("--timeout-drain-idle", "10")


class Supervised:
    """A running `firstbyte run --workers`, its port, its control socket, and what it has said."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self.process = process
        self.program = folder / "program.py"
        self.control = folder / "control"
        self.said: list[str] = []
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self.port = 0

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._changed:
                self.said.append(line)
                self._changed.notify_all()
        with self._changed:
            self.said.append("")
            self._changed.notify_all()

    def wait_for(self, pattern: str, count: int = 1) -> re.Match[str]:
        """The last of the first `count` lines that match, when they have been said."""

        def found() -> list[re.Match[str]]:
            return [match for line in self.said if (match := re.search(pattern, line))]

        with self._changed:
            self._changed.wait_for(lambda: len(found()) >= count or "" in self.said, WAIT)
            assert len(found()) >= count, f"no {pattern!r} in {''.join(self.said)}"
            return found()[count - 1]

    def status(self) -> Status:
        reply = ask(self.control, GetStatus(), WAIT)
        assert isinstance(reply, Status)
        return reply

    def workers(self, state: str = "ready") -> list[WorkerStatus]:
        return [worker for worker in self.status().workers if worker.state == state]

    def pids(self) -> set[int]:
        """The processes that serve."""
        return {worker.pid for worker in self.workers()}

    def reload(self) -> Reloaded:
        reply = ask(self.control, Reload(), WAIT)
        assert isinstance(reply, Reloaded)
        return reply

    def get(self, path: str = "/") -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read().decode()
            assert response.status == 200, body
            return body
        finally:
            connection.close()

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(WAIT)


@contextmanager
def supervised(folder: Path, *options: str, program: str = PROGRAM, ready: bool = True) -> Iterator[Supervised]:
    """Runs the program with two workers, or as `options` say."""
    (folder / "program.py").write_text(program)
    if "--access-log" not in options:
        options += ("--no-access-log",)
    if "--workers" not in options:
        options += ("--workers", "2")
    command = [
        sys.executable, "-m", "firstbyte", "run", str(folder / "program.py"), "--port", "0",
        "--control", str(folder / "control"), *options,
    ]  # fmt: skip
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True, cwd=folder) as process:
        running = Supervised(process, folder)
        try:
            if ready:
                running.port = int(running.wait_for(r"http://127\.0\.0\.1:(\d+)")[1])
            yield running
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass  # all have ended by themselves
            running._reader.join()


class Load:
    """Clients that ask again and again, each on a connection of its own, or with `anew` a new one each time, so that
    every worker is asked at some time. They count what was not answered with 200."""

    def __init__(self, port: int, path: str = "/", clients: int = 4, pause: float = 0.0, anew: bool = False) -> None:
        self._port = port
        self._path = path
        self._pause = pause
        self._headers = {"Connection": "close"} if anew else {}
        self._over = threading.Event()
        self.answered: Counter[str] = Counter()  # by body
        self.failed: list[BaseException] = []
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        wait_until(lambda: self.answered.total() > 0)
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=WAIT)
        while not self._over.is_set():
            try:
                connection.request("GET", self._path, headers=self._headers)
                response = connection.getresponse()
                body = response.read().decode()
                assert response.status == 200, body
                self.answered[body] += 1
            except (OSError, http.client.HTTPException, AssertionError) as error:
                self.failed.append(error)
                connection.close()
            self._over.wait(self._pause)
        connection.close()


def wait_until(condition: Callable[[], bool]) -> None:
    """Waits for what comes from another process, and has no way to tell."""
    until = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False

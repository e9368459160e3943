"""What an app does again and again: in one server, and in one of several processes."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from contextlib import closing
from pathlib import Path

import pytest

from engine.supervised import supervised
from engine.support import WAIT
from firstbyte import App, Server
from firstbyte.engine.background import Background
from firstbyte.engine.periodic import Election, Schedule
from firstbyte.http.services import Periodic


@pytest.mark.parametrize("kind", ["def", "async def", "async def in the loop"])
def test_it_runs_again_and_again_whatever_it_raises(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    app = App()
    runs = threading.Semaphore(0)
    loops: set[object] = set()

    if kind == "def":

        @app.every("10ms")
        def job() -> None:
            runs.release()
            raise ValueError("mine")
    else:

        @app.every("10ms")
        async def ajob() -> None:
            await asyncio.sleep(0)
            loops.add(asyncio.get_running_loop())
            runs.release()
            raise ValueError("mine")

    if kind == "async def in the loop":

        @app.get("/")
        async def index() -> str:
            return ""

    with Server(app, port=0):
        for _ in range(3):
            assert runs.acquire(timeout=WAIT)
    assert "job failed in the background" in caplog.text
    if kind == "async def in the loop":
        assert len(loops) == 1


def test_it_does_not_begin_while_it_runs_and_a_stop_waits_for_it() -> None:
    app = App()
    running, most, ended = 0, 0, 0
    begun, go_on = threading.Semaphore(0), threading.Semaphore(0)
    other = threading.Semaphore(0)

    @app.every(0.01)
    def job() -> None:
        nonlocal running, most, ended
        running += 1
        most = max(most, running)
        begun.release()
        assert go_on.acquire(timeout=WAIT)
        running -= 1
        ended += 1

    @app.every(0.01)
    def beside() -> None:
        other.release()

    with Server(app, port=0) as server:
        assert begun.acquire(timeout=WAIT)
        for _ in range(3):  # periods pass
            assert other.acquire(timeout=WAIT)
        go_on.release()
        assert begun.acquire(timeout=WAIT)
        server.stop(WAIT)
        go_on.release()
    assert (most, ended) == (1, 2)


def test_who_takes_over_keeps_the_rhythm() -> None:
    begun = threading.Event()
    job = Periodic(begun.set, 1000.0, "job")
    with closing(Election()) as election:
        assert election.win()
        election.write({"job 0": 0.0})  # that is long ago
        background = Background()
        schedule = Schedule([job], background, election)
        schedule.start()
        assert begun.wait(WAIT)
        schedule.stop()
        background.end()
        last = election.read()["job 0"]
    assert last > 0
    assert last % 1000.0 == pytest.approx(0.0, abs=1e-6)


PROGRAM = """
import os
from firstbyte import App
app = App()
app.add_route("/", lambda: str(os.getpid()))

@app.every("20ms")
def job():
    with open("runs", "a") as file:
        print(os.getpid(), file=file)
"""


def test_one_worker_does_it_and_another_when_that_has_died(tmp_path: Path) -> None:
    with supervised(tmp_path, program=PROGRAM) as running:
        pids = running.pids()

        def runners(more: int) -> list[int]:
            """Who has run it, when it has been run so often from now on."""
            runs = tmp_path / "runs"
            before = len(runs.read_text().split()) if runs.exists() else 0
            changed = threading.Event()
            for _ in range(int(WAIT / 0.02)):
                text = runs.read_text() if runs.exists() else ""
                lines = text[: text.rfind("\n") + 1].split()
                if len(lines) >= before + more:
                    return [int(line) for line in lines[before:]]
                changed.wait(0.02)
            raise AssertionError("it is not run")

        first = set(runners(10))
        assert len(first) == 1
        assert first < pids
        os.kill(*first, signal.SIGKILL)
        runners(1)
        second = set(runners(10))
        assert len(second) == 1
        assert second != first
        running.reload()  # and so is a generation replaced
        third = set(runners(50)[-5:])
        assert len(third) == 1
        assert not third & pids

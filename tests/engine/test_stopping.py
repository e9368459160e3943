"""Stopping loses nothing that was begun."""

from __future__ import annotations

import gc
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.support import WAIT, Client, Serve
from firstbyte import App, Server, Timeouts
from firstbyte.engine.connection import Connection
from firstbyte.engine.observer import Entry, Observer

PROGRAM = """
import time
from firstbyte import App
app = App()
app.add_route("/", lambda: "hello")
app.add_route("/slow", lambda: time.sleep(0.5) or "slow")
app.add_route("/stuck", lambda: time.sleep(60))
"""


@pytest.fixture
def driver(each_driver: str) -> str:
    return each_driver


@pytest.fixture
def program(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A server in a process of its own, and its port."""
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    command = [sys.executable, "-m", "firstbyte", "run", str(path), "--port", "0", "--no-access-log"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        yield process, int(line.split("http://127.0.0.1:")[1].split(" ")[0])
        process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_under_load_loses_no_request(program: tuple[subprocess.Popen[str], int], number: int) -> None:
    process, port = program
    lost: list[object] = []
    answered = threading.Semaphore(0)

    def load() -> None:
        while True:
            try:
                client = Client(port)
            except OSError:
                return  # it listens no more
            asked = 0
            while True:
                try:
                    fields = client.get().read()[1]
                except (OSError, AssertionError) as error:
                    # A connection that was reset before it was accepted was never promised an answer.
                    if asked or client.buffer or not isinstance(error, ConnectionResetError):
                        lost.append(error)
                    client.close()
                    return
                asked += 1
                answered.release()
                if fields.get("connection") == "close":
                    client.close()
                    break

    threads = [threading.Thread(target=load) for _ in range(16)]
    for thread in threads:
        thread.start()
    for _ in range(500):
        assert answered.acquire(timeout=WAIT)
    process.send_signal(number)
    for thread in threads:
        thread.join()
    assert process.wait(WAIT) == 0
    assert not lost


def test_a_running_handler_finishes(program: tuple[subprocess.Popen[str], int]) -> None:
    process, port = program
    client = Client(port).get("/slow")
    other = Client(port).get()
    assert other.read()[0] == 200  # so the slow one has been read too
    process.terminate()
    status, fields, body = client.read()
    assert (status, fields["connection"], body) == (200, "close", b"slow")
    assert process.wait(WAIT) == 0
    client.close()
    other.close()


def test_a_second_signal_stops_at_once(program: tuple[subprocess.Popen[str], int]) -> None:
    process, port = program
    client = Client(port).get("/stuck")
    other = Client(port).get()
    assert other.read()[0] == 200
    other.close()
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    assert "again to stop at once" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    assert process.wait(WAIT) == 0
    client.close()


def test_the_deadline_ends_a_stuck_handler(serve: Serve, app: App) -> None:
    never = threading.Event()
    inside = threading.Event()
    app.add_route("/stuck", lambda: str(inside.set()) and str(never.wait(WAIT)))
    server = Server(app, port=0)
    with server:
        client = Client(server.port).get("/stuck")
        assert inside.wait(WAIT)
        server.stop(0.2)
    assert client.closed()
    never.set()
    client.close()


def test_stopping_closes_idle_connections_and_the_port(app: App) -> None:
    with Server(app, port=0) as server:
        port = server.port
        client = Client(port).get()
        assert client.read()[0] == 200
    assert client.closed()
    client.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_no_thread_and_no_descriptor_is_left(app: App) -> None:
    def state() -> tuple[int, int]:
        gc.collect()  # what tests before have left is none of theirs
        return threading.active_count(), len(os.listdir("/proc/self/fd"))

    with Server(app, port=0) as server:
        Client(server.port).close()
    before = state()
    for _ in range(5):
        with Server(app, port=0) as server:
            client = Client(server.port).get()
            client.read()
            client.close()
    assert state() == before


def test_a_drain_that_begins_while_an_answer_is_written_does_not_wait_for_more(driver: str) -> None:
    """The drain passes a busy connection over: it must be found when it becomes idle."""

    class Stopper(Observer):
        def write_ended(self, connection: Connection, entry: Entry) -> None:
            server.stop()
            while not server.draining:
                time.sleep(0.001)

    def pieces() -> Iterator[str]:  # by a thread, while another one leads and begins the drain
        yield "piece"

    app = App()
    app.add_route("/", pieces)
    server = Server(app, port=0, loop=driver, timeouts=Timeouts(drain=60), observers=[Stopper()])  # type: ignore[arg-type]
    server.bind()
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    client = Client(server.port).get()
    assert client.read()[2] == b"piece"
    thread.join(WAIT)
    assert not thread.is_alive()
    client.close()

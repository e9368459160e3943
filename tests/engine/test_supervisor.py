"""Workers come and go, and nobody who asks them notices."""

from __future__ import annotations

import errno
import os
import signal
import socket
import stat
from pathlib import Path

import pytest

from engine.supervised import PATIENT, PROGRAM, Load, is_running, supervised, wait_until
from engine.support import WAIT, Client
from firstbyte import App
from firstbyte.engine import worker
from firstbyte.engine.control import GetStatus, ask
from firstbyte.engine.supervisor import Supervisor
from firstbyte.errors import AppLoadError, ConfigurationError


def test_every_worker_serves(tmp_path: Path) -> None:
    with supervised(tmp_path) as server:
        pids = server.pids()
        assert len(pids) == 2
        assert server.process.pid not in pids
        clients: list[Client] = []
        seen = set()
        while seen != pids:
            assert len(clients) < 50, "one of them accepts everybody"
            clients.append(Client(server.port).get())
            seen.add(int(clients[-1].read()[2]))
        assert server.stop() == 0
        for client in clients:
            client.close()
        assert not any(map(is_running, pids))


def test_the_supervisor_does_not_import_the_app(tmp_path: Path) -> None:
    program = PROGRAM + "\nos.write(2, b'imported in %d\\n' % os.getpid())\n"
    with supervised(tmp_path, program=program) as server:
        pids = server.pids()
        assert {int(server.wait_for(r"imported in (\d+)", count)[1]) for count in (1, 2)} == pids


@pytest.mark.parametrize("how", ["signal", "control"])
def test_a_reload_runs_the_new_code(tmp_path: Path, how: str) -> None:
    with supervised(tmp_path) as server:
        old = server.pids()
        server.program.write_text(PROGRAM + "\napp.add_route('/new', lambda: 'new')\n")
        if how == "signal":
            server.process.send_signal(signal.SIGHUP)
            server.wait_for("reloaded in .*: generation 2")
        else:
            assert server.reload().reason == ""
        assert server.get("/new") == "new"
        assert not server.pids() & old
        wait_until(lambda: not any(map(is_running, old)))


@pytest.mark.parametrize(("path", "reloads"), [("/", 50), ("/slow", 20)])
def test_reloads_under_load_fail_no_request(tmp_path: Path, path: str, reloads: int) -> None:
    with supervised(tmp_path, "--threads", "16", *PATIENT) as server, Load(server.port, path, 6) as load:
        for generation in range(2, 2 + reloads):
            reply = server.reload()
            assert (reply.reason, reply.generation) == ("", generation)
        wait_until(lambda: len(load.answered) > 2)  # of several generations
    assert not load.failed


def test_a_reload_that_fails_leaves_the_old_workers(tmp_path: Path) -> None:
    with supervised(tmp_path) as server:
        old = server.pids()
        server.program.write_text("import os\n1 / 0\n")
        with Load(server.port) as load:
            reply = server.reload()
            assert "program.py cannot be imported: ZeroDivisionError: division by zero" in reply.reason
            assert "line 2, in <module>" in reply.traceback
            server.wait_for("the reload failed, the old workers go on: .*ZeroDivisionError")
            assert server.pids() == old
            assert "ZeroDivisionError" in server.status().problem
        assert not load.failed
        server.program.write_text(PROGRAM)
        assert server.reload().reason == ""
        assert server.status().problem == ""
        assert not server.pids() & old


def test_a_reload_gives_up_on_workers_that_do_not_come_up(tmp_path: Path) -> None:
    with supervised(tmp_path, "--timeout-start", "1") as server:
        old = server.pids()
        server.program.write_text("import time; time.sleep(60)")
        assert server.reload().reason == "it was not ready within 1 s (--timeout-start)"
        assert server.pids() == old
        wait_until(lambda: len(server.status().workers) == 2)


def test_a_reload_that_is_asked_for_during_another_comes_after_it(tmp_path: Path) -> None:
    with supervised(tmp_path) as server:
        server.program.write_text("import time; time.sleep(0.5)\n" + PROGRAM)
        for _ in range(5):
            server.process.send_signal(signal.SIGHUP)
            wait_until(lambda: bool(server.workers("starting")))
        server.wait_for("reloaded in .*: generation 3")
        assert server.status().generation == 3


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("import os; os._exit(3)", r"worker \d+ ended with exit code 3 before it was ready"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "was killed by SIGSEGV before it was ready"),
        ("app = 5", "program.py:app cannot be served, since it is int"),
    ],
)
def test_an_app_that_never_starts_ends_the_server(tmp_path: Path, program: str, reason: str) -> None:
    with supervised(tmp_path, program=program, ready=False) as server:
        assert server.process.wait(WAIT) == 1
        server.wait_for(f"firstbyte: .*{reason}")
    assert not server.control.exists()


def test_a_crashed_worker_is_replaced_and_only_its_requests_fail(tmp_path: Path) -> None:
    with supervised(tmp_path, "--threads", "16") as server:
        clients = [Client(server.port).get() for _ in range(8)]
        by_pid = {client: int(client.read()[2]) for client in clients}
        victim, survivor = server.pids()
        for client in clients:
            client.get("/slow")
        wait_until(lambda: sum(worker.busy or 0 for worker in server.workers()) == 8)
        os.kill(victim, signal.SIGKILL)
        server.wait_for(rf"worker {victim} was killed by SIGKILL, after \d+ s; another one is started in 0\.1 s")
        for client, pid in by_pid.items():
            if pid == survivor:
                assert client.read()[2] == b"%d" % survivor
            else:
                assert client.closed()
            client.close()
        wait_until(lambda: len(server.pids()) == 2)
        assert victim not in server.pids()
        assert server.status().restarts == 1


def test_a_worker_that_crashes_again_and_again_waits_longer_each_time(tmp_path: Path) -> None:
    with supervised(tmp_path, "--workers", "1") as server:
        for delay in ("0.1", "0.2", "0.4"):
            with pytest.raises((OSError, AssertionError, Exception)):
                server.get("/exit")
            server.wait_for(rf"ended with exit code 7, after \d+ s; another one is started in {delay} s")
            wait_until(lambda: len(server.pids()) == 1)


def test_who_waits_while_no_worker_is_there_is_answered(tmp_path: Path) -> None:
    with supervised(tmp_path, "--workers", "1") as server:
        (victim,) = server.pids()
        os.kill(victim, signal.SIGKILL)
        server.wait_for("was killed by SIGKILL")
        assert int(server.get()) != victim


def test_a_worker_is_recycled_after_so_many_requests(tmp_path: Path) -> None:
    with supervised(tmp_path, "--max-requests", "50", *PATIENT) as server:
        first = server.pids()
        with Load(server.port) as load:
            wait_until(lambda: len(load.answered) >= 6)
        assert not load.failed
        wait_until(lambda: not first & server.pids())  # each serves on until its successor is ready
        server.wait_for(rf"worker ({'|'.join(map(str, first))}) is replaced: it has had 5\d requests")
        assert server.status().restarts == 0


def test_a_worker_that_holds_too_much_memory_is_recycled(tmp_path: Path) -> None:
    program = PROGRAM + "kept = []\napp.add_route('/leak', lambda: kept.append(b'x' * (100 << 20)) or 'leaked')\n"
    with supervised(tmp_path, "--workers", "1", "--max-rss", "100M", program=program) as server:
        (old,) = server.pids()
        server.get("/leak")
        server.wait_for(rf"worker {old} is replaced: it holds \d+ MiB of memory")
        wait_until(lambda: server.pids() not in ({old}, set()))


def test_a_worker_that_is_told_to_end_is_replaced_first(tmp_path: Path) -> None:
    with supervised(tmp_path, *PATIENT) as server, Load(server.port) as load:
        old = server.pids()
        for pid in old:
            os.kill(pid, signal.SIGTERM)
        server.wait_for("is replaced: SIGTERM", count=2)
        wait_until(lambda: not server.pids() & old and len(server.pids()) == 2)
    assert not load.failed


def test_stopping_finishes_what_runs(tmp_path: Path) -> None:
    with supervised(tmp_path) as server:
        client = Client(server.port).get("/slow")
        wait_until(lambda: sum(worker.busy or 0 for worker in server.workers()) == 1)
        server.process.terminate()
        assert client.read()[0] == 200
        assert server.process.wait(WAIT) == 0
        client.close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", server.port))
        assert not server.control.exists()


@pytest.mark.parametrize(
    ("options", "signals"),
    [
        (("--timeout-drain", "0.3"), [signal.SIGTERM]),
        ((), [signal.SIGINT]),
        ((), [signal.SIGTERM, signal.SIGTERM]),
        ((), [signal.SIGTERM, signal.SIGINT]),
    ],
)
def test_a_stuck_handler_does_not_hold_a_stop_up(tmp_path: Path, options: tuple[str, ...], signals: list[int]) -> None:
    with supervised(tmp_path, *options) as server:
        client = Client(server.port).get("/stuck")
        wait_until(lambda: sum(worker.busy or 0 for worker in server.workers()) == 1)
        for number in signals:
            os.killpg(server.process.pid, number)  # as a terminal does
            server.wait_for("stopping: ")
        assert server.process.wait(WAIT) == 0
        assert client.closed()
        client.close()


def test_workers_end_when_their_supervisor_dies(tmp_path: Path) -> None:
    with supervised(tmp_path) as server:
        pids = server.pids()
        client = Client(server.port).get("/slow")
        wait_until(lambda: sum(worker.busy or 0 for worker in server.workers()) == 1)
        server.process.kill()
        assert client.read()[0] == 200
        client.close()
        wait_until(lambda: not any(map(is_running, pids)))
        server.wait_for(r"the supervisor of worker \d+ is gone", count=2)


def test_the_control_socket_is_its_owners_alone(tmp_path: Path) -> None:
    with supervised(tmp_path) as server:
        assert stat.S_IMODE(server.control.stat().st_mode) == 0o600
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(server.control))
            sock.sendall(b'{"type":"nonsense"}\n')
            sock.settimeout(WAIT)
            assert sock.recv(100) == b""
        assert len(server.pids()) == 2
    with pytest.raises(ConfigurationError, match="no server is at"):
        ask(server.control, GetStatus(), WAIT)


def test_a_unix_socket_outlives_its_workers_and_goes_with_the_supervisor(tmp_path: Path) -> None:
    path = tmp_path / "http"
    with supervised(tmp_path, "--unix", str(path), ready=False) as server:
        server.wait_for(f"unix:{path} by 2 workers")
        assert server.reload().reason == ""
        wait_until(lambda: len(server.status().workers) == 2)
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(path))
            sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert sock.recv(100).startswith(b"HTTP/1.1 200")
        assert server.stop() == 0
    assert not path.exists()


def test_coroutines_in_workers(tmp_path: Path) -> None:
    program = (
        PROGRAM + "import asyncio\n@app.get('/nap')\nasync def nap():\n    await asyncio.sleep(0.1)\n    return 'nap'\n"
    )
    with supervised(tmp_path, *PATIENT, program=program) as server, Load(server.port, "/nap") as load:
        for _ in range(3):
            assert server.reload().reason == ""
    assert not load.failed


def test_a_worker_that_is_full_leaves_clients_to_the_others(tmp_path: Path) -> None:
    with supervised(tmp_path, "--limit-connections", "1") as server:
        clients = [Client(server.port).get() for _ in range(2)]
        assert {int(client.read()[2]) for client in clients} == server.pids()
        third = Client(server.port).get()
        clients[0].close()
        assert third.read()[0] == 200
        for client in (*clients, third):
            client.close()


def test_a_system_without_processes_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fork(*arguments: object) -> None:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(worker, "fork", fork)
    with socket.create_server(("127.0.0.1", 0)) as sock:
        supervisor = Supervisor(worker.Plan(App), [sock], 2, control=tmp_path / "control")
        with pytest.raises(AppLoadError, match="no worker can be started: Resource temporarily unavailable"):
            supervisor.run()
    assert not (tmp_path / "control").exists()


def test_no_workers_at_all() -> None:
    with pytest.raises(ValueError, match="there must be at least one"):
        Supervisor(worker.Plan(App), [], 0)


def test_a_system_without_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "fork")
    with pytest.raises(ConfigurationError, match="cannot fork processes: serve with --workers 1"):
        Supervisor(worker.Plan(App), [], 2)

"""`--workers` and the commands that speak to them, as their users meet them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from engine.supervised import PROGRAM, Load, supervised, wait_until
from engine.support import WAIT
from firstbyte.cli.processes import processors


def firstbyte(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "firstbyte", *arguments],
        capture_output=True, text=True, timeout=WAIT, check=False, env={**os.environ, **variables},
    )  # fmt: skip


def fetch(url: str) -> str:
    with urllib.request.urlopen(url, timeout=WAIT) as response:
        text: str = response.read().decode()
        return text


def test_status_as_a_table(tmp_path: Path) -> None:
    with supervised(tmp_path) as server:
        for _ in range(3):
            server.get()
        result = firstbyte("status", "--control", str(server.control))
        assert result.returncode == 0
        first, heading, *rows = result.stdout.splitlines()
        assert first.startswith(f"http://127.0.0.1:{server.port}, supervisor {server.process.pid}, generation 1, up ")
        assert heading.split()[:6] == ["worker", "pid", "generation", "state", "uptime", "requests"]
        assert {int(row.split()[1]) for row in rows[:2]} == server.pids()
        assert rows[2].split()[:2] == ["all", "3"]
        assert {row.index(" ready ") for row in rows[:2]} == {heading.index(" state ")}


def test_status_as_json(tmp_path: Path) -> None:
    with supervised(tmp_path) as server:
        server.get()
        status = json.loads(firstbyte("status", "--json", "--control", str(server.control)).stdout)
        assert (status["generation"], status["restarts"], status["problem"]) == (1, 0, "")
        assert {worker["pid"] for worker in status["workers"]} == server.pids()
        assert sum(worker["requests"] for worker in status["workers"]) == 1
        assert status["ended_requests"] == 0
        assert server.reload().reason == ""
        wait_until(lambda: len(server.status().workers) == 2)
        assert server.status().ended_requests == 1
        assert all(worker["rss"] > 1 << 20 and worker["cpu"] >= 0 for worker in status["workers"])


def test_reload_prints_why_it_failed(tmp_path: Path) -> None:
    with supervised(tmp_path) as server:
        result = firstbyte("reload", "--control", str(server.control))
        assert (result.returncode, result.stderr) == (0, "")
        assert re.fullmatch(r"reloaded in \d\.\d s: generation 2\n", result.stdout)
        server.program.write_text("1 / 0")
        result = firstbyte("reload", FIRSTBYTE_CONTROL=str(server.control))
        assert result.returncode == 1
        assert 'program.py", line 1, in <module>' in result.stderr
        assert "firstbyte: the reload failed, the old workers go on: " in result.stderr
        assert "ZeroDivisionError" in result.stderr


def test_the_only_server_is_found_and_several_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    result = firstbyte("status")
    assert result.returncode == 1
    assert "no server with workers is running" in result.stderr
    (tmp_path / "program.py").write_text(PROGRAM)
    command = [sys.executable, "-m", "firstbyte", "run", str(tmp_path / "program.py"), "--port", "0", "--workers", "2"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as first:
        assert first.stderr is not None
        first_line = first.stderr.readline()
        assert firstbyte("status").stdout.startswith(re.findall(r"http://\S+", first_line)[0])
        assert firstbyte("reload").returncode == 0
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as second:
            assert second.stderr is not None
            ports = [re.findall(r"http://127.0.0.1:(\d+)", line)[0] for line in (first_line, second.stderr.readline())]
            result = firstbyte("status")
            assert result.returncode == 1
            assert "2 servers with workers are running, choose one:" in result.stderr
            for port in ports:
                path = tmp_path / "firstbyte" / f"{port}.sock"
                assert f"\n  --control {path}" in result.stderr
                assert firstbyte("status", "--control", str(path)).returncode == 0
            second.terminate()
            assert second.wait(WAIT) == 0
        first.terminate()
        assert first.wait(WAIT) == 0
    assert list((tmp_path / "firstbyte").iterdir()) == []


def test_a_folder_that_others_can_enter_is_refused(tmp_path: Path) -> None:
    (tmp_path / "firstbyte").mkdir(mode=0o777)
    (tmp_path / "firstbyte").chmod(0o777)
    (tmp_path / "program.py").write_text(PROGRAM)
    result = firstbyte(
        "run", str(tmp_path / "program.py"), "--port", "0", "--workers", "2", XDG_RUNTIME_DIR=str(tmp_path)
    )
    assert result.returncode == 1
    assert "is not a folder of this user alone" in result.stderr


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (("--workers", "0"), "0 workers: there must be at least one"),
        (("--workers", "many"), "'many' is no number of workers: write a number, or auto"),
        (("--max-requests", "-1"), "-1 is not in the range"),
        (("--max-rss", "much"), "'much' is no size"),
    ],
)
def test_options_that_make_no_sense(option: tuple[str, str], message: str) -> None:
    result = firstbyte("run", "nothing.py", *option)
    assert result.returncode == 2
    assert message in result.stderr


def test_auto_is_one_worker_a_processor(tmp_path: Path) -> None:
    with supervised(tmp_path, "--workers", "auto") as server:
        assert len(server.pids()) == processors()


def test_no_supervisor_without_workers(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    command = [sys.executable, "-m", "firstbyte", "run", str(tmp_path / "program.py"), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        url = re.findall(r"http://\S+", process.stderr.readline())[0]
        assert int(fetch(url)) == process.pid
        process.terminate()


def test_logs_are_reopened_in_every_process(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    with supervised(tmp_path, "--access-log", str(log), ready=False) as server:
        server.port = int(server.wait_for(r"http://127\.0\.0\.1:(\d+)")[1])
        with Load(server.port, anew=True) as load:
            wait_until(lambda: len(load.answered) == 2)
            log.rename(tmp_path / "old.log")
            server.process.send_signal(signal.SIGUSR1)
            wait_until(log.exists)
            load.answered.clear()
            wait_until(lambda: len(load.answered) == 2)
        assert server.stop() == 0
        assert not load.failed
    assert log.read_text().count("\n") >= load.answered.total()


def test_metrics_are_of_all_workers_and_do_not_fall_with_one(tmp_path: Path) -> None:
    def total(text: str) -> int:
        return sum(
            int(float(value)) for value in re.findall(r"^firstbyte_requests_total\{.*\} (\S+)$", text, re.MULTILINE)
        )

    with supervised(tmp_path, "--metrics", "127.0.0.1:0") as server:
        url = server.wait_for(r"metrics and health on (http://\S+)")[1]
        assert fetch(f"{url}/health/ready") == "ready\n"
        for _ in range(20):
            server.get()
        assert total(fetch(f"{url}/metrics")) == 20
        old = {worker.pid for worker in server.workers()}
        assert server.reload().reason == ""
        wait_until(lambda: not old & {worker.pid for worker in server.status().workers})
        url = url.strip()
        assert total(fetch(f"{url}/metrics")) == 20
        server.get()
        assert total(fetch(f"{url}/metrics")) == 21
        assert server.stop() == 0

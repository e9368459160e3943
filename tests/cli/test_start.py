"""What a server has imported by its first answers: a table instead of a stop-watch, which tests cannot hold."""

from __future__ import annotations

import http.client
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from engine.support import WAIT

# Prints what it has imported by then when it gets SIGUSR2.
PROGRAM = """
import signal, sys
signal.signal(signal.SIGUSR2, lambda number, frame: print(*sys.modules, flush=True))
from firstbyte.cli import main
sys.exit(main(folder_by_default=True))
"""
NEVER = {
    "asyncio", "concurrent.futures", "email", "multipart", "multiprocessing", "ssl", "subprocess", "tempfile",
    "firstbyte.app.openapi", "firstbyte.cli.http_commands", "firstbyte.cli.metrics", "firstbyte.cli.workers",
    "firstbyte.client", "firstbyte.engine.loop", "firstbyte.engine.metrics", "firstbyte.engine.supervisor",
    "firstbyte.engine.tls", "firstbyte.http.forms", "firstbyte.proxy", "firstbyte.rooms", "firstbyte.testing",
}  # fmt: skip
"""What no start loads that has no use for it."""
OF_APPS = {"logging", "msgspec", "firstbyte.app.application", "firstbyte.hosts"}
OF_CLICK = {
    "click",
    "dataclasses",
    "inspect",
    "firstbyte.cli.commands",
    "firstbyte.cli.config",
    "firstbyte.cli.options",
}
APP = """
from firstbyte import App
app = App()
app.add_route("/", lambda: "hello")
"""


@pytest.mark.parametrize(
    ("line", "unwanted"),
    [
        ("0", NEVER | OF_APPS | OF_CLICK),
        ("serve --port 0", NEVER | OF_APPS | OF_CLICK),
        ("serve --port 0 --no-access-log", NEVER | OF_APPS),
        ("run hello:app --port 0", NEVER),
    ],
)
def test_a_start_imports_nothing_that_others_need(tmp_path: Path, line: str, unwanted: set[str]) -> None:
    (tmp_path / "index.html").write_text("hello")
    (tmp_path / "hello.py").write_text(APP)
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *line.split()],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        start = process.stderr.readline()
        port = re.search(r"http://127\.0\.0\.1:(\d+)", start)
        assert port, start + process.stderr.read()
        connection = http.client.HTTPConnection("127.0.0.1", int(port[1]), timeout=WAIT)
        connection.request("GET", "/")
        assert connection.getresponse().read() == b"hello"
        connection.close()
        process.send_signal(signal.SIGUSR2)
        imported = set(process.stdout.readline().split())
        process.send_signal(signal.SIGINT)
        assert process.wait(WAIT) == 0
    assert imported >= {"firstbyte.engine.server"}
    assert sorted(imported & unwanted) == []


def test_the_package_alone_imports_next_to_nothing() -> None:
    code = "import sys; before = set(sys.modules); import firstbyte; print(*{*sys.modules} - before)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=WAIT, check=True)
    ours = {name for name in done.stdout.split() if name.startswith("firstbyte")}
    assert ours == {"firstbyte", "firstbyte._compiled", "firstbyte._lazy"}

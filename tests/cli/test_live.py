"""--live on the command line."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.support import Client

PAGE = "<!doctype html><title>A</title>"


@contextmanager
def served(*arguments: str) -> Iterator[Client]:
    """A client of `firstbyte ARGUMENTS --live`, which ends with 0."""
    command = [sys.executable, "-m", "firstbyte", *arguments, "--live", "--no-access-log"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            lines = iter(process.stderr.readline, "")
            match = next(found for line in lines if (found := re.search(r"http://127\.0\.0\.1:(\d+)", line)))
            client = Client(int(match[1]))
            yield client
            process.terminate()
            client.close()
            assert process.wait(20) == 0
        finally:
            process.kill()


def test_a_folder(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(PAGE)
    with served("folder", "0", "-d", str(tmp_path)) as client:
        _, _, body = client.get("/", "Accept: text/html\r\n").read()
        assert body.startswith(PAGE.encode())
        assert b"/.firstbyte/live.js" in body


def test_an_app_that_cannot_be_imported_is_reloaded_too(tmp_path: Path) -> None:
    path = tmp_path / "app.py"
    path.write_text("no python")
    with served("run", str(path), "--port", "0", "--reload") as client:
        status, _, body = client.get("/", "Accept: text/html\r\n").read()
        assert status == 500
        assert b"/.firstbyte/live.js" in body

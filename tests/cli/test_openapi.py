"""`firstbyte openapi`, as its users meet it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from engine.support import WAIT

APP = """
from firstbyte import App
from firstbyte.app.openapi import OpenAPI
plain = App()
plain.get("/tasks")(lambda: "hello")
app = App()
OpenAPI(title="Mine").install(app)
number = 5
def wsgi(environ, start_response): pass
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "described.py").write_text(APP)
    return tmp_path


def openapi(folder: Path, app: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "firstbyte", "openapi", app]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=WAIT, check=False)


@pytest.mark.parametrize(
    ("name", "title", "paths"), [("described:plain", "API", ["/tasks"]), ("described.py", "Mine", [])]
)
def test_the_document_of_an_app(folder: Path, name: str, title: str, paths: list[str]) -> None:
    ran = openapi(folder, name)
    document = json.loads(ran.stdout)
    assert (ran.returncode, document["info"]["title"], list(document["paths"])) == (0, title, paths)


@pytest.mark.parametrize(
    ("name", "message"), [("described:wsgi", "only an App of firstbyte can be described"), ("nothing", "no module")]
)
def test_what_cannot_be_described(folder: Path, name: str, message: str) -> None:
    ran = openapi(folder, name)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert message in ran.stderr

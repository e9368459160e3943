"""`firstbyte routes` and `firstbyte plugins`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from firstbyte.cli import main

APP = """
from firstbyte import App
from firstbyte.app.rules import requires

app = App()
blog = App()
number = 5


@app.middleware
def timing(request):
    yield


def view(id: int):
    return str(id)


api = app.group("/api", name="api", rules=[requires(header="X-Token")], middleware=[timing])
api.route("/tasks/{id:int}", ["GET", "PUT"])(view)
app.host("{tenant}.example.org").get("/", middleware=[timing])(lambda tenant: tenant)
blog.get("/x", name="article")(lambda: "")
api.mount("/blog", blog)


class Other:
    def resolve(self, request):
        raise AssertionError


app.mount("/other", Other(), host="other.example.org")
"""


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command line in the folder of the app: its exit code, and what it printed and said."""
    (tmp_path / "listed_app.py").write_text(APP)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["firstbyte", *arguments])
        code = main()
        told = capsys.readouterr()
        sys.modules.pop("listed_app", None)
        return code, told.out, told.err

    return run


def test_routes_as_a_table(run: Run) -> None:
    code, out, _ = run("routes", "listed_app:app")
    assert code == 0
    assert out == (
        "METHOD   PATH                      NAME      HANDLER\n"
        "GET,PUT  /api/tasks/{id:int}       api.view  view (listed_app.py:15)\n"
        "    rules: requires X-Token\n"
        "    middleware: timing, timing\n"
        "GET      {tenant}.example.org/               <lambda> (listed_app.py:21)\n"
        "    middleware: timing, timing\n"
        "GET      /api/blog/x               article   <lambda> (listed_app.py:22)\n"
        "    rules: requires X-Token\n"
        "    middleware: timing, timing\n"
        "any      other.example.org/other/            listed_app.Other\n"
        "    middleware: timing\n"
    )


def test_routes_as_json(run: Run, tmp_path: Path) -> None:
    code, out, _ = run("routes", "listed_app:app", "--json")
    rows = json.loads(out)
    assert (code, len(rows)) == (0, 4)
    assert rows[0] == {
        "methods": ["GET", "PUT"],
        "host": "",
        "path": "/api/tasks/{id:int}",
        "name": "api.view",
        "handler": "view",
        "place": f"{tmp_path}/listed_app.py:15",
        "middleware": ["timing", "timing"],
        "rules": ["requires X-Token"],
    }
    assert (rows[3]["host"], rows[3]["path"], rows[3]["methods"]) == ("other.example.org", "/other/", [])


def test_routes_of_what_is_no_app(run: Run) -> None:
    code, _, err = run("routes", "listed_app:number")
    assert (code, "number" in err) == (1, True)
    (Path.cwd() / "listed_app.py").write_text("class H:\n    def resolve(self, request): ...\napp = H()\n")
    code, _, err = run("routes", "listed_app")
    assert (code, "is no App of firstbyte" in err) == (1, True)


def test_plugins(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "greeting-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: greeting\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[firstbyte.plugins]\ngreeting = greeting:hello\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    code, out, _ = run("plugins")
    assert code == 0
    assert "greeting  greeting:hello  greeting 1.2\n" in out
    _, out, _ = run("plugins", "--json")
    assert {"name": "greeting", "value": "greeting:hello", "package": "greeting", "version": "1.2"} in json.loads(out)


def test_no_plugins(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firstbyte.cli.listings.available", list)
    code, out, err = run("plugins")
    assert (code, out) == (0, "")
    assert "no installed package offers a plugin" in err

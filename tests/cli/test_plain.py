"""The short way of a command line: what takes it, and that it means what it means to click."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import Any

import pytest

from firstbyte.cli import main, serving, serving_files
from firstbyte.cli.plain import Plain, plain_line

PLAIN = {
    "folder": Plain(),
    "folder 9000": Plain(port=9000),
    "folder 0 --bind 0.0.0.0": Plain(host="0.0.0.0", port=0),
    "folder -b ::1 -d site": Plain("site", "::1"),
    "folder --host=localhost --directory=site 65535": Plain("site", "localhost", 65535),
    "serve": Plain(),
    "serve site": Plain("site"),
    "serve --port 9000 site --host 0.0.0.0": Plain("site", "0.0.0.0", 9000),
}
LONG = (
    "", "run app:app", "folder --upload", "folder 80 90", "folder 65536", "folder -1", "folder x", "folder ٣",
    "folder --port 80", "folder -b", "folder -b=::1", "folder -b::1", "folder --bin ::1", "folder -d a -d b",
    "folder -- 80", "folder -h", "serve a b", "serve --port x", "serve --port=", "serve -d site", "serve --live",
)  # fmt: skip


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "site").mkdir()
    return tmp_path


@pytest.mark.parametrize(("line", "said"), PLAIN.items())
def test_a_plain_line(line: str, said: Plain) -> None:
    assert plain_line(line.split()) == said


@pytest.mark.parametrize("line", LONG)
def test_any_other_line_is_for_click(line: str) -> None:
    assert plain_line(line.split()) is None


@pytest.mark.parametrize("file", ["firstbyte.toml", "pyproject.toml"])
def test_a_file_of_options_is_for_click(here: Path, file: str) -> None:
    (here / file).write_text("[tool.other]")
    assert plain_line(["folder"]) == (None if file == "firstbyte.toml" else Plain())
    (here / file).write_text("[tool.firstbyte]")
    assert plain_line(["folder"]) is None


def test_a_variable_of_an_option_is_for_click(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRSTBYTE_PURE", "0")
    assert plain_line(["folder"]) == Plain()
    monkeypatch.setenv("FIRSTBYTE_PORT", "80")
    assert plain_line(["folder"]) is None


@pytest.mark.parametrize("line", PLAIN)
def test_both_ways_mean_the_same(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[dict[str, Any]] = []

    def serve(load: Any, what: str, **options: Any) -> int:
        call = inspect.signature(serving.serve).bind(load, what, **options)
        call.apply_defaults()
        handler = call.arguments.pop("load")()
        calls.append({**call.arguments, "handler": type(handler)})
        return 0

    monkeypatch.setattr(serving_files, "serve", serve)
    monkeypatch.setattr(sys, "argv", ["firstbyte", *line.split()])
    assert main() == 0
    monkeypatch.setattr("firstbyte.cli.plain_line", lambda arguments: None)
    assert main() == 0
    short, long = calls
    assert short == long

"""Runs the console blocks of docs/command-line-client.md, in order, against the demo; "…" there is any text."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import click
import pytest

from firstbyte import Server
from firstbyte.cli import main
from firstbyte.demo.tasks import create_app

PAGE = (Path(__file__).parent.parent.parent / "docs" / "command-line-client.md").read_text()
BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)


def commands() -> list[tuple[str, str]]:
    """The commands of the page, each with what it prints."""
    shown = "".join(BLOCK.findall(PAGE))
    return [(command, output) for command, output in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", shown, re.MULTILINE)]


def normal(text: str) -> str:
    """Text in which colours, amounts of blanks and empty lines make no difference."""
    return re.sub(r"\s*\n\s*", "\n", re.sub(r"[ \t]+", " ", click.unstyle(text))).strip()


def test_the_commands_of_the_page_do_what_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with Server(create_app(tmp_path / "tasks.sqlite3"), port=0) as server:
        for command, expected in commands():
            monkeypatch.setattr(sys, "argv", shlex.split(command.replace(":8000", f":{server.port}")))
            main()
            out, err = capfd.readouterr()
            pattern = ".*".join(re.escape(part) for part in normal(expected).split("…"))
            assert re.fullmatch(pattern, normal(f"{out}\n{err}"), re.DOTALL), f"{command}\n{out}{err}"


def test_there_are_commands() -> None:
    assert len(commands()) >= 7

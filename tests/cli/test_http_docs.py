"""Runs the console blocks of docs/command-line-client.md, in order, against the demo; "…" there is any text."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

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
    """Text in which amounts of blanks, and colours, make no difference."""
    return re.sub(r"[ \t]+", " ", re.sub(r"\x1b\[\d+m", "", text)).strip()


def test_the_commands_of_the_page_do_what_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with Server(create_app(tmp_path / "tasks.sqlite3"), port=0) as server:
        for command, expected in commands():
            argv = shlex.split(command.replace(":8000", f":{server.port}"))
            monkeypatch.setattr(sys, "argv", argv)
            main()
            out, err = capfd.readouterr()
            # A terminal shows both; where the page has both, either may come first.
            pattern = ".*".join(re.escape(part) for part in normal(expected).split("…"))
            both = {normal(err + "\n" + out).replace("\n\n", "\n"), normal(out + "\n" + err).replace("\n\n", "\n")}
            pattern = re.sub(r"(\\\n){2,}", r"\\\n", pattern)
            assert any(re.fullmatch(pattern, text, re.DOTALL) for text in both), f"{command}\n{out}{err}"


def test_there_are_commands() -> None:
    assert len(commands()) >= 7

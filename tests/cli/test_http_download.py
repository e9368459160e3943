"""A download's place, and the line that shows how far it is."""

from __future__ import annotations

import io
from pathlib import Path

import click
import pytest

from firstbyte.cli.http_download import Progress, free_path, progress_line


def test_nothing_is_written_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert free_path("a.txt") == Path("a.txt")
    Path("a.txt").touch()
    Path("a-1.txt").touch()
    assert free_path("a.txt") == Path("a-2.txt")


@pytest.mark.parametrize(
    ("done", "total", "seconds", "line"),
    [
        (0, 10_000_000, 0, "f  ░░░░░░░░░░░░░░░░░░░░░░░░    0%  0 B of 10.0 MB  0 B/s"),
        (5_000_000, 10_000_000, 2, "f  ████████████░░░░░░░░░░░░   50%  5.0 MB of 10.0 MB  2.5 MB/s  2 s left"),
        (1_000_000, 10_000_000, 60, "f  ██░░░░░░░░░░░░░░░░░░░░░░   10%  1.0 MB of 10.0 MB  16.7 kB/s  9:00 min left"),
        (10_000_000, 10_000_000, 4, "f  ████████████████████████  100%  10.0 MB of 10.0 MB  2.5 MB/s  in 4 s"),
        (1000, None, 0.5, "f  1.0 kB  2.0 kB/s"),
        (1000, 3_600_000, 1, "f  ░░░░░░░░░░░░░░░░░░░░░░░░    0%  1.0 kB of 3.6 MB  1.0 kB/s  59:59 min left"),
        (10**6, 8_201_000_000, 1, "f  ░░░░░░░░░░░░░░░░░░░░░░░░    0%  1.0 MB of 8.2 GB  1.0 MB/s  2:16:40 left"),
    ],
)
def test_how_far_a_download_is(done: int, total: int | None, seconds: float, line: str) -> None:
    assert progress_line("f", done, total, seconds) == line
    assert click.unstyle(progress_line("f", done, total, seconds, colour=True)) == line


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_line_on_a_terminal() -> None:
    stream = Terminal()
    progress = Progress(stream, "f")
    progress.update(500, 1000)
    progress.update(501, 1000)  # too soon after the other
    progress.finish(1000, 1000)
    text = stream.getvalue()
    assert text.startswith("\rf  ████████████░░")
    assert text.count("\r") == 2
    assert text.endswith("\x1b[K\n")
    assert "100%" in text


def test_the_line_without_a_terminal() -> None:
    stream = io.StringIO()
    progress = Progress(stream, "f")
    progress.update(500, 1000)
    assert stream.getvalue() == ""
    progress.finish(1000, None)
    assert stream.getvalue().startswith("f  1.0 kB  ")

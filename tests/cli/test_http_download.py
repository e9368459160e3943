"""What a download is called, and the line that shows how far it is."""

from __future__ import annotations

import io
from pathlib import Path

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstbyte.cli.http_download import Progress, file_name, free_path, progress_line
from firstbyte.http.url import URL


@pytest.mark.parametrize(
    ("url", "disposition", "name"),
    [
        ("http://example.com/a/b.tar.gz?x=y", None, "b.tar.gz"),
        ("http://example.com/caf%C3%A9.txt", None, "café.txt"),
        ("http://example.com/", None, "example.com"),
        ("http://example.com/a/..%2f..%2fpasswd", None, "passwd"),
        ("http://example.com/%00%1b[31m", None, "__[31m"),
        ("http://example.com/.bashrc", None, "bashrc"),
        ("http://example.com/x", 'attachment; filename="a b.txt"', "a b.txt"),
        ("http://example.com/x", "attachment; filename=plain.txt", "plain.txt"),
        ("http://example.com/x", "attachment; filename=\"n.txt\"; filename*=UTF-8''na%C3%AFve.txt", "naïve.txt"),
        ("http://example.com/x", 'attachment; filename="../../etc/passwd"', "passwd"),
        ("http://example.com/x", "attachment; filename*=UTF-8''..%2F..%2Fetc%2Fpasswd", "passwd"),
        ("http://example.com/x", 'attachment; filename="C:\\\\dir\\\\file.txt"', "file.txt"),
        ("http://example.com/x", 'attachment; filename=".."', "x"),
        ("http://example.com/x", "attachment", "x"),
        ("http://example.com/x", "nonsense;;;=", "x"),
        ("http://[::1]/", None, "::1"),
    ],
)
def test_names(url: str, disposition: str | None, name: str) -> None:
    assert file_name(URL.parse(url), disposition) == name


@given(st.text())
def test_no_name_leaves_the_folder(text: str) -> None:
    for disposition in (f'attachment; filename="{text}"', f"attachment; filename*=UTF-8''{text}"):
        name = file_name(URL.parse("http://example.com/"), disposition)
        assert name
        assert not set(name) & set("/\\\0\n\x1b")
        assert not name.startswith(".")
        assert len(name.encode()) <= 200


def test_a_long_name_keeps_its_ending() -> None:
    name = file_name(URL.parse("http://example.com/"), f'attachment; filename="{"é" * 300}.tar"')
    assert name.endswith("é.tar")
    assert len(name.encode()) <= 200


def test_nothing_is_written_over(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    assert free_path(path) == path
    path.touch()
    (tmp_path / "a-1.txt").touch()
    assert free_path(path) == tmp_path / "a-2.txt"


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

"""The line that shows how far a download is."""

from __future__ import annotations

import io

import pytest

from firstbyte.client.progress import Progress, format_size, progress_line


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_949, "999.9 kB"), (999_950, "1.0 MB"), (10**13, "10.0 TB")],
)
def test_sizes(size: int, text: str) -> None:
    assert format_size(size) == text


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


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_line_on_a_terminal() -> None:
    stream = Terminal()
    progress = Progress(stream, "f")
    progress(500, 1000)
    progress(501, 1000)  # too soon after the other
    progress(1000, 1000)
    progress.close()
    text = stream.getvalue()
    assert text.startswith("\rf  ████████████░░")
    assert text.count("\r") == 2
    assert text.endswith("\x1b[K\n")
    assert "100%" in text


def test_the_line_without_a_terminal() -> None:
    stream = io.StringIO()
    progress = Progress(stream, "f")
    progress(500, 1000)
    assert stream.getvalue() == ""
    progress(1000, None)
    progress.close()
    assert stream.getvalue().startswith("f  1.0 kB  ")

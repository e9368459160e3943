"""Writes a download, and shows how far it is."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from time import monotonic
from typing import TextIO

from firstbyte.cli.http_output import format_size, paint, visible
from firstbyte.client.download import names_from, part_path

_BAR = 24  # characters
_EVERY = 0.1  # seconds between two states of the line


def free_path(name: str) -> Path:
    """The path in the current folder that has this name, or the first of `name-1`, `name-2`, … that is free."""
    return next(path for path in map(Path, names_from(name)) if not path.exists())


def progress_line(name: str, done: int, total: int | None, seconds: float, colour: bool = False) -> str:
    """How far a download of `total` bytes is after some seconds: a bar, bytes, speed, the time that is left."""
    speed = done / seconds if seconds > 0 else 0.0
    words = [visible(name)]
    if total:
        share = min(done / total, 1.0)
        bar = "█" * int(share * _BAR)
        words += [f"{paint(bar, 'green', colour)}{'░' * (_BAR - len(bar))}", f"{share:4.0%}"]
        words.append(f"{format_size(done)} of {format_size(total)}")
    else:
        words.append(format_size(done))
    words.append(f"{format_size(int(speed))}/s")
    if total and done < total and speed:
        words.append(f"{_clock((total - done) / speed)} left")
    elif seconds >= 1:
        words.append(f"in {_clock(seconds)}")
    return "  ".join(words)


def write_file(path: Path, pieces: Iterable[bytes], total: int | None, stream: TextIO, colour: bool = False) -> None:
    """Writes the pieces to `path`, by way of a part beside it, and shows on `stream` how far it is. Raises OSError."""
    part = part_path(path)
    done = 0
    with part.open("wb") as file:
        progress = Progress(stream, path.name, colour)
        try:
            for piece in pieces:
                file.write(piece)
                done += len(piece)
                progress.update(done, total)
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        finally:
            progress.finish(done, total)


class Progress:
    """The line of a download on a terminal, drawn anew as bytes come; without a terminal, one line at the end."""

    def __init__(self, stream: TextIO, name: str, colour: bool = False) -> None:
        self._stream = stream
        self._terminal = stream.isatty()
        self._name = name
        self._colour = colour
        self._started = monotonic()
        self._drawn = 0.0

    def update(self, done: int, total: int | None) -> None:
        """Tells how many bytes are here, of how many if that is known."""
        now = monotonic()
        if self._terminal and now - self._drawn >= _EVERY:
            self._drawn = now
            line = progress_line(self._name, done, total, now - self._started, self._colour)
            self._stream.write(f"\r{line}\x1b[K")
            self._stream.flush()

    def finish(self, done: int, total: int | None) -> None:
        """Draws the last state and ends the line."""
        line = progress_line(self._name, done, total, monotonic() - self._started, self._colour)
        self._stream.write(f"\r{line}\x1b[K\n" if self._terminal else f"{line}\n")
        self._stream.flush()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02}:{rest:02}"
    return f"{minutes}:{rest:02} min" if minutes else f"{rest} s"

"""What a download is called, and the line that shows how far it is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from time import monotonic
from typing import TextIO
from urllib.parse import unquote, unquote_to_bytes

from multipart import parse_options_header  # type: ignore[import-untyped]

from firstbyte.cli.http_output import format_size, paint, visible
from firstbyte.http.url import URL

_BAR = 24  # characters
_EVERY = 0.1  # seconds between two states of the line
_LONGEST_NAME = 200  # bytes; file systems hold 255, and a number or ".part" may follow


def file_name(url: URL, disposition: str | None) -> str:
    """The name to save a download under: Content-Disposition's (RFC 6266), else the end of the path, else the host.

    It names a file in the current folder whatever the server says: no folders, no hidden files, no controls.
    """
    names = [_disposition_name(disposition or ""), unquote(url.path.rpartition("/")[2]), url.host]
    return next(filter(None, map(_safe, names)), "download")


def free_path(path: Path) -> Path:
    """The path itself if there is nothing at it, else the first of `name-1.ext`, `name-2.ext`, … that is free."""
    return next(each for each in _alternatives(path) if not each.exists())


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
    """Writes the pieces to `path`, by way of `path.part`, and shows on `stream` how far it is. Raises OSError."""
    part = path.with_name(f"{path.name}.part")
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


def _disposition_name(disposition: str) -> str:
    extended = re.search(r";\s*filename\*\s*=\s*utf-8'[^']*'([^;\s]+)", disposition, re.IGNORECASE)  # RFC 8187
    if extended is not None:
        return unquote_to_bytes(extended[1]).decode("utf-8", "replace")
    name: str = parse_options_header(disposition)[1].get("filename", "")
    return name


def _safe(name: str) -> str:
    name = re.split(r"[/\\]", name)[-1]
    name = "".join(character if character.isprintable() else "_" for character in name).strip(" .")
    if len(name.encode()) <= _LONGEST_NAME:
        return name
    stem, dot, ending = name.rpartition(".")
    ending = dot + ending if stem and len(ending.encode()) <= 16 else ""
    kept = name.encode()[: _LONGEST_NAME - len(ending.encode())].decode("utf-8", "ignore")
    return kept + ending


def _alternatives(path: Path) -> Iterator[Path]:
    yield path
    number = 0
    while True:
        number += 1
        yield path.with_name(f"{path.stem}-{number}{path.suffix}")


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02}:{rest:02}"
    return f"{minutes}:{rest:02} min" if minutes else f"{rest} s"

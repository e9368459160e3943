"""The line that shows how far a download is."""

from __future__ import annotations

from time import monotonic
from typing import TextIO

_BAR = 24  # characters
_EVERY = 0.1  # seconds between two states of the line


def format_size(size: int) -> str:
    """A number of bytes for people: `999 B`, `1.2 MB` (powers of 1000)."""
    if size < 1000:
        return f"{size} B"
    value = float(size)
    for unit in ("kB", "MB", "GB", "TB"):
        value /= 1000
        if value < 999.95 or unit == "TB":
            break
    return f"{value:.1f} {unit}"


def progress_line(name: str, done: int, total: int | None, seconds: float, first: int = 0) -> str:
    """How far a download of `total` bytes is after some seconds: a bar, bytes, speed, the time that is left.

    `first` bytes of those that are done were there before.
    """
    speed = (done - first) / seconds if seconds > 0 else 0.0
    words = [name]
    if total:
        share = min(done / total, 1.0)
        bar = "█" * int(share * _BAR)
        words += [f"{bar:░<{_BAR}}", f"{share:4.0%}", f"{format_size(done)} of {format_size(total)}"]
    else:
        words.append(format_size(done))
    words.append(f"{format_size(int(speed))}/s")
    if total and done < total and speed:
        words.append(f"{_clock((total - done) / speed)} left")
    elif seconds >= 1:
        words.append(f"in {_clock(seconds)}")
    return "  ".join(words)


class Progress:
    """The line of a download on a terminal, drawn anew as bytes come; without a terminal, one line at the end.

    Call it with the bytes that are done and their total; `close` it when no more come.
    """

    def __init__(self, stream: TextIO, name: str) -> None:
        self._stream = stream
        self._terminal = stream.isatty()
        self._name = name
        self._started = monotonic()
        self._drawn = 0.0
        self._first: int | None = None
        self._last: tuple[int, int | None] = (0, None)

    def __call__(self, done: int, total: int | None) -> None:
        """Tells how many bytes are here, of how many if that is known."""
        if self._first is None:
            self._first = done
        self._last = (done, total)
        now = monotonic()
        if self._terminal and now - self._drawn >= _EVERY:
            self._drawn = now
            self._stream.write(f"\r{self._line()}\x1b[K")
            self._stream.flush()

    def close(self) -> None:
        """Draws the last state and ends the line; nothing if there was none."""
        if self._first is None:
            return
        self._stream.write(f"\r{self._line()}\x1b[K\n" if self._terminal else f"{self._line()}\n")
        self._stream.flush()

    def _line(self) -> str:
        return progress_line(self._name, *self._last, monotonic() - self._started, self._first or 0)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02}:{rest:02}"
    return f"{minutes}:{rest:02} min" if minutes else f"{rest} s"

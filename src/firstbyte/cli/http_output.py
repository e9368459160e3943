"""What the HTTP commands print, as pure functions: JSON, heads, times and sizes, in colour or not."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import click
import msgspec

# Kinds of text and their colours; the status of a response takes that of its class.
_COLOURS = {"key": "blue", "string": "green", "number": "cyan", "literal": "magenta", "name": "cyan"}
_STATUS_COLOURS = {1: "white", 2: "green", 3: "cyan", 4: "yellow", 5: "red"}


class Phase(NamedTuple):
    """A part of an exchange: its name, and when it began and ended, in seconds since the request was made."""

    name: str
    begin: float
    end: float


def exit_code(status: int) -> int:
    """The exit code for the status of a response: 4 for 4xx, 5 for 5xx, 0 for all else."""
    return status // 100 if status >= 400 else 0


def format_json(data: bytes, colour: bool = False) -> str:
    """JSON with a member or element a line, its values as they were written; escaped letters are shown as letters.

    Raises ValueError for what is no JSON, or nests too deep.
    """
    try:
        text = msgspec.json.format(data, indent=2).decode()
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None
    return _TOKEN.sub(lambda match: _token(match, colour), text)


def format_head(start_line: str, fields: Iterable[tuple[str, str]], colour: bool = False) -> str:
    """The head of a response or request: its first line and a line for each field, without the empty one."""
    words = visible(start_line).split(" ", 2)
    if words[0].startswith("HTTP/") and len(words) > 1 and words[1].isdigit():
        words[1] = paint(words[1], _STATUS_COLOURS.get(int(words[1]) // 100), colour, bold=True)
    lines = [" ".join(words)]
    lines += [f"{paint(visible(name), _COLOURS['name'], colour)}: {visible(value)}" for name, value in fields]
    return "\n".join(lines)


def visible(text: str) -> str:
    """The text without anything that a terminal would obey: other controls than line ends and tabs are escaped."""
    return text.translate(_CONTROLS)


def paint(text: str, colour_name: str | None, colour: bool, bold: bool | None = None, dim: bool | None = None) -> str:
    """The text in a colour, if there is to be colour."""
    return click.style(text, fg=colour_name, bold=bold, dim=dim) if colour else text


def format_seconds(seconds: float) -> str:
    """A duration for people: `0.12 ms`, `12.3 ms`, `1.23 s`."""
    if seconds >= 1:
        return f"{seconds:.2f} s"
    milliseconds = seconds * 1000
    return f"{milliseconds:.1f} ms" if milliseconds >= 1 else f"{milliseconds:.2f} ms"


def waterfall(phases: Sequence[Phase], colour: bool = False, width: int = 48) -> str:
    """The phases of an exchange below each other, each with its duration and a bar of when it was; then their total.

    A phase that took any time at all has a bar of at least one character.
    """
    first = min((phase.begin for phase in phases), default=0.0)
    last = max((phase.end for phase in phases), default=0.0)
    whole = last - first or 1.0
    names = max([len(phase.name) for phase in phases] + [len("total")])
    lines = []
    for index, phase in enumerate(phases):
        begin = min(int((phase.begin - first) / whole * width), width - 1)
        end = max(round((phase.end - first) / whole * width), begin + 1)
        bar = paint("█" * (end - begin), _BARS[index % len(_BARS)], colour) if phase.end > phase.begin else ""
        lines.append(f"{phase.name:{names}}  {format_seconds(phase.end - phase.begin):>9}  {' ' * begin}{bar}".rstrip())
    lines.append(paint(f"{'total':{names}}  {format_seconds(last - first):>9}", None, colour, bold=True))
    return "\n".join(lines)


_BARS = ("blue", "cyan", "magenta", "green", "yellow", "red")
# C0 and C1 controls, DEL, and what turns the direction of text (Unicode TR 36 section 2.4).
_CONTROLS = {
    code: f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
    for code in [*range(0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
    if chr(code) not in "\n\t"
}
_TOKEN = re.compile(
    r'(?P<string>"(?:[^"\\]|\\.)*+")(?P<key>:)?|(?P<number>-?\d[\d.eE+-]*)|(?P<literal>true|false|null)'
)


def _token(match: re.Match[str], colour: bool) -> str:
    kind = match.lastgroup or ""
    string = match["string"]
    if string is None:
        return paint(match.group(), _COLOURS[kind], colour)
    if "\\u" in string:
        string = msgspec.json.encode(msgspec.json.decode(string)).decode()
    return paint(visible(string), _COLOURS[kind], colour) + (match["key"] or "")

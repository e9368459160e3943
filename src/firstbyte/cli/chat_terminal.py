"""What one types and what comes in, on one terminal: the line that is being typed stays below what is shown."""

from __future__ import annotations

import codecs
import json
import os
import re
import time
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TextIO

from firstbyte.cli.http_output import paint, visible

MAX_LINE = 4000  # characters of a typed line
_COLOURS = ("cyan", "green", "magenta", "yellow", "blue", "bright_red", "bright_cyan", "bright_green")


class Shown(NamedTuple):
    """What a message comes to: lines to show, the message's id, and who is typing; what it is not is empty."""

    lines: Sequence[str] = ()
    id: str = ""
    typing: str = ""


def describe(message: str | bytes, colour: bool) -> Shown:
    """A message for people: what `firstbyte.rooms` sends in words, all else as it is, none of it for the terminal."""
    if isinstance(message, bytes):
        return Shown([paint(f"({len(message)} bytes)", None, colour, dim=True)])
    try:
        event = json.loads(message)
    except ValueError:
        event = None
    said = _said(event, colour) if isinstance(event, dict) else None
    return Shown(visible(message).splitlines() or [""]) if said is None else said


def _said(event: dict[str, Any], colour: bool) -> Shown | None:
    match event:
        case {"present": [*names]}:
            who = ", ".join(visible(str(name)) for name in names)
            return Shown([_note(f"here: {who}", colour)] + ([_note(_LOST, colour)] if event.get("missed") else []))
        case {"joined": str(name)}:
            return Shown([_note(f"{visible(name)} is here", colour)])
        case {"left": str(name)}:
            return Shown([_note(f"{visible(name)} has left", colour)])
        case {"missed": _, **rest} if "data" not in rest:
            return Shown([_note(_LOST, colour)] if event["missed"] else [])
        case {"data": {"typing": str(name)}}:
            return Shown(typing=visible(name))
        case {"id": str(id_), "data": {"from": str(name), "text": str(text)}}:
            first, *more = visible(text).splitlines() or [""]
            head = f"{_clock(id_)} {visible(name)}: "
            painted = f"{paint(_clock(id_), None, colour, dim=True)} {paint(visible(name), _colour_of(name), colour)}: "
            return Shown([painted + first, *(" " * width(head) + line for line in more)], id_)
        case {"id": str(id_), "data": data}:
            return Shown([visible(json.dumps(data, ensure_ascii=False))], id_)
    return None


_LOST = "some of what was said is not kept any more"


def _note(text: str, colour: bool) -> str:
    return paint(f"· {text}", None, colour, dim=True)


def _clock(id_: str) -> str:
    """The time of day that an id of a room is from."""
    milliseconds = id_.partition("-")[0]
    seconds = int(milliseconds) / 1000 if milliseconds.isdecimal() and len(milliseconds) < 16 else 0
    return time.strftime("%H:%M", time.localtime(seconds))


def _colour_of(name: str) -> str:
    return _COLOURS[sum(map(ord, name)) % len(_COLOURS)]


def width(text: str) -> int:
    """The columns that a text takes in a terminal."""
    return sum(
        0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        for letter in text
    )


class Editor:
    """The line that is being typed, and the keys that change it.

    Enter ends it, Ctrl-D ends all on an empty one; Backspace, Delete, the arrows left and right, Home, End and Ctrl-A,
    -E, -U, -K and -W edit, the arrows up and down go through what was typed before.
    """

    def __init__(self) -> None:
        self.text = ""
        self.at = 0
        self.is_over = False
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""  # a key that has not come whole
        self._before: list[str] = []
        self._shown = 0  # which of them, counted from the last; 0 for none

    def feed(self, data: bytes) -> list[str]:
        """The lines that these bytes of the keyboard end."""
        lines: list[str] = []
        text = self._rest + self._decoder.decode(data)
        self._rest = ""
        at = 0
        while at < len(text) and not self.is_over:
            match = _KEY.match(text, at)
            if match is None:
                if len(text) - at < _LONGEST_KEY:
                    self._rest = text[at:]
                    break
                at += 1  # no key that there is
                continue
            at = match.end()
            if match.group() in ("\r", "\n", "\r\n"):
                lines.append(self._enter())
            else:
                self._press(match.group())
        return lines

    def end(self) -> str:
        """What was typed without an Enter, where nothing more comes."""
        return self._enter()

    def _enter(self) -> str:
        line, self.text, self.at, self._shown = self.text, "", 0, 0
        if line and line not in self._before[-1:]:
            self._before = [*self._before[-99:], line]
        return line

    def _press(self, key: str) -> None:
        edit = _EDITS.get(key)
        if edit is not None:
            self.text, self.at = edit(self.text, self.at)
        elif key in _UP_DOWN:
            self._shown = min(max(self._shown + _UP_DOWN[key], 0), len(self._before))
            self.text = self._before[-self._shown] if self._shown else ""
            self.at = len(self.text)
        elif key == "\x04":
            self.is_over = not self.text
        elif key.isprintable() and len(self.text) < MAX_LINE:
            self.text = self.text[: self.at] + key + self.text[self.at :]
            self.at += len(key)


def _without_word(text: str, at: int) -> tuple[str, int]:
    kept = re.sub(r"\S*\s*\Z", "", text[:at])
    return kept + text[at:], len(kept)


_Edit = Callable[[str, int], tuple[str, int]]
_BACK: _Edit = lambda text, at: (text[: max(at - 1, 0)] + text[at:], max(at - 1, 0))  # noqa: E731
_LEFT: _Edit = lambda text, at: (text, max(at - 1, 0))  # noqa: E731
_RIGHT: _Edit = lambda text, at: (text, min(at + 1, len(text)))  # noqa: E731
_HOME: _Edit = lambda text, at: (text, 0)  # noqa: E731
_END: _Edit = lambda text, at: (text, len(text))  # noqa: E731
_EDITS: dict[str, _Edit] = {
    "\x7f": _BACK,
    "\x08": _BACK,
    "\x1b[3~": lambda text, at: (text[:at] + text[at + 1 :], at),
    "\x1b[D": _LEFT,
    "\x1bOD": _LEFT,
    "\x1b[C": _RIGHT,
    "\x1bOC": _RIGHT,
    "\x1b[H": _HOME,
    "\x1bOH": _HOME,
    "\x1b[1~": _HOME,
    "\x01": _HOME,
    "\x1b[F": _END,
    "\x1bOF": _END,
    "\x1b[4~": _END,
    "\x05": _END,
    "\x15": lambda text, at: (text[at:], 0),
    "\x0b": lambda text, at: (text[:at], at),
    "\x17": _without_word,
}
_UP_DOWN = {"\x1b[A": 1, "\x1bOA": 1, "\x1b[B": -1, "\x1bOB": -1}
_LONGEST_KEY = 16
_KEY = re.compile(r"\r\n|\x1b(?:\[[0-9;]*[A-Za-z~]|O[A-Za-z]|[^\[O\x1b])|[^\x1b]")


class Screen:
    """Shows lines above the one that is being typed; a plain stream gets the lines alone."""

    def __init__(self, out: TextIO, is_terminal: bool, editor: Editor) -> None:
        self._out = out
        self._is_terminal = is_terminal
        self._editor = editor
        self._prompt = "> "

    def show(self, lines: Sequence[str], prompt: str | None = None) -> None:
        """Shows them, whatever is typed meanwhile."""
        clear = "\r\x1b[K" if self._is_terminal else ""
        self.draw(prompt, "".join(f"{clear}{line}\n" for line in lines))

    def draw(self, prompt: str | None = None, above: str = "") -> None:
        """The line as it is now, with what fits of it around the cursor; written at once, so that nothing flickers."""
        if prompt is not None:
            self._prompt = prompt
        if self._is_terminal:
            room = max(os.get_terminal_size(self._out.fileno()).columns - width(self._prompt) - 1, 8)
            before, behind = self._editor.text[: self._editor.at], self._editor.text[self._editor.at :]
            while width(before) > room:
                before = before[1:]
            while width(before + behind) > room:
                behind = behind[:-1]
            back = f"\x1b[{width(behind)}D" if behind else ""
            above += f"\r\x1b[K{self._prompt}{before}{behind}{back}"
        self._out.write(above)
        self._out.flush()

    def clear(self) -> None:
        """Takes the line away: nothing is typed any more."""
        if self._is_terminal:
            self._out.write("\r\x1b[K")
        self._out.flush()

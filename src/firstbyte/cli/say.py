"""What the command line tells a person, on standard error, in colour where that is a terminal."""

from __future__ import annotations

import re
import sys

_COLOURS = {"red": 31, "green": 32, "yellow": 33, "cyan": 36, "white": 37}
_STYLE = re.compile("\x1b\\[[0-9;]*m")


def say(text: str) -> None:
    """Prints a line."""
    stream = sys.stderr
    stream.write(f"{text if stream.isatty() else _STYLE.sub('', text)}\n")
    stream.flush()


def styled(text: str, *, colour: str = "", bold: bool = False) -> str:
    """`text` in a colour, bold, or both."""
    codes = [str(_COLOURS[colour])] if colour else []
    codes += ["1"] if bold else []
    return f"\x1b[{';'.join(codes)}m{text}\x1b[0m"

"""The access log: a line for each request, in a format that is compiled once into a function.

Nothing that a client sends can end a line, or a field that is in quotes: control bytes, quotes, backslashes and what is
not ASCII are written as \\xHH, as nginx does.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeAlias

from firstbyte.cli.log_file import LogFile
from firstbyte.cli.say import styled
from firstbyte.engine.connection import Connection
from firstbyte.engine.observer import Entry, Observer
from firstbyte.errors import ConfigurationError, ProtocolError
from firstbyte.http.request import Request

if TYPE_CHECKING:
    from firstbyte.engine.entrance import Arrival

CLIENT_LEFT = 499  # nginx's status for a request whose client left before there was an answer; never sent

Format: TypeAlias = Callable[[Entry, int, float], bytes]
"""Makes the line: from the entry, its status, and the seconds from its head's arrival to now."""

COMMON = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s'
NAMED = {"common": COMMON, "combined": f'{COMMON} "%(f)s" "%(a)s"'}
FORMATS = ("text", "json", *NAMED)


class AccessLog(Observer):
    """Writes a line for each answer, whole or cut off; `format` is one of FORMATS or a string of gunicorn's atoms.

    Requests that are refused have their line too, but not in the format "text", which is read beside the error log.
    Raises ConfigurationError for a format that is none.
    """

    def __init__(self, file: LogFile, format: str = "text") -> None:  # noqa: A002 - the option's name
        self.file = file
        self._format = compile_format(format, file.is_terminal)
        self._tells_refusals = format != "text"

    def write_ended(self, connection: Connection, entry: Entry) -> None:
        """Writes the line of an answer."""
        assert entry.response is not None
        self.file.write(self._format(entry, entry.response.status, perf_counter() - entry.began))

    def cut(self, connection: Connection, entry: Entry) -> None:
        """Writes the line of an answer that was not sent to its end, or of none."""
        status = entry.response.status if entry.response is not None else CLIENT_LEFT
        self.file.write(self._format(entry, status, perf_counter() - entry.began))

    def rejected(self, connection: Connection | Arrival, error: ProtocolError) -> None:
        """Writes the line of a request that was no valid one."""
        if self._tells_refusals:
            entry = connection.entry or Entry(Request.build(NO_METHOD, "-", client=connection.client))
            self.file.write(self._format(entry, error.status, perf_counter() - entry.began))


def compile_format(format: str, colour: bool = False) -> Format:  # noqa: A002
    """The function of a format's name or string. Raises ConfigurationError that says what is wrong and what is near."""
    if format == "text":
        return _text_in_colour if colour else _text
    from firstbyte.cli.access_formats import compile_atoms, json_line  # here, since most starts need neither

    if format == "json":
        return json_line
    if "%" not in format and format not in NAMED:
        from difflib import get_close_matches

        near = get_close_matches(format, FORMATS, 1, 0.0)[0]
        raise ConfigurationError(
            f"{format!r} is no access log format: did you mean {near}? There are {', '.join(FORMATS)} and gunicorn's "
            f"atoms, as in '{COMMON}'"
        )
    return compile_atoms(NAMED.get(format, format))


def _text(entry: Entry, status: int, seconds: float, shown: Any = None) -> bytes:
    request = entry.request
    cut = ", cut off" if entry.was_cut else ""
    target = escape(request.target)
    return (
        f"{request.client} {request.method} {target} {shown or status} {entry.size} {seconds * 1000:.1f} ms{cut}\n"
    ).encode()


def _text_in_colour(entry: Entry, status: int, seconds: float) -> bytes:
    return _text(entry, status, seconds, styled(str(status), colour=_COLOURS[status // 100]))


_COLOURS = {1: "white", 2: "green", 3: "cyan", 4: "yellow", 5: "red"}


def escape(text: str) -> str:
    """`text` with everything that is no plain visible ASCII, the quote and the backslash among it, as \\xHH."""
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return text
    return _UNSAFE.sub(_hex, text)


def _hex(match: re.Match[str]) -> str:
    char = match[0]
    data = char.encode("latin-1" if ord(char) < 256 else "utf-8", "surrogatepass")
    return "".join(f"\\x{byte:02X}" for byte in data)


_UNSAFE = re.compile(r"[^\x20\x21\x23-\x5b\x5d-\x7e]")
NO_METHOD = "-"  # of the stand-in for a request whose head was no valid one

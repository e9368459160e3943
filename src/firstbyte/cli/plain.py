"""The short way: a folder is served with nothing but its name, a port and an address said.

That is what most people type most of the time, and it begins before the options of every command are even known: those,
and click, take longer to load than the server. Any other option, a file of options or a variable of one goes the long
way; tests hold that a line means the same by both.
"""

from __future__ import annotations

import gc
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from firstbyte.cli.sources import file_here, option_variables

_FOLDER = {"-b": "host", "--bind": "host", "--host": "host", "-d": "directory", "--directory": "directory"}
_SERVE = {"--host": "host", "--port": "port"}
# Command -> its options, and what its argument is.
_LINES = {"folder": (_FOLDER, "port"), "serve": (_SERVE, "directory")}


class Plain(NamedTuple):
    """What such a line says; the defaults are those of the options."""

    directory: str = "."
    host: str = "127.0.0.1"
    port: int = 8000


def plain_line(arguments: Sequence[str]) -> Plain | None:
    """What a command line says if it can go the short way, else None, also for one that is wrong."""
    if not arguments or arguments[0] not in _LINES:
        return None
    options, argument = _LINES[arguments[0]]
    said: dict[str, Any] = {}
    words = iter(arguments[1:])
    for word in words:
        option, equals, value = word.partition("=")
        if not word.startswith("-"):
            name, value = argument, word
        elif equals and not option.startswith("--"):
            return None
        else:
            name, value = options.get(option, ""), value if equals else next(words, "")
        if not name or name in said or not value or value.startswith("-"):
            return None
        said[name] = value
    if "port" in said:
        port = said["port"]
        if not (port.isascii() and port.isdecimal() and len(port) <= 5 and int(port) < 1 << 16):
            return None
        said["port"] = int(port)
    if option_variables() or file_here() is not None:
        return None
    return Plain(**said)


def serve_plain(plain: Plain) -> int:
    """Serves the folder; returns the exit code. Raises ConfigurationError."""
    gc.disable()  # what is imported is no garbage: looking for some in it costs a twentieth of the start
    try:
        from firstbyte.cli.files import Files
        from firstbyte.cli.network import Network
        from firstbyte.cli.processes import Processes
        from firstbyte.cli.serving_files import serve_files
        from firstbyte.cli.uploading import Uploading
        from firstbyte.engine.timeouts import Timeouts
        from firstbyte.wire.limits import Limits
    finally:
        gc.enable()
    return serve_files(
        Path(plain.directory), Files(), Uploading(), live=False, host=plain.host, port=plain.port, limits=Limits(),
        timeouts=Timeouts(), processes=Processes(), network=Network(),
    )  # fmt: skip

"""The command line: `firstbyte COMMAND`, and `python -m firstbyte` for a folder."""

from __future__ import annotations

import os
import sys

from firstbyte.cli.places import COMMANDS
from firstbyte.cli.plain import plain_line, serve_plain
from firstbyte.cli.say import say, styled
from firstbyte.errors import AppLoadError, ConfigurationError

__all__ = ["main"]

_ABOUT = ("-h", "--help", "-V", "--version")


def main(folder_by_default: bool = False) -> int:
    """Runs the command that sys.argv names and returns the exit code: 0, 1 for what cannot work, 2 for wrong usage.

    With `folder_by_default` a command line that names no command is one of `firstbyte folder`.
    """
    _open_standard_streams()
    arguments = sys.argv[1:]
    if folder_by_default and not (arguments and arguments[0] in {*COMMANDS, *_ABOUT}):
        arguments = ["folder", *arguments]
    try:
        plain = plain_line(arguments)
        if plain is not None:
            return serve_plain(plain)
        from firstbyte.cli.commands import run_command  # here, since click takes long to import

        return run_command(arguments)
    except ConfigurationError as error:
        if isinstance(error, AppLoadError):
            sys.stderr.write(error.traceback)
        say(styled(f"firstbyte: {error}", colour="red"))
        return 1


def _open_standard_streams() -> None:
    """Gives the null device to standard streams that were closed when the program began.

    Python has None in their places; and the first socket would get the number 2, and log lines for its bytes.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDWR)  # which gets the lowest free number: the stream's own
            setattr(sys, name, os.fdopen(null, mode))

"""The command line: `firstbyte COMMAND`, and `python -m firstbyte` for a folder."""

from __future__ import annotations

import os
import sys

import click

from firstbyte.cli.commands import COMMANDS, cli
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
        return int(cli.main(arguments, prog_name="firstbyte", standalone_mode=False) or 0)
    except click.exceptions.Exit as ending:
        return ending.exit_code
    except click.UsageError as error:
        error.show()
        return 2
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return 130
    except ConfigurationError as error:
        if isinstance(error, AppLoadError):
            click.echo(error.traceback, err=True, nl=False)
        click.secho(f"firstbyte: {error}", err=True, fg="red")
        return 1


def _open_standard_streams() -> None:
    """Gives the null device to standard streams that were closed when the program began.

    Python has None in their places; and the first socket would get the number 2, and log lines for its bytes.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDWR)  # which gets the lowest free number: the stream's own
            setattr(sys, name, os.fdopen(null, mode))

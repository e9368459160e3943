"""The command line that click reads."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from firstbyte import __version__, compiled
from firstbyte._lazy import import_from
from firstbyte.cli.places import COMMANDS


class LazyGroup(click.Group):
    """A group that has the commands of `places`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names, in order."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, imported now."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_from(*COMMANDS[cmd_name].split(":"))
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(
    __version__,
    "-V",
    "--version",
    message=f"firstbyte %(version)s, {'compiled' if compiled else 'plain'} Python, {sys.version.split()[0]}",
)
def cli() -> None:
    """A web server, micro framework and HTTP client that you can see through."""


def run_command(arguments: Sequence[str]) -> int:
    """Runs the command that a line names; returns the exit code: that of the command, or 2 for wrong usage."""
    try:
        return int(cli.main(list(arguments), prog_name="firstbyte", standalone_mode=False) or 0)
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

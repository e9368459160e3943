"""The commands, and where each is found: none is imported before it is asked for."""

from __future__ import annotations

import sys

import click

from firstbyte import __version__, compiled
from firstbyte._lazy import import_from

COMMANDS = {
    "chat": "firstbyte.cli.http_commands:chat",
    "config": "firstbyte.cli.config:config",
    "delete": "firstbyte.cli.http_commands:delete",
    "demo": "firstbyte.cli.app_commands:demo",
    "folder": "firstbyte.cli.folder_commands:folder",
    "get": "firstbyte.cli.http_commands:get",
    "head": "firstbyte.cli.http_commands:head",
    "openapi": "firstbyte.cli.app_commands:openapi",
    "options": "firstbyte.cli.http_commands:options",
    "patch": "firstbyte.cli.http_commands:patch",
    "plugins": "firstbyte.cli.listings:plugins",
    "post": "firstbyte.cli.http_commands:post",
    "proxy": "firstbyte.cli.proxy_command:proxy",
    "put": "firstbyte.cli.http_commands:put",
    "reload": "firstbyte.cli.workers:reload",
    "request": "firstbyte.cli.http_commands:request",
    "routes": "firstbyte.cli.listings:routes",
    "run": "firstbyte.cli.app_commands:run",
    "serve": "firstbyte.cli.folder_commands:serve_folder",
    "status": "firstbyte.cli.workers:status",
}
"""Name -> module:name."""


class LazyGroup(click.Group):
    """A group that has the commands of the table above."""

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

"""The commands, and where each is: none is imported before it is asked for."""

from __future__ import annotations

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

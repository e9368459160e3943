"""`firstbyte run`, `firstbyte openapi` and `firstbyte demo`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from firstbyte.cli.development import folders_of
from firstbyte.cli.load import load_app
from firstbyte.cli.options import live_option, server_options
from firstbyte.cli.serving import serve
from firstbyte.errors import ConfigurationError
from firstbyte.http.request import Address


@click.command()
@click.argument("app")
@click.option(
    "--interface",
    type=click.Choice(["auto", "native", "wsgi", "asgi"]),
    default="auto",
    show_default=True,
    help="What the app is: firstbyte's own (native), WSGI or ASGI; auto finds out.",
)
@click.option("--factory", is_flag=True, help="APP names a function that makes the app.")
@live_option
@server_options
def run(app: str, interface: Any, factory: bool, live: bool, **options: Any) -> int:
    """Serve the app that APP names: module:app, or file.py:app (":app" may be left out)."""
    processes = options["processes"]
    watched = (processes.reload_dir or folders_of(app)) if live else ()
    multiprocess = processes.workers > 1
    return serve(
        lambda: load_app(app, interface, factory=factory, multiprocess=multiprocess), app, live=watched, **options
    )


@click.command()
@click.argument("app")
@click.option("--factory", is_flag=True, help="APP names a function that makes the app.")
def openapi(app: str, factory: bool) -> None:
    """Print what APP answers as OpenAPI 3.1, in JSON."""
    import msgspec

    from firstbyte.app.application import App
    from firstbyte.app.openapi import OpenAPI

    found = load_app(app, factory=factory)
    if not isinstance(found, App):
        raise ConfigurationError(f"{app} is {type(found).__name__}: only an App of firstbyte can be described")
    document = msgspec.json.encode(OpenAPI.of(found).document(found))
    click.echo(msgspec.json.format(document).decode())


@click.command()
@click.option("--client", is_flag=True, help="Run the client side against a demo that is being served.")
@click.argument("url", required=False)
@click.option(
    "--database", type=click.Path(dir_okay=False), help="SQLite file of the tasks; a temporary one by default."
)
@server_options
def demo(client: bool, url: str | None, database: str | None, **options: Any) -> int:
    """Serve the demo, a small site and its tasks API; with --client, walk through the one at URL."""
    if client:
        from firstbyte.demo.client import run_client

        return run_client(url or f"http://{Address(options['host'], options['port'])}", sys.stdout)
    if url is not None:
        raise click.UsageError("a URL goes with --client")
    import tempfile

    from firstbyte.demo.tasks import create_app

    with tempfile.TemporaryDirectory(prefix="firstbyte-demo-") as folder:
        path = database or Path(folder) / "tasks.sqlite3"
        return serve(lambda: create_app(path), "the tasks demo", **options)

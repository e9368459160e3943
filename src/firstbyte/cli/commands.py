"""The commands, each a few lines: they read options, find a handler and serve it."""

from __future__ import annotations

import platform
import sys
import tempfile
from pathlib import Path
from typing import Any

import click
import msgspec

from firstbyte import __version__, compiled
from firstbyte.cli.config import ConfigGroup
from firstbyte.cli.development import folders_of, live_option
from firstbyte.cli.files import Files, FolderCommand, file_options
from firstbyte.cli.http_commands import http_commands
from firstbyte.cli.listings import plugins, routes
from firstbyte.cli.load import load_app
from firstbyte.cli.options import server_options
from firstbyte.cli.proxying import Proxying, proxy_options
from firstbyte.cli.reach import say_reach
from firstbyte.cli.serving import serve
from firstbyte.cli.uploading import Uploading, upload_options
from firstbyte.cli.workers import reload, status
from firstbyte.errors import ConfigurationError
from firstbyte.http.request import Address


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(
    __version__,
    "-V",
    "--version",
    message=f"firstbyte %(version)s, {'compiled' if compiled else 'plain'} Python, {platform.python_version()}",
)
def cli() -> None:
    """A web server, micro framework and HTTP client that you can see through."""


@cli.command()
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


@cli.command()
@click.argument("app")
@click.option("--factory", is_flag=True, help="APP names a function that makes the app.")
def openapi(app: str, factory: bool) -> None:
    """Print what APP answers as OpenAPI 3.1, in JSON."""
    from firstbyte.app.application import App
    from firstbyte.app.openapi import OpenAPI

    found = load_app(app, factory=factory)
    if not isinstance(found, App):
        raise ConfigurationError(f"{app} is {type(found).__name__}: only an App of firstbyte can be described")
    document = msgspec.json.encode(OpenAPI.of(found).document(found))
    click.echo(msgspec.json.format(document).decode())


@cli.command()
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
    from firstbyte.demo.tasks import create_app

    with tempfile.TemporaryDirectory(prefix="firstbyte-demo-") as folder:
        path = database or Path(folder) / "tasks.sqlite3"
        return serve(lambda: create_app(path), "the tasks demo", **options)


@cli.command(cls=FolderCommand)
@click.argument("port", type=click.IntRange(0, 65535), default=8000)
@click.option(
    "-b", "--bind", "--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Address to listen on."
)
@click.option("-d", "--directory", default=".", show_default=True, metavar="DIRECTORY", help="Folder to serve.")
@file_options
@upload_options
@live_option
@server_options(address=False)
def folder(port: int, bind: str, directory: str, files: Files, uploading: Uploading, live: bool, **options: Any) -> int:
    """Serve a folder on PORT; this is what `python -m firstbyte PORT` runs."""
    return _serve_folder(Path(directory), files, uploading, live, host=bind, port=port, unix=None, **options)


@cli.command("serve", cls=FolderCommand)
@click.argument("directory", default=".")
@file_options
@upload_options
@live_option
@server_options
def serve_folder(directory: str, files: Files, uploading: Uploading, live: bool, **options: Any) -> int:
    """Serve the folder DIRECTORY: a site, a single-page application (--spa), or files to share."""
    return _serve_folder(Path(directory), files, uploading, live, **options)


def _serve_folder(path: Path, files: Files, uploading: Uploading, live: bool, **options: Any) -> int:
    handler = files.handler(path, uploading)
    watched = [path] if live else []
    return serve(lambda: handler, f"the folder {path.resolve()}", live=watched, say_more=say_reach, **options)


@cli.command()
@click.argument("urls", nargs=-1, required=True, metavar="URL...")
@proxy_options
@server_options
def proxy(urls: tuple[str, ...], proxying: Proxying, **options: Any) -> int:
    """Pass every request on to the server at URL; of several, to the one that has least to do."""
    what = f"what {' and '.join(urls)} answer{'s' * (len(urls) == 1)}"
    return serve(lambda: proxying.proxy(urls, options["debug"]), what, proxying=proxying, **options)


cli.add_command(status)
cli.add_command(reload)
cli.add_command(routes)
cli.add_command(plugins)


@cli.group(cls=ConfigGroup)
def config() -> None:
    """Print the options in force and where each comes from, of `firstbyte run` unless another COMMAND is named."""


for each in http_commands():
    cli.add_command(each)

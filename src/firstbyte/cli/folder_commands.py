"""`firstbyte folder`, which is `python -m firstbyte`, and `firstbyte serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from firstbyte.cli.file_options import FolderCommand, file_options, upload_options
from firstbyte.cli.files import Files
from firstbyte.cli.options import live_option, server_options
from firstbyte.cli.serving_files import serve_files
from firstbyte.cli.uploading import Uploading


@click.command(cls=FolderCommand)
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
    return serve_files(Path(directory), files, uploading, live, host=bind, port=port, unix=None, **options)


@click.command("serve", cls=FolderCommand)
@click.argument("directory", default=".")
@file_options
@upload_options
@live_option
@server_options
def serve_folder(directory: str, files: Files, uploading: Uploading, live: bool, **options: Any) -> int:
    """Serve the folder DIRECTORY: a site, a single-page application (--spa), or files to share."""
    return serve_files(Path(directory), files, uploading, live, **options)

"""Serves a folder from the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from firstbyte.cli.files import Files
from firstbyte.cli.reach import say_reach
from firstbyte.cli.serving import serve
from firstbyte.cli.uploading import Uploading


def serve_files(path: Path, files: Files, uploading: Uploading, live: bool, **options: Any) -> int:
    """Serves the folder as the options say, the last of which are those of `serve`; returns the exit code.

    Raises ConfigurationError.
    """
    handler = files.handler(path, uploading)
    watched = [path] if live else []
    return serve(
        lambda: handler, f"the folder {path.resolve()}", live=watched, say_more=say_reach, logs_later=True, **options
    )

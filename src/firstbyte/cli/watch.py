"""The process that watches files for `--reload`: `python -m firstbyte.cli.watch CONTROL FOLDER...`.

It is one of its own, since a supervisor has one thread, and a watcher has others. It ends when its standard input does.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

import click
from watchfiles import PythonFilter, watch

from firstbyte.engine.control import Reload, ask
from firstbyte.errors import ConfigurationError

WITH = (".html", ".j2", ".jinja", ".jinja2", ".toml", ".env")  # beside Python's: what apps read when they start
PATIENCE = 600.0  # seconds
SHOWN = 3


def main(control: str, *folders: str) -> int:
    """Asks the server at `control` for a reload each time files have changed, and says which."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the supervisor
    over = threading.Event()
    threading.Thread(target=_wait_for_the_end, args=(over,), daemon=True).start()
    changes = watch(*folders, watch_filter=PythonFilter(extra_extensions=WITH), stop_event=over)
    for each in changes:
        names = sorted({os.path.relpath(path) for _, path in each})
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        click.echo(f"changed: {', '.join(names[:SHOWN])}{more}", err=True)
        try:
            ask(Path(control), Reload(), PATIENCE)  # the supervisor itself says how it went
        except ConfigurationError as error:
            click.echo(f"not reloaded: {error}", err=True)
    return 0


def _wait_for_the_end(over: threading.Event) -> None:
    sys.stdin.buffer.read()
    over.set()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

"""Serves a handler from the command line: log, start line, signals."""

from __future__ import annotations

import contextlib
import resource
import sys
from typing import Literal

import click

from firstbyte import __version__
from firstbyte.cli.logs import AccessLog, ErrorLog, set_up_logging
from firstbyte.engine.observer import Observer
from firstbyte.engine.server import Server
from firstbyte.engine.timeouts import Timeouts
from firstbyte.http.handler import Handler
from firstbyte.http.request import Address
from firstbyte.wire.limits import Limits


def serve(
    handler: Handler,
    what: str,
    *,
    host: str,
    port: int,
    unix: str | None,
    threads: int,
    loop: Literal["auto", "asyncio", "uvloop"],
    warn_blocking: float,
    limits: Limits,
    timeouts: Timeouts,
    access_log: bool,
    log_format: str,
    debug: bool,
) -> int:
    """Serves until it is stopped; returns the exit code. `what` names the handler in the start line.

    Raises ListenError.
    """
    if debug and hasattr(handler, "debug"):
        handler.debug = True
    as_json = log_format == "json"
    set_up_logging(as_json)
    observers: list[Observer] = [ErrorLog()]
    if access_log:
        observers.append(AccessLog(sys.stderr, as_json))
    _raise_descriptor_limit()
    server = Server(
        handler, host, port, unix=unix, threads=threads, loop=loop, warn_blocking=warn_blocking / 1000, limits=limits,
        timeouts=timeouts, observers=observers,
    )  # fmt: skip
    server.bind()
    places = " and ".join(_url(address) for address in server.addresses)
    click.echo(f"firstbyte {__version__} serves {what} on {click.style(places, bold=True)} (Ctrl+C stops)", err=True)
    server.run()
    click.echo("stopped", err=True)
    return 0


def _url(address: Address) -> str:
    return f"http://{address}" if address.port else f"unix:{address.host}"


def _raise_descriptor_limit() -> None:
    """Asks for all the file descriptors the system allows: the soft limit, often 1024, is a relic of select()."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):  # some systems name a hard limit that cannot be asked for
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

"""Serves a handler from the command line: log, start line, signals."""

from __future__ import annotations

import contextlib
import resource
from typing import Literal

import click

from firstbyte import __version__
from firstbyte.batteries.health import PROCESS_CHECKS
from firstbyte.cli.access_log import AccessLog
from firstbyte.cli.log_file import LogFile
from firstbyte.cli.logs import ErrorLog, set_up_logging
from firstbyte.cli.metrics import observation_server, parse_place
from firstbyte.engine.metrics import Metrics
from firstbyte.engine.observer import Observer
from firstbyte.engine.server import Server
from firstbyte.engine.timeouts import Timeouts
from firstbyte.http.handler import Handler
from firstbyte.http.request import Address
from firstbyte.wire.limits import Limits

STANDARD_ERROR = 2


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
    access_log: str | None,
    no_access_log: bool,
    access_log_format: str | None,
    metrics: str | None,
    log_format: str,
    debug: bool,
) -> int:
    """Serves until it is stopped; returns the exit code. `what` names the handler in the start line.

    Raises ConfigurationError.
    """
    if debug and hasattr(handler, "debug"):
        handler.debug = True
    as_json = log_format == "json"
    set_up_logging(as_json)
    observers: list[Observer] = [ErrorLog()]
    log = None if no_access_log else LogFile(STANDARD_ERROR if access_log is None else access_log)
    if log is not None:
        observers.append(AccessLog(log, access_log_format or ("json" if as_json else "text")))
    counting = Metrics()
    if metrics is not None:
        observers.append(counting)
    _raise_descriptor_limit()
    server = Server(
        handler, host, port, unix=unix, threads=threads, loop=loop, warn_blocking=warn_blocking / 1000, limits=limits,
        timeouts=timeouts, observers=observers,
    )  # fmt: skip
    server.bind()
    observing = None
    if metrics is not None:
        observing = observation_server(lambda: [counting.snapshot(server)], parse_place(metrics))
    places = " and ".join(_url(address) for address in server.addresses)
    click.echo(f"firstbyte {__version__} serves {what} on {click.style(places, bold=True)} (Ctrl+C stops)", err=True)
    with contextlib.ExitStack() as stack:
        if log is not None:
            stack.callback(log.close)
        if observing is not None:
            stack.enter_context(observing)
            click.echo(f"metrics and health on {_url(observing.addresses[0])}", err=True)
        PROCESS_CHECKS.append(lambda: "draining" if server.draining else None)
        stack.callback(PROCESS_CHECKS.pop)
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

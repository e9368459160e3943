"""Serves a handler from the command line: log, start line, signals."""

from __future__ import annotations

import contextlib
import resource
import signal
from collections.abc import Callable, Iterable
from typing import Any, Literal

import click

from firstbyte import __version__
from firstbyte.batteries.health import PROCESS_CHECKS
from firstbyte.cli.access_log import AccessLog
from firstbyte.cli.log_file import LogFile
from firstbyte.cli.logs import ErrorLog, set_up_logging
from firstbyte.cli.metrics import observation_server, parse_place
from firstbyte.cli.processes import Processes
from firstbyte.cli.worker_metrics import add_ended, metrics_slot
from firstbyte.engine.listener import address_of, listen, listen_unix
from firstbyte.engine.metrics import Metrics
from firstbyte.engine.observer import Observer
from firstbyte.engine.server import Server
from firstbyte.engine.supervisor import Supervisor
from firstbyte.engine.timeouts import Timeouts
from firstbyte.engine.worker import Plan
from firstbyte.http.handler import Handler
from firstbyte.http.request import Address
from firstbyte.wire.limits import Limits

STANDARD_ERROR = 2


def serve(
    load: Callable[[], Handler],
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
    processes: Processes,
    access_log: str | None,
    no_access_log: bool,
    access_log_format: str | None,
    metrics: str | None,
    log_format: str,
    debug: bool,
) -> int:
    """Serves what `load` gives until it is stopped; returns the exit code. `what` names it in the start line.

    Workers call `load`, each for itself, if there are any. Raises ConfigurationError.
    """

    def load_handler() -> Handler:
        handler = load()
        if debug and hasattr(handler, "debug"):
            handler.debug = True
        return handler

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
    options: dict[str, Any] = {
        "threads": threads, "loop": loop, "warn_blocking": warn_blocking / 1000, "limits": limits,
        "timeouts": timeouts, "observers": observers,
    }  # fmt: skip
    with contextlib.ExitStack() as stack:
        if log is not None:
            stack.callback(log.close)
        if processes.are_supervised:
            sockets = listen(host, port) if unix is None else [listen_unix(unix)]
            plan = Plan(
                load_handler,
                options,
                processes.max_requests,
                reopen=None if log is None else log.reopen,
                close=None if log is None else log.close,
                figures=None if metrics is None else counting.snapshot,
                add_ended=None if metrics is None else add_ended,
            )
            supervisor = Supervisor(
                plan, sockets, processes.workers, max_rss=processes.max_rss, control=processes.control_path,
                companions=[] if metrics is None else [metrics_slot(metrics, lambda: supervisor.control_path)],
                timeouts=timeouts,
            )  # fmt: skip
            supervisor.run(lambda: _say_supervised(what, supervisor, processes.workers))
        else:
            server = Server(load_handler(), host, port, unix=unix, **options)
            server.bind()
            observing = None
            if metrics is not None:
                observing = observation_server(lambda: [counting.snapshot(server)], parse_place(metrics))
            _say_start(what, server.addresses)
            if observing is not None:
                stack.enter_context(observing)
                _say_metrics(observing.addresses[0])
            if log is not None and hasattr(signal, "SIGUSR1"):
                signal.signal(signal.SIGUSR1, lambda number, frame: log.reopen())
            PROCESS_CHECKS.append(lambda: "draining" if server.draining else None)
            stack.callback(PROCESS_CHECKS.pop)
            server.run()
    click.echo("stopped", err=True)
    return 0


def _say_start(what: str, addresses: Iterable[Address], by: str = "") -> None:
    places = click.style(" and ".join(map(_url, addresses)), bold=True)
    click.echo(f"firstbyte {__version__} serves {what} on {places}{by} (Ctrl+C stops)", err=True)


def _say_supervised(what: str, supervisor: Supervisor, workers: int) -> None:
    _say_start(what, supervisor.addresses, f" by {workers} worker{'s' * (workers > 1)}")
    for companion in supervisor.companions:
        _say_metrics(address_of(companion.sockets[0].getsockname()))


def _say_metrics(address: Address) -> None:
    click.echo(f"metrics and health on {_url(address)}", err=True)


def _url(address: Address) -> str:
    return f"http://{address}" if address.port else f"unix:{address.host}"


def _raise_descriptor_limit() -> None:
    """Asks for all the file descriptors the system allows: the soft limit, often 1024, is a relic of select()."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):  # some systems name a hard limit that cannot be asked for
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

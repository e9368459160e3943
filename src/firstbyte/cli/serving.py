"""Serves a handler from the command line: log, start line, signals."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from firstbyte import __version__
from firstbyte._lazy import before_records
from firstbyte.batteries.health import PROCESS_CHECKS
from firstbyte.cli.access_log import AccessLog
from firstbyte.cli.log_file import LogFile
from firstbyte.cli.logs import ErrorLog
from firstbyte.cli.network import Network
from firstbyte.cli.privileges import drop_privileges, pid_file
from firstbyte.cli.processes import Processes
from firstbyte.cli.say import say, styled
from firstbyte.engine.listener import address_of, listen, listen_unix
from firstbyte.engine.observer import Observer
from firstbyte.engine.server import THREADS, WARN_BLOCKING, Server
from firstbyte.engine.systemd import Notifier, activated_sockets
from firstbyte.engine.timeouts import Timeouts
from firstbyte.http.handler import Handler
from firstbyte.http.request import Address
from firstbyte.wire.limits import Limits

if TYPE_CHECKING:
    from firstbyte.cli.proxying import Proxying
    from firstbyte.engine.metrics import Metrics
    from firstbyte.engine.supervisor import Supervisor

STANDARD_ERROR = 2


def serve(
    load: Callable[[], Handler],
    what: str,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    unix: str | None = None,
    threads: int = THREADS,
    loop: Literal["auto", "asyncio", "uvloop"] = "auto",
    warn_blocking: float = WARN_BLOCKING * 1000,
    limits: Limits,
    timeouts: Timeouts,
    processes: Processes,
    network: Network,
    access_log: str | None = None,
    no_access_log: bool = False,
    access_log_format: str | None = None,
    metrics: str | None = None,
    log_format: str = "text",
    route: tuple[str, ...] = (),
    debug: bool = False,
    say_more: Callable[[Iterable[Address], str], None] | None = None,
    proxying: Proxying | None = None,
    live: Sequence[str | Path] = (),
    logs_later: bool = False,
) -> int:
    """Serves what `load` gives until it is stopped; returns the exit code. `what` names it in the start line, behind
    which `say_more` is called with the addresses and the scheme.

    What is below a `route` goes to other servers, as `proxying` says. Workers call `load`, each for itself, if there
    are any. Pages are reloaded when files in the folders `live` change. With `logs_later` the log is set up for the
    first record, which nobody's code but ours may then write. Raises ConfigurationError.
    """

    def load_handler() -> Handler:
        handler = load()
        if live:
            from firstbyte.cli.development import with_live

            handler = with_live(handler, *live)
        if debug and hasattr(handler, "debug"):
            handler.debug = True
        if route:
            from firstbyte.cli.proxying import Proxying

            handler = (proxying or Proxying()).with_routes(handler, route, debug)
        return network.around(handler, _port(sockets), _port(plain) if plain else None)

    if processes.reload:
        from firstbyte.cli.development import explaining, folders_of, watching

        load = explaining(load)
    as_json = log_format == "json"
    if logs_later:
        before_records(partial(_set_up_logging, as_json))
    else:
        _set_up_logging(as_json)
    observers: list[Observer] = [ErrorLog()]
    log = None if no_access_log else LogFile(STANDARD_ERROR if access_log is None else access_log)
    if log is not None:
        observers.append(AccessLog(log, access_log_format or ("json" if as_json else "text")))
    counting: Metrics | None = None
    if metrics is not None:
        from firstbyte.cli.metrics import observation_server, parse_place
        from firstbyte.engine.metrics import Metrics

        counting = Metrics()
        observers.append(counting)
    _raise_descriptor_limit()
    certificates = network.certificates()
    options: dict[str, Any] = {
        "threads": threads, "loop": loop, "warn_blocking": warn_blocking / 1000, "limits": limits,
        "timeouts": timeouts, "observers": observers, "tls": certificates, "proxy_protocol": network.proxy_protocol,
    }  # fmt: skip
    scheme = "http" if certificates is None else "https"
    given = activated_sockets()
    sockets: list[socket.socket] = []
    plain: list[socket.socket] = []
    if processes.umask is not None:
        os.umask(int(processes.umask, 8))
    with contextlib.ExitStack() as stack:
        if log is not None:
            stack.callback(log.close)
        if not processes.are_supervised and not processes.drops_privileges:
            handler = load()  # before the port is taken: what cannot be imported needs none
            load = lambda: handler  # noqa: E731
        sockets += given or (listen(host, port) if unix is None else [listen_unix(unix)])
        if network.redirect_http is not None:
            plain += options.setdefault("plain_sockets", listen(host, network.redirect_http))
        for sock in (*sockets, *plain):
            stack.callback(sock.close)
        stack.enter_context(pid_file(processes.pid))
        drop_privileges(processes.user, processes.group)
        notifier = Notifier()
        if processes.are_supervised:
            from firstbyte.cli.worker_metrics import add_ended, metrics_slot
            from firstbyte.engine.periodic import Election
            from firstbyte.engine.supervisor import Supervisor
            from firstbyte.engine.worker import Plan

            options["election"] = stack.enter_context(contextlib.closing(Election()))
            plan = Plan(
                load_handler,
                options,
                processes.max_requests,
                reopen=None if log is None else log.reopen,
                close=None if log is None else log.close,
                figures=None if counting is None else counting.snapshot,
                add_ended=None if counting is None else add_ended,
            )
            supervisor = Supervisor(
                plan, sockets, processes.workers, max_rss=processes.max_rss, control=processes.control_path,
                companions=[] if metrics is None else [metrics_slot(metrics, lambda: supervisor.control_path)],
                keeps_sockets=bool(given), notifier=notifier, timeouts=timeouts,
            )  # fmt: skip
            watch = None
            if processes.reload:
                folders = processes.reload_dir or folders_of(what)
                watch = stack.enter_context(watching(folders, lambda: supervisor.control_path))

            def started() -> None:
                _say_supervised(what, scheme, plain, supervisor, processes.workers)
                if say_more is not None:
                    say_more(supervisor.addresses, scheme)
                if watch is not None:
                    watch()

            supervisor.run(started)
        else:
            path = None if given else unix
            server = Server(load_handler(), sockets=sockets, shared=bool(given), remove_path=path, **options)
            server.on_signal = notifier.stopping
            server.bind()
            observing: Server | None = None

            def say_ready() -> None:
                _say_start(what, scheme, plain, server.addresses)
                if say_more is not None:
                    say_more(server.addresses, scheme)
                if observing is not None:
                    _say_metrics(observing.addresses[0])

            if metrics is not None and counting is not None:
                observing = observation_server(lambda: [counting.snapshot(server)], parse_place(metrics))
                stack.enter_context(observing)
            if log is not None and hasattr(signal, "SIGUSR1"):
                signal.signal(signal.SIGUSR1, lambda number, frame: log.reopen())
            server.reactor.submit(lambda: notifier.ready("serving"))  # when it does, and knows its signals
            PROCESS_CHECKS.append(lambda: "draining" if server.draining else None)
            stack.callback(PROCESS_CHECKS.pop)
            server.run(ready=say_ready)
    say("stopped")
    return 0


def _say_start(
    what: str, scheme: str, plain: Iterable[socket.socket], addresses: Iterable[Address], by: str = ""
) -> None:
    places = styled(" and ".join(_url(address, scheme) for address in addresses), bold=True)
    say(f"firstbyte {__version__} serves {what} on {places}{by} (Ctrl+C stops)")
    for sock in plain:
        say(f"{_url(address_of(sock.getsockname()))} redirects there")


def _say_supervised(
    what: str, scheme: str, plain: Iterable[socket.socket], supervisor: Supervisor, workers: int
) -> None:
    _say_start(what, scheme, plain, supervisor.addresses, f" by {workers} worker{'s' * (workers > 1)}")
    for companion in supervisor.companions:
        _say_metrics(address_of(companion.sockets[0].getsockname()))


def _say_metrics(address: Address) -> None:
    say(f"metrics and health on {_url(address)}")


def _url(address: Address, scheme: str = "http") -> str:
    return f"{scheme}://{address}" if address.port else f"unix:{address.host}"


def _port(sockets: list[socket.socket]) -> int:
    return address_of(sockets[0].getsockname()).port


def _set_up_logging(as_json: bool) -> None:
    from firstbyte.cli.log_records import set_up_logging

    set_up_logging(as_json)


def _raise_descriptor_limit() -> None:
    """Asks for all the file descriptors the system allows: the soft limit, often 1024, is a relic of select()."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):  # some systems name a hard limit that cannot be asked for
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

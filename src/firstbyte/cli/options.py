"""The options that every serving command has; those of limits and timeouts are made from the classes' own fields."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from firstbyte.cli.config import config_option
from firstbyte.cli.network import Network
from firstbyte.cli.network_options import NETWORK_OPTIONS
from firstbyte.cli.option_groups import add_options
from firstbyte.cli.option_types import Mask, Seconds, Size, WorkerCount
from firstbyte.cli.processes import Processes
from firstbyte.engine.server import THREADS, WARN_BLOCKING
from firstbyte.engine.timeouts import Timeouts
from firstbyte.wire.limits import Limits


def server_options(command: Callable[..., Any] | None = None, *, address: bool = True) -> Callable[..., Any]:
    """Decorator: adds the options of a server, which reach the command as keyword arguments for `serve`.

    `address` says whether --host, --port and --unix are among them.
    """
    if command is None:
        return functools.partial(server_options, address=address)

    @functools.wraps(command)
    def run(**options: Any) -> Any:
        try:
            limits = Limits(**{name: options.pop(f"limit_{name}") for name in Limits.settings})
            timeouts = Timeouts(**{name: options.pop(f"timeout_{name}") for name in Timeouts.settings})
            processes = Processes(**{name: options.pop(name) for name in Processes._fields})
            network = Network(**{name: options.pop(name) for name in Network._fields})
        except ValueError as error:
            raise click.UsageError(str(error)) from None
        return command(limits=limits, timeouts=timeouts, processes=processes, network=network, **options)

    address_options = _address if address else ()
    return add_options(
        run,
        [config_option, *address_options, *_running, *NETWORK_OPTIONS, *_processes, *_limits(), *_timeouts()],
    )


live_option = click.option(
    "--live", is_flag=True, help="Reload open pages when files change, and swap style sheets. For development only."
)
"""Decorator: adds --live."""

_address = (
    click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on."),
    click.option(
        "--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 lets the system choose."
    ),
    click.option("--unix", metavar="PATH", help="Listen on a Unix socket instead."),
)
_running = (
    click.option(
        "--threads", type=click.IntRange(1), default=THREADS, show_default=True, help="Handlers that may run at once."
    ),
    click.option(
        "--loop",
        type=click.Choice(["auto", "asyncio", "uvloop"]),
        default="auto",
        show_default=True,
        help="The loop for async def; auto runs none where nothing is, and takes uvloop where it is installed.",
    ),
    click.option(
        "--warn-blocking",
        type=click.FloatRange(0, min_open=True),
        default=WARN_BLOCKING * 1000,
        show_default=True,
        metavar="MS",
        help="Name the handler that holds the loop up for so many milliseconds.",
    ),
    click.option(
        "--access-log",
        metavar="FILE",
        show_default="standard error",
        help="Append the access log to FILE, - for standard output.",
    ),
    click.option("--no-access-log", is_flag=True, help="Write no access log."),
    click.option(
        "--access-log-format",
        metavar="FORMAT",
        show_default="text, or as --log-format",
        help="text, json, common, combined, or a string of gunicorn's atoms.",
    ),
    click.option(
        "--metrics", metavar="HOST:PORT", help="Serve /metrics for Prometheus, /health/live and /health/ready there."
    ),
    click.option("--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True),
    click.option(
        "--route",
        multiple=True,
        metavar="/PATH=URL[,URL...]",
        help="Pass what is below PATH on to the server at URL; repeatable.",
    ),
    click.option("--debug", is_flag=True, help="Show tracebacks to the client. For development only."),
)


_processes = (
    click.option(
        "--workers",
        type=WorkerCount(),
        default=1,
        show_default=True,
        metavar="N|auto",
        help="Processes that serve; auto for one a processor.",
    ),
    click.option(
        "--max-requests",
        type=click.IntRange(0),
        default=0,
        metavar="N",
        help="Replace a worker after so many requests, and up to a tenth more.",
    ),
    click.option(
        "--max-rss", type=Size(), default=0, metavar="SIZE", help="Replace a worker that holds so much memory."
    ),
    click.option(
        "--control", metavar="PATH", help="The control socket, for `firstbyte status` and `firstbyte reload`."
    ),
    click.option("--reload", is_flag=True, help="Run new code when files change. For development only."),
    click.option(
        "--reload-dir",
        multiple=True,
        metavar="DIRECTORY",
        help="Watch this folder; repeatable; by default the app's.",
    ),
    click.option("--pid", metavar="FILE", help="Hold the number of the main process in FILE."),
    click.option("--user", metavar="NAME", help="Become this user when the sockets are open."),
    click.option("--group", metavar="NAME", help="Become this group; the user's by default."),
    click.option("--umask", type=Mask(), metavar="MASK", help="Rights that new files do not have, in octal digits."),
)


def _limits() -> list[Callable[..., Any]]:
    return [_option("limit", name, each.default, Size(), each.doc) for name, each in Limits.settings.items()]


def _timeouts() -> list[Callable[..., Any]]:
    return [_option("timeout", name, each.default, Seconds(), each.doc) for name, each in Timeouts.settings.items()]


def _option(kind: str, name: str, default: Any, type_: click.ParamType[Any], doc: str) -> Callable[..., Any]:
    flag = f"--{kind}-{name}".replace("_", "-")
    unit = "SECONDS" if kind == "timeout" else "SIZE"
    return click.option(flag, f"{kind}_{name}", type=type_, default=default, show_default=True, metavar=unit, help=doc)

"""`firstbyte status` and `firstbyte reload`: what a server with workers is asked by its owner."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import msgspec

from firstbyte.cli.sources import PREFIX
from firstbyte.engine.control import GetStatus, Reload, Reloaded, Status, WorkerStatus, ask, running
from firstbyte.errors import ConfigurationError

STATUS_TIMEOUT = 5.0  # seconds
RELOAD_TIMEOUT = 600.0  # beyond any --timeout-start that makes sense, twice


def _control_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--control",
        metavar="PATH",
        envvar=f"{PREFIX}CONTROL",
        help="Control socket of the server; it is found by itself where only one runs.",
    )(command)


@click.command()
@_control_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def status(control: str | None, as_json: bool) -> int:
    """Print what the workers of a running server do."""
    reply = ask(_find(control), GetStatus(), STATUS_TIMEOUT)
    assert isinstance(reply, Status)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(reply), indent=2))
    else:
        click.echo(_as_text(reply))
    return 0


@click.command()
@_control_option
def reload(control: str | None) -> int:
    """Replace all workers of a running server by new ones, when those are ready."""
    reply = ask(_find(control), Reload(), RELOAD_TIMEOUT)
    assert isinstance(reply, Reloaded)
    if reply.reason:
        click.echo(reply.traceback, err=True, nl=False)
        raise ConfigurationError(f"the reload failed, the old workers go on: {reply.reason}")
    click.echo(f"reloaded in {reply.seconds:.1f} s: generation {reply.generation}")
    return 0


def _find(control: str | None) -> Path:
    """The control socket that is named, or that of the only server that runs."""
    if control is not None:
        return Path(control)
    found = running()
    if not found:
        raise ConfigurationError(
            "no server with workers is running: start one with --workers, or name it with --control"
        )
    if len(found) > 1:
        there = "".join(f"\n  --control {path}" for path in found)
        raise ConfigurationError(f"{len(found)} servers with workers are running, choose one:{there}")
    return found[0]


def _as_text(status: Status) -> str:
    lines = [
        f"{' and '.join(status.addresses)}, supervisor {status.pid}, generation {status.generation}, "
        f"up {_duration(status.uptime)}"
    ]
    rows = [tuple(heading for heading, _ in _COLUMNS)]
    rows += [tuple(show(worker) for _, show in _COLUMNS) for worker in status.workers]
    if len(status.workers) > 1:
        rows.append(_total(status))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    # Words stand on the left of their column, figures on the right.
    lines += [
        "  ".join(
            f"{text:{'<' if heading in _WORDS else '>'}{width}}"
            for (heading, _), text, width in zip(_COLUMNS, row, widths, strict=True)
        ).rstrip()
        for row in rows
    ]
    if status.restarts:
        lines.append(f"{status.restarts} ended unasked")
    if status.problem:
        lines.append(f"last problem: {status.problem}")
    return "\n".join(lines)


def _total(status: Status) -> tuple[str, ...]:
    """A row with what adds up, the requests of ended workers too; memory that processes share counts in each."""
    names = {"requests": _count, "connections": _count, "busy": _count, "waiting": _count, "rss": _size, "cpu": _cpu}
    sums = {name: sum(getattr(worker, name) or 0 for worker in status.workers) for name in names}
    sums["requests"] += status.ended_requests
    shown = {name: show(sums[name]) for name, show in names.items()}
    return ("all", "", "", "", "", *shown.values())


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f}s"
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    return f"{days}d{hour:02}h" if days else f"{hour}h{minute:02}m" if hour else f"{minute}m{second:02}s"


def _count(value: int | None) -> str:
    return "-" if value is None else f"{value}"


def _size(value: int | None) -> str:
    return "-" if value is None else f"{value / (1 << 20):.1f}M"


def _cpu(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}s"


_COLUMNS: tuple[tuple[str, Callable[[WorkerStatus], str]], ...] = (
    ("worker", lambda worker: worker.slot),
    ("pid", lambda worker: str(worker.pid)),
    ("generation", lambda worker: str(worker.generation)),
    ("state", lambda worker: worker.state),
    ("uptime", lambda worker: _duration(worker.uptime)),
    ("requests", lambda worker: _count(worker.requests)),
    ("connections", lambda worker: _count(worker.connections)),
    ("busy", lambda worker: _count(worker.busy)),
    ("waiting", lambda worker: _count(worker.waiting)),
    ("rss", lambda worker: _size(worker.rss)),
    ("cpu", lambda worker: _cpu(worker.cpu)),
)
_WORDS = {"worker", "state"}

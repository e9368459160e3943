"""`firstbyte routes` and `firstbyte plugins`: what there is, as a table for people or JSON for programs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from firstbyte.app.application import App
from firstbyte.app.listing import RouteInfo, listed
from firstbyte.app.plugins import ENTRY_POINTS, available
from firstbyte.cli.load import load_app
from firstbyte.errors import ConfigurationError

_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.command()
@click.argument("app")
@click.option("--factory", is_flag=True, help="APP names a function that makes the app.")
@_JSON
def routes(app: str, factory: bool, as_json: bool) -> int:
    """Print the routes of the app that APP names, and what stands around each in the order in which it comes."""
    found = load_app(app, factory=factory)
    if not isinstance(found, App):
        raise ConfigurationError(f"{app} is no App of firstbyte: the routes of others are theirs to tell")
    rows = list(listed(found))
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(rows)).decode())
        return 0
    table = [("METHOD", "PATH", "NAME", "HANDLER"), *(_cells(row) for row in rows)]
    for line, row in zip(_aligned(table), [None, *rows], strict=True):
        click.echo(line)
        if row is not None:
            _say_around("rules", row.rules)
            _say_around("middleware", row.middleware)
    return 0


@click.command()
@_JSON
def plugins(as_json: bool) -> int:
    """Print the plugins that the installed packages offer."""
    found = available()
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode([each._asdict() for each in found])).decode())
        return 0
    if not found:
        click.echo(f"no installed package offers a plugin (an entry point of the group {ENTRY_POINTS})", err=True)
        return 0
    rows = [(each.name, each.value, f"{each.package} {each.version}".strip()) for each in found]
    for line in _aligned([("NAME", "PLUGIN", "PACKAGE"), *rows]):
        click.echo(line)
    return 0


def _cells(row: RouteInfo) -> tuple[str, str, str, str]:
    place = _short(row.place)
    return (
        ",".join(row.methods) or "any",
        row.host + row.path,
        row.name,
        f"{row.handler} ({place})" if place else row.handler,
    )


def _say_around(what: str, names: Sequence[str]) -> None:
    if names:
        click.echo(f"    {what}: {', '.join(names)}")


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _short(place: str) -> str:
    """A place in a file, from the current folder where it is in that."""
    path, colon, line = place.rpartition(":")
    here = Path.cwd()
    return f"{os.path.relpath(path, here)}{colon}{line}" if path and Path(path).is_relative_to(here) else place

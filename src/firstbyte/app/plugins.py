"""Plugins: functions of an app, or objects with `install(app)`, which add to it what an app's author could add.

A package offers its plugins as entry points of the group `firstbyte.plugins`; `app.install("name")` then finds one.
"""

from __future__ import annotations

import inspect
from typing import Any, NamedTuple

from firstbyte.app.middleware import place
from firstbyte.errors import ConfigurationError

ENTRY_POINTS = "firstbyte.plugins"


class PluginInfo(NamedTuple):
    """An installed package's plugin: its name, what it is ("package.module:function"), and the package's name."""

    name: str
    value: str
    package: str
    version: str


def available() -> list[PluginInfo]:
    """The plugins that installed packages offer, by name."""
    from importlib.metadata import entry_points  # here, since it takes long to import

    found = []
    for entry in entry_points(group=ENTRY_POINTS):
        package = (entry.dist.name, entry.dist.version) if entry.dist is not None else ("", "")
        found.append(PluginInfo(entry.name, entry.value, *package))
    return sorted(found)


def load(name: str) -> Any:
    """The plugin of that name. Raises ConfigurationError for none, for several, and for one that cannot be imported."""
    from importlib.metadata import entry_points

    found = {entry.value: entry for entry in entry_points(group=ENTRY_POINTS, name=name)}
    if not found:
        names = ", ".join(each.name for each in available()) or "none"
        raise ConfigurationError(f"no installed package offers the plugin {name!r}: there are {names}")
    if len(found) > 1:
        raise ConfigurationError(f"several packages offer a plugin {name!r}: {', '.join(sorted(found))}")
    (entry,) = found.values()
    try:
        return entry.load()
    except Exception as error:
        raise ConfigurationError(
            f"the plugin {name!r} ({entry.value}) cannot be imported: {type(error).__name__}: {error}"
        ) from error


def install(plugin: Any, app: Any, options: dict[str, Any]) -> Any:
    """Has a plugin add what it adds to an app or group; returns what it returns.

    Raises ConfigurationError for what is no plugin, or does not take the app and these options.
    """
    if isinstance(plugin, str):
        plugin = load(plugin)
    function = getattr(plugin, "install", plugin)
    if not callable(function) or isinstance(plugin, type):
        raise ConfigurationError(
            f"{plugin!r} is no plugin: write a function of the app, or an object with install(app)"
        )
    try:
        inspect.signature(function).bind(app, **options)
    except TypeError as error:
        raise ConfigurationError(f"the plugin {place(function)} does not take what it is given: {error}") from None
    except ValueError:
        pass  # it is not written in Python, and says itself what it takes
    return function(app, **options)

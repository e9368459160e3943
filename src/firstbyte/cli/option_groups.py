"""Options that belong together: added at once, and given to the command as one argument."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def add_options(command: Callable[..., Any], options: Iterable[Decorator]) -> Callable[..., Any]:
    """The command with these options, which its help lists in this order."""
    for each in reversed([*options]):
        command = each(command)
    return command


def as_one(name: str, kind: Any, options: Iterable[Decorator]) -> Decorator:
    """A decorator that adds options whose values reach the command as its argument `name`: a NamedTuple of the class
    `kind`, each of whose fields is the option of its name."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def run(**given: Any) -> Any:
            chosen = kind(**{each: given.pop(each) for each in kind._fields})
            return command(**{name: chosen}, **given)

        return add_options(run, options)

    return decorate

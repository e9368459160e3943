"""The routes of an app as a table, for people and tools: what answers where, and what stands around it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from firstbyte.app.registration import Group, Route
from firstbyte.app.rules import name_of
from firstbyte.http.handler import Handler


class RouteInfo(msgspec.Struct):
    """One route, or a mount (`methods` is empty): its path below `host`, "" for every host, and what is around it.

    `place` is file:line of the handler; `middleware` and `rules` are in the order in which they come.
    """

    methods: list[str]
    host: str
    path: str
    name: str
    handler: str
    place: str
    middleware: list[str]
    rules: list[str]


def listed(app: Group, prefix: str = "", host: str = "") -> Iterator[RouteInfo]:
    """Every route of an app in the order of adding, then what is mounted, the routes of mounted apps among them."""
    for route in app.parts.routes:
        yield _of_route(route, prefix, host)
    for group, mount in app.parts.mounts:
        path, here = prefix + mount.prefix, host if group.host_pattern is None else group.host_pattern.text
        inner = mount.handler
        if isinstance(inner, Group):
            for each in listed(inner, path, here):
                each.middleware[:0] = _middleware(group)
                each.rules[:0] = _rules(group)
                yield each
        else:
            name, place = _handler(inner)
            yield RouteInfo([], here, f"{path}/", group.name, name, place, _middleware(group), _rules(group))


def _of_route(route: Route, prefix: str, host: str) -> RouteInfo:
    group = route.group
    name, place = _function(route.function)
    return RouteInfo(
        list(route.methods),
        host if group.host_pattern is None else group.host_pattern.text,
        prefix + route.pattern.text,
        route.name,
        name,
        place,
        [*_middleware(group), *(_function(each)[0] for each in route.middleware)],
        [*_rules(group), *map(name_of, route.rules)],
    )


def _middleware(group: Group) -> list[str]:
    return [_function(each)[0] for outer in group.chain for each in outer.middlewares]


def _rules(group: Group) -> list[str]:
    return [name_of(rule) for outer in group.chain for rule in outer.rules]


def _function(function: Callable[..., Any]) -> tuple[str, str]:
    """The name of a function and its file:line, "" where it has none."""
    unwrapped = inspect.unwrap(function)
    code = getattr(unwrapped, "__code__", None)
    name = getattr(unwrapped, "__qualname__", type(unwrapped).__qualname__)
    return name, "" if code is None else f"{code.co_filename}:{code.co_firstlineno}"


def _handler(handler: Handler) -> tuple[str, str]:
    kind = type(handler)
    return f"{kind.__module__}.{kind.__qualname__}", ""

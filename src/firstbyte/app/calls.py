"""From a handler's signature to a function of a request, composed once, when the app is built."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, get_type_hints

from firstbyte.app.middleware import Failed, called, place
from firstbyte.app.results import to_response
from firstbyte.app.routing import Pattern
from firstbyte.errors import RouteError
from firstbyte.http.request import Request
from firstbyte.http.response import Response


def is_coroutine(function: Callable[..., Any]) -> bool:
    """Whether `function` is `async def`, an asynchronous generator function among them."""
    return inspect.iscoroutinefunction(called(function)) or inspect.isasyncgenfunction(called(function))


def annotations_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The evaluated annotations of a handler; those that cannot be evaluated stay text."""
    try:
        return get_type_hints(function)
    except (NameError, TypeError, AttributeError):
        return dict(getattr(function, "__annotations__", {}))


def bind(function: Callable[..., Any], pattern: Pattern, failed: Failed) -> Any:
    """A function of a request that calls the handler with what its signature names and makes a response of its answer.

    It is a coroutine function if the handler is `async def`.

    An exception of the handler is given to `failed`, which answers it or raises it again. Path parameters come by name,
    the request by the annotation `Request` or the name `request`. Raises RouteError for a parameter that nothing
    provides, and for a path parameter that the handler does not take.
    """
    hints = annotations_of(function)
    in_path = {parameter.name for parameter in pattern.parameters}
    request_name = None
    taken = []
    takes_all = False
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            takes_all = True
        elif parameter.kind is parameter.VAR_POSITIONAL:
            continue
        elif name in in_path:
            if parameter.kind is parameter.POSITIONAL_ONLY:
                raise RouteError(f"{place(function)}: the path parameter {name} cannot be positional-only")
            taken.append(name)
        elif hints.get(name) is Request or (name == "request" and name not in hints):
            request_name = None if parameter.kind is parameter.POSITIONAL_ONLY else name
            if request_name is None:
                raise RouteError(f"{place(function)}: the request cannot be positional-only")
        elif parameter.default is parameter.empty:
            raise RouteError(
                f"{place(function)}: nothing provides its parameter {name!r}; the path {pattern.text!r} has "
                f"{', '.join(sorted(in_path)) or 'no parameters'}, and the request comes as `request: Request`"
            )
    missing = in_path.difference(taken)
    if missing and not takes_all:
        raise RouteError(
            f"{place(function)} does not take {', '.join(sorted(missing))}, which the path {pattern.text!r} has"
        )
    return _call(function, request_name, bool(in_path), failed)


def _call(function: Callable[..., Any], request_name: str | None, has_parameters: bool, failed: Failed) -> Any:
    """The cheapest function that calls `function` with the request, the path parameters, both or neither."""
    if is_coroutine(function):
        awaits = inspect.iscoroutinefunction(called(function))

        async def acall(request: Request) -> Response:
            try:
                if request_name is None:
                    value = function(**request.path_params)
                else:
                    value = function(**request.path_params, **{request_name: request})
                if awaits:
                    value = await value
                return value if type(value) is Response else to_response(value, request)
            except Exception as error:
                return failed(request, error)

        return acall
    if has_parameters or request_name is not None:

        def call(request: Request) -> Response:
            try:
                if request_name is None:
                    value = function(**request.path_params)
                else:
                    value = function(**request.path_params, **{request_name: request})
                return value if type(value) is Response else to_response(value, request)
            except Exception as error:
                return failed(request, error)

    else:

        def call(request: Request) -> Response:
            try:
                value = function()
                return value if type(value) is Response else to_response(value, request)
            except Exception as error:
                return failed(request, error)

    return call

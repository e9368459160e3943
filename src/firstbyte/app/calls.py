"""From a handler's signature to a function of a request, composed once, when the app is built."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Sequence
from types import FunctionType
from typing import Any, TypeAlias, get_type_hints

from firstbyte.app.results import to_response
from firstbyte.app.routing import Pattern
from firstbyte.errors import ConfigurationError, RouteError
from firstbyte.http.handler import Call
from firstbyte.http.request import Request
from firstbyte.http.response import Response

Failed: TypeAlias = Callable[[Request, Exception], Response]
"""Answers an exception, or raises it again for someone further out."""
Middleware: TypeAlias = Callable[[Request], Generator[None, Response, Any]]


def place(function: Callable[..., Any]) -> str:
    """ "name (file:line)" of a function, for messages."""
    unwrapped = inspect.unwrap(function)
    code = getattr(unwrapped, "__code__", None)
    name = getattr(unwrapped, "__qualname__", type(unwrapped).__qualname__)
    return name if code is None else f"{name} ({code.co_filename}:{code.co_firstlineno})"


def refuse_async(function: Callable[..., Any], what: str) -> None:
    """Raises ConfigurationError for `async def`, which needs an event loop that is not here yet."""
    called = function if isinstance(function, FunctionType) else getattr(function, "__call__", function)  # noqa: B004
    if inspect.iscoroutinefunction(called) or inspect.isasyncgenfunction(called):
        raise ConfigurationError(
            f"the {what} {place(function)} is async def, which this version cannot run: write def; it may block, "
            "the server runs the others meanwhile"
        )


def annotations_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The evaluated annotations of a handler; those that cannot be evaluated stay text."""
    try:
        return get_type_hints(function)
    except (NameError, TypeError, AttributeError):
        return dict(getattr(function, "__annotations__", {}))


def bind(function: Callable[..., Any], pattern: Pattern, failed: Failed) -> Call:
    """A function of a request that calls the handler with what its signature names and makes a response of its answer.

    An exception of the handler is given to `failed`, which answers it or raises it again. Path parameters come by name,
    the request by the annotation `Request` or the name `request`. Raises RouteError for a parameter that nothing
    provides, and for a path parameter that the handler does not take.
    """
    refuse_async(function, "handler")
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


def _call(function: Callable[..., Any], request_name: str | None, has_parameters: bool, failed: Failed) -> Call:
    """The cheapest function that calls `function` with the request, the path parameters, both or neither."""
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


def guard(call: Call, failed: Failed) -> Call:
    """`call` whose exceptions are given to `failed`."""

    def run(request: Request) -> Response:
        try:
            return call(request)
        except Exception as error:
            return failed(request, error)

    return run


def wrap(call: Call, middleware: Sequence[Middleware]) -> Call:
    """`call` with the middleware around it, the first of them outermost; `call` itself if there is none."""
    for around in reversed(middleware):
        call = _around(call, around)
    return call


def check_middleware(middleware: Middleware) -> None:
    """Raises ConfigurationError for what is not a generator function of one request."""
    refuse_async(middleware, "middleware")
    called = middleware if isinstance(middleware, FunctionType) else getattr(middleware, "__call__", middleware)  # noqa: B004
    if not inspect.isgeneratorfunction(called):
        raise ConfigurationError(
            f"the middleware {place(middleware)} is no generator: it must have one yield, before which it sees the "
            "request and from which it gets the response"
        )


def _around(call: Call, middleware: Middleware) -> Call:
    """One middleware around `call`.

    What it returns before its yield is the answer, and `call` does not run. An exception of `call` is thrown in at the
    yield; one that it lets through goes on outwards. What it returns after its yield takes the response's place.
    """

    def run(request: Request) -> Response:
        generator = middleware(request)
        try:
            next(generator)
        except StopIteration as stop:
            if stop.value is None:
                raise TypeError(f"the middleware {place(middleware)} returned no response before its yield") from None
            return to_response(stop.value, request)
        try:
            response = call(request)
        except Exception as error:
            try:
                generator.throw(error)
            except StopIteration as stop:
                if stop.value is None:
                    raise error from None  # it was only passing by, as a `finally` does after a bare except
                return to_response(stop.value, request)
        else:
            try:
                generator.send(response)
            except StopIteration as stop:
                return response if stop.value is None else to_response(stop.value, request)
            except BaseException:
                response.close()
                raise
        generator.close()
        raise TypeError(f"the middleware {place(middleware)} has a second yield: it must have one")

    return run

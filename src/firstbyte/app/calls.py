"""From a handler's signature to a function of a request, composed once, when the app is built."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, get_type_hints

from firstbyte.app.middleware import Failed, called
from firstbyte.app.params import Plan, make_plan
from firstbyte.app.results import to_response
from firstbyte.app.routing import Pattern
from firstbyte.http.request import Request
from firstbyte.http.response import Response


def is_coroutine(function: Callable[..., Any]) -> bool:
    """Whether `function` is `async def`, an asynchronous generator function among them."""
    return inspect.iscoroutinefunction(called(function)) or inspect.isasyncgenfunction(called(function))


def annotations_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The evaluated annotations of a handler; those that cannot be evaluated stay text."""
    try:
        return get_type_hints(function, include_extras=True)
    except (NameError, TypeError, AttributeError):
        return dict(getattr(function, "__annotations__", {}))


def bind(function: Callable[..., Any], pattern: Pattern, methods: tuple[str, ...], failed: Failed) -> Any:
    """A function of a request that calls the handler with what its signature names and makes a response of its answer.

    It is a coroutine function if the handler is `async def`. An exception of the handler is given to `failed`, which
    answers it or raises it again. Raises RouteError for a signature that cannot be filled (see `app.params`).
    """
    plan = make_plan(function, annotations_of(function), pattern, methods)
    if not plan.is_simple:
        return _call_with(function, plan, failed)
    requests = [source.parameter for source in plan.sources if source.kind == "request"]
    return _call(function, requests[0] if requests else None, bool(pattern.parameters), failed)


def _call_with(function: Callable[..., Any], plan: Plan, failed: Failed) -> Any:
    """Calls `function` with all that its plan says."""
    fill = plan.fill
    if is_coroutine(function):
        awaits = inspect.iscoroutinefunction(called(function))

        async def acall(request: Request) -> Response:
            try:
                value = function(**fill(request))
                if awaits:
                    value = await value
                return value if type(value) is Response else to_response(value, request)
            except Exception as error:
                return failed(request, error)

        return acall

    def call(request: Request) -> Response:
        try:
            value = function(**fill(request))
            return value if type(value) is Response else to_response(value, request)
        except Exception as error:
            return failed(request, error)

    return call


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

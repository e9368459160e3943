"""From a handler's signature to a function of a request, composed once, when the app is built."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from operator import attrgetter
from types import SimpleNamespace
from typing import Any, get_type_hints

from firstbyte.app.answers import Answering, answering
from firstbyte.app.middleware import Failed, called, in_loop
from firstbyte.app.params import Plan
from firstbyte.app.plain_calls import call_alone, call_with_path
from firstbyte.app.providers import Scope
from firstbyte.app.results import to_response
from firstbyte.http.handler import Answered
from firstbyte.http.request import Request
from firstbyte.http.response import Response


def is_coroutine(function: Callable[..., Any]) -> bool:
    """Whether `function` is `async def`, an asynchronous generator function among them."""
    return inspect.iscoroutinefunction(called(function)) or inspect.isasyncgenfunction(called(function))


def annotations_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The evaluated annotations of a handler; those that cannot be evaluated stay text."""
    try:
        return get_type_hints(function, include_extras=True)
    except (NameError, TypeError, AttributeError, SyntaxError):
        return {name: _evaluated(function, hint) for name, hint in getattr(function, "__annotations__", {}).items()}


def _evaluated(function: Callable[..., Any], hint: Any) -> Any:
    """One annotation, or its text if that names what is not there."""
    only_one = SimpleNamespace(__annotations__={"it": hint})
    try:
        return get_type_hints(only_one, getattr(inspect.unwrap(function), "__globals__", {}), include_extras=True)["it"]
    except (NameError, TypeError, AttributeError, SyntaxError):
        return hint


def bind(function: Callable[..., Any], plan: Plan, failed: Failed, *, check: bool = False) -> Any:
    """A function of a request that calls the handler as its plan says and makes a response of its answer.

    What it gives is to be awaited if the handler is `async def`, or something provided for it is. An exception of the
    handler is given to `failed`, which answers it or raises it again. With `check` an answer that is not what the
    handler's annotation says is a TypeError.
    """
    answer = answering(function, annotations_of(function).get("return", Any), check)
    if plan.provided:
        bound = _acall_in_scope if plan.awaits or is_coroutine(function) else _call_in_scope
        return bound(function, plan, answer, failed)
    requests = [source.parameter for source in plan.sources if source.kind == "request"]
    if not plan.is_simple or len(requests) > 1:
        return _call_with(function, plan, answer, failed)
    from_path = any(source.kind == "path" for source in plan.sources) or plan.takes_all
    return _call(function, requests[0] if requests else None, from_path, answer, failed)


def _call_in_scope(function: Callable[..., Any], plan: Plan, answer: Answering, failed: Failed) -> Any:
    """Calls `function` with what is provided for it, and ends that after it."""

    def call(request: Request) -> Response:
        scope = Scope()
        try:
            try:
                response = answer(function(**plan.fill(request, scope)), request)
            except BaseException as error:
                scope.end(error)
                raise
            if not scope.attach(response):
                scope.end(None)
            return response
        except Exception as error:
            return failed(request, error)

    return call


def _acall_in_scope(function: Callable[..., Any], plan: Plan, answer: Answering, failed: Failed) -> Any:
    """`_call_in_scope` where something awaits: the handler, or what is provided for it."""
    awaits = inspect.iscoroutinefunction(called(function))
    plain = None if is_coroutine(function) else in_loop(lambda arguments: function(**arguments))

    async def call(request: Request) -> Response:
        scope = Scope()
        try:
            try:
                arguments = await plan.afill(request, scope)
                value = function(**arguments) if plain is None else await plain(arguments)
                response = answer(await value if awaits else value, request)
            except BaseException as error:
                await scope.aend(error)
                raise
            if not scope.attach(response):
                await scope.aend(None)
            return response
        except Exception as error:
            return failed(request, error)

    return call


def _call_with(function: Callable[..., Any], plan: Plan, answer: Answering, failed: Failed) -> Any:
    """Calls `function` with all that its plan says."""
    values = plan.values
    if is_coroutine(function):
        return _acall(function, values, answer, failed)

    def call(request: Request) -> Response:
        try:
            value = function(**values(request))
            return answer(value, request)
        except Exception as error:
            return failed(request, error)

    return call


def _call(
    function: Callable[..., Any], request_name: str | None, has_parameters: bool, answer: Answering, failed: Failed
) -> Any:
    """The cheapest function that calls `function` with the request, the path parameters, both or neither."""
    if not is_coroutine(function):
        given = None if answer is to_response else answer
        if has_parameters or request_name is not None:
            return call_with_path(function, request_name, given, failed)
        return call_alone(function, given, failed)
    if request_name is not None:
        return _acall(function, lambda request: {**request.path_params, request_name: request}, answer, failed)
    return _acall(function, attrgetter("path_params") if has_parameters else None, answer, failed)


def _acall(
    function: Callable[..., Any],
    values: Callable[[Request], dict[str, Any]] | None,
    answer: Answering,
    failed: Failed,
) -> Any:
    """Calls an `async def` with its `values`, if it takes some; an asynchronous generator is an answer as it is."""
    if inspect.iscoroutinefunction(called(function)):
        from firstbyte.app.coroutine_calls import call_coroutine  # here, since most apps have none

        return call_coroutine(function, values, answer, failed)

    def call(request: Request) -> Answered:
        try:
            return Answered(answer(function() if values is None else function(**values(request)), request))
        except Exception as error:
            return Answered(failed(request, error))

    return call

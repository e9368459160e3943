"""What goes around a call: generators with one yield, driven here for functions and for coroutines.

A generator has no colour: the same middleware goes around both, since the driver, not the middleware, awaits. One that
must await itself is an asynchronous generator; what is inside it is then awaited too.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from time import perf_counter
from types import FunctionType
from typing import Any, TypeAlias

from firstbyte.app.results import to_response
from firstbyte.errors import ConfigurationError
from firstbyte.http.handler import Call, Pace
from firstbyte.http.request import Request
from firstbyte.http.response import Response

AsyncCall: TypeAlias = Callable[[Request], Awaitable[Response]]
Failed: TypeAlias = Callable[[Request, Exception], Response]
"""Answers an exception, or raises it again for someone further out."""
Middleware: TypeAlias = Callable[[Request], Generator[None, Response, Any] | AsyncGenerator[Any, Response]]


def place(function: Callable[..., Any]) -> str:
    """ "name (file:line)" of a function, for messages."""
    unwrapped = inspect.unwrap(function)
    code = getattr(unwrapped, "__code__", None)
    name = getattr(unwrapped, "__qualname__", type(unwrapped).__qualname__)
    return name if code is None else f"{name} ({code.co_filename}:{code.co_firstlineno})"


def called(function: Callable[..., Any]) -> Callable[..., Any]:
    """What runs when `function` is called: itself, or the `__call__` of an object."""
    return function if isinstance(function, FunctionType) else getattr(function, "__call__", function)  # noqa: B004


def check_middleware(middleware: Middleware) -> None:
    """Raises ConfigurationError for what is not a generator function of one request."""
    function = called(middleware)
    if not inspect.isgeneratorfunction(function) and not inspect.isasyncgenfunction(function):
        raise ConfigurationError(
            f"the middleware {place(middleware)} is no generator: it must have one yield, before which it sees the "
            "request and from which it gets the response"
        )


def guard(call: Any, is_async: bool, failed: Failed) -> Any:
    """`call`, a coroutine function if `is_async`, whose exceptions are given to `failed`."""
    if is_async:

        async def arun(request: Request) -> Response:
            try:
                response: Response = await call(request)
            except Exception as error:
                return failed(request, error)
            return response

        return arun

    def run(request: Request) -> Response:
        try:
            response: Response = call(request)
        except Exception as error:
            return failed(request, error)
        return response

    return run


def wrap(call: Any, is_async: bool, middleware: Sequence[Middleware]) -> tuple[Any, bool]:
    """`call` with the middleware around it, the first of them outermost, and whether that is a coroutine function."""
    for around in reversed(middleware):
        if inspect.isasyncgenfunction(called(around)):
            call = _around_awaiting(call if is_async else in_loop(call), around)
            is_async = True
        else:
            call = (_around_coroutine if is_async else _around)(call, around)
    return call, is_async


def in_loop(call: Callable[[Any], Any]) -> Callable[[Any], Awaitable[Any]]:
    """`call`, a plain function of one thing, to be awaited.

    It runs where it is once it has proven fast, in a thread until then.
    """
    from asyncio import to_thread  # here, since it takes long to import

    pace = Pace()

    async def run(argument: Any) -> Any:
        start = perf_counter()
        result = call(argument) if pace.is_proven_fast else await to_thread(call, argument)
        pace.count(perf_counter() - start)
        return result

    return run


# -- one middleware around a call
#
# What it returns before its yield is the answer, and the call does not run. An exception of the call is thrown in at
# the yield; one that it lets through goes on outwards. What it returns after its yield takes the response's place.


def _around(call: Call, middleware: Any) -> Call:
    def run(request: Request) -> Response:
        generator = middleware(request)
        answer = _enter(generator, middleware, request)
        if answer is not None:
            return answer
        try:
            response = call(request)
        except Exception as error:
            return _leave(generator, middleware, request, None, error)
        except BaseException:
            generator.close()
            raise
        return _leave(generator, middleware, request, response, None)

    return run


def _around_coroutine(call: AsyncCall, middleware: Any) -> AsyncCall:
    async def run(request: Request) -> Response:
        generator = middleware(request)
        answer = _enter(generator, middleware, request)
        if answer is not None:
            return answer
        try:
            response = await call(request)
        except Exception as error:
            return _leave(generator, middleware, request, None, error)
        except BaseException:
            generator.close()
            raise
        return _leave(generator, middleware, request, response, None)

    return run


def _enter(generator: Generator[None, Response, Any], middleware: Middleware, request: Request) -> Response | None:
    """Runs a middleware to its yield; its answer if it returns one before."""
    try:
        yielded: object = next(generator)
    except StopIteration as stop:
        if stop.value is None:
            raise _no_answer(middleware) from None
        return to_response(stop.value, request)
    if yielded is not None:  # as an asynchronous one answers: to pass it over would let the request through
        generator.close()
        raise TypeError(f"the middleware {place(middleware)} yields its answer: a generator without async returns it")
    return None


def _leave(
    generator: Generator[None, Response, Any],
    middleware: Middleware,
    request: Request,
    response: Response | None,
    error: Exception | None,
) -> Response:
    """Gives a middleware the response, or the error, at its yield; what it makes of that."""
    try:
        if error is not None:
            generator.throw(error)
        else:
            assert response is not None
            generator.send(response)
    except StopIteration as stop:
        answer = stop.value
    except BaseException:
        if response is not None:
            response.close()
        raise
    else:
        if response is not None:
            response.close()
        generator.close()
        raise _second_yield(middleware)
    if answer is not None:
        return to_response(answer, request)
    if error is not None:
        raise error  # it was only passing by, as a `finally` does after a bare except; with the cause that it has
    assert response is not None
    return response


def _around_awaiting(call: AsyncCall, middleware: Any) -> AsyncCall:
    """An asynchronous generator around `call`: what others return it yields, since Python lets it return nothing."""

    async def run(request: Request) -> Response:
        generator = middleware(request)
        try:
            answer = await anext(generator)
        except StopAsyncIteration:
            raise _no_answer(middleware) from None
        if answer is None:
            response = None
            try:
                response = await call(request)
            except Exception as error:
                ended = False
                try:
                    answer = await generator.athrow(error)
                except StopAsyncIteration:
                    ended = True
                if ended:
                    raise  # with the cause that it has
            except BaseException:
                await generator.aclose()
                raise
            else:
                try:
                    answer = await generator.asend(response)
                except StopAsyncIteration:
                    return response
                except BaseException:
                    response.close()
                    raise
            if answer is None:
                if response is not None:
                    response.close()
                await generator.aclose()
                raise _second_yield(middleware)
        await generator.aclose()
        return to_response(answer, request)

    return run


def _no_answer(middleware: Middleware) -> TypeError:
    return TypeError(f"the middleware {place(middleware)} returned no response before its yield")


def _second_yield(middleware: Middleware) -> TypeError:
    return TypeError(f"the middleware {place(middleware)} has a second yield: it must have one")

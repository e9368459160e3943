"""What an app does before its first request and after its last: generators of the app with one `yield`."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any, TypeAlias, TypeVar

from firstbyte.app.middleware import called, place
from firstbyte.errors import ConfigurationError, StartupError

Lifespan: TypeAlias = Callable[[Any], Iterator[Any] | AsyncIterator[Any]]
LifespanT = TypeVar("LifespanT", bound=Lifespan)
Opens: TypeAlias = Callable[[], AbstractAsyncContextManager[Any]]


def check_lifespan(function: Lifespan) -> None:
    """Raises ConfigurationError for what is not a generator function of the app."""
    inner = called(function)
    if not inspect.isgeneratorfunction(inner) and not inspect.isasyncgenfunction(inner):
        raise ConfigurationError(
            f"the lifespan {place(function)} is no generator: it must have one yield, before which it opens what the "
            "app needs and after which it closes that"
        )
    try:
        inspect.signature(function).bind(None)
    except TypeError:
        raise ConfigurationError(f"the lifespan {place(function)} must take one thing: the app") from None


def awaits(function: Lifespan) -> bool:
    """Whether a lifespan is an asynchronous generator."""
    return inspect.isasyncgenfunction(called(function))


@asynccontextmanager
async def entered(function: Lifespan, app: Any) -> AsyncIterator[None]:
    """A lifespan of `app` as a context. It waits for nothing where the lifespan does not.

    Raises StartupError that names the function if it fails before its yield.
    """
    make: Any = asynccontextmanager if awaits(function) else contextmanager
    context = make(function)(app)
    async with AsyncExitStack() as stack:
        try:
            if awaits(function):
                await stack.enter_async_context(context)
            else:
                stack.enter_context(context)
        except StartupError:
            raise
        except Exception as error:
            raise StartupError(
                f"the lifespan {place(function)} failed: {type(error).__name__}: {error}",
                "".join(traceback.format_exception(error)),
            ) from error
        yield


@asynccontextmanager
async def entered_in_order(contexts: Sequence[Opens]) -> AsyncIterator[None]:
    """Every context, in order, left in reverse: also when one cannot be entered, and whatever another raises then."""
    opened: list[AbstractAsyncContextManager[Any]] = []
    failed: list[Exception] = []
    try:
        for opens in contexts:
            context = opens()
            await context.__aenter__()
            opened.append(context)
        yield
    finally:
        for context in reversed(opened):
            try:
                await context.__aexit__(None, None, None)
            except Exception as error:
                failed.append(error)
        if failed:
            raise failed[0] if len(failed) == 1 else ExceptionGroup("several lifespans failed at their end", failed)

"""What handlers ask for by its type, made for each request and ended after it: dependencies, as generators.

A provider is a function whose return annotation says what it provides. One with a `yield` is ended after the handler,
in reverse order, with the handler's exception thrown in at the `yield`; so `with` works in it as anywhere. Providers
may ask for what others provide; each is called once a request.
"""

from __future__ import annotations

import inspect
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Generator,
    Iterator,
    Mapping,
)  # fmt: skip
from typing import Any, TypeAlias, get_args, get_origin

from firstbyte.app.event_streams import AsyncEvents, EventFeed
from firstbyte.app.middleware import called, place
from firstbyte.app.params import Plan
from firstbyte.errors import ConfigurationError, HTTPError
from firstbyte.http.request import Request
from firstbyte.http.response import Response
from firstbyte.http.upgrade import Upgrade

Providers: TypeAlias = "Mapping[Any, Provider]"

_WRAPPERS = (Iterator, Generator, AsyncIterator, AsyncGenerator, Awaitable, Coroutine)


class Provider:
    """One provider: what it provides, by which function, with its own parameters filled by `plan`.

    `awaits` says whether it, or one that it asks for, is `async def`; `after_response`, that it is ended when the
    answer is sent.
    """

    __slots__ = ("after_response", "awaits", "function", "kind", "plan", "yields")

    def __init__(self, kind: Any, function: Callable[..., Any], plan: Plan, after_response: bool = False) -> None:
        self.kind = kind
        self.after_response = after_response
        self.use(function, plan)

    def use(self, function: Callable[..., Any], plan: Plan) -> None:
        """Provides by this function from now on."""
        inner = called(function)
        self.function = function
        self.plan = plan
        self.yields = inspect.isgeneratorfunction(inner) or inspect.isasyncgenfunction(inner)
        self.awaits = inspect.iscoroutinefunction(inner) or inspect.isasyncgenfunction(inner) or plan.awaits


def provided_by(function: Callable[..., Any], hints: dict[str, Any]) -> Any:
    """What a function provides, by its return annotation. Raises ConfigurationError if that does not say."""
    kind = hints.get("return")
    if get_origin(kind) in _WRAPPERS:
        kind = get_args(kind)[0] if get_args(kind) else None
    if kind is None or kind is Any:
        raise ConfigurationError(
            f"the provider {place(function)} does not say what it provides: annotate what it returns, as in "
            "-> Iterator[Session] for one that yields a Session"
        )
    return kind


def check_cycles(provider: Provider, above: tuple[Provider, ...] = ()) -> None:
    """Raises ConfigurationError for a provider that asks, however indirectly, for what itself is asked for by."""
    if provider in above:
        circle = [*above[above.index(provider) :], provider]
        names = " -> ".join(place(each.function) for each in circle)
        raise ConfigurationError(f"providers ask for each other in a circle: {names}")
    for source in provider.plan.sources:
        if source.provider is not None:
            check_cycles(source.provider, (*above, provider))


class Scope:
    """What has been provided for one request, and what is to be ended after it."""

    __slots__ = ("_late", "_open", "_request", "values")

    def __init__(self) -> None:
        self.values: dict[Provider, Any] = {}  # by who provides it
        self._open: list[Any] = []  # generators, in the order in which they were begun
        self._late = 0  # how many of them are ended when the answer is sent: one that asks for that, and all before it
        self._request: Request | None = None  # whose answer that is

    def provide(self, provider: Provider, request: Request) -> Any:
        """The value of a provider none of which awaits, made if this is the first to ask."""
        if provider in self.values:
            return self.values[provider]
        made = provider.function(**provider.plan.fill(request, self))
        if provider.yields:
            self._open.append(made)
            try:
                made = next(made)
            except StopIteration:
                raise _no_yield(provider) from None
            if provider.after_response:
                self._late, self._request = len(self._open), request
        self.values[provider] = made
        return made

    async def aprovide(self, provider: Provider, request: Request) -> Any:
        """`provide` for coroutines."""
        if provider in self.values:
            return self.values[provider]
        if not provider.awaits:
            return self.provide(provider, request)
        made = provider.function(**await provider.plan.afill(request, self))
        if inspect.iscoroutine(made):
            made = await made
        if provider.yields:
            self._open.append(made)
            try:
                made = await anext(made) if hasattr(made, "__anext__") else next(made)
            except (StopIteration, StopAsyncIteration):
                raise _no_yield(provider) from None
            if provider.after_response:
                self._late, self._request = len(self._open), request
        self.values[provider] = made
        return made

    def end(self, error: BaseException | None) -> None:
        """Ends what was provided, the last first; each sees at its yield what was raised so far, `error` to begin with.

        Raises what one of them raises of its own. Those that wait for the answer to be sent, and those before them, are
        ended behind it, where a server gives them the time.
        """
        current = error
        while len(self._open) > self._late:
            generator = self._open.pop()
            try:
                if current is None:
                    next(generator)
                else:
                    generator.throw(current)
            except StopIteration:
                continue
            except BaseException as raised:
                current = raised
                continue
            generator.close()
            current = _second_yield(generator)
        if self._late and not self._put_off(self.end, current):
            self.end(current)
        if current is not None and current is not error:
            raise current

    async def aend(self, error: BaseException | None) -> None:
        """`end` for coroutines."""
        current = error
        while len(self._open) > self._late:
            generator = self._open.pop()
            waits = hasattr(generator, "__anext__")
            try:
                if current is None:
                    await anext(generator) if waits else next(generator)
                else:
                    await generator.athrow(current) if waits else generator.throw(current)
            except (StopIteration, StopAsyncIteration):
                continue
            except BaseException as raised:
                current = raised
                continue
            await generator.aclose() if waits else generator.close()
            current = _second_yield(generator)
        if self._late and not self._put_off(self.aend, current):
            await self.aend(current)
        if current is not None and current is not error:
            raise current

    def _put_off(self, end: Callable[[BaseException | None], Any], error: BaseException | None) -> bool:
        """Has what is left ended when the answer is sent; False if nobody sends it, or too much waits for that."""
        self._late = 0
        assert self._request is not None
        try:
            self._request.after(end, error)
        except (RuntimeError, HTTPError):
            return False
        return True

    def attach(self, response: Response) -> bool:
        """Has a streamed body end this scope with itself. False for an answer that is complete."""
        body = response.body
        if not self._open or type(body) is bytes:
            return False
        if isinstance(body, EventFeed | AsyncEvents):
            wrapped = _AsyncScoped if isinstance(body, AsyncEvents) else _Scoped
            body.source = wrapped(body.source, self)
        elif hasattr(body, "__anext__"):
            response.body = _AsyncScoped(body, self)
        elif hasattr(body, "__next__"):
            response.body = _Scoped(body, self)
        elif isinstance(response, Upgrade):
            body.hold(self)  # type: ignore[union-attr]  # a session, which ends after its handler
        else:
            return False
        return True


class _Scoped(Iterator[Any]):
    """The pieces of a body, whose end is that of a scope: also if none was taken, where a generator's would not be."""

    def __init__(self, body: Any, scope: Scope) -> None:
        self._body = body
        self._scope = scope
        self._is_over = False

    def __next__(self) -> Any:
        try:
            return next(self._body)
        except StopIteration:
            self._end(None)
            raise
        except BaseException as error:
            self._end(error)
            raise

    def close(self) -> None:
        """Ends the body where it is; what was provided sees that as it sees the end of a generator."""
        self._end(GeneratorExit())

    __del__ = close  # a middleware has put another response in the place of this body's

    def _end(self, error: BaseException | None) -> None:
        if self._is_over:
            return
        self._is_over = True
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        finally:
            self._scope.end(error)


class _AsyncScoped(AsyncIterator[Any]):
    """`_Scoped` for coroutines."""

    def __init__(self, body: Any, scope: Scope) -> None:
        self._body = body
        self._scope = scope
        self._is_over = False

    async def __anext__(self) -> Any:
        try:
            return await anext(self._body)
        except StopAsyncIteration:
            await self._end(None)
            raise
        except BaseException as error:
            await self._end(error)
            raise

    async def aclose(self) -> None:
        """See `_Scoped.close`."""
        await self._end(GeneratorExit())

    async def _end(self, error: BaseException | None) -> None:
        if self._is_over:
            return
        self._is_over = True
        try:
            aclose = getattr(self._body, "aclose", None)
            if aclose is not None:
                await aclose()
        finally:
            await self._scope.aend(error)


def _no_yield(provider: Provider) -> TypeError:
    return TypeError(f"the provider {place(provider.function)} ended without a yield")


def _second_yield(generator: Any) -> TypeError:
    return TypeError(f"a provider has a second yield: it must have one ({generator!r})")

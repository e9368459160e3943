"""What every handler around others does alike: passes on what a server asks them for, and changes their endpoints."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any

from firstbyte.http.handler import Endpoint, Handler, lifespan_of
from firstbyte.http.services import Periodic, periodic_of

_REMEMBERED = 10_000  # endpoints whose changed form is kept


class Around:
    """Base of handlers around one or several others: all but `resolve` of what `Handler` asks of such a one."""

    def __init__(self, *handlers: Handler) -> None:
        self._inner = handlers

    @property
    def is_async(self) -> bool:
        """Whether one of the inner handlers has coroutines."""
        return any(getattr(each, "is_async", False) for each in self._inner)

    def lifespan(self) -> AbstractAsyncContextManager[Any]:
        """The inner handlers' lifespans, one within the other."""
        return lifespan_of(self._inner[0]) if len(self._inner) == 1 else _entered(self._inner)

    @property
    def periodic(self) -> Sequence[Periodic]:
        """What the inner handlers have to do again and again."""
        return [job for each in self._inner for job in periodic_of(each)]


class Changed(dict[Endpoint, Endpoint]):
    """Endpoints as `change` makes them, each made once: `changed[endpoint]`.

    An endpoint that is remembered costs one look-up. There is a bound, since some handlers make endpoints as they go.
    """

    def __init__(self, change: Callable[[Endpoint], Endpoint]) -> None:
        self._change = change

    def __missing__(self, endpoint: Endpoint) -> Endpoint:
        if len(self) >= _REMEMBERED:
            self.clear()
        changed = self[endpoint] = self._change(endpoint)
        return changed


@asynccontextmanager
async def _entered(handlers: Sequence[Handler]) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        for each in handlers:
            await stack.enter_async_context(lifespan_of(each))
        yield

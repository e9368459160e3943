"""Server-sent events as answers: generators of `Event`, in a coroutine or in a thread of their own."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from types import ModuleType
from typing import Any
from weakref import WeakSet

from firstbyte.app.middleware import called
from firstbyte.errors import HTTPError
from firstbyte.http.events import COMMENT, EVENT_STREAM, Event
from firstbyte.http.response import Feed, LiveBody, Response

KEEP_ALIVE = 15.0  # seconds of silence after which a comment is sent: proxies cut what is silent for 30 or 60
MAX_THREADS = 512  # streams of functions at a time, each of which has a thread; beyond it 503

_open: WeakSet[EventFeed] = WeakSet()


def event_stream(
    events: Iterable[Event | None] | AsyncIterable[Event | None], *, keep_alive: float = KEEP_ALIVE
) -> Response:
    """The events as an answer, each sent as soon as it is there; None stands for nothing, and lets a client's leaving
    be noticed. After `keep_alive` seconds of silence a comment is sent.

    Raises HTTPError 503 if so many functions give events that there is no thread for another.
    """
    body = (
        AsyncEvents(aiter(events), keep_alive)
        if isinstance(events, AsyncIterable)
        else EventFeed(iter(events), keep_alive)
    )
    response = Response(b"", 200, {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}, EVENT_STREAM)
    response.body = body
    return response


def gives_events(function: Callable[..., Any]) -> bool:
    """Whether a generator function without a return annotation has `Event` among the names in it."""
    inner = called(inspect.unwrap(function))
    if not (inspect.isgeneratorfunction(inner) or inspect.isasyncgenfunction(inner)):
        return False
    code, names = inner.__code__, inspect.getclosurevars(inner)
    found = {**names.globals, **names.nonlocals}
    return any(
        each is Event or (isinstance(each, ModuleType) and "Event" in code.co_names and _has_event(each))
        for each in found.values()
    )


def _has_event(module: ModuleType) -> bool:
    return getattr(module, "Event", None) is Event


class EventFeed(Feed):
    """The events of a function."""

    def __init__(self, source: Any, keep_alive: float) -> None:
        if len(_open) >= MAX_THREADS:
            _end(source)
            raise HTTPError(503, "too many event streams are open", {"Retry-After": "5"})
        self.source = source
        self._keep_alive = keep_alive
        _open.add(self)

    @property
    def keep_alive(self) -> tuple[float, bytes]:
        """See `Feed`."""
        return self._keep_alive, COMMENT

    def __next__(self) -> bytes:
        return _encoded(next(self.source))

    def close(self) -> None:
        """Ends the generator."""
        _open.discard(self)
        _end(self.source)


class AsyncEvents(LiveBody, AsyncIterator[bytes]):
    """The events of a coroutine."""

    def __init__(self, source: Any, keep_alive: float) -> None:
        self.source = source
        self._keep_alive = keep_alive
        self._task: Any = None  # while it waits for an event
        self._is_over = False

    @property
    def keep_alive(self) -> tuple[float, bytes]:
        """See `LiveBody`."""
        return self._keep_alive, COMMENT

    def drain(self) -> None:
        """See `LiveBody`: the client connects anew, to another server."""
        self._is_over = True
        if self._task is not None:
            self._task.cancel("the server stops")

    async def __anext__(self) -> bytes:
        from asyncio import CancelledError, current_task  # here, since it takes long to import

        if self._is_over:
            raise StopAsyncIteration
        task = self._task = current_task()
        try:
            return _encoded(await anext(self.source))
        except CancelledError:
            if task is None or not self._stops():
                raise
            task.uncancel()
            raise StopAsyncIteration from None
        finally:
            self._task = None

    def _stops(self) -> bool:
        return self._is_over

    async def aclose(self) -> None:
        """Ends the generator."""
        aclose = getattr(self.source, "aclose", None)
        if aclose is not None:
            await aclose()


def _encoded(event: object) -> bytes:
    if event is None:
        return b""
    if not isinstance(event, Event):
        raise TypeError(f"a generator of events yields Event or None, not {type(event).__name__}")
    return event.encode()


def _end(source: Any) -> None:
    close = getattr(source, "close", None)
    if close is not None:
        close()

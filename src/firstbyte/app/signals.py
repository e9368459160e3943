"""Signals: what those who watch an app are told of every request, without having a say in it.

Nothing is paid for a signal that nobody watches: the calls of the app are composed without it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from firstbyte._lazy import lazy_logger
from firstbyte.app.calls import is_coroutine
from firstbyte.app.middleware import place
from firstbyte.errors import ConfigurationError
from firstbyte.http.request import Request
from firstbyte.http.response import Response

logger = lazy_logger("firstbyte.app")

Watcher = TypeVar("Watcher", bound=Callable[..., object])


class Signal:
    """Something that happens to requests. `changed` is called when the watchers are others than before."""

    def __init__(self, name: str, changed: Callable[[], None]) -> None:
        self.name = name
        self._changed = changed
        self._watchers: tuple[Callable[..., object], ...] = ()

    def connect(self, watcher: Watcher) -> Watcher:
        """Has `watcher` called from now on; also a decorator. What it raises is logged and changes nothing.

        Raises ConfigurationError for a coroutine function: whoever must wait hands on to one who may.
        """
        if is_coroutine(watcher):
            raise ConfigurationError(f"{place(watcher)} watches {self.name} and must be a plain function: write def")
        self._watchers = (*self._watchers, watcher)
        self._changed()
        return watcher

    def disconnect(self, watcher: Callable[..., object]) -> None:
        """Has it called no more. Raises ValueError if it is not connected."""
        if watcher not in self._watchers:
            raise ValueError(f"{place(watcher)} does not watch {self.name}")
        self._watchers = tuple(each for each in self._watchers if each is not watcher and each != watcher)
        self._changed()

    def send(self, *arguments: Any) -> None:
        """Tells every watcher, in the order of connecting."""
        for watcher in self._watchers:
            try:
                watcher(*arguments)
            except Exception:  # whatever a watcher does wrong, the request is answered
                logger.exception("%s, which watches %s, failed", place(watcher), self.name)

    def __bool__(self) -> bool:
        return bool(self._watchers)


class Signals:
    """The signals of an app: `started(request)`, `finished(request, response)` and `failed(request, error)`.

    A request starts when its call does: its body is there, or it is one of those answered without. It has failed when
    an exception came that nobody answers, or its coroutine was cancelled, and is finished when there is a response,
    that of a failure too; the response is not sent by then.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self.started = Signal("request_started", changed)
        self.finished = Signal("request_finished", changed)
        self.failed = Signal("request_failed", changed)

    def around(self, call: Any, is_async: bool) -> Any:
        """`call` with the first and the last word told; itself where nobody watches."""
        if not (self.started or self.finished or self.failed):
            return call
        started, finished, failed = self.started.send, self.finished.send, self.failed.send
        if is_async:

            async def arun(request: Request) -> Response:
                started(request)
                try:
                    response: Response = await call(request)
                except BaseException as error:
                    failed(request, error)
                    raise
                finished(request, response)
                return response

            return arun

        def run(request: Request) -> Response:
            started(request)
            try:
                response: Response = call(request)
            except BaseException as error:
                failed(request, error)
                raise
            finished(request, response)
            return response

        return run

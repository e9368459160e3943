"""What a task awaits of a connection: a future, but for when it goes on."""

from __future__ import annotations

from asyncio import AbstractEventLoop, CancelledError, current_task
from collections.abc import Callable, Generator
from contextvars import Context
from math import inf
from typing import Any


class Wait:
    """What one task awaits; it goes on within the call that ends it.

    A plain future would have the loop poll once more in between, which is a fifth of what a small request costs. It may
    do so since the loop itself ends it, from a callback in which no task runs. The members are those that a Task asks
    of any future (see `asyncio.isfuture`). `deadline` is for whoever made it.
    """

    __slots__ = ("_asyncio_future_blocking", "_callback", "_context", "_error", "_loop", "deadline", "over")

    def __init__(self, loop: AbstractEventLoop) -> None:
        self._loop = loop
        self._asyncio_future_blocking = False
        self._callback: Callable[[Wait], object] | None = None
        self._context: Context | None = None
        self._error: BaseException | None = None
        self.deadline = inf
        self.over = False

    def __await__(self) -> Generator[Wait, None, None]:
        if not self.over:
            self._asyncio_future_blocking = True
            yield self
        self.result()

    def end(self, error: BaseException | None = None) -> None:
        """Lets the task go on, or raises `error` in it. Once is enough."""
        if self.over:
            return
        self.over = True
        self._error = error
        if self._callback is None:
            return
        if current_task(self._loop) is not None:
            self._loop.call_soon(self._callback, self, context=self._context)
        elif self._context is not None:
            self._context.run(self._callback, self)
        else:
            self._callback(self)

    def done(self) -> bool:
        """See asyncio.Future."""
        return self.over

    def result(self) -> None:
        """Raises what the wait was ended with."""
        if self._error is not None:
            raise self._error

    def get_loop(self) -> AbstractEventLoop:
        """See asyncio.Future."""
        return self._loop

    def add_done_callback(self, callback: Callable[[Any], object], *, context: Context | None = None) -> None:
        """See asyncio.Future; there is one who asks."""
        self._callback = callback
        self._context = context

    def cancel(self, msg: object = None) -> bool:
        """See asyncio.Future. The task that is cancelled goes on in the loop's next turn, as it would with any
        future."""
        if self.over:
            return False
        self.over = True
        self._error = CancelledError() if msg is None else CancelledError(msg)
        if self._callback is not None:
            self._loop.call_soon(self._callback, self, context=self._context)
        return True

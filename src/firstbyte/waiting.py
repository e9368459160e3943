"""What a task awaits of a connection: a future, but for when it goes on; and a way past the Task, for short steps."""

from __future__ import annotations

from asyncio import AbstractEventLoop, CancelledError, current_task, get_running_loop
from asyncio.tasks import _enter_task, _leave_task
from collections.abc import Callable, Coroutine
from contextvars import Context
from math import inf
from typing import Any, Protocol

READ = 1  # as epoll has them, like the rest of the events of a `Watcher`
WRITE = 4


class Source(Protocol):
    """Something with a descriptor that is watched."""

    def on_event(self, events: int) -> None:
        """The descriptor is ready; called in the loop's thread, outside of any task."""
        ...


class Watcher(Protocol):
    """Whoever waits in a loop for many descriptors at once, and takes further ones: a server's reactor."""

    def watch_source(self, fd: int, source: Source, interest: int) -> None:
        """Begins to watch a descriptor for READ, WRITE or both, and for errors in any case."""
        ...

    def change_source(self, fd: int, interest: int) -> None:
        """Changes what it is watched for."""
        ...

    def ignore_source(self, fd: int) -> None:
        """Stops watching it, before it is closed."""
        ...

    def receive(self, fd: int) -> bytes:
        """What has come over a socket; none at its end. Raises OSError, BlockingIOError for nothing."""
        ...

    def transmit(self, fd: int, data: bytes | memoryview) -> int:
        """Sends what the kernel takes of `data`, which is not empty; how much. Raises OSError, BlockingIOError."""
        ...


watchers: dict[AbstractEventLoop, Watcher] = {}
"""Those of the loops that run and have one."""


class Wait:
    """What one task awaits; it goes on within the call that ends it.

    A plain future would have the loop poll once more in between, which is a fifth of what a small request costs. It may
    do so since the loop itself ends it, from a callback in which no task runs. The members are those that a Task asks
    of any future (see `asyncio.isfuture`). `deadline` is for whoever made it.
    """

    __slots__ = ("_asyncio_future_blocking", "_callback", "_context", "_error", "_loop", "_stepper", "deadline", "over")

    def __init__(self, loop: AbstractEventLoop) -> None:
        self._loop = loop
        self._asyncio_future_blocking = False
        self._callback: Callable[[Wait], object] | None = None
        self._context: Context | None = None
        self._error: BaseException | None = None
        self._stepper: Stepper | None = None  # who goes on in the task's place
        self.deadline = inf
        self.over = False

    def __await__(self) -> Any:
        return self

    def __next__(self) -> Wait:
        if self.over:
            if self._error is not None:
                raise self._error
            raise StopIteration
        self._asyncio_future_blocking = True
        return self

    def end(self, error: BaseException | None = None) -> None:
        """Lets the task go on, or raises `error` in it. Once is enough."""
        if self.over:
            return
        self.over = True
        self._error = error
        if self._stepper is not None:
            self._stepper.go_on()
            return
        if self._callback is None:
            return
        if current_task(self._loop) is not None:
            self._loop.call_soon(self._callback, self, context=self._context)
        elif self._context is not None:
            self._context.run(self._callback, self)
        else:
            self._callback(self)

    def renew(self) -> None:
        """Makes it as new, for whoever has awaited it to its end: then nobody else knows it any more."""
        self.over = self._asyncio_future_blocking = False
        self._callback = self._context = self._error = self._stepper = None

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


class Stepper:
    """Awaits a coroutine, and steps it by itself behind each `Wait` that it awaits, while its Task waits on.

    To its Task, which is told when it ends or waits for anything else, those are one long Wait: what a Task does
    between two steps costs as much as a WebSocket's echo.
    """

    __slots__ = ("_coroutine", "_end", "_has_yielded", "_loop", "_parked", "_send", "_task", "_wait", "_yielded")

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._coroutine = coroutine
        self._send = coroutine.send
        self._loop: AbstractEventLoop = get_running_loop()
        self._task: Any = current_task(self._loop)
        self._wait: Wait | None = None  # what the coroutine awaits
        self._parked: Wait | None = None  # what the Task awaits meanwhile
        self._has_yielded = False  # in a step of ours, something that is for the Task:
        self._yielded: Any = None
        self._end: BaseException | None = None  # how it ended in a step of ours; StopIteration with what it returned

    def __await__(self) -> Any:
        return self

    def __next__(self) -> Any:
        return self.send(None)

    def send(self, value: Any) -> Any:
        """The Task's step."""
        self._wait = None
        if self._end is not None:
            raise self._end
        if self._has_yielded:
            self._has_yielded = False
            return self._yielded
        return self._park(self._send(value))

    def throw(self, error: Any, *more: Any) -> Any:
        """The Task is cancelled."""
        wait, self._wait = self._wait, None
        if wait is not None:
            wait._stepper = None
            wait.over = True
        if self._end is not None:
            raise error
        if self._has_yielded:  # it was cancelled in a step of ours, which went on to wait for something else
            self._has_yielded = False
            if self._yielded is not None and self._yielded.cancel():
                return self._yielded
        return self._park(self._coroutine.throw(error, *more))

    def close(self) -> None:
        """See `Coroutine.close`."""
        self._coroutine.close()

    def go_on(self) -> None:
        """The Wait that it awaits is over."""
        parked = self._parked
        assert parked is not None
        if parked.over:
            return  # the Task is cancelled, and will say so
        try:
            _enter_task(self._loop, self._task)
        except RuntimeError:  # within another task: there is no haste
            parked.end()
            return
        self._wait = None
        try:
            yielded = parked._context.run(self._send, None)  # type: ignore[union-attr]
        except BaseException as error:  # the Task's to raise
            self._end = error
        else:
            if type(yielded) is Wait:
                self._attach(yielded)
            else:
                self._has_yielded, self._yielded = True, yielded
        finally:
            _leave_task(self._loop, self._task)
        if self._wait is None:
            parked.end()

    def _park(self, yielded: Any) -> Any:
        if type(yielded) is not Wait:
            return yielded
        self._attach(yielded)
        self._parked = parked = Wait(self._loop)
        parked._asyncio_future_blocking = True
        return parked

    def _attach(self, wait: Wait) -> None:
        wait._asyncio_future_blocking = False
        wait._stepper = self
        self._wait = wait

"""What a task awaits of a connection: a future, but for when it goes on; and a way past the Task, for short steps."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from math import inf
from typing import TYPE_CHECKING, Any, Protocol

from firstbyte._lazy import LazyModule

if TYPE_CHECKING:
    import asyncio
    from asyncio import AbstractEventLoop, tasks
else:
    asyncio, tasks = LazyModule("asyncio"), LazyModule("asyncio.tasks")  # not all who import this have a loop

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

    __slots__ = (
        "_asyncio_future_blocking", "_callback", "_context", "_error", "_follower", "_loop", "deadline", "over",
    )  # fmt: skip

    def __init__(self, loop: AbstractEventLoop) -> None:
        self._loop = loop
        self._asyncio_future_blocking = False
        self._callback: Callable[[Wait], object] | None = None
        self._context: Context | None = None
        self._error: BaseException | None = None
        self._follower: Follower | None = None  # who goes on in the task's place
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
        if self._follower is not None:
            self._follower.go_on()
            return
        if self._callback is None:
            return
        if asyncio.current_task(self._loop) is not None:
            self._loop.call_soon(self._callback, self, context=self._context)
        elif self._context is not None:
            self._context.run(self._callback, self)
        else:
            self._callback(self)

    def follow(self, follower: Follower) -> None:
        """Has `follower` go on when it is over, and not who awaits it."""
        self._asyncio_future_blocking = False  # as a Task says that it has seen it
        self._follower = follower

    def renew(self) -> None:
        """Makes it as new, for whoever has awaited it to its end: then nobody else knows it any more."""
        self.over = self._asyncio_future_blocking = False
        self._callback = self._context = self._error = self._follower = None

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
        self._error = asyncio.CancelledError() if msg is None else asyncio.CancelledError(msg)
        if self._callback is not None:
            self._loop.call_soon(self._callback, self, context=self._context)
        return True


class Follower:
    """Who goes on in the place of a Task when a `Wait` is over: outside of any task, or within another."""

    __slots__ = ()

    def go_on(self) -> None:
        """The Wait is over."""
        raise NotImplementedError


class Attempt:
    """A coroutine that is one thing to try: at first, and behind each `Wait` that `attempt` gives, until it gives none.

    What awaiting it gives is `value`. It is made by hand for what happens with every message, since half of what an
    `async def` costs is that it can do anything. Like one it does nothing until it is awaited. Who has made it may
    `renew` it when it `is_over`, for the next message: whoever awaited it is through with it.
    """

    __slots__ = ("_has_begun", "_wait", "is_over", "value")

    name = "attempt"  # in a warning, as a coroutine has it

    def __init__(self) -> None:
        self._wait: Wait | None = None
        self.renew()

    def renew(self) -> None:
        """Makes it as new."""
        self._has_begun = self.is_over = False
        self.value: Any = None

    def attempt(self) -> Wait | None:
        """Tries; what to wait for before it is tried again, None when it has been done."""
        raise NotImplementedError

    def step(self) -> Wait | None:
        """The next step, of which nobody is told by StopIteration."""
        if self.is_over:
            raise RuntimeError(f"{self.name} was awaited before")
        wait = self._wait
        if wait is not None and wait._error is not None:
            raise wait._error
        self._has_begun = True
        self._wait = wait = self.attempt()
        if wait is None:
            self.is_over = True
        else:
            wait._asyncio_future_blocking = True
        return wait

    def __await__(self) -> Any:
        return self

    def __next__(self) -> Wait:
        wait = self.step()
        if wait is None:
            value, self.value = self.value, None  # which is not to be kept until the next
            raise StopIteration(value)
        return wait

    def send(self, value: Any) -> Wait:
        """See `Coroutine.send`."""
        return self.__next__()

    def throw(self, error: Any, *more: Any) -> Any:
        """See `Coroutine.throw`."""
        self.close()
        raise error

    def close(self) -> None:
        """See `Coroutine.close`."""
        self._has_begun = self.is_over = True
        self._wait = None

    def __del__(self) -> None:
        if not self._has_begun:
            warnings.warn(f"coroutine '{self.name}' was never awaited", RuntimeWarning, stacklevel=2)


class Stepper(Follower):
    """Awaits a coroutine, and steps it by itself behind each `Wait` that it awaits, while its Task waits on.

    To its Task, which is told when it ends or waits for anything else, those are one long Wait: what a Task does
    between two steps costs as much as a WebSocket's echo.
    """

    __slots__ = (
        "_coroutine", "_end", "_enter", "_has_yielded", "_leave", "_loop", "_parked", "_send", "_task", "_wait",
        "_yielded",
    )  # fmt: skip

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._enter, self._leave = tasks._enter_task, tasks._leave_task  # asked for with every message
        self._coroutine = coroutine
        self._send = coroutine.send
        self._loop: AbstractEventLoop = asyncio.get_running_loop()
        self._task: Any = asyncio.current_task(self._loop)
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
            wait._follower = None
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
            self._enter(self._loop, self._task)
        except RuntimeError:  # within another task: there is no haste
            parked.end()
            return
        self._wait = None
        try:
            yielded = step(parked._context, self._coroutine)
        except BaseException as error:  # the Task's to raise
            self._end = error
        else:
            if type(yielded) is Wait:
                self._attach(yielded)
            else:
                self._has_yielded, self._yielded = True, yielded
        finally:
            self._leave(self._loop, self._task)
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
        wait.follow(self)
        self._wait = wait


class Begun:
    """A coroutine whose first step is run as this is made, in the task and the context that do so.

    It `is_over` where it did not wait, and gave `value`; else `awaits` is what it waits for, and it goes on when this
    is awaited. What it raises in its first step is raised by the constructor.
    """

    __slots__ = ("_argument", "_coroutine", "_ended", "_failed", "awaits", "is_over", "value")

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._coroutine = coroutine
        self.is_over = False
        self.value: Any = None
        self.awaits: Any = None
        self._ended: Callable[[Any, Any], Any] | None = None
        self._failed: Callable[[Any, Exception], Any]
        self._argument: Any = None
        take_step(self)

    def then(self, ended: Callable[[Any, Any], Any], failed: Callable[[Any, Exception], Any], argument: Any) -> Begun:
        """Has who awaits this be given `ended(value, argument)`, or `failed(argument, error)` if there is one."""
        self._ended, self._failed, self._argument = ended, failed, argument
        return self

    def __await__(self) -> Generator[Any, None, Any]:
        try:
            while not self.is_over:
                try:
                    yield self.awaits
                except BaseException as error:
                    self._throw(error)
                else:
                    take_step(self)
            return self.value if self._ended is None else self._ended(self.value, self._argument)
        except Exception as error:
            if self._ended is None:
                raise
            return self._failed(self._argument, error)

    def _throw(self, error: BaseException) -> None:
        try:
            self.awaits = self._coroutine.throw(error)
        except StopIteration as end:
            self.is_over, self.value = True, end.value


def step(context: Context | None, coroutine: Coroutine[Any, Any, Any]) -> Any:
    """What a coroutine, stepped in a context, awaits next. Raises StopIteration when it has ended."""
    assert context is not None
    return context.run(coroutine.send, None)


def take_step(begun: Begun) -> None:
    """The next step of what has begun: for `Begun` itself."""
    try:
        begun.awaits = begun._coroutine.send(None)
    except StopIteration as end:
        begun.is_over, begun.value = True, end.value


try:
    from firstbyte import _waiting  # type: ignore[attr-defined]
except ImportError:
    pass  # it is not compiled
else:
    step, take_step = _waiting.step, _waiting.take_step
    _waiting.give_values(Attempt)

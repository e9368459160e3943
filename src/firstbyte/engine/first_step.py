"""The first step of a coroutine, run before it is known whether there is more than one.

Most handlers end without ever having waited. Such a coroutine needs no Task of its own; it must only find one when it
asks for the current task. So it is stepped in the name of a spare Task that has not begun, in that Task's context. If
it waits, it goes on in that Task, and there is another spare for the next one. If it ends, the spare stays the spare,
unless the coroutine has left something on it: a reference to it, a callback, a context variable, a cancellation.

A coroutine that is known not to care for its Task (of an `Endpoint.attempt`) is stepped like this all the way, each
time the `Wait` that it awaits calls back, and goes on in a Task only if it awaits anything else (`Walk`).
"""

from __future__ import annotations

import asyncio
from asyncio.tasks import _enter_task, _leave_task, _register_task, _unregister_task
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, copy_context
from sys import getrefcount
from typing import Any, TypeAlias
from weakref import getweakrefcount

from firstbyte.waiting import Wait


class FirstSteps:
    """Steps coroutines for a loop, each in a copy of the context in which this was made.

    `close` must be called before the loop ends.
    """

    __slots__ = ("_loop", "_spare", "context")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.context = copy_context()
        self._spare: _Spare | None = None

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Outcome:
        """Runs the first step of a coroutine, while no task runs.

        The Task in which it goes on, or None if it has ended, and what it raised then. Its value is lost: that would
        take an exception (StopIteration), which costs more than all the rest.
        """
        return self.call(next_step, coroutine.__await__())

    def call(self, function: Callable[[Any], Left | None], argument: Any, walk: Walk | None = None) -> Outcome:
        """As `run`, for a function that begins something, and gives what is left of it to be awaited, or None.

        A `walk`, whose steps it then runs, takes the place of a Task where it can.
        """
        spare = self._spare or _Spare(self._loop, self.context)
        self._spare = None
        loop, task = self._loop, spare.task
        left: Left | None = None
        error: BaseException | None = None
        _enter_task(loop, task)
        try:
            left = spare.run(function, argument)
        except BaseException as raised:
            error = raised
        _leave_task(loop, task)
        if left is not None:
            if walk is not None and type(left.waits_for) is Wait and spare.is_as_new(self.context):
                self._spare = spare
                walk.wait_for(left.waits_for)
                return walk, None
            spare.go_on(left)
            return task, None
        if spare.is_as_new(self.context):
            self._spare = spare
        else:
            if task.cancelling():
                error = asyncio.CancelledError()
            spare.end()
        return None, error

    def close(self) -> None:
        """Ends the spare Task, which the end of the loop would wait for."""
        if self._spare is not None:
            self._spare.end()
            self._spare = None


class Walk:
    """A coroutine without a Task of its own; `wakes` is called when the next of its steps can be run."""

    __slots__ = ("_cancelled", "_first_steps", "_steps", "_wait", "_wakes")

    def __init__(
        self, first_steps: FirstSteps, coroutine: Coroutine[Any, Any, Any], wakes: Callable[[Wait], object]
    ) -> None:
        self._first_steps = first_steps
        self._steps = coroutine.__await__()
        self._wakes = wakes
        self._wait: Wait
        self._cancelled: asyncio.CancelledError | None = None

    def step(self) -> Outcome:
        """Runs the next step, while no task runs. As `FirstSteps.run`, with itself in the Task's place."""
        cancelled, self._cancelled = self._cancelled, None
        if cancelled is None:
            return self._first_steps.call(next_step, self._steps, self)
        return self._first_steps.call(_throw, (self._steps, cancelled), self)

    def wait_for(self, wait: Wait) -> None:
        """What it awaits next."""
        self._wait = wait
        wait._asyncio_future_blocking = False  # as a Task says that it has seen it
        wait.add_done_callback(self._wakes)

    def cancel(self, msg: object = None) -> bool:
        """See `asyncio.Task.cancel`."""
        if not self._wait.cancel(msg):  # it has ended, and the next step is about to be run
            self._cancelled = asyncio.CancelledError() if msg is None else asyncio.CancelledError(msg)
        return True


Left: TypeAlias = Any
"""What is left of a coroutine behind its first step, to be awaited in a Task; a `Rest` where it is stepped by hand."""
Outcome: TypeAlias = "tuple[asyncio.Task[Any] | Walk | None, BaseException | None]"


def next_step(steps: Generator[Any, Any, Any]) -> Rest | None:
    """Runs a step, and gives what is left then; None if that was the last."""
    waits_for = next(steps, _ENDED)
    return None if waits_for is _ENDED else Rest(steps, waits_for)


def _throw(argument: tuple[Generator[Any, Any, Any], BaseException]) -> Rest | None:
    steps, error = argument
    try:
        return Rest(steps, steps.throw(error))
    except StopIteration:
        return None


class _Spare:
    """A Task that has not begun, and is not among `asyncio.all_tasks` while it waits for a coroutine."""

    __slots__ = ("_is_listed", "_left", "_loop", "_step", "context", "run", "task")

    def __init__(self, loop: asyncio.AbstractEventLoop, context: Context) -> None:
        self._loop = loop
        self.context = context.copy()
        self.run = self.context.run
        self._left: Left | None = None
        self._step: Any
        # A Task gives its first step to `call_soon` while it is made: there it is caught.
        loop.call_soon = self._catch  # type: ignore[assignment, method-assign]
        try:
            self.task: asyncio.Task[Any] = asyncio.Task(self._carry(), loop=loop, name=_NAME, context=self.context)
        finally:
            del loop.call_soon
        self._is_listed = True  # among all tasks: by itself, as it is made

    def _catch(self, step: Any, *arguments: Any, context: Context | None = None) -> None:
        self._step = step

    def go_on(self, left: Left) -> None:
        """Makes this the Task in which what is left of a coroutine is awaited."""
        self._left = left
        if self.task.cancelling():  # in its first step: it gets to no other
            left.close()
        if not self._is_listed:
            _register_task(self.task)
        self.run(self._step)

    def end(self) -> None:
        """Has the loop end the Task, with whatever was left on it."""
        self._loop.call_soon(self._step, context=self.context)

    def is_as_new(self, context: Context) -> bool:
        """Whether it is as it was made, and can wait for another coroutine, for which it is taken off the list."""
        if self._is_listed:
            _unregister_task(self.task)
            self._is_listed = False
        return (
            self.references() == _REFERENCES
            and not getweakrefcount(self.task)
            and not self.task._callbacks
            and not self.task.cancelling()
            and self.context == context
        )

    def references(self) -> int:
        """How often the Task is referred to; one and the same function counts, compiled or not."""
        return getrefcount(self.task)

    async def _carry(self) -> Any:
        if self._left is not None:
            return await self._left


class Rest:
    """What is left of a coroutine that is stepped by hand, and what it waits for."""

    __slots__ = ("_steps", "waits_for")

    def __init__(self, steps: Generator[Any, Any, Any], waits_for: Any) -> None:
        self._steps = steps
        self.waits_for = waits_for

    def close(self) -> None:
        """See `Coroutine.close`."""
        self._steps.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        while True:
            try:
                yield self.waits_for
            except BaseException as error:
                try:
                    self.waits_for = self._steps.throw(error)
                except StopIteration as end:
                    return end.value
            else:
                return (yield from self._steps)


def _references() -> int:
    """How often a Task is referred to that is known to its spare, and to `FirstSteps.call` besides."""
    loop = asyncio.new_event_loop()
    try:
        spare = _Spare(loop, copy_context())
        task = spare.task
        count = spare.references()
        del task
        spare.run(spare._step)
        return count
    finally:
        loop.close()


_ENDED = object()
_NAME = "request"  # of the Tasks: to number them takes Python 3.11 as long as it takes to step one
_REFERENCES = _references()

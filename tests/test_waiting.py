"""A Stepper is to its coroutine what a Task is: the same task, context, cancellations and errors, in fewer steps.

So is a Begun, whose first step is run as it is made. And an Attempt is to whoever awaits it what a coroutine is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import ContextVar
from typing import Any

import pytest

from firstbyte.waiting import Attempt, Begun, Stepper, Wait

VARIABLE: ContextVar[int] = ContextVar("VARIABLE", default=0)

Awaits = Callable[[Coroutine[Any, Any, Any]], Awaitable[Any]]


WAYS: dict[str, Awaits] = {"stepped": Stepper, "begun": Begun, "awaited": lambda coroutine: coroutine}


@pytest.fixture(params=WAYS)
def awaits(request: pytest.FixtureRequest) -> Awaits:
    """All ways to await a coroutine, which are to look the same from within it."""
    return WAYS[request.param]


def soon(end: Callable[[Wait], object] = Wait.end) -> Wait:
    """A Wait that the loop ends."""
    loop = asyncio.get_running_loop()
    wait = Wait(loop)
    loop.call_soon(end, wait)
    return wait


def run(awaits: Awaits, work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    async def main() -> Any:
        return await awaits(work())

    return asyncio.run(main())


def test_what_it_waits_for_may_be_anything(awaits: Awaits) -> None:
    async def work() -> list[Any]:
        task = asyncio.current_task()
        seen: list[Any] = []
        for number in range(3):
            VARIABLE.set(number)
            await soon()
            await soon()
            seen.append(VARIABLE.get())
            await asyncio.sleep(0)
            seen.append(await asyncio.wait_for(asyncio.sleep(0, "slept"), 10))
            await soon()
            assert asyncio.current_task() is task
        return seen

    assert run(awaits, work) == [0, "slept", 1, "slept", 2, "slept"]


def test_what_it_ends_with(awaits: Awaits) -> None:
    async def returns() -> str:
        await soon()
        return "value"

    async def raises() -> None:
        await soon()
        raise KeyError("mine")

    async def waits_for_an_error() -> None:
        await soon(lambda wait: wait.end(OSError("cut")))

    assert run(awaits, returns) == "value"
    with pytest.raises(KeyError, match="mine"):
        run(awaits, raises)
    with pytest.raises(OSError, match="cut"):
        run(awaits, waits_for_an_error)


def test_a_step_happens_within_the_call_that_ends_the_wait() -> None:
    steps: list[str] = []

    async def work() -> None:
        await first
        steps.append("first")
        await second
        steps.append("second")

    def end() -> None:
        first.end()
        steps.append("ended")
        second.end()

    async def main() -> None:
        nonlocal first, second
        loop = asyncio.get_running_loop()
        first, second = Wait(loop), Wait(loop)
        loop.call_soon(end)
        await Stepper(work())

    first: Wait
    second: Wait
    asyncio.run(main())
    assert steps == ["first", "ended", "second"]


def test_a_wait_that_another_task_ends(awaits: Awaits) -> None:
    async def work() -> list[str]:
        order: list[str] = []
        wait = Wait(asyncio.get_running_loop())

        async def other() -> None:
            wait.end()
            order.append("other")  # which is not interrupted

        task = asyncio.create_task(other())
        await wait
        order.append("work")
        await task
        return order

    assert run(awaits, work) == ["other", "work"]


def test_a_timeout(awaits: Awaits) -> None:
    async def work() -> str:
        await soon()
        try:
            async with asyncio.timeout(0.01):
                await Wait(asyncio.get_running_loop())
        except TimeoutError:
            await soon()
            return "went on"
        raise AssertionError

    assert run(awaits, work) == "went on"


@pytest.mark.parametrize("ends_too", [False, True])
def test_a_cancellation(awaits: Awaits, ends_too: bool) -> None:
    """By another task; and if the wait is over in the same turn."""
    told: list[str] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        wait = Wait(loop)

        async def work() -> None:
            await soon()
            try:
                await wait
            except asyncio.CancelledError as error:
                told.append(str(error))
                await soon()
                told.append("cleaned")
                raise

        async def outer() -> None:
            await awaits(work())

        task = asyncio.create_task(outer())
        await asyncio.sleep(0.01)
        task.cancel("enough")
        if ends_too:
            loop.call_soon(wait.end)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()

    asyncio.run(main())
    assert told == ["enough", "cleaned"]


@pytest.mark.parametrize("then", ["waits", "sleeps", "yields", "ends"])
def test_who_cancels_itself(awaits: Awaits, then: str) -> None:
    told: list[str] = []

    async def main() -> None:
        async def work() -> None:
            await soon()
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            try:
                if then == "waits":
                    await Wait(asyncio.get_running_loop())
                elif then == "sleeps":
                    await asyncio.sleep(60)
                elif then == "yields":
                    await asyncio.sleep(0)
            except asyncio.CancelledError:
                told.append(then)
                raise

        async def outer() -> None:
            await awaits(work())

        task = asyncio.create_task(outer())
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert told == ([] if then == "ends" else [then])


def test_a_group_of_tasks_within(awaits: Awaits) -> None:
    async def work() -> str:
        await soon()

        async def fails() -> None:
            await asyncio.sleep(0)
            raise ValueError("a child")

        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(fails())
                await Wait(asyncio.get_running_loop())
        except* ValueError:
            pass
        await soon()
        return "went on"

    assert run(awaits, work) == "went on"


class Countdown(Attempt):
    """Succeeds behind so many Waits."""

    name = "Countdown"

    def __init__(self, count: int, value: Any = None, wait: Callable[[], Wait] = soon) -> None:
        super().__init__()
        self.count = count
        self.result = value
        self.new_wait = wait

    def attempt(self) -> Wait | None:
        if self.count < 0:
            raise ValueError("it cannot be done")
        self.count -= 1
        if self.count >= 0:
            return self.new_wait()
        self.value = self.result
        return None


@pytest.mark.parametrize("value", [None, "done", (1, 2), ValueError("a value")])
@pytest.mark.parametrize("count", [0, 1, 3])
def test_an_attempt_gives_a_value(awaits: Awaits, count: int, value: object) -> None:
    async def work() -> Any:
        return await Countdown(count, value)

    assert run(awaits, work) == value


@pytest.mark.parametrize("how", [asyncio.create_task, asyncio.ensure_future, asyncio.gather, lambda attempt: attempt])
def test_an_attempt_is_a_coroutine_to_asyncio(awaits: Awaits, how: Callable[[Any], Awaitable[Any]]) -> None:
    async def work() -> Any:
        attempt: Any = Countdown(2, "done")
        assert asyncio.iscoroutine(attempt)
        async with asyncio.timeout(10):
            return await how(attempt)

    assert run(awaits, work) in ("done", ["done"])


def test_an_attempt_that_fails(awaits: Awaits) -> None:
    async def work() -> None:
        with pytest.raises(ValueError, match="cannot be done"):
            await Countdown(-1)

    run(awaits, work)


def test_an_attempt_is_awaited_once(awaits: Awaits) -> None:
    async def work() -> None:
        attempt: Any = Countdown(1, "done")
        assert await attempt == "done"
        with pytest.raises(RuntimeError, match="Countdown was awaited before"):
            await attempt

    run(awaits, work)


def test_an_attempt_that_nobody_awaits_is_told_of() -> None:
    with pytest.warns(RuntimeWarning, match="coroutine 'Countdown' was never awaited"):
        Countdown(1)


def test_an_attempt_is_cancelled_while_it_waits(awaits: Awaits) -> None:
    tried: list[Countdown] = []

    async def work() -> str:
        loop = asyncio.get_running_loop()
        tried.append(Countdown(1, wait=lambda: Wait(loop)))
        try:
            async with asyncio.timeout(0):
                await tried[0]
        except TimeoutError:
            await soon()
            return "goes on"
        raise AssertionError

    assert run(awaits, work) == "goes on"
    with pytest.raises(RuntimeError, match="awaited before"):
        tried[0].send(None)


def test_an_attempt_raises_what_its_wait_was_ended_with(awaits: Awaits) -> None:
    async def work() -> None:
        with pytest.raises(KeyError):
            await Countdown(1, wait=lambda: soon(lambda wait: wait.end(KeyError("gone"))))

    run(awaits, work)

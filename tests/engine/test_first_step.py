"""A coroutine that is stepped in the name of a spare Task sees what it would see in one of its own."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from typing import Any

import pytest

from firstbyte.engine.first_step import FirstSteps

Step = Callable[[Coroutine[Any, Any, Any]], Any]
seen: ContextVar[str] = ContextVar("seen", default="nothing")


def in_loop(work: Callable[[FirstSteps[Any]], Any]) -> Any:
    """What `work` returns, which is called where the loop's callbacks are; the loop then ends as asyncio.run's does."""
    results = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        steps: FirstSteps[Any] = FirstSteps(loop)
        over = loop.create_future()

        def call() -> None:
            try:
                results.append(work(steps))
                over.set_result(None)
            except BaseException as error:
                over.set_exception(error)

        loop.call_soon(call)
        await over
        if isinstance(results[0], asyncio.Task):
            await asyncio.wait([results[0]])
        assert asyncio.all_tasks() == {asyncio.current_task()}
        steps.close()

    asyncio.run(main())
    return results[0]


async def task_of() -> int:
    task = asyncio.current_task()
    assert task is not None
    assert task not in asyncio.all_tasks()  # it has not begun
    return id(task)


def test_one_that_does_not_wait_is_done_at_once() -> None:
    first, second = in_loop(lambda steps: [steps.run(task_of()) for _ in range(2)])
    assert first[0] is None
    assert first[1:] == second[1:]  # the same spare task


def test_one_that_waits_goes_on_in_the_task_that_it_saw() -> None:
    async def handler() -> str:
        task = asyncio.current_task()
        seen.set("before")
        async with asyncio.timeout(5), asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(0))
            await asyncio.sleep(0.001)
        assert task is asyncio.current_task()
        assert task in asyncio.all_tasks()
        return seen.get()

    task = in_loop(lambda steps: steps.run(handler())[0])
    assert task.result() == "before"


def test_what_a_request_leaves_behind_is_not_found_by_the_next() -> None:
    kept: list[Any] = []
    by_task: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()

    async def sets_a_variable() -> None:
        seen.set("mine")

    async def keeps_the_task() -> None:
        kept.append(asyncio.current_task())

    async def is_a_key() -> None:
        by_task[asyncio.current_task()] = "mine"

    async def adds_a_callback() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.add_done_callback(kept.append)

    async def looks() -> tuple[str, bool, bool]:
        task = asyncio.current_task()
        return seen.get(), task in by_task, any(each is task for each in kept)

    def work(steps: FirstSteps[Any]) -> list[Any]:
        values = []
        for each in (sets_a_variable, keeps_the_task, is_a_key, adds_a_callback):
            steps.run(each())
            values.append(steps.run(looks())[1])
        return values

    assert in_loop(work) == [("nothing", False, False)] * 4
    assert len(kept) == 2  # the callback was called when its request was over
    assert kept[1].done()


def test_what_it_raises_comes_out() -> None:
    async def fails() -> None:
        raise LookupError("no")

    async def cancels_itself() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()

    def work(steps: FirstSteps[Any]) -> list[Any]:
        return [steps.run(fails())[2], steps.run(cancels_itself())[2], steps.run(task_of())[2]]

    error, cancelled, nothing = in_loop(work)
    assert isinstance(error, LookupError)
    assert isinstance(cancelled, asyncio.CancelledError)
    assert nothing is None


@pytest.mark.parametrize("again", [False, True])
def test_one_that_waits_can_be_cancelled(again: bool) -> None:
    async def handler() -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            if again:
                await asyncio.sleep(0)
            return "cleaned up"
        return "not cancelled"

    def work(steps: FirstSteps[Any]) -> Any:
        task = steps.run(handler())[0]
        asyncio.get_running_loop().call_soon(task.cancel)
        return task

    assert in_loop(work).result() == "cleaned up"

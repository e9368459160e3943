"""A coroutine that is stepped in the name of a spare Task sees what it would see in one of its own."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from typing import Any

import pytest

from firstbyte.engine.first_step import FirstSteps, Walk
from firstbyte.waiting import Wait

Step = Callable[[Coroutine[Any, Any, Any]], Any]
seen: ContextVar[str] = ContextVar("seen", default="nothing")


def in_loop(work: Callable[[FirstSteps], Any]) -> Any:
    """What `work` returns, which is called where the loop's callbacks are; the loop then ends as asyncio.run's does."""
    results = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        steps: FirstSteps = FirstSteps(loop)
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


async def tell_task(to: list[int]) -> None:
    task = asyncio.current_task()
    assert task is not None
    to.append(id(task))


def test_one_that_does_not_wait_is_done_at_once() -> None:
    tasks: list[int] = []
    assert in_loop(lambda steps: [steps.run(tell_task(tasks)) for _ in range(2)]) == [(None, None)] * 2
    assert tasks[0] == tasks[1]  # the same spare task


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

    found: list[tuple[str, bool, bool]] = []

    async def looks() -> None:
        task = asyncio.current_task()
        found.append((seen.get(), task in by_task, any(each is task for each in kept)))

    def work(steps: FirstSteps) -> None:
        for each in (sets_a_variable, keeps_the_task, is_a_key, adds_a_callback):
            steps.run(each())
            steps.run(looks())

    in_loop(work)
    assert found == [("nothing", False, False)] * 4
    assert len(kept) == 2  # the callback was called when its request was over
    assert kept[1].done()


def test_what_it_raises_comes_out() -> None:
    async def fails() -> None:
        raise LookupError("no")

    async def cancels_itself() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()

    def work(steps: FirstSteps) -> list[Any]:
        return [steps.run(each)[1] for each in (fails(), cancels_itself(), tell_task([]))]

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

    def work(steps: FirstSteps) -> Any:
        task = steps.run(handler())[0]
        asyncio.get_running_loop().call_soon(task.cancel)
        return task

    assert in_loop(work).result() == "cleaned up"


def test_one_that_cancels_itself_and_then_waits_ends_there() -> None:
    ended: list[str] = []

    async def handler() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("here")

    assert in_loop(lambda steps: steps.run(handler())[0]).cancelled()
    assert ended == ["here"]


async def waits_for(waits: list[Wait], tasks: list[int]) -> None:
    """Leaves the identities of the tasks in which it finds itself between two waits."""
    for _ in range(2):
        tasks.append(id(asyncio.current_task()))
        await one_wait(waits)


async def one_wait(waits: list[Wait]) -> None:
    waits.append(Wait(asyncio.get_running_loop()))
    await waits[-1]


def walk(coroutine: Callable[[list[Wait]], Coroutine[Any, Any, Any]], go_on: Callable[[list[Wait], Walk], Any]) -> Any:
    """The outcome of a coroutine that is begun as a walk, when `go_on` has ended its waits; its task if it got one."""

    def work(steps: FirstSteps) -> Any:
        waits: list[Wait] = []
        outcomes: list[Any] = []
        walk = Walk(steps, coroutine(waits), lambda wait: outcomes.append(walk.step()))
        outcomes.append(walk.step())
        go_on(waits, walk)
        return outcomes[-1][0] or outcomes[-1]

    return in_loop(work)


def end_all(waits: list[Wait], walk: Walk) -> None:
    for wait in waits:  # which grows
        wait.end()


def test_a_walk_needs_no_task_for_its_waits() -> None:
    tasks: list[int] = []
    assert walk(lambda waits: waits_for(waits, tasks), end_all) == (None, None)
    assert len(tasks) == 2 and len(set(tasks)) == 1


def test_a_walk_that_waits_for_something_else_goes_on_in_the_task_that_it_finds_itself_in() -> None:
    async def sleeps(waits: list[Wait]) -> bool:
        await one_wait(waits)
        task = asyncio.current_task()
        async with asyncio.timeout(5):
            await asyncio.sleep(0)
        return task is asyncio.current_task() and task in asyncio.all_tasks()

    assert walk(sleeps, end_all).result() is True


def test_a_walk_that_keeps_its_task_has_it_to_itself() -> None:
    async def keeps(waits: list[Wait]) -> bool:
        task = asyncio.current_task()
        await one_wait(waits)
        return task is asyncio.current_task()

    assert walk(keeps, end_all).result() is True


def test_a_walk_is_cancelled_where_it_waits() -> None:
    told: list[str] = []

    async def cleans_up(waits: list[Wait]) -> None:
        try:
            await one_wait(waits)
        except asyncio.CancelledError as error:
            told.append(str(error))

    def work(steps: FirstSteps) -> asyncio.Task[Any]:
        over = asyncio.get_running_loop().create_future()
        waits: list[Wait] = []
        walk = Walk(steps, cleans_up(waits), lambda wait: over.set_result(walk.step()))
        assert walk.step()[0] is walk
        assert walk.cancel("left")

        async def outcome() -> Any:
            return await over

        return asyncio.ensure_future(outcome())

    assert in_loop(work).result() == (None, None)
    assert told == ["left"]


def test_what_a_walk_raises_is_its_outcome() -> None:
    async def fails(waits: list[Wait]) -> None:
        await one_wait(waits)
        raise LookupError("x")

    task, error = walk(fails, end_all)
    assert task is None
    assert isinstance(error, LookupError)

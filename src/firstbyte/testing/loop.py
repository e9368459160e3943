"""What the tests of coroutines need of a loop: one in a thread of its own, and each call in a task of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

from firstbyte.errors import ClientDisconnected
from firstbyte.http.handler import Endpoint
from firstbyte.http.headers import Headers
from firstbyte.http.request import Request
from firstbyte.http.response import LiveBody, Response
from firstbyte.http.status import has_body

T = TypeVar("T")

PATIENCE = 5.0  # seconds that a coroutine has to end when its client has left


class LoopThread:
    """An asyncio loop that runs in a thread until it is closed."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="firstbyte-test", daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """The result of a coroutine, which runs in the loop as a task, for another thread."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def post(self, work: Callable[[], object]) -> None:
        """Has the loop call something, soon."""
        self._loop.call_soon_threadsafe(work)

    def close(self) -> None:
        """Cancels what still runs, and ends the loop and its thread."""
        self.run(_cancel_all())
        self.run(self._loop.shutdown_default_executor())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Context:
    """An asynchronous context that is entered and left in one task, as cancel scopes and context variables ask for."""

    def __init__(self, context: AbstractAsyncContextManager[Any]) -> None:
        self._context = context
        self._entered = asyncio.Event()
        self._enough = asyncio.Event()
        self._task: asyncio.Task[None]

    async def enter(self) -> None:
        """Returns when it is entered. Raises what that raises."""
        self._task = asyncio.create_task(self._live())
        entered = asyncio.create_task(self._entered.wait())
        await asyncio.wait((self._task, entered), return_when=asyncio.FIRST_COMPLETED)
        if not entered.done():
            entered.cancel()
            await self._task

    async def leave(self) -> None:
        """Returns when it is left. Raises what that raises."""
        self._enough.set()
        await self._task

    async def _live(self) -> None:
        async with self._context:
            self._entered.set()
            await self._enough.wait()


class Peer:
    """The client as an endpoint sees it; see `http.request.Peer`. It takes whatever it is sent, at once."""

    def __init__(self) -> None:
        self.gone = False
        self._callbacks: list[Callable[[], object]] = []

    def when_gone(self, callback: Callable[[], object]) -> None:
        """See `http.request.Peer`."""
        if self.gone:
            callback()
        else:
            self._callbacks.append(callback)

    def when_draining(self, callback: Callable[[], object]) -> None:
        """See `http.request.Peer`; it never does."""

    def interrupt(self) -> None:
        """See `http.request.Peer`; nobody waits, since the body is here."""

    async def drain(self) -> None:
        """See `http.request.Peer`."""
        if self.gone:
            raise ClientDisconnected("the client has left")

    def leave(self) -> None:
        """The client leaves."""
        self.gone = True
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()


class AsyncCall:
    """One call of a coroutine: in one task from its first step to the last piece of its answer, as in the server.

    It may be one piece ahead of who takes them.
    """

    def __init__(self, endpoint: Endpoint, request: Request, peer: Peer) -> None:
        self.trailers: Headers | None = None
        self._endpoint = endpoint
        self._request = request
        self._peer = peer
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue(1)
        self._is_complete = False  # all of the answer is in the queue, or taken
        self._has_failed = False  # and who takes the pieces knows
        self._answered: asyncio.Future[Response]
        self._behind: asyncio.Future[Callable[[], Coroutine[Any, Any, None]]]
        self._task: asyncio.Task[None]

    async def begin(self) -> Response:
        """The response; what there is of an asynchronous body is had by `next`. Raises what the call raises."""
        self._answered = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._run())
        await asyncio.wait((self._answered, self._task), return_when=asyncio.FIRST_COMPLETED)
        if not self._answered.done():
            await self._task
        return await self._answered

    async def next(self) -> bytes | None:
        """The next piece, None behind the last. Raises what ends the body before; `end` does not raise that again."""
        getting = asyncio.create_task(self._queue.get())
        await asyncio.wait((getting, self._task), return_when=asyncio.FIRST_COMPLETED)
        if getting.done():
            return getting.result()
        getting.cancel()
        self._has_failed = True
        await self._task
        return None

    async def end(self) -> None:
        """The client wants no more of the answer: it has all, or it leaves. Raises what the call then raises."""
        if not self._is_complete:
            self._peer.leave()
            if self._endpoint.cancel_on_disconnect:
                self._task.cancel("the client has left")
            elif self._queue.full():
                self._queue.get_nowait()
        _, pending = await asyncio.wait((self._task,), timeout=PATIENCE)
        if pending:
            self._task.cancel()
            raise RuntimeError(f"{self._endpoint.name} goes on {PATIENCE:g} s after its client has left")
        error = None if self._task.cancelled() else self._task.exception()
        if error is not None and not (self._has_failed or isinstance(error, ClientDisconnected)):
            raise error

    def go_on(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Has the task of the call do something behind its 101."""
        self._behind.set_result(work)

    async def _run(self) -> None:
        response: Response = await self._endpoint.call(self._request)
        body: Any = response.body
        if response.status == 101 and body.is_async:
            self._behind = asyncio.get_running_loop().create_future()
            self._answered.set_result(response)
            work = await self._behind
            self._is_complete = True
            await work()
            return
        if not hasattr(body, "__anext__"):
            self._is_complete = True
            self._answered.set_result(response)
            return
        try:
            self._answered.set_result(response)
            if self._request.method != "HEAD" and has_body(response.status):
                async for piece in body:
                    await self._peer.drain()
                    if piece:
                        await self._queue.put(piece)
            if isinstance(body, LiveBody):
                self.trailers = body.trailers
            self._is_complete = True
            await self._queue.put(None)
        finally:
            await body.aclose()


async def _cancel_all() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.get_running_loop().shutdown_asyncgens()

"""What a handler does before the first request and after the last (see `http.handler.Handler`)."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import Any

from firstbyte._lazy import lazy_logger
from firstbyte.engine.stepping import failed_start
from firstbyte.errors import StartupError

logger = lazy_logger("firstbyte.engine")


class Lifespan:
    """Enters a context and leaves it later, both in one task: cancel scopes and context variables ask for that."""

    def __init__(self, context: AbstractAsyncContextManager[Any]) -> None:
        self._context = context
        self._entered: asyncio.Future[None]
        self._enough: asyncio.Future[None]
        self._task: asyncio.Task[None]

    async def start(self, stopped: asyncio.Future[None]) -> bool:
        """Enters the context; False if `stopped` came first. Raises StartupError if it cannot be entered."""
        loop = asyncio.get_running_loop()
        self._entered, self._enough = loop.create_future(), loop.create_future()
        self._task = loop.create_task(self._live())
        await asyncio.wait((self._task, self._entered, stopped), return_when=asyncio.FIRST_COMPLETED)
        if self._entered.done():
            return True
        if not self._task.done():
            self._task.cancel()
            await asyncio.wait((self._task,))
        if self._task.cancelled():
            return False
        error = self._task.exception()
        assert error is not None
        if isinstance(error, StartupError):
            raise error
        raise failed_start(error) from error

    async def stop(self, timeout: float) -> None:
        """Leaves the context, within so many seconds. What goes wrong then is logged: all answers have been given."""
        if not self._enough.done():
            self._enough.set_result(None)
        _, pending = await asyncio.wait((self._task,), timeout=timeout)
        if pending:
            logger.error("the shutdown of the app did not end within %.0f s", timeout)
            self._task.cancel()
            await asyncio.wait((self._task,))
        elif not self._task.cancelled() and self._task.exception() is not None:
            logger.error("the shutdown of the app failed", exc_info=self._task.exception())

    async def _live(self) -> None:
        async with self._context:
            self._entered.set_result(None)
            await self._enough

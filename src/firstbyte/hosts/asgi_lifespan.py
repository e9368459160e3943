"""The startup and shutdown of an ASGI application (the lifespan protocol, version 2.0)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from firstbyte._lazy import lazy_logger
from firstbyte.errors import StartupError

logger = lazy_logger("firstbyte.asgi")


class ASGILifespan:
    """A context that begins when the application has started up, and whose end is its shutdown.

    Raises StartupError with the application's message if it says that it failed. One that raises has no lifespan, as
    the protocol has it; what it raised is logged, in full if it had begun to start up by then.
    """

    def __init__(self, app: Any, scope: dict[str, Any]) -> None:
        self._app = app
        self._scope = scope
        self._asked = 0  # how often the application has called `receive`
        self._failure: str | None = None
        self._up: asyncio.Future[None]
        self._down: asyncio.Future[None]
        self._task: asyncio.Task[None]

    async def __aenter__(self) -> None:
        loop = asyncio.get_running_loop()
        self._up, self._down = loop.create_future(), loop.create_future()
        self._task = loop.create_task(self._run())
        try:
            await asyncio.wait((self._task, self._up), return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            self._task.cancel()
            raise
        if self._failure is not None:
            await asyncio.wait((self._task,))
            raise StartupError(f"the startup failed{self._failure and ': '}{self._failure}")

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task.done():
            return
        self._down.set_result(None)
        try:
            await asyncio.wait((self._task,))
        except asyncio.CancelledError:
            self._task.cancel()
            raise
        if self._failure is not None:
            logger.error("the shutdown failed%s%s", self._failure and ": ", self._failure)

    async def _run(self) -> None:
        try:
            await self._app(self._scope, self._receive, self._send)
        except Exception as error:
            if self._failure is not None:
                pass  # it has said so
            elif self._up.done():
                logger.exception("the shutdown failed")
            elif self._asked:
                logger.exception("the application raised while it started up; it is served without a lifespan")
            else:
                logger.debug("the application has no lifespan: %r", error)

    async def _receive(self) -> dict[str, Any]:
        self._asked += 1
        if self._asked == 1:
            return {"type": "lifespan.startup"}
        if self._asked > 2:
            raise RuntimeError("nothing comes after lifespan.shutdown")
        await self._down
        return {"type": "lifespan.shutdown"}

    async def _send(self, message: Mapping[str, Any]) -> None:
        kind = message["type"]
        if kind in ("lifespan.startup.failed", "lifespan.shutdown.failed"):
            self._failure = str(message.get("message", ""))
        elif kind not in ("lifespan.startup.complete", "lifespan.shutdown.complete"):
            raise ValueError(f"{kind!r} is no message of the lifespan")
        if kind.startswith("lifespan.startup."):
            if self._up.done():
                raise RuntimeError(f"{kind} comes a second time")
            self._up.set_result(None)
        elif not self._down.done():
            raise RuntimeError(f"{kind} comes before lifespan.shutdown")

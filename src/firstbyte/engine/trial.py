"""An answer that an `Attempt` gives, stepped behind each of its waits: no coroutine, Task or context is between."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from firstbyte.waiting import Attempt, Follower, Wait

if TYPE_CHECKING:
    from firstbyte.engine.exchange import Exchange
    from firstbyte.engine.pool import Pool


class Trial(Follower):
    """One request whose endpoint can be tried (`Endpoint.attempt`); `step` is for the driver, whose `tried` is called
    when the wait is over."""

    __slots__ = ("_attempt", "_driver", "_wait", "cancelled", "exchange")

    def __init__(self, driver: Pool, exchange: Exchange, attempt: Attempt) -> None:
        self._driver: Any = driver
        self._attempt = attempt
        self._wait: Wait | None = None
        self.cancelled: asyncio.CancelledError | None = None
        self.exchange = exchange

    def step(self) -> Any:
        """Tries, where no task runs: what the attempt has made, None if it waits."""
        self._wait = wait = self._attempt.step()
        if wait is None:
            return self._attempt.value
        wait.follow(self)
        return None

    def go_on(self) -> None:
        """See `Follower.go_on`."""
        if self._wait is not None:
            self._wait = None
            self._driver.tried(self)

    def cancel(self, msg: object = None) -> bool:
        """See `asyncio.Task.cancel`."""
        wait, self._wait = self._wait, None
        if wait is None:
            return False
        self._attempt.close()
        self.cancelled = asyncio.CancelledError() if msg is None else asyncio.CancelledError(msg)
        wait.get_loop().call_soon(self._driver.tried, self)
        return True

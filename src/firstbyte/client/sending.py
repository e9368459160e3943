"""One message over a connection of the pool: a kept one that is alive, or a new one."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from firstbyte.client.bodies import Body
from firstbyte.client.connect import Connector, Route
from firstbyte.client.exchange import Exchange
from firstbyte.client.network import Network
from firstbyte.client.pool import Connection, Pool
from firstbyte.client.request import Message, encode_head
from firstbyte.client.retries import IDEMPOTENT
from firstbyte.client.timeouts import Budget
from firstbyte.errors import PoolTimeout, ServerClosed
from firstbyte.http.url import URL
from firstbyte.wire.response import ResponseHead

TRUSTED_IDLE = 1.0  # seconds for which an idle connection is taken to be alive, where a mistake is mended by repeating


def make_message(
    method: str,
    url: URL,
    fields: tuple[tuple[str, str, str], ...],
    body: Body | None,
    via_proxy: bool,
    more: tuple[tuple[str, str], ...],
    upgrades: bool,
) -> Message:
    """The message of these parts: see `encode_head`. Raises InvalidRequest."""
    head = encode_head(method, url, fields, body, via_proxy, more)
    can_be_repeated = method in IDEMPOTENT and (body is None or body.replayable)
    expects_continue = body is not None and any(lowered == "expect" for lowered, _, _ in fields)
    return Message(method, head, body, can_be_repeated, expects_continue, upgrades)


class Sender:
    """Sends messages over the connections of one pool."""

    def __init__(self, network: Network, pool: Pool, connector: Connector) -> None:
        self._is_async = network.is_async
        self._pool = pool
        self._connector = connector

    async def send(
        self,
        message: Message,
        url: URL,
        route: Route,
        budget: Budget,
        on_interim: Callable[[ResponseHead], object] | None = None,
    ) -> Exchange:
        """An exchange with the head of the final response; the body is its to read. Raises ClientError."""
        exchange = self.begin(message, route, budget, on_interim)
        if exchange is None or exchange.head is None:
            exchange = await self.finish(exchange, message, url, route, budget, on_interim)
        return exchange

    def begin(
        self,
        message: Message,
        route: Route,
        budget: Budget,
        on_interim: Callable[[ResponseHead], object] | None = None,
    ) -> Exchange | None:
        """What of `send` can be done without suspending; without a `head` it is for `finish`. Raises ClientError.

        None if there is no connection for it yet.
        """
        now = monotonic()
        connection = self._pool.take_idle(route.key, now)
        if connection is None or not self._is_alive(connection, message, now):
            return None
        exchange = Exchange(connection, self._pool, budget, message, self._is_async, now, on_interim)
        try:
            exchange.begin()
        except ServerClosed:
            if not _was_dead(exchange):
                raise
        return exchange

    def go_on(self, exchange: Exchange) -> None:
        """See `Exchange.go_on`; one that is over then, without a `head`, is for `finish`. Raises ClientError."""
        try:
            exchange.go_on()
        except ServerClosed:
            if not _was_dead(exchange):
                raise

    async def finish(
        self,
        exchange: Exchange | None,
        message: Message,
        url: URL,
        route: Route,
        budget: Budget,
        on_interim: Callable[[ResponseHead], object] | None = None,
    ) -> Exchange:
        """What `send` returns, from what `begin` did. Raises ClientError.

        It is sent once, and once more over a new connection if a kept one proves to be dead where that does no harm.
        """
        fresh = False
        if exchange is not None and exchange.is_over:
            exchange, fresh = None, True
        while True:
            try:
                if exchange is None:
                    connection = await self._acquire(message, url, route, budget, fresh)
                    now = monotonic()
                    exchange = Exchange(connection, self._pool, budget, message, self._is_async, now, on_interim)
                    exchange.begin()
                if exchange.head is None:
                    await exchange.finish()
                return exchange
            except ServerClosed:
                if exchange is None or not _was_dead(exchange):
                    raise
                exchange, fresh = None, True

    def _is_alive(self, connection: Connection, message: Message, now: float) -> bool:
        """Whether a kept connection is; one that is not is closed and its slot given back."""
        # To ask the kernel costs a system call, and the answer can be outdated by the time the request is sent.
        if message.can_be_repeated and not self._is_async and now - connection.idle_since < TRUSTED_IDLE:
            return True
        if connection.stream.recv_now() is None:
            return True
        connection.close()
        self._pool.discard(connection.origin)
        return False

    async def _acquire(self, message: Message, url: URL, route: Route, budget: Budget, fresh: bool) -> Connection:
        """A connection, kept or new, whose slot is the caller's. Raises ClientError."""
        pool, origin = self._pool, route.key
        while True:
            try:
                connection = await pool.acquire(origin, budget.left(budget.timeout.pool), fresh)
            except TimeoutError:
                late = budget.over(PoolTimeout, f"all {pool.open_connections} connections are in use")
                late.locate(url.authority, budget.seconds, "pool")
                raise late from None
            if connection is None:
                break
            if self._is_alive(connection, message, monotonic()):
                return connection
        try:
            return await self._connector.connect(url, route, budget)
        except BaseException:
            pool.discard(origin)
            raise


def _was_dead(exchange: Exchange) -> bool:
    """Whether a kept connection has proved to be dead, and what was sent can be sent once more."""
    return exchange.message.can_be_repeated and exchange.unanswered and not exchange.is_first

"""One message over a connection of the pool: a kept one that is alive, or a new one."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import NamedTuple

from firstbyte.client.bodies import Body
from firstbyte.client.connect import Connector, Route
from firstbyte.client.exchange import Exchange
from firstbyte.client.network import Network
from firstbyte.client.pool import Connection, Pool
from firstbyte.client.request import encode_head
from firstbyte.client.retries import IDEMPOTENT
from firstbyte.client.timeouts import Budget
from firstbyte.errors import PoolTimeout, ServerClosed
from firstbyte.http.url import URL
from firstbyte.wire.response import ResponseHead

TRUSTED_IDLE = 1.0  # seconds for which an idle connection is taken to be alive, where a mistake is mended by repeating


class Message(NamedTuple):
    """A request as it is sent. `can_be_repeated` says whether to do so does no harm and is possible.

    See `Exchange` for the last two.
    """

    method: str
    head: bytes
    body: Body | None = None
    can_be_repeated: bool = False
    expects_continue: bool = False
    upgrades: bool = False


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
        self._network = network
        self._pool = pool
        self._connector = connector

    async def send(
        self,
        message: Message,
        url: URL,
        route: Route,
        budget: Budget,
        on_interim: Callable[[ResponseHead], object] | None = None,
    ) -> tuple[ResponseHead, Exchange]:
        """The head of the final response; its body is the exchange's to read. Raises ClientError.

        It is sent once, and once more over a new connection if a kept one proves to be dead where that does no harm.
        """
        is_async = self._network.is_async
        trusts = message.can_be_repeated and not is_async
        fresh = False
        while True:
            connection = None if fresh else self._pool.take_idle(route.key)
            if connection is None or not self._is_alive(connection, trusts):
                connection = await self._acquire(url, route, budget, fresh, trusts)
            exchange = Exchange(connection, self._pool, budget, is_async, message.upgrades)
            exchange.on_interim = on_interim
            try:
                head = await exchange.send(message.method, message.head, message.body, message.expects_continue)
                return head, exchange
            except ServerClosed:
                if fresh or connection.used == 1 or not exchange.unanswered or not message.can_be_repeated:
                    raise
                fresh = True

    def _is_alive(self, connection: Connection, trusts: bool) -> bool:
        """Whether a kept connection is; one that is not is closed and its slot given back."""
        # To ask the kernel costs a system call, and the answer can be outdated by the time the request is sent.
        if trusts and monotonic() - connection.idle_since < TRUSTED_IDLE:
            return True
        if connection.stream.recv_now() is None:
            return True
        connection.close()
        self._pool.discard(connection.origin)
        return False

    async def _acquire(self, url: URL, route: Route, budget: Budget, fresh: bool, trusts: bool) -> Connection:
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
            if self._is_alive(connection, trusts):
                return connection
        try:
            return await self._connector.connect(url, route, budget)
        except BaseException:
            pool.discard(origin)
            raise

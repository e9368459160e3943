"""Asks the servers behind a proxy, again and again, whether they are well."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from firstbyte._lazy import lazy_logger
from firstbyte.client.request import Message
from firstbyte.client.sending import Sender
from firstbyte.client.timeouts import Budget, Timeout
from firstbyte.errors import ClientError
from firstbyte.proxy.settings import HealthCheck
from firstbyte.proxy.upstreams import Upstream

logger = lazy_logger("firstbyte.proxy")


@asynccontextmanager
async def watched(upstreams: Sequence[Upstream], check: HealthCheck | None, sender: Sender) -> AsyncIterator[None]:
    """Keeps `is_sick` of each as its answers say, for as long as the context lasts."""
    if check is None:
        yield
        return
    tasks = [asyncio.ensure_future(_watch(each, check, sender)) for each in upstreams]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)  # they have been cancelled
        for each in upstreams:
            each.is_sick = False


async def _watch(upstream: Upstream, check: HealthCheck, sender: Sender) -> None:
    against = 0  # answers in a row that speak against what is thought of it
    while True:
        finding = await _look(upstream, check, sender)
        against = against + 1 if (finding is None) is upstream.is_sick else 0
        if against >= (check.rise if upstream.is_sick else check.fall):
            against = 0
            upstream.is_sick = not upstream.is_sick
            logger.warning("%s is %s", upstream.url.origin, "well again" if finding is None else f"sick: {finding}")
        await asyncio.sleep(check.interval)


async def _look(upstream: Upstream, check: HealthCheck, sender: Sender) -> str | None:
    """What is wrong with it, or None."""
    path = (upstream.base or "") + check.path
    fields = f"GET {path} HTTP/1.1\r\nHost: {upstream.name}\r\nUser-Agent: firstbyte-health\r\n\r\n"
    message = Message("GET", fields.encode("latin-1"), can_be_repeated=True)
    seconds = check.timeout
    budget = Budget(Timeout(seconds, seconds, seconds, seconds, seconds))
    try:
        exchange = await sender.send(message, upstream.url, upstream.route, budget)
        exchange.take()
        exchange.close()  # what has not come with the head is not waited for
    except ClientError as error:
        return str(error)
    assert exchange.head is not None
    status = exchange.head.status
    return None if 200 <= status < 400 else f"GET {path} answered {status}"

"""Whether a request that failed is sent again, and after how long (RFC 9110 sections 9.2.2 and 10.2.3)."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import TypeAlias

from firstbyte.client.views import Answer, Sent
from firstbyte.errors import (
    ClientError,
    ConnectError,
    PoolTimeout,
    ProxyError,
    TLSError,
    TotalTimeout,
    TransportError,
)
from firstbyte.http.dates import parse_date
from firstbyte.http.headers import Headers

IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})  # RFC 9110 section 9.2.2
STATUSES = frozenset({429, 502, 503, 504})  # RFC 6585 section 4, RFC 9110 sections 15.6.3 to 15.6.5: it may pass


@dataclass(frozen=True, kw_only=True)
class Retry:
    """What is tried again: `total` times at most, after the first time.

    The wait before the first retry is `backoff` seconds, and doubles with each; of that a random part, up to the share
    `jitter` of 0 to 1, is taken off, so that clients which failed together do not come back together. Nothing waits
    longer than `max_wait` seconds: back-off is cut to it, and an answer whose Retry-After asks for more is given to the
    caller. `random` gives 0 to 1, `clock` seconds since the epoch. Raises ValueError for numbers out of range.
    """

    total: int = 2
    methods: Collection[str] = IDEMPOTENT
    statuses: Collection[int] = STATUSES
    backoff: float = 0.5
    jitter: float = 0.5
    max_wait: float = 60.0
    respect_retry_after: bool = True
    random: Callable[[], float] = field(default=random.random, repr=False)
    clock: Callable[[], float] = field(default=time.time, repr=False)

    def __post_init__(self) -> None:
        for name in ("total", "backoff", "max_wait"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"retries: {name} is {getattr(self, name)}: it cannot be below zero")
        if not 0 <= self.jitter <= 1:
            raise ValueError(f"retries: jitter is {self.jitter}: it must be from 0 to 1")
        if isinstance(self.methods, str):
            raise ValueError(f"retries: methods is the text {self.methods!r}: give a set of methods")

    def after_error(self, made: int, request: Sent, error: ClientError) -> float | None:
        """The seconds to wait before the request is sent again, or None if it is not; `made` tries were made (from 1).

        After a `ConnectError` nothing was sent, so any method is tried again; after another `TransportError` only the
        idempotent `methods`, with a body that can be sent again. Not tried again are faults that a second try will not
        change (TLS, a proxy's refusal), and the timeouts of the pool and of the call as a whole.
        """
        if isinstance(error, ProxyError) and error.status is not None and error.status not in self.statuses:
            return None
        if not isinstance(error, TransportError) or isinstance(error, TLSError | PoolTimeout | TotalTimeout):
            return None
        if made > self.total or not (isinstance(error, ConnectError) or self._can_repeat(request)):
            return None
        return self._wait(made)

    def after_answer(self, made: int, request: Sent, response: Answer) -> float | None:
        """The seconds to wait before the request is sent again, or None if the answer is the caller's.

        Retry-After says how long, in both its forms, unless `respect_retry_after` is False.
        """
        if response.status not in self.statuses or made > self.total or not self._can_repeat(request):
            return None
        asked = retry_after(response.headers, self.clock()) if self.respect_retry_after else None
        if asked is None:
            return self._wait(made)
        return asked if asked <= self.max_wait else None

    def _can_repeat(self, request: Sent) -> bool:
        return request.method in self.methods and (request.body is None or request.body.replayable)

    def _wait(self, made: int) -> float:
        longest = min(self.max_wait, self.backoff * 2.0 ** min(made - 1, 64))
        return longest * (1 - self.jitter * self.random())


RetryInput: TypeAlias = Retry | int | None


def to_retry(value: RetryInput) -> Retry | None:
    """What a session's `retries` means: a `Retry`, the number of retries, or None and 0 for none.

    Raises ValueError for a number below zero, TypeError for anything else.
    """
    if value is None or isinstance(value, Retry):
        return value
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"retries is a Retry or the number of retries, not {value!r}")
    return Retry(total=value) if value else None


def retry_after(headers: Headers, now: float) -> float | None:
    """The seconds that Retry-After asks to wait, from `now` where it is a date, or None (RFC 9110 section 10.2.3)."""
    value = headers.get("retry-after")
    if value is None:
        return None
    if _SECONDS.fullmatch(value):
        return float(value)
    date = parse_date(value, now)
    return None if date is None else max(0.0, date - now)


_SECONDS = re.compile(r"[0-9]{1,18}")

"""How long a call may wait, in all and for what."""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import inf
from time import monotonic

from firstbyte.errors import ClientTimeout, TotalTimeout


@dataclass(frozen=True, slots=True)
class Timeout:
    """Seconds; None for no limit. Raises ValueError for what is not above zero.

    `connect` is for name, sockets, proxy and TLS together; `read` and `write` for one wait in which the server sends or
    takes nothing; `pool` for a free connection; `total` for the whole call with its redirects and retries.
    """

    connect: float | None = 5.0
    read: float | None = 30.0
    write: float | None = 30.0
    pool: float | None = 5.0
    total: float | None = None

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if value is not None and not value > 0:
                raise ValueError(f"timeout {each.name} is {value}: it must be above zero, or None for no limit")

    @classmethod
    def of(cls, value: Timeout | float | None) -> Timeout:
        """`value` itself, that many seconds for each single wait, or for None no limit at all."""
        return value if isinstance(value, Timeout) else cls(value, value, value, value)


class Budget:
    """The time of one call: when it began, and how long its waits may be."""

    __slots__ = ("_total_is_next", "deadline", "started", "timeout")

    def __init__(self, timeout: Timeout) -> None:
        self.timeout = timeout
        self.started = monotonic()
        self.deadline = None if timeout.total is None else self.started + timeout.total
        self._total_is_next = False  # whether the last wait was cut to what is left of the whole

    def left(self, wait: float | None, until: float | None = None) -> float | None:
        """How long a wait of at most `wait` seconds may last that must end by `until`. Raises TimeoutError if it is
        over."""
        if self.deadline is None and until is None:
            return wait
        now = monotonic()
        least = inf if wait is None else wait
        if until is not None:
            least = min(least, until - now)
        if self.deadline is not None:
            total = self.deadline - now
            self._total_is_next = total <= least
            least = min(least, total)
        if least <= 0:
            raise TimeoutError
        return least

    def ends_within(self, wait: float) -> bool:
        """Whether the call is over in `wait` seconds."""
        return self.deadline is not None and monotonic() + wait >= self.deadline

    def over(self, error: type[ClientTimeout], message: str) -> ClientTimeout:
        """The error for the last wait, which took too long: `error`, or TotalTimeout where that is what ended it."""
        if self._total_is_next:
            return TotalTimeout(f"the call took longer than {self.timeout.total:g} s: {message}")
        return error(message)

    @property
    def seconds(self) -> float:
        """Since the call began."""
        return monotonic() - self.started

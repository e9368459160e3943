"""How long a peer may take."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from math import inf
from typing import Any


def _timeout(default: float, doc: str) -> Any:
    """A field with its meaning, which the command line shows as help."""
    return field(default=default, metadata={"doc": doc})


@dataclass(frozen=True, slots=True)
class Timeouts:
    """What the server waits for, in seconds, each with its precedent; `inf` waits for ever.

    They are checked once a `tick`, so each may last that much longer. Raises ValueError for one that is not above zero.
    """

    head: float = _timeout(
        20.0,
        "From a head's first byte to its last, and from accept to the first byte; Apache's RequestReadTimeout.",
    )
    body: float = _timeout(60.0, "Between two arrivals of body bytes; nginx's client_body_timeout. 408.")
    write: float = _timeout(60.0, "Between two moments when a waiting response gets further; nginx's send_timeout.")
    keep_alive: float = _timeout(75.0, "Between two requests; nginx's keepalive_timeout.")
    linger: float = _timeout(
        5.0, "For a peer to read an early answer while it is still sending; nginx's lingering_timeout."
    )
    drain: float = _timeout(30.0, "For running requests when the server is asked to stop; gunicorn's graceful_timeout.")
    start: float = _timeout(90.0, "For a worker to import its app and be ready; systemd's DefaultTimeoutStartSec.")
    drain_idle: float = _timeout(
        0.25, "How long an idle connection is kept when the server stops, for a request that is already on its way."
    )

    def __post_init__(self) -> None:
        for each in fields(self):
            if not getattr(self, each.name) > 0:
                raise ValueError(f"timeout {each.name} is {getattr(self, each.name)} s: it must be above zero")

    @property
    def tick(self) -> float:
        """How often deadlines are checked: once a second, more often where a timeout is shorter than that."""
        shortest = min(self.head, self.body, self.write, self.keep_alive, self.linger, inf)
        return min(1.0, max(0.02, shortest / 4))

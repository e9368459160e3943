"""How long a peer may take."""

from __future__ import annotations

from math import inf

from firstbyte.http.settings import TimeoutSettings, setting


class Timeouts(TimeoutSettings):
    """What the server waits for, in seconds, each with its precedent; `inf` waits for ever.

    They are checked once a `tick`, so each may last that much longer. Raises ValueError for one that is not above zero.
    """

    head: float = setting(
        20.0,
        "From a head's first byte to its last, and from accept to the first byte; Apache's RequestReadTimeout.",
    )
    body: float = setting(60.0, "Between two arrivals of body bytes; nginx's client_body_timeout. 408.")
    body_grace: float = setting(
        20.0, "Before a body must have come at the least rate (the limit body_rate); Apache's RequestReadTimeout."
    )
    write: float = setting(60.0, "Between two moments when a waiting response gets further; nginx's send_timeout.")
    keep_alive: float = setting(75.0, "Between two requests; nginx's keepalive_timeout.")
    linger: float = setting(
        5.0, "For a peer to read an early answer while it is still sending; nginx's lingering_timeout."
    )
    drain: float = setting(30.0, "For running requests when the server is asked to stop; gunicorn's graceful_timeout.")
    start: float = setting(90.0, "For a worker to import its app and be ready; systemd's DefaultTimeoutStartSec.")
    drain_idle: float = setting(
        0.25, "How long an idle connection is kept when the server stops, for a request that is already on its way."
    )

    @property
    def tick(self) -> float:
        """How often deadlines are checked: once a second, more often where a timeout is shorter than that."""
        shortest = min(self.head, self.body, self.body_grace, self.write, self.keep_alive, self.linger, inf)
        return min(1.0, max(0.02, shortest / 4))

    def for_body(self, size: int, rate: int) -> float:
        """Seconds after which a body of which `size` bytes have come is slower than `rate` bytes a second, or none."""
        return self.body_grace + size / rate if rate else inf

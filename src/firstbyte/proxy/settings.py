"""What can be set of a proxy, each with its unit and the precedent for its default."""

from __future__ import annotations

from dataclasses import dataclass

from firstbyte.http.settings import TimeoutSettings, setting


class ProxyTimeouts(TimeoutSettings):
    """How long an upstream server may take, in seconds; `inf` waits for ever. Raises ValueError for none above zero."""

    connect: float = setting(5.0, "For a connection, its name and TLS included; 504. HAProxy's example: 5 s.")
    pool: float = setting(5.0, "For one of the connections to become free where all are in use; 503.")
    first_byte: float = setting(60.0, "From the request's end to the first byte of the answer; 504. nginx: 60 s.")
    between: float = setting(60.0, "Between two arrivals of the answer's bytes; it is then broken off. nginx: 60 s.")
    write: float = setting(60.0, "Between two moments when the request gets further; 504. nginx: 60 s.")
    idle: float = setting(3600.0, "For a WebSocket or an event stream in which nothing comes; HAProxy's example.")


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """A request that is made again and again to learn whether an upstream server works.

    GET `path`, every `interval` seconds, with `timeout` seconds for the answer; good is a status from 200 to 399. After
    `fall` bad ones in a row the server is given no more requests, after `rise` good ones it is again. (HAProxy's
    defaults: 2 s, 3, 2; Caddy's interval is 30 s.)
    """

    path: str
    interval: float = 5.0
    timeout: float = 5.0
    fall: int = 3
    rise: int = 2

    def __post_init__(self) -> None:
        if not self.path.startswith("/"):
            raise ValueError(f"the path of a health check begins with /, not {self.path!r}")
        for name in ("interval", "timeout", "fall", "rise"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} of a health check is {getattr(self, name)}: it must be above zero")

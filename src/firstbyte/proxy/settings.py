"""What can be set of a proxy, each with its unit and the precedent for its default."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any


def _setting(default: Any, doc: str) -> Any:
    """A field with its meaning, which the command line shows as help."""
    return field(default=default, metadata={"doc": doc})


@dataclass(frozen=True, slots=True)
class ProxyTimeouts:
    """How long an upstream server may take, in seconds; `inf` waits for ever. Raises ValueError for none above zero."""

    connect: float = _setting(5.0, "For a connection, its name and TLS included; 504. HAProxy's example: 5 s.")
    pool: float = _setting(5.0, "For one of the connections to become free where all are in use; 503.")
    first_byte: float = _setting(60.0, "From the request's end to the first byte of the answer; 504. nginx: 60 s.")
    between: float = _setting(60.0, "Between two arrivals of the answer's bytes; it is then broken off. nginx: 60 s.")
    write: float = _setting(60.0, "Between two moments when the request gets further; 504. nginx: 60 s.")
    idle: float = _setting(3600.0, "For a WebSocket or an event stream in which nothing comes; HAProxy's example.")

    def __post_init__(self) -> None:
        for each in fields(self):
            if not getattr(self, each.name) > 0:
                raise ValueError(f"timeout {each.name} is {getattr(self, each.name)} s: it must be above zero")


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

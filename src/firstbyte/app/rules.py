"""Rules before the view: who is let through, decided by the head of a request, before its body is read.

A rule is a function of the request that returns None, or the HTTPError that refuses it. It must not wait. Those here
have a `name`, by which refusals are counted (of another function it is its own), and the `status` of their refusals, by
which they are described.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from math import ceil
from time import monotonic
from typing import Protocol, TypeAlias

from firstbyte.app.middleware import called, place
from firstbyte.errors import ConfigurationError, HTTPError
from firstbyte.http.forwarded import Networks, parse_ip
from firstbyte.http.headers import TOKEN
from firstbyte.http.hosts import Hosts
from firstbyte.http.request import Request

Rule: TypeAlias = Callable[[Request], HTTPError | None]

_CLIENTS = 100_000  # whose requests a rate limit counts at once
_LONGEST = 100  # characters of a key that is kept as it is


def check_rule(rule: Rule) -> Rule:
    """Raises ConfigurationError for what cannot be a rule."""
    if not callable(rule) or isinstance(rule, type):
        raise ConfigurationError(f"{rule!r} is no rule: a rule is a function of the request, such as requires(...)")
    function = called(rule)
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        raise ConfigurationError(
            f"the rule {place(rule)} must be a plain function: it is asked before the body is read"
        )
    return rule


def name_of(rule: Rule) -> str:
    """The name by which refusals of a rule are counted."""
    return getattr(rule, "name", "") or getattr(rule, "__qualname__", type(rule).__qualname__)


class requires:  # noqa: N801 - it reads as what it says: rules=[requires(header="X-Token")]
    """Lets requests through that have a header field, not empty: with the `value`, or one of them, if that is given.

    Values are compared in a time that does not tell how much of one was right. `check`, a function of the value, says
    instead whether it is good. Others get a 401 with `challenge` as its WWW-Authenticate (RFC 9110 section 11.6.1), or
    `status`. Raises ConfigurationError for what is no field name.
    """

    def __init__(
        self,
        *,
        header: str,
        value: str | Iterable[str] | None = None,
        check: Callable[[str], bool] | None = None,
        status: int = 401,
        challenge: str | None = None,
    ) -> None:
        if TOKEN.fullmatch(header) is None:
            raise ConfigurationError(f"{header!r} is no name of a header field")
        if value is not None and check is not None:
            raise ConfigurationError(f"requires(header={header!r}) takes a value or a check, not both")
        values = None if value is None else [value] if isinstance(value, str) else list(value)
        if values is not None and not (values and all(values)):
            raise ConfigurationError(f"requires(header={header!r}) has no value, or an empty one: is a variable unset?")
        from hmac import compare_digest  # here, since it loads OpenSSL

        self._equal = compare_digest
        HTTPError(status)  # raises ValueError for one that is no refusal
        self.name = f"requires {header}"
        self.header = header
        self._values = None if values is None else [each.encode() for each in values]
        self._check = check
        self.status = status
        default = "Bearer" if header.lower() == "authorization" else f'ApiKey header="{header}"'
        self._headers = {"WWW-Authenticate": challenge or default} if status == 401 else {}

    def __call__(self, request: Request) -> HTTPError | None:
        """See `Rule`."""
        given = request.headers.get(self.header)
        if not given:
            return HTTPError(self.status, f"the request must have {self.header}", self._headers)
        if self._values is not None:
            # latin-1 gives back the bytes that came; every value is compared, so that time tells nothing of which fits.
            came = given.encode("latin-1", "replace")
            fits = [self._equal(came, each) for each in self._values]
            if not any(fits):
                return self._wrong()
        elif self._check is not None and not self._check(given):
            return self._wrong()
        return None

    def _wrong(self) -> HTTPError:
        return HTTPError(self.status, f"{self.header} is not one that is accepted here", self._headers)


class allow_networks:  # noqa: N801
    """Lets clients of these networks through: "10.0.0.0/8,2001:db8::/32,unix". Others get a 403.

    The client is `request.client`: whoever trusted proxies say, else the peer. Raises ConfigurationError.
    """

    status = 403

    def __init__(self, networks: str) -> None:
        self._networks = Networks.parse(networks)
        self.name = f"allow-networks {networks}"

    def __call__(self, request: Request) -> HTTPError | None:
        """See `Rule`."""
        if request.client is not None and request.client.host in self._networks:
            return None
        return HTTPError(self.status, "this is not open to your network")


class deny_networks:  # noqa: N801
    """Refuses clients of these networks with a 403; see `allow_networks`."""

    status = 403

    def __init__(self, networks: str) -> None:
        self._networks = Networks.parse(networks)
        self.name = f"deny-networks {networks}"

    def __call__(self, request: Request) -> HTTPError | None:
        """See `Rule`."""
        if request.client is not None and request.client.host not in self._networks:
            return None
        return HTTPError(self.status, "this is not open to your network")


class allow_hosts:  # noqa: N801
    """Lets requests for these hosts through: "example.org,*.example.org". Others get a 421 (RFC 9110, 15.5.20).

    Raises ConfigurationError.
    """

    status = 421

    def __init__(self, hosts: str) -> None:
        self._hosts = Hosts.parse(hosts)
        self.name = f"allow-hosts {hosts}"

    def __call__(self, request: Request) -> HTTPError | None:
        """See `Rule`."""
        return (
            None if self._hosts.allows(request.host) else HTTPError(self.status, "this is not answered for that host")
        )


# -- how often


class RateStore(Protocol):
    """Counts requests by key. It is asked before the body is read and must not wait: one that counts elsewhere, for
    several servers, counts here and exchanges with there in its own time."""

    def hit(self, key: str, limit: int, seconds: float) -> float:
        """Counts a request, of which `limit` are let through in any `seconds`; how long to wait, 0.0 for this one."""
        ...


class MemoryStore:
    """Counts in this process, for at most `size` keys: those that have not come for longest are forgotten first.

    Of each key it has the window that is and, in part, the one before (a sliding window of two counters). Two threads
    at the very same moment may count one request too few, which is cheaper than a lock.
    """

    def __init__(self, size: int = _CLIENTS, clock: Callable[[], float] = monotonic) -> None:
        self._half = max(1, size // 2)
        self._clock = clock
        self._recent: dict[tuple[str, int, float], _Window] = {}
        self._older: dict[tuple[str, int, float], _Window] = {}  # what was recent when that was full

    def hit(self, key: str, limit: int, seconds: float) -> float:
        """See `RateStore.hit`."""
        if len(key) > _LONGEST:  # as a client may make one that is read from the head: the table would not be bounded
            from hashlib import sha256  # here, since it loads OpenSSL

            key = sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
        now = self._clock() / seconds
        number = int(now)
        window = self._window((key, limit, seconds), number)
        left = 1 - (now - number)  # of this window: so much of the one before is still within `seconds`
        if window.passed + window.before * left < limit:
            window.passed += 1
            return 0.0
        if window.passed < limit:
            return (left - (limit - window.passed) / window.before) * seconds + _A_LITTLE
        return left * seconds + _A_LITTLE

    def _window(self, key: tuple[str, int, float], number: int) -> _Window:
        window = self._recent.get(key)
        if window is None:
            window = self._older.get(key) or _Window(number)
            if len(self._recent) >= self._half:
                self._recent, self._older = {}, self._recent
            self._recent[key] = window
        if window.number != number:
            window.before = window.passed if window.number == number - 1 else 0
            window.number = number
            window.passed = 0
        return window


_A_LITTLE = 0.001  # seconds: at the very moment there is not quite room yet


class _Window:
    """How many requests of a key came through in the window of that number, and in the one before."""

    __slots__ = ("before", "number", "passed")

    def __init__(self, number: int) -> None:
        self.number = number
        self.before = 0
        self.passed = 0


def client_key(request: Request) -> str:
    """Whom a rate limit counts: the client's address, of IPv6 its /64, which one customer has for himself."""
    host = request.client.host if request.client is not None else ""
    if ":" not in host:
        return host
    try:
        number = int(parse_ip(host.partition("%")[0]))
    except ValueError:
        return host
    return f"{number >> 64:x}::/64" if number >> 32 else host


class rate_limit:  # noqa: N801
    """Lets `limit` requests of each client through in any `seconds`. Others get a 429 that says when (Retry-After).

    `by` says whose requests count together: the client's address unless told otherwise; None lets one through
    uncounted. Routes count together that have the very same rule. Raises ConfigurationError.
    """

    status = 429

    def __init__(
        self,
        limit: int,
        seconds: float = 1.0,
        *,
        by: Callable[[Request], str | None] = client_key,
        store: RateStore | None = None,
    ) -> None:
        if limit < 1 or seconds <= 0:
            raise ConfigurationError(f"a rate limit is at least one request in some seconds, not {limit} in {seconds}")
        self.name = f"rate-limit {limit}/{seconds:g}s"
        self._limit = limit
        self._seconds = float(seconds)
        self._by = by
        self._store = MemoryStore() if store is None else store

    def __call__(self, request: Request) -> HTTPError | None:
        """See `Rule`."""
        key = self._by(request)
        if key is None:
            return None
        wait = self._store.hit(key, self._limit, self._seconds)
        if wait <= 0:
            return None
        text = f"at most {self._limit} requests in {self._seconds:g} s are answered: wait a little"
        return HTTPError(self.status, text, {"Retry-After": str(max(1, ceil(wait)))})


class max_body:  # noqa: N801
    """Refuses what announces a body of more than `most` bytes with a 413: routes and groups with `max_body` have it.

    A body that does not say how long it is (chunked) the server counts as it comes.
    """

    status = 413

    def __init__(self, most: int) -> None:
        self.name = f"max-body {most}"
        self._most = most

    def __call__(self, request: Request) -> HTTPError | None:
        """See `Rule`."""
        length = request.headers.get("content-length") or ""
        if not length.isdecimal() or int(length) <= self._most:
            return None
        return HTTPError(self.status, f"the body is longer than {self._most} bytes")

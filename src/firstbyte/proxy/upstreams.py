"""The servers behind a proxy: where they are, which one is next, and which are left alone for a while."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from time import monotonic
from urllib.parse import quote

from firstbyte._lazy import lazy_logger
from firstbyte.client.connect import Route
from firstbyte.errors import ConfigurationError
from firstbyte.http.percent import InvalidURL
from firstbyte.http.url import URL

logger = lazy_logger("firstbyte.proxy")

MAX_FAILS = 1  # failures in a row after which a server is left alone; nginx's max_fails
FAIL_TIMEOUT = 10.0  # seconds for which it is; nginx's fail_timeout

_SCHEMES = ("http", "https", "http+unix", "https+unix")


class Upstream:
    """One server: where it is, what it is at, and how it does.

    `base` is what stands in the place of the mount's prefix in the paths that are asked of it, "" for nothing; None
    leaves the paths as they came.
    """

    __slots__ = ("active", "base", "fails", "is_sick", "name", "rests_until", "route", "secure", "url")

    def __init__(self, url: URL, base: str | None) -> None:
        self.url = url
        self.base = base
        self.name = url.authority if not url.scheme.endswith("+unix") else "localhost"  # as Host has it
        self.secure = url.scheme.startswith("https")
        self.route = Route(url.origin)
        self.active = 0  # requests that it is at
        self.fails = 0  # in a row
        self.rests_until = 0.0  # on the monotonic clock
        self.is_sick = False  # by the health check

    @classmethod
    def parse(cls, text: str) -> Upstream:
        """`http://host:port`, `https://...`, `unix:/path/of.socket` or `http+unix://%2Fpath%2Fof.socket/base`.

        Whatever follows the host, if only a slash, is the `base`. Raises ConfigurationError.
        """
        if text.startswith("unix:/"):
            return cls(URL.parse(f"http+unix://{quote(text[5:], safe='')}/"), None)
        try:
            url = URL.parse(text)
        except InvalidURL as error:
            raise ConfigurationError(f"no server can be at {text!r}: {error}") from None
        if url.scheme not in _SCHEMES:
            raise ConfigurationError(f"{text!r} is no place of an HTTP server: write http://, https:// or unix:/path")
        if url.username or url.password:
            raise ConfigurationError("the URL of an upstream server has a user in it, which is not sent: leave it out")
        if url.query or url.fragment:
            raise ConfigurationError(f"{text!r} has more than a path behind its host: leave query and fragment out")
        has_path = "/" in text.partition("://")[2]
        return cls(url, url.path.rstrip("/") if has_path else None)

    def target(self, path: str, received: str, query: str) -> str:
        """What is asked of it (RFC 9112 section 3.2.1) for `path` below the mount, which came as `received`."""
        if path != "*":
            path = received if self.base is None else self.base + path
        return f"{path}?{query}" if query else path

    def done(self) -> None:
        """It is at one request less."""
        self.active -= 1

    def __repr__(self) -> str:
        return f"<Upstream {self.url}>"


class Upstreams:
    """Those that do the same, of which each request takes the one that is at the fewest.

    One that fails rests a while, during which it is asked only if the others rest, too. One that its health check has
    found to be sick is not asked at all.
    """

    __slots__ = ("_clock", "_turn", "members")

    def __init__(self, members: Sequence[Upstream], clock: Callable[[], float] = monotonic) -> None:
        self.members = list(members)
        self._turn = 0  # so that those which are at as many take turns
        self._clock = clock

    def choose(self, without: Collection[Upstream] = ()) -> Upstream | None:
        """The next one, but not one of `without`; None where there is none."""
        members = self.members
        if len(members) == 1:
            only = members[0]
            return None if only.is_sick or only in without else only
        return self._least_busy(without)

    def failed(self, upstream: Upstream, why: object) -> None:
        """It did not answer, or not in HTTP."""
        upstream.fails += 1
        if upstream.fails >= MAX_FAILS and len(self.members) > 1:
            upstream.rests_until = self._clock() + FAIL_TIMEOUT
            logger.warning("%s rests for %g s: %s", upstream.url.origin, FAIL_TIMEOUT, why)

    def answered(self, upstream: Upstream) -> None:
        """It has answered."""
        if upstream.fails:
            upstream.fails = 0
            upstream.rests_until = 0.0

    def _least_busy(self, without: Collection[Upstream]) -> Upstream | None:
        members = self.members
        self._turn += 1
        start = self._turn % len(members)
        able = [each for each in members[start:] + members[:start] if not each.is_sick and each not in without]
        if not able:
            return None
        now = self._clock()
        return min(able, key=lambda each: (each.rests_until > now, each.active))


def leaves_its_folder(path: str) -> bool:
    """Whether some server could read `path` as one above where it seems to be: dot segments, however they are encoded.

    Browsers and other clients resolve them before they send a path (RFC 3986 section 5.2.4).
    """
    return _DOT_SEGMENT.search(path) is not None


_DOT_SEGMENT = re.compile(
    r"(?:^|/|\\|%2f|%5c)(?:\.|%2e){1,2}(?=$|/|\\|;|%2f|%5c|%3b|%00)", re.IGNORECASE
)  # "..;" goes up for servlet containers

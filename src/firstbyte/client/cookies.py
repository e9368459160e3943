"""The cookie jar: what servers set, and what goes back to them (RFC 6265bis; its sections are meant below).

There is no list of public suffixes here: a cookie for a whole top-level domain is refused, one for "co.uk" is not. Whom
a server may speak for beyond its own host is therefore as wide as the longest name that it shares with others.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock

import msgspec

from firstbyte.errors import ConfigurationError, InvalidRequest
from firstbyte.http.cookies import MAX_SIZE, check_cookie
from firstbyte.http.headers import Headers
from firstbyte.http.url import URL

MAX_COOKIES = 3000  # of a jar, and of one domain: what section 6.1 asks for, and what Chrome keeps
MAX_PER_DOMAIN = 180
MAX_LIFETIME = 400 * 24 * 3600.0  # seconds; section 5.5


class Cookie(msgspec.Struct):
    """One cookie as it is stored (section 5.7); times are seconds since the epoch.

    `domain` is in lower case without a leading dot; with `host_only` the cookie goes to that very host, else to those
    below it too. `expires` is None for a cookie that ends with its session.
    """

    name: str
    value: str
    domain: str
    path: str = "/"
    expires: float | None = None
    secure: bool = False
    httponly: bool = False
    host_only: bool = True
    samesite: str | None = None  # "Strict", "Lax", "None", or None if nothing was said; only browsers act on it
    created: float = 0.0
    used: float = 0.0


class CookieJar(Mapping[str, str]):
    """The cookies of a session, and a mapping from their names to their values.

    Of a name that several hosts or paths have set, the mapping shows the one that came last; `cookies` lists all.
    `clock` gives seconds since the epoch. Threads may share a jar.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.time,
        max_count: int = MAX_COOKIES,
        max_per_domain: int = MAX_PER_DOMAIN,
    ) -> None:
        self._clock = clock
        self._max_count = max_count
        self._max_per_domain = max_per_domain
        self._domains: dict[str, dict[tuple[str, str, bool], Cookie]] = {}
        self._lock = Lock()

    def header_for(self, url: URL, extra: Mapping[str, str] | None = None) -> str | None:
        """The value of the Cookie field for a request to `url`, or None if there is none (section 5.8.3).

        Longer paths come first, then those that were set earlier. `extra` are cookies for this one request, in the
        place of stored ones of the same name. Raises InvalidRequest for one of these that is no cookie: see
        `check_cookie`.
        """
        if not self._domains and not extra:
            return None
        pairs = _checked(extra) if extra else []
        if self._domains:
            given = extra or {}
            stored = [cookie for cookie in self._found(url) if cookie.name not in given]
            pairs = [(cookie.name, cookie.value) for cookie in stored] + pairs
        return "; ".join(f"{name}={value}" if name else value for name, value in pairs) or None

    def update_from(self, url: URL, headers: Headers) -> None:
        """Takes what the Set-Cookie fields of an answer from `url` set, and forgets what they end (section 5.7).

        What the standard does not allow is ignored: a foreign domain, Secure without TLS, a broken promise of __Host-
        or __Secure-, more than 4096 bytes.
        """
        lines = headers.get_all("set-cookie")
        if not lines:
            return
        now = self._clock()
        for line in lines[: self._max_per_domain]:
            cookie = _parse(line, url, now)
            if cookie is not None:
                with self._lock:
                    if url.scheme in _SECURE or not self._covers_a_secure_one(cookie):
                        self._store(cookie, now)

    def set(
        self,
        name: str,
        value: str,
        domain: str,
        *,
        path: str = "/",
        expires: float | None = None,
        secure: bool = False,
        host_only: bool = True,
    ) -> None:
        """Puts a cookie of the caller's own into the jar, for one host unless `host_only` is False.

        Raises InvalidRequest for what is no cookie (see `check_cookie`), for a domain or path that is none, and for a
        name whose prefix promises what the arguments do not keep.
        """
        _checked({name: value})
        domain = domain.lower().removeprefix(".")
        if not domain or _DOMAIN.fullmatch(domain) is None:
            raise InvalidRequest(f"the domain of the cookie {name} is no host: {domain!r}")
        if _PATH.fullmatch(path) is None:
            raise InvalidRequest(f"the path of the cookie {name} must begin with /: {path!r}")
        now = self._clock()
        cookie = Cookie(name, value, domain, path, expires, secure, False, host_only, None, now, now)
        if not _keeps_its_prefix(cookie, path == "/"):
            raise InvalidRequest(f"the cookie {name} is not what its prefix promises: secure, one host, the path /")
        with self._lock:
            self._store(cookie, now)

    def delete(self, name: str, domain: str | None = None, path: str | None = None) -> None:
        """Forgets every cookie of that name, of one domain or path if they are given; none there is no error."""
        with self._lock:
            for cookie in self._all():
                if cookie.name == name and domain in (None, cookie.domain) and path in (None, cookie.path):
                    self._forget(cookie)

    def clear(self) -> None:
        """Forgets every cookie."""
        with self._lock:
            self._domains.clear()

    def end_session(self) -> None:
        """Forgets the cookies without an expiry, as a browser does when it is closed."""
        with self._lock:
            for cookie in self._all():
                if cookie.expires is None:
                    self._forget(cookie)

    def cookies(self) -> list[Cookie]:
        """Every cookie that has not expired, in the order in which they were first set."""
        now = self._clock()
        with self._lock:
            found = [cookie for cookie in self._all() if not _has_expired(cookie, now)]
        return sorted(found, key=lambda cookie: cookie.created)

    def dump(self) -> bytes:
        """The jar as JSON, with its values in the clear: whoever has it can act as the session did."""
        return msgspec.json.encode(self.cookies())

    def restore(self, data: bytes) -> None:
        """Adds the cookies of a `dump`. Raises ConfigurationError for what is none."""
        try:
            cookies = msgspec.json.decode(data, type=list[Cookie])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ConfigurationError(f"these are no cookies that were saved: {error}") from error
        for cookie in cookies:
            if _NOT_SAVED.search(f"{cookie.name}{cookie.value}") or "=" in cookie.name:
                raise ConfigurationError(f"the saved cookie {cookie.name!r} cannot stand in a header")
        now = self._clock()
        with self._lock:
            for cookie in cookies:
                self._store(cookie, now)

    def save(self, path: str | Path) -> None:
        """Writes `dump` to a file that only its owner may read, whole or not at all. Raises ConfigurationError."""
        path = Path(path)
        beside = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(self.dump())
            beside.replace(path)
        except OSError as error:
            beside.unlink(missing_ok=True)
            raise ConfigurationError(f"the cookies cannot be saved in {path}: {error}") from error

    def load(self, path: str | Path) -> None:
        """Adds the cookies of a file that `save` wrote. Raises ConfigurationError."""
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            raise ConfigurationError(f"the cookies in {path} cannot be read: {error}") from error
        self.restore(data)

    def __getitem__(self, name: str) -> str:
        for cookie in reversed(self.cookies()):
            if cookie.name == name:
                return cookie.value
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(cookie.name for cookie in self.cookies()))

    def __len__(self) -> int:
        """The number of names."""
        return len({cookie.name for cookie in self.cookies()})

    def __repr__(self) -> str:
        return f"<CookieJar of {', '.join(self) or 'nothing'}>"

    def _found(self, url: URL) -> list[Cookie]:
        """The cookies for a request, in their order."""
        now = self._clock()
        found = []
        with self._lock:
            for domain in _parents(url.host):
                for cookie in self._domains.get(domain, {}).values():
                    if (
                        (domain == url.host or not cookie.host_only)
                        and (not cookie.secure or url.scheme in _SECURE)
                        and _path_matches(url.path, cookie.path)
                        and not _has_expired(cookie, now)
                    ):
                        cookie.used = now
                        found.append(cookie)
        return sorted(found, key=lambda cookie: (-len(cookie.path), cookie.created))

    def _covers_a_secure_one(self, cookie: Cookie) -> bool:
        """Whether a cookie that came without TLS would stand before one that is Secure (section 5.7)."""
        return any(
            other.secure
            and other.name == cookie.name
            and (_domain_matches(other.domain, cookie.domain) or _domain_matches(cookie.domain, other.domain))
            and _path_matches(cookie.path, other.path)
            for other in self._all()
        )

    def _store(self, cookie: Cookie, now: float) -> None:
        cookies = self._domains.setdefault(cookie.domain, {})
        key = (cookie.name, cookie.path, cookie.host_only)
        old = cookies.pop(key, None)
        if old is not None:
            cookie.created = old.created
        if _has_expired(cookie, now):
            if not cookies:
                del self._domains[cookie.domain]
            return
        cookies[key] = cookie
        self._evict(list(cookies.values()), self._max_per_domain, now)
        if sum(map(len, self._domains.values())) > self._max_count:
            self._evict(self._all(), self._max_count, now)

    def _evict(self, cookies: list[Cookie], most: int, now: float) -> None:
        """Forgets what is more than `most`: what has expired, then what is not Secure, the longest unused first."""
        if len(cookies) > most:
            cookies.sort(key=lambda cookie: (not _has_expired(cookie, now), cookie.secure, cookie.used))
            for cookie in cookies[: len(cookies) - most]:
                self._forget(cookie)

    def _forget(self, cookie: Cookie) -> None:
        cookies = self._domains[cookie.domain]
        del cookies[(cookie.name, cookie.path, cookie.host_only)]
        if not cookies:
            del self._domains[cookie.domain]

    def _all(self) -> list[Cookie]:
        return [cookie for cookies in self._domains.values() for cookie in cookies.values()]


def parse_cookie_date(text: str) -> float | None:
    """The time in an Expires attribute in seconds since the epoch, or None for text that is no date (section 5.1.1)."""
    found: dict[str, re.Match[str]] = {}
    for token in _DATE_TOKEN.findall(text):
        for part, pattern in _DATE_PARTS.items():
            match = None if part in found else pattern.match(token)
            if match is not None:
                found[part] = match
                break
    if found.keys() != _DATE_PARTS.keys():
        return None
    year, month = int(found["year"][1]), _MONTHS.index(found["month"][1].lower()) + 1
    year += 1900 if 70 <= year <= 99 else 2000 if year <= 69 else 0
    if year < 1601:
        return None
    hour, minute, second = map(int, found["time"].groups())
    try:
        return datetime(year, month, int(found["day"][1]), hour, minute, second, tzinfo=UTC).timestamp()
    except ValueError:
        return None


_SECURE = ("https", "wss")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DATE_TOKEN = re.compile(r"[^\x09\x20-\x2f\x3b-\x40\x5b-\x60\x7b-\x7e]+")
_DATE_PARTS = {
    "time": re.compile(r"([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?![0-9])"),
    "day": re.compile(r"([0-9]{1,2})(?![0-9])"),
    "month": re.compile(f"({'|'.join(_MONTHS)})", re.IGNORECASE),
    "year": re.compile(r"([0-9]{2,4})(?![0-9])"),
}
_MAX_AGE = re.compile(r"-?[0-9]+")
_MAX_ATTRIBUTE = 1024  # bytes; section 5.6
_IP_ADDRESS = re.compile(r"[0-9.]+|.*:.*")
_DOMAIN = re.compile(r"[a-z0-9_.:%-]*")
_PATH = re.compile(r"/[\x20-\x3a\x3c-\x7e]*")
_NOT_SAVED = re.compile(r"[^\t\x20-\x3a\x3c-\x7e\x80-\xff]")
_SAMESITE = {"strict": "Strict", "lax": "Lax", "none": "None"}


def _parse(line: str, url: URL, now: float) -> Cookie | None:
    """The cookie that a Set-Cookie field from `url` sets, or None if it is to be ignored (sections 5.6 and 5.7)."""
    pair, *attributes = line.split(";")
    name, equals, value = pair.partition("=")
    if not equals:
        name, value = "", pair
    name, value = name.strip(" \t"), value.strip(" \t")
    if not (name or value) or len(name) + len(value) > MAX_SIZE:
        return None
    said = {}  # the last of a name counts
    for attribute in attributes:
        key, _, text = attribute.partition("=")
        key, text = key.strip(" \t").lower(), text.strip(" \t")
        if len(text) <= _MAX_ATTRIBUTE and _is_understood(key, text):
            said[key] = text
    domain = said.get("domain", "").removeprefix(".").lower()
    is_top = "." not in domain.rstrip(".")  # of the domain name system, where nobody speaks for the others
    if domain and domain != url.host and (is_top or not _domain_matches(url.host, domain)):
        return None
    path = said.get("path", "")
    cookie = Cookie(
        name,
        value,
        domain or url.host,
        path if path.startswith("/") else _default_path(url.path),
        _expiry(said, now),
        "secure" in said,
        "httponly" in said,
        not domain or (domain == url.host and is_top),
        _SAMESITE.get(said.get("samesite", "").lower()),
        now,
        now,
    )
    if cookie.secure and url.scheme not in _SECURE:
        return None
    return cookie if _keeps_its_prefix(cookie, path == "/") else None


def _is_understood(key: str, text: str) -> bool:
    """Whether an attribute is not to be ignored for its value."""
    if key == "expires":
        return parse_cookie_date(text) is not None
    return key != "max-age" or _MAX_AGE.fullmatch(text) is not None


def _expiry(said: Mapping[str, str], now: float) -> float | None:
    """When a cookie ends; Max-Age goes before Expires."""
    if "max-age" in said:
        seconds = said["max-age"]
        lifetime = MAX_LIFETIME if len(seconds) > 9 else float(seconds)
        return 0.0 if seconds.startswith("-") or lifetime <= 0 else now + min(lifetime, MAX_LIFETIME)
    date = parse_cookie_date(said.get("expires", ""))
    return None if date is None else min(date, now + MAX_LIFETIME)


def _keeps_its_prefix(cookie: Cookie, path_is_said: bool) -> bool:
    """Whether a cookie is what its name's prefix promises (section 4.1.3); one without a name must not feign it."""
    name = (cookie.name or cookie.value).lower()
    if not name.startswith(("__secure-", "__host-")):
        return True
    if not (cookie.name and cookie.secure):
        return False
    return name.startswith("__secure-") or (cookie.host_only and path_is_said)


def _has_expired(cookie: Cookie, now: float) -> bool:
    return cookie.expires is not None and cookie.expires <= now


def _domain_matches(host: str, domain: str) -> bool:
    """Section 5.1.3."""
    return host == domain or (host.endswith(f".{domain}") and _IP_ADDRESS.fullmatch(host) is None)


def _path_matches(path: str, of_cookie: str) -> bool:
    """Section 5.1.4."""
    return path.startswith(of_cookie) and (of_cookie.endswith("/") or path[len(of_cookie) :][:1] in ("", "/"))


def _default_path(path: str) -> str:
    """Section 5.1.4: the folder of what was asked for."""
    return path[: path.rfind("/")] or "/"


def _parents(host: str) -> Iterator[str]:
    """A host and the domains that it is in."""
    yield host
    if _IP_ADDRESS.fullmatch(host) is None:
        while "." in host:
            host = host.partition(".")[2]
            yield host


def _checked(cookies: Mapping[str, str]) -> list[tuple[str, str]]:
    for name, value in cookies.items():
        try:
            check_cookie(name, value)
        except (ValueError, TypeError) as error:
            raise InvalidRequest(str(error)) from None
    return list(cookies.items())

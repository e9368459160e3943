"""Basic authentication (RFC 7617): one password for a site, or a few; over TLS, since it is sent as it is."""

from __future__ import annotations

import base64
import hmac
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterable, Mapping
from hashlib import sha256
from time import monotonic
from typing import TypeAlias

from firstbyte.app.pages import error_response
from firstbyte.app.rules import client_key
from firstbyte.errors import ConfigurationError
from firstbyte.http.request import Request
from firstbyte.http.response import Response

BasicAuth: TypeAlias = Callable[[Request], Generator[None, Response, Response | None]]

ATTEMPTS = 10  # wrong passwords of one client
WINDOW = 60.0  # seconds in which those count

_CLIENTS = 10_000  # whose wrong passwords are counted at once
_REMEMBERED = 256  # passwords that were right, kept as hashes with a key of this process


def basic_auth(
    users: Mapping[str, str] | Iterable[str],
    *,
    realm: str = "firstbyte",
    attempts: int = ATTEMPTS,
    window: float = WINDOW,
    clock: Callable[[], float] = monotonic,
) -> BasicAuth:
    """A middleware that wants a user's name and password: `app.middleware(basic_auth({"jane": "secret"}))`.

    `users` are passwords by name, or texts "name:password". A password that begins with "$argon2" is the hash of one,
    which needs argon2-cffi (the extra firstbyte[auth]). After so many wrong `attempts` within `window` seconds a client
    gets a 429, with the right password too. Without one it gets a 401. Handlers find the name in
    `request.state.remote_user`. Raises ConfigurationError for no user, a name with a colon, an empty password and a
    hash that cannot be checked.
    """
    known = _users(users)
    if '"' in realm or "\\" in realm or not realm.isprintable() or not realm.isascii():
        raise ConfigurationError(f"the realm {realm!r} must be plain text without quotes")
    failures = _Failures(attempts, window, clock)
    right = _Right()
    challenge = {"WWW-Authenticate": f'Basic realm="{realm}", charset="UTF-8"', "Cache-Control": "no-store"}

    def around(request: Request) -> Generator[None, Response, Response | None]:
        client = client_key(request)
        wait = failures.wait(client)
        if wait:
            return _refusal(request, 429, "Too many wrong passwords: try again later.", {"Retry-After": str(wait)})
        given = _credentials(request.headers.get("authorization"))
        if given is None:
            return _refusal(request, 401, "A name and a password are wanted.", challenge)
        name, password = given
        if not right.has(name, password):
            # Somebody who is not there takes as long as a wrong password.
            expected = known.get(name) or next(iter(known.values()))
            if not expected.matches(password) or name not in known:
                failures.count(client)
                return _refusal(request, 401, "The name or the password is wrong.", challenge)
            right.add(name, password)
        request.state.remote_user = name
        yield
        return None

    return around


def _refusal(request: Request, status: int, detail: str, headers: Mapping[str, str]) -> Response:
    response = error_response(request, status, detail)
    response.headers.update(headers)
    return response


class _Plain:
    """A password as it is."""

    def __init__(self, password: str) -> None:
        self._digest = sha256(password.encode()).digest()

    def matches(self, password: str) -> bool:
        return hmac.compare_digest(self._digest, sha256(password.encode()).digest())


class _Argon2:
    """The hash of a password."""

    def __init__(self, hashed: str) -> None:
        try:
            import argon2
        except ImportError:
            raise ConfigurationError("a hash of argon2 needs argon2-cffi: pip install firstbyte[auth]") from None
        try:
            argon2.extract_parameters(hashed)
        except argon2.exceptions.InvalidHashError:
            raise ConfigurationError("the hash of a password begins with $argon2 but is none of argon2") from None
        self._hashed = hashed
        self._hasher = argon2.PasswordHasher()
        self._refusals = (argon2.exceptions.VerificationError,)

    def matches(self, password: str) -> bool:
        try:
            return self._hasher.verify(self._hashed, password)
        except self._refusals:
            return False


class _Failures:
    """How many wrong passwords each client has sent, in windows of time."""

    def __init__(self, attempts: int, window: float, clock: Callable[[], float]) -> None:
        self._attempts = attempts
        self._window = window
        self._clock = clock
        self._counts: OrderedDict[str, tuple[float, int]] = OrderedDict()  # when the window began, and how many since
        self._lock = threading.Lock()

    def wait(self, client: str) -> int:
        """Seconds until the client may try again; 0 for now."""
        began, count = self._counts.get(client, (0.0, 0))
        left = began + self._window - self._clock()
        return int(left) + 1 if count >= self._attempts and left > 0 else 0

    def count(self, client: str) -> None:
        """One more."""
        now = self._clock()
        with self._lock:
            began, count = self._counts.pop(client, (now, 0))
            self._counts[client] = (began, count + 1) if now - began < self._window else (now, 1)
            while len(self._counts) > _CLIENTS:
                self._counts.popitem(last=False)


class _Right:
    """Passwords that were right: browsers send one with every request, and argon2 is slow, as it is meant to be."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._digests: OrderedDict[bytes, None] = OrderedDict()

    def has(self, name: str, password: str) -> bool:
        return self._digest(name, password) in self._digests

    def add(self, name: str, password: str) -> None:
        self._digests[self._digest(name, password)] = None
        if len(self._digests) > _REMEMBERED:
            self._digests.popitem(last=False)

    def _digest(self, name: str, password: str) -> bytes:
        return hmac.digest(self._key, f"{name}:{password}".encode(), "sha256")


def _users(given: Mapping[str, str] | Iterable[str]) -> dict[str, _Plain | _Argon2]:
    if isinstance(given, str):
        given = [given]
    pairs = given.items() if isinstance(given, Mapping) else [_pair(each) for each in given]
    users: dict[str, _Plain | _Argon2] = {}
    for name, password in pairs:
        if not name or ":" in name or not password:
            raise ConfigurationError("a user has a name without a colon, and a password")
        users[name] = _Argon2(password) if password.startswith("$argon2") else _Plain(password)
    if not users:
        raise ConfigurationError("there is no user who could come in")
    return users


def _pair(text: str) -> tuple[str, str]:
    name, colon, password = text.partition(":")
    if not colon:
        raise ConfigurationError("a user is given as name:password")
    return name, password


def _credentials(field: str | None) -> tuple[str, str] | None:
    """Name and password of an Authorization field; None for none, or for another scheme."""
    scheme, _, token = (field or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, password = base64.b64decode(token.strip(), validate=True).decode().partition(":")
    except ValueError:  # no base64, or no UTF-8
        return None
    return (name, password) if colon else None

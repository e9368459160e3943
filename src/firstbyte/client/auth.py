"""Authentication as generators that are the same for sync and async: Basic, Bearer, Digest, netrc, and one's own.

A flow yields the request that is to be sent and gets the answer; it may yield again, and when it ends the last answer
is the caller's.

    class Signed(Auth):
        def flow(self, request):
            request.headers["Authorization"] = sign(request)
            response = yield request
"""

from __future__ import annotations

import base64
import hashlib
import netrc
import os
import re
import unicodedata
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Any, TypeAlias, TypeVar
from urllib.parse import quote

from firstbyte.client.bodies import Body
from firstbyte.client.views import Answer, Sent
from firstbyte.errors import ConfigurationError, InvalidRequest
from firstbyte.http.headers import TOKEN

R = TypeVar("R", bound=Sent)


class Auth:
    """The base of every way to authenticate. Threads may share one."""

    def flow(self, request: R) -> Generator[R, Answer, None]:
        """Yields what is to be sent and is sent the answer to it; the base adds nothing.

        It is called for each request, and again for those that follow redirects within its origin. Before a request is
        yielded a second time its body must be asked whether it is `replayable`.
        """
        yield request


class Basic(Auth):
    """User name and password, in UTF-8, with every request (RFC 7617).

    Raises InvalidRequest for a control character, and for a colon in the user name.
    """

    def __init__(self, user: str, password: str) -> None:
        if ":" in user:
            raise InvalidRequest("the user name has a colon: Basic authentication cannot send it (RFC 7617 section 2)")
        pair = f"{_credential(user, 'user name')}:{_credential(password, 'password')}"
        self._value = "Basic " + base64.b64encode(pair.encode("utf-8")).decode("ascii")

    def flow(self, request: R) -> Generator[R, Answer, None]:
        """See `Auth.flow`."""
        request.headers["Authorization"] = self._value
        yield request


class Bearer(Auth):
    """A token with every request (RFC 6750). Raises InvalidRequest for what is no token of section 2.1."""

    def __init__(self, token: str) -> None:
        if _TOKEN68.fullmatch(token) is None:
            raise InvalidRequest("the bearer token has a character that cannot stand in it (RFC 6750 section 2.1)")
        self._value = f"Bearer {token}"

    def flow(self, request: R) -> Generator[R, Answer, None]:
        """See `Auth.flow`."""
        request.headers["Authorization"] = self._value
        yield request


class Digest(Auth):
    """User name and password, proven without being sent (RFC 7616; without qop as RFC 2069 had it).

    The first request to an origin goes without, unless a nonce is known; a challenge is answered once, and once more if
    the server calls its nonce stale. Of several the first that is understood counts: MD5, SHA-256 and SHA-512-256, with
    -sess or without, qop auth before auth-int. A body that cannot be sent again leaves the 401 to the caller. `cnonce`
    makes the client's nonces. Raises InvalidRequest for a control character, and for a colon in the user name.
    """

    def __init__(self, user: str, password: str, *, cnonce: Callable[[], str] = lambda: os.urandom(16).hex()) -> None:
        if ":" in user:
            raise InvalidRequest("the user name has a colon: Digest authentication cannot hash it (RFC 7616)")
        self._user = _credential(user, "user name")
        self._password = _credential(password, "password")
        self._cnonce = cnonce
        self._known: dict[str, _Challenge] = {}  # by origin
        self._lock = Lock()

    def flow(self, request: R) -> Generator[R, Answer, None]:
        """See `Auth.flow`."""
        origin = request.url.origin
        challenge = self._known.get(origin)
        was_told = False  # that the challenge came as an answer to this very request
        for _ in range(3):
            if challenge is not None:
                request.headers["Authorization"] = self._answer(challenge, request)
            response = yield request
            if response.status != 401:
                self._learn_next_nonce(origin, challenge, response)
                return
            offered = _choose(response.headers.get_all("www-authenticate"), request.body, self._cnonce)
            if offered is None or (was_told and not offered.stale):
                with self._lock:
                    self._known.pop(origin, None)
                return
            self._remember(origin, offered)
            if request.body is not None and not request.body.replayable:
                return
            challenge, was_told = offered, True

    def _answer(self, challenge: _Challenge, request: Sent) -> str:
        """The value of Authorization (RFC 7616 section 3.4)."""
        with self._lock:
            challenge.count += 1
            count = f"{challenge.count:08x}"
        hashed, cnonce, qop = challenge.hashed, challenge.cnonce, challenge.qop
        user, realm, nonce = self._user.encode("utf-8"), challenge.realm.encode("latin-1"), challenge.nonce
        a1 = hashed(b":".join((user, realm, self._password.encode("utf-8"))))
        if challenge.algorithm.endswith("-SESS"):
            a1 = hashed(f"{a1}:{nonce}:{cnonce}".encode("latin-1"))
        a2 = f"{request.method}:{request.url.target}"
        if qop == "auth-int":
            a2 += ":" + challenge.hashed_pieces(request.body.pieces() if request.body is not None else ())
        middle = f"{nonce}:{count}:{cnonce}:{qop}" if qop else nonce
        proof = hashed(f"{a1}:{middle}:{hashed(a2.encode('ascii'))}".encode("latin-1"))
        if challenge.userhash:
            username = f'username="{hashed(user + b":" + realm)}"'
        elif self._user.isascii():
            username = f"username={_quoted(self._user)}"
        else:
            username = f"username*=UTF-8''{quote(self._user, safe='')}"
        fields = [
            username,
            f"realm={_quoted(challenge.realm)}",
            f"nonce={_quoted(nonce)}",
            f"uri={_quoted(request.url.target)}",
            f'response="{proof}"',
        ]
        if challenge.said_algorithm is not None:
            fields.append(f"algorithm={challenge.said_algorithm}")
        if challenge.opaque is not None:
            fields.append(f"opaque={_quoted(challenge.opaque)}")
        if qop:
            fields += [f"qop={qop}", f"nc={count}", f'cnonce="{cnonce}"']
        elif challenge.algorithm.endswith("-SESS"):
            fields.append(f'cnonce="{cnonce}"')
        if challenge.userhash:
            fields.append("userhash=true")
        return "Digest " + ", ".join(fields)

    def _learn_next_nonce(self, origin: str, challenge: _Challenge | None, response: Answer) -> None:
        """Takes over the nonce of Authentication-Info (RFC 7616 section 3.5)."""
        info = response.headers.get_joined("authentication-info")
        if challenge is not None and info is not None:
            nonce = _parameters(info).get("nextnonce")
            if nonce:
                self._remember(origin, replace(challenge, nonce=nonce, cnonce=self._cnonce(), count=0))

    def _remember(self, origin: str, challenge: _Challenge) -> None:
        with self._lock:
            self._known.pop(origin, None)
            self._known[origin] = challenge
            if len(self._known) > _MAX_KNOWN:
                del self._known[next(iter(self._known))]


class NetrcAuth(Auth):
    """Basic authentication by the entry that the user's netrc file has for the host, or its default.

    The file is that at `path`, else at $NETRC, else ~/.netrc, and is read once. A request that has an Authorization is
    left alone. Raises ConfigurationError for a file that cannot be read or parsed; only the one in the home directory
    may be missing.
    """

    def __init__(self, path: str | Path | None = None) -> None:
        given = path or os.environ.get("NETRC")
        self._file: netrc.netrc | None = None
        try:
            self._file = netrc.netrc(None if given is None else str(given))
        except FileNotFoundError as error:
            if given is not None:
                raise ConfigurationError(f"the netrc file {given} is not there") from error
        except (OSError, UnicodeError, netrc.NetrcParseError) as error:
            raise ConfigurationError(f"the netrc file cannot be used: {error}") from error

    def flow(self, request: R) -> Generator[R, Answer, None]:
        """See `Auth.flow`."""
        entry = self._file.authenticators(request.url.host) if self._file is not None else None
        if entry is None or "authorization" in request.headers:
            yield request
        else:
            user, account, password = entry
            yield from Basic(user or account or "", password or "").flow(request)


AuthInput: TypeAlias = "Auth | tuple[str, str] | Callable[[Any], Any] | None"


def to_auth(value: AuthInput) -> Auth | None:
    """What a request's `auth` means: an `Auth`, a pair for `Basic`, a function, or None for none.

    A function is called with each request; it changes it, or returns another, or is a flow: a generator as `Auth.flow`
    is. Raises TypeError for anything else.
    """
    if value is None or isinstance(value, Auth):
        return value
    if isinstance(value, tuple) and len(value) == 2 and all(isinstance(part, str) for part in value):
        return Basic(*value)
    if callable(value) and not isinstance(value, type):
        return _Function(value)
    raise TypeError(f"auth is an Auth, a pair (user, password) or a function, not {type(value).__name__}")


def parse_challenges(values: Iterable[str]) -> list[tuple[str, dict[str, str]]]:
    """The challenges of WWW-Authenticate fields: scheme in lower case, parameters by lower-case name.

    A token68 stands under the name "". What follows a malformed part of a field is not read (RFC 9110 section 11.6.1).
    """
    challenges: list[tuple[str, dict[str, str]]] = []
    for value in values:
        at, parameters = 0, None
        while match := _ELEMENT.match(value, at):
            at = match.end()
            name, token, quoted, scheme, token68 = match.groups()
            if scheme is not None:
                parameters = {"": token68} if token68 else {}
                challenges.append((scheme.lower(), parameters))
            elif parameters is not None:
                parameters.setdefault(name.lower(), _unquoted(token, quoted))
            else:
                break
    return challenges


@dataclass
class _Challenge:
    """What a server asks for, and how often it was answered."""

    realm: str
    nonce: str
    opaque: str | None
    algorithm: str  # in capitals
    said_algorithm: str | None  # as the server wrote it
    qop: str  # "auth", "auth-int", or nothing for a server of RFC 2069
    stale: bool
    userhash: bool
    cnonce: str  # one for all answers: with -sess it is part of the session's key
    count: int = 0

    def hashed(self, data: bytes) -> str:
        return self.hashed_pieces((data,))

    def hashed_pieces(self, pieces: Iterable[bytes]) -> str:
        digest = hashlib.new(_ALGORITHMS[self.algorithm.removesuffix("-SESS")], usedforsecurity=False)
        for piece in pieces:
            digest.update(piece)
        return digest.hexdigest()


class _Function(Auth):
    def __init__(self, function: Callable[[Any], Any]) -> None:
        self._function = function

    def flow(self, request: R) -> Generator[R, Answer, None]:
        made = self._function(request)
        if isinstance(made, Generator):
            yield from made
        else:
            yield request if made is None else made


_MAX_KNOWN = 100  # origins whose nonce is remembered
_ALGORITHMS = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}  # RFC 7616 section 6.1
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_TOKEN68 = re.compile(r"[A-Za-z0-9\-._~+/]+=*")
# An auth-param, or a scheme with its token68 if it has one; then what separates it from the next.
_PARAMETER = rf'({TOKEN.pattern})[ \t]*=[ \t]*(?:({TOKEN.pattern})|"((?:[^"\\]|\\.)*+)")'
_END = r"[ \t]*(?:,[ \t,]*|\Z)"
_ELEMENT = re.compile(
    rf"[ \t,]*+(?:{_PARAMETER}{_END}|({TOKEN.pattern})(?:[ \t]+({_TOKEN68.pattern}){_END}|[ \t]+(?![ \t,])|{_END}))"
)


def _choose(fields: list[str], body: Body | None, cnonce: Callable[[], str]) -> _Challenge | None:
    """The first Digest challenge that can be answered, or None."""
    for scheme, said in parse_challenges(fields):
        algorithm = said.get("algorithm", "MD5").upper()
        known = _ALGORITHMS.get(algorithm.removesuffix("-SESS"))
        qops = [qop.strip(" \t").lower() for qop in said["qop"].split(",")] if "qop" in said else [""]
        usable = [qop for qop in ("auth", "auth-int", "") if qop in qops and not (qop == "auth-int" and _passes(body))]
        if scheme != "digest" or not {"realm", "nonce"} <= said.keys():
            continue
        if known in hashlib.algorithms_available and usable:
            return _Challenge(
                said["realm"],
                said["nonce"],
                said.get("opaque"),
                algorithm,
                said.get("algorithm"),
                usable[0],
                said.get("stale", "").lower() == "true",
                said.get("userhash", "").lower() == "true",
                cnonce(),
            )
    return None


def _passes(body: Body | None) -> bool:
    """Whether a body cannot be read before it is sent."""
    return body is not None and (body.is_async or not body.replayable)


def _parameters(text: str) -> dict[str, str]:
    """The auth-params of a field that has no scheme."""
    return parse_challenges([f"x {text}"])[0][1]


def _credential(text: str, what: str) -> str:
    bad = _CONTROL.search(text)
    if bad is not None:  # it is a secret: where, but not what
        raise InvalidRequest(f"the {what} has a control character or a lone surrogate at {bad.start()}")
    return unicodedata.normalize("NFC", text)


def _quoted(text: str) -> str:
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'


def _unquoted(token: str | None, quoted: str | None) -> str:
    return token if token is not None else re.sub(r"\\(.)", r"\1", quoted or "")

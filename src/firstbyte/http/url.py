"""URLs (RFC 3986)."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import quote

from firstbyte.http.percent import USERINFO_SAFE, InvalidURL, QueryInput, decoded, encode_escaped, encode_query

_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


@dataclass(frozen=True, repr=False)
class URL:
    """An absolute URL in its parts (RFC 3986 section 3); `str(url)` puts it together, its repr hides the password.

    `host` is in lower case, without brackets and, for the schemes of HTTP and WebSocket, in ASCII; `port` is None where
    it is the scheme's own. `path`, `query` and `fragment` stay percent-encoded, `username` and `password` are decoded.
    Make one with `URL.parse`: the parts are not checked by themselves.
    """

    scheme: str
    host: str
    port: int | None = None
    path: str = "/"
    query: str = ""
    fragment: str = ""
    username: str = ""
    password: str = ""

    @classmethod
    def parse(cls, text: str) -> URL:
        """The URL that `text` is. Raises InvalidURL that says what is wrong with it.

        Spaces, backslashes and controls are refused, since parsers differ about them. Other characters that must be
        percent-encoded are; a broken escape stays as it is, for the server to judge. Hosts of http, https, ws and wss
        are domain names, encoded by IDNA 2003 if they are not ASCII, or IP addresses in their one usual form; the hosts
        of other schemes are what RFC 3986 allows, and stay as they are: http+unix://%2Frun%2Fapp.sock/.
        """
        scheme, authority, path, query, fragment = _split(text)
        if scheme is None or authority is None:
            shown = "" if "@" in text else f" {text!r}"  # there may be a password in it
            raise InvalidURL(
                f"the URL{shown} is not absolute: it must begin with a scheme and a host, as http://host does"
            )
        scheme = scheme.lower()
        userinfo, _, host_and_port = authority.rpartition("@")
        if "@" in userinfo:
            raise InvalidURL("the URL has two @ before its path: percent-encode the first as %40")
        username, _, password = userinfo.partition(":")
        match = _HOST_AND_PORT.fullmatch(host_and_port)
        if match is None:
            raise InvalidURL("the URL must have a host before its path, or host:port; an IPv6 address goes in brackets")
        host, digits = match.groups()
        port = _port(digits) if digits else None
        return cls(
            scheme=scheme,
            host=_host(host, scheme),
            port=None if port == _DEFAULT_PORTS.get(scheme) else port,
            path=path or "/",
            query=query or "",
            fragment=fragment or "",
            username=decoded(username, "username"),
            password=decoded(password, "password"),
        )

    def __hash__(self) -> int:
        return hash((self.origin, self.target))  # which are kept, as a URL is a key again and again

    @cached_property
    def authority(self) -> str:
        """Host and port as the Host field has them: the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port in (None, _DEFAULT_PORTS.get(self.scheme)) else f"{host}:{self.port}"

    @property
    def effective_port(self) -> int:
        """The port to connect to. Raises InvalidURL for a scheme that has none of its own."""
        port = self.port or _DEFAULT_PORTS.get(self.scheme)
        if port is None:
            raise InvalidURL(f"the scheme {self.scheme} has no port of its own: name one")
        return port

    @cached_property
    def origin(self) -> str:
        """Scheme and authority, what browsers keep apart by (RFC 6454)."""
        return f"{self.scheme}://{self.authority}"

    @cached_property
    def target(self) -> str:
        """Path and query: the origin-form of a request target (RFC 9112 section 3.2.1)."""
        return f"{self.path}?{self.query}" if self.query else self.path

    def with_query(self, fields: QueryInput) -> URL:
        """This URL with fields added to its query, as `encode_query` writes them."""
        added = encode_query(fields)
        return replace(self, query="&".join(filter(None, (self.query, added))))

    def join(self, reference: str) -> URL:
        """The URL that `reference`, relative or absolute, means in a document at this one (RFC 3986 section 5.2).

        Raises InvalidURL for a reference that `parse` would refuse, and for one with a scheme but no host.
        """
        scheme, authority, path, query, fragment = _split(reference)
        if scheme is not None or authority is not None:
            url = URL.parse(reference if scheme is not None else f"{self.scheme}:{reference}")
            return replace(url, path=_without_dot_segments(url.path))
        if not path:
            return replace(self, query=self.query if query is None else query, fragment=fragment or "")
        if not path.startswith("/"):
            path = self.path[: self.path.rfind("/") + 1] + path
        return replace(self, path=_without_dot_segments(path), query=query or "", fragment=fragment or "")

    def __str__(self) -> str:
        return self._text(quote(self.password, safe=USERINFO_SAFE))

    def __repr__(self) -> str:
        return f"URL({self._text('***' if self.password else '')!r})"

    def _text(self, password: str) -> str:
        userinfo = quote(self.username, safe=USERINFO_SAFE) + (f":{password}" if password else "")
        fragment = f"#{self.fragment}" if self.fragment else ""
        return f"{self.scheme}://{userinfo}{'@' if userinfo else ''}{self.authority}{self.target}{fragment}"


_FORBIDDEN = re.compile(r"[\x00-\x20\x7f\\\ud800-\udfff]")
# RFC 3986 appendix B; takes every string without a line end.
_REFERENCE = re.compile(r"(?:([A-Za-z][A-Za-z0-9+.-]*):)?(?://([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?")
_HOST_AND_PORT = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]+)(?::(.*))?")
_PORT = re.compile(r"0*([0-9]{1,5})")
_DOMAIN_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*\.?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")  # a last label that resolvers read as part of an IPv4 address
_REG_NAME = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+")  # RFC 3986 section 3.2.2


def _split(reference: str) -> tuple[str | None, str | None, str, str | None, str | None]:
    """Scheme, authority, path, query and fragment, the last three with their escapes complete. Raises InvalidURL."""
    bad = _FORBIDDEN.search(reference)
    if bad is not None:
        raise InvalidURL(f"the URL has {bad.group()!r} at {bad.start()}: percent-encode it")
    match = _REFERENCE.fullmatch(reference)
    assert match is not None  # line ends are forbidden
    scheme, authority, path, query, fragment = match.groups()
    return (
        scheme,
        authority,
        encode_escaped(path),
        None if query is None else encode_escaped(query),
        None if fragment is None else encode_escaped(fragment),
    )


def _port(digits: str) -> int:
    match = _PORT.fullmatch(digits)
    port = int(match[1]) if match else 0
    if not 0 < port < 65536:
        raise InvalidURL("the URL has a port that is no number from 1 to 65535")
    return port


def _host(host: str, scheme: str) -> str:
    """A host as `URL.host` has it. Raises InvalidURL."""
    try:
        if host.startswith("["):
            if "%" in host:
                raise ValueError("zone identifiers are not supported")
            IPv6Address(host[1:-1])
            return host[1:-1].lower()
        if scheme not in _DEFAULT_PORTS:
            if _REG_NAME.fullmatch(host) is None:
                raise ValueError("it has a character that must be percent-encoded")
            return host
        # The codec maps some characters to slashes, dots and spaces: what comes out is what must be checked.
        name = (host if host.isascii() else host.encode("idna").decode("ascii")).lower()
        if _DOMAIN_NAME.fullmatch(name) is None:
            raise ValueError("it is no domain name")
        if _NUMBER.fullmatch(name.rstrip(".").rpartition(".")[2]):
            IPv4Address(name)
        return name
    except ValueError as error:
        raise InvalidURL(f"the URL's host {host!r} is not valid: {error}") from None


def _without_dot_segments(path: str) -> str:
    """An absolute path without "." and ".." (RFC 3986 section 5.2.4)."""
    kept: list[str] = []
    segments = path.split("/")[1:]
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)

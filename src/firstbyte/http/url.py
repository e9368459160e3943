"""URLs (RFC 3986), and the paths and queries of request targets, decoded once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, quote_from_bytes, unquote_to_bytes

from firstbyte.http.multidict import MultiDict

_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_PATH_SAFE = "/!$&'()*+,;=:@-._~"  # pchar and "/", RFC 3986 section 3.3
_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


class InvalidURL(ValueError):
    """A URL, a path or a query that RFC 3986 does not allow; the message says what and where."""


def decode_path(raw: str) -> str:
    """A path, percent-decoded. Raises InvalidURL for a broken escape, what is no UTF-8, and NUL."""
    broken = _BROKEN_ESCAPE.search(raw)
    if broken is not None:
        raise InvalidURL(f"the path has a % at {broken.start()} that begins no escape")
    try:
        path = unquote_to_bytes(raw).decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidURL("the path is no UTF-8 when it is percent-decoded") from None
    if "\0" in path:
        raise InvalidURL("the path has a NUL in it")
    return path


def encode_path(path: str) -> str:
    """A path as it is written in a URL; slashes stay, everything that has another meaning there is escaped."""
    return quote(path, safe=_PATH_SAFE)


def parse_query(raw: str, max_fields: int = 1000) -> MultiDict[str]:
    """The fields of a query or form, in order, repeated and empty ones too (the URL Standard's urlencoded parser).

    "+" is a space, invalid UTF-8 becomes U+FFFD, a broken escape stays as it is. Raises InvalidURL for too many fields.
    """
    if not raw:
        return MultiDict()
    if raw.count("&") >= max_fields:
        raise InvalidURL(f"the query has more than {max_fields} fields")
    pairs = []
    for part in raw.split("&"):
        if part:
            name, _, value = part.partition("=")
            pairs.append((_decode_field(name), _decode_field(value)))
    return MultiDict(pairs)


def encode_query(fields: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> str:
    """A query of these fields. A list gives the field once for each item, True and False become true and false.

    Fields whose value is None are left out.
    """
    parts = []
    for name, value in fields.items() if isinstance(fields, Mapping) else fields:
        for item in value if isinstance(value, list | tuple) else (value,):
            if item is not None:
                text = str(item).lower() if isinstance(item, bool) else item
                parts.append(f"{_encode_field(name)}={_encode_field(text)}")
    return "&".join(parts)


def _decode_field(text: str) -> str:
    if "%" not in text and "+" not in text:
        return text
    return unquote_to_bytes(text.replace("+", " ")).decode("utf-8", "replace")


def _encode_field(value: Any) -> str:
    return quote_from_bytes(value if isinstance(value, bytes) else str(value).encode(), safe="*-._ ").replace(" ", "+")


@dataclass(frozen=True, repr=False)
class URL:
    """An absolute URL in its parts; `path` and `query` stay percent-encoded, `host` has no brackets.

    Parse one with `URL.parse`; `str(url)` puts it together again. The password is not shown in its repr.
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
        """The URL that `text` is. Raises InvalidURL that says what is wrong with it."""
        bad = _FORBIDDEN.search(text)
        if bad is not None:
            raise InvalidURL(f"the URL {text!r} has {bad.group()!r} at {bad.start()}: percent-encode it")
        match = _URL.fullmatch(text)
        if match is None:
            raise InvalidURL(f"{text!r} is no absolute URL: it must begin as http://host does")
        scheme, authority, path, query, fragment = match.groups()
        userinfo, at, hostport = authority.rpartition("@")
        username, _, password = userinfo.partition(":")
        if "@" in userinfo:
            raise InvalidURL(f"the URL {text!r} has two @ before its path: percent-encode the first")
        host, port = _host_and_port(hostport, text)
        return cls(
            scheme.lower(), host, port, encode_escaped(path) or "/", encode_escaped(query or ""),
            encode_escaped(fragment or ""), username, password,
        )  # fmt: skip

    @property
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

    @property
    def origin(self) -> str:
        """Scheme and authority, what browsers keep apart by (RFC 6454)."""
        return f"{self.scheme}://{self.authority}"

    @property
    def target(self) -> str:
        """Path and query: the origin-form of a request target."""
        return f"{self.path}?{self.query}" if self.query else self.path

    def with_query(self, fields: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> URL:
        """This URL with fields added to its query."""
        added = encode_query(fields)
        return replace(self, query="&".join(filter(None, (self.query, added))))

    def join(self, reference: str) -> URL:
        """The URL that `reference`, relative or absolute, means in a document at this one (RFC 3986 section 5.2)."""
        match = _REFERENCE.fullmatch(reference)
        assert match is not None  # every string matches
        scheme, authority, path, query, fragment = match.groups()
        if scheme is not None:
            return URL.parse(reference)
        if authority is not None:
            return URL.parse(f"{self.scheme}:{reference}")
        path = encode_escaped(path)
        fragment = encode_escaped(fragment or "")
        if not path:
            return replace(self, query=self.query if query is None else encode_escaped(query), fragment=fragment)
        if not path.startswith("/"):
            path = self.path[: self.path.rfind("/") + 1] + path
        return replace(self, path=_without_dots(path), query=encode_escaped(query or ""), fragment=fragment)

    def __str__(self) -> str:
        return self._text(self.password)

    def __repr__(self) -> str:
        return f"URL({self._text('***' if self.password else '')!r})"

    def _text(self, password: str) -> str:
        user = f"{self.username}:{password}@" if password else f"{self.username}@" if self.username else ""
        fragment = f"#{self.fragment}" if self.fragment else ""
        return f"{self.scheme}://{user}{self.authority}{self.target}{fragment}"


def encode_escaped(text: str) -> str:
    """`text` with what is not ASCII percent-encoded; escapes that it has already stay."""
    return text if text.isascii() else quote(text, safe=_PATH_SAFE + "?#[]%")


_FORBIDDEN = re.compile(r"[\x00-\x20\x7f\\]")
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)([^?#]*)(?:\?([^#]*))?(?:#(.*))?")
_REFERENCE = re.compile(r"(?:([A-Za-z][A-Za-z0-9+.-]*):)?(?://([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?", re.DOTALL)
_HOST_PORT = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(?::([0-9]*))?")


def _host_and_port(text: str, url: str) -> tuple[str, int | None]:
    match = _HOST_PORT.fullmatch(text)
    if match is None:
        raise InvalidURL(f"the URL {url!r} has no valid host: {text!r}")
    host, digits = match.groups()
    port = int(digits) if digits else None
    if port is not None and not 0 < port < 65536:
        raise InvalidURL(f"the URL {url!r} has the port {digits}: it must be from 1 to 65535")
    if host.startswith("["):
        return host[1:-1].lower(), port
    try:
        return (host if host.isascii() else host.encode("idna").decode("ascii")).lower(), port
    except UnicodeError as error:
        raise InvalidURL(f"the URL {url!r} has a host that is no valid domain name: {error}") from None


def _without_dots(path: str) -> str:
    """RFC 3986 section 5.2.4."""
    kept: list[str] = []
    segments = path.split("/")[1:]
    for index, segment in enumerate(segments):
        last = index == len(segments) - 1
        if segment in (".", ".."):
            if segment == ".." and kept:
                kept.pop()
            if last:
                kept.append("")
        else:
            kept.append(segment)
    return "/" + "/".join(kept)

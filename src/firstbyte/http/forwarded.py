"""What trusted proxies say of the client: Forwarded (RFC 7239) and the X-Forwarded fields that came before it.

Each proxy adds at the right who it got the request from. So the list is read from the right, as long as the one who
speaks is trusted: the first address that is not is the client's. What stands left of it came from the client, which may
write there what it likes, and is not even parsed: nothing in it can change the answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import NamedTuple, TypeVar
from urllib.parse import unquote

from firstbyte.errors import ConfigurationError, ProtocolError
from firstbyte.http.hosts import parse_host
from firstbyte.http.media import value_and_parameters
from firstbyte.http.request import Address, Request
from firstbyte.http.url import URL

T = TypeVar("T")

FIELDS = (
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
)
"""Every field that `TrustedProxies` understands."""

DEFAULT_FIELDS = FIELDS[:3]
"""Those it reads unless told otherwise: many proxies pass on the other ones as the client wrote them."""

_BESIDE_FORWARDED = frozenset(FIELDS[1:5])  # those that say what Forwarded says too
_REMEMBERED = 1024  # addresses whose answer is kept: the peers are the same few proxies
_REMEMBERED_SIZE = 64  # characters, longer than any address


class Networks:
    """A set of networks: `"10.0.0.1" in networks`. Make one with `Networks.parse`.

    An address is text, as `Request.client.host` has it: an IPv4-mapped IPv6 address is its IPv4 address, a zone
    ("%eth0") is left out of account, "unix" is the peer at a Unix socket. Other text is in no set, `*` included.
    """

    def __init__(self, prefixes: dict[tuple[int, int], set[int]], unix: bool) -> None:
        self._prefixes = prefixes  # (IP version, bits that are not the network's) -> the networks' bits
        self._known = {"unix": unix}

    @classmethod
    def parse(cls, text: str) -> Networks:
        """The networks of a list with commas: `10.0.0.0/8,192.0.2.1,::1,unix`; `*` is everyone, "" nobody.

        Raises ConfigurationError that names the item that is no network.
        """
        prefixes: dict[tuple[int, int], set[int]] = {}
        unix = False
        for item in text.split(",") if text.strip() else ():
            item = item.strip()
            unix |= item in ("unix", "*")
            for cidr in {"unix": (), "*": ("0.0.0.0/0", "::/0")}.get(item, (item,)):
                version, host_bits, number = _network(cidr)
                prefixes.setdefault((version, host_bits), set()).add(number >> host_bits)
        return cls(prefixes, unix)

    def __contains__(self, address: str) -> bool:
        known = self._known.get(address)
        if known is None:
            known = self._has(address)
            if len(self._known) >= _REMEMBERED:
                self._known = {"unix": self._known["unix"]}
            if len(address) < _REMEMBERED_SIZE:
                self._known[address] = known
        return known

    def _has(self, address: str) -> bool:
        try:
            ip = parse_ip(address.partition("%")[0])
        except ValueError:
            return False
        number = int(ip)
        return any(
            version == ip.version and number >> host_bits in networks
            for (version, host_bits), networks in self._prefixes.items()
        )


class ForwardedElement(NamedTuple):
    """What one proxy says in Forwarded (RFC 7239 section 4); None for what it does not say.

    `client` is the parameter "for" and `by` the proxy itself; the host of one that is not told is "unknown" or begins
    with an underscore. `scheme` is "http" or "https", `host` a host with or without a port.
    """

    client: Address | None = None
    by: Address | None = None
    scheme: str | None = None
    host: str | None = None


def forwarded_from_right(value: str) -> Iterator[ForwardedElement]:
    """The elements of a Forwarded field, the last one first, empty ones left out; several lines are joined by commas.

    Raises ValueError when it comes to an element that is malformed; those right of it have been given by then.
    """
    for match in _MEMBER_REVERSED.finditer(value[::-1]):
        member = match[0][::-1].strip(" \t")
        if member:
            yield _element(member)


def addresses_from_right(value: str) -> Iterator[Address]:
    """The addresses of an X-Forwarded-For field, the last one first, empty ones left out.

    An address may have a port; an IPv6 address needs brackets only then. "unknown" stands for one that is not told.
    Raises ValueError when it comes to what is none; those right of it have been given by then.
    """
    for item in reversed(value.split(",")):
        item = item.strip(" \t")
        if item:
            yield parse_node(f"[{item}]" if item.count(":") > 1 and item[0] != "[" else item)


def parse_node(text: str) -> Address:
    """A node of RFC 7239 section 6: `192.0.2.1`, `[2001:db8::1]:4711`, `unknown`, `_hidden:_port`.

    IP addresses come in their one short form, IPv4-mapped ones as IPv4; a port that is missing or hidden is 0. Raises
    ValueError.
    """
    match = _NODE.fullmatch(text)
    if match is None:
        raise ValueError(f"{_shown(text)} is no address")
    ipv6, ipv4, hidden, port = match.groups()
    number = int(port) if port and port[0] != "_" else 0
    if number > 65535:
        raise ValueError(f"{_shown(text)} has a port over 65535")
    if hidden:
        return Address("unknown" if hidden.lower() == "unknown" else hidden, number)
    try:
        return Address(str(parse_ip(ipv6 or ipv4)), number)
    except ValueError:
        raise ValueError(f"{_shown(text)} is no address") from None


@lru_cache(_REMEMBERED)
def parse_ip(text: str) -> IPv4Address | IPv6Address:
    """An IP address, an IPv4-mapped one as the IPv4 address that it stands for. Raises ValueError."""
    ip = ip_address(text)
    return getattr(ip, "ipv4_mapped", None) or ip


class _Claim(NamedTuple):
    """What one family of fields says, taken together."""

    client: Address
    scheme: str | None = None
    host: str | None = None


class TrustedProxies:
    """Believes the proxies in `networks`, and nobody else, of the `fields` that they write.

    `fields` must name only what every one of the proxies sets or deletes: what a proxy passes on untouched is the
    client's own word. The default leaves out X-Forwarded-Host, -Port and -Prefix; see `FIELDS`. Raises
    ConfigurationError for a field that is not known.
    """

    def __init__(self, networks: Networks, fields: Iterable[str] = DEFAULT_FIELDS) -> None:
        self._networks = networks
        self._fields = frozenset(name.lower() for name in fields)
        unknown = self._fields.difference(FIELDS)
        if unknown:
            raise ConfigurationError(f"{min(unknown)!r} is no field that proxies set: {', '.join(FIELDS)} are")

    def apply(self, request: Request) -> str | None:
        """Sets `client`, `scheme`, `forwarded_host` and `root_path` as the proxies say; returns what to log, or None.

        From a peer that is not trusted nothing is read. The right-most address that is not trusted is the client; where
        all are trusted, the left-most. Scheme and host are what the outermost trusted proxy says of them. The header
        fields stay as they came. A malformed field is ignored as a whole; the text that is returned says why.

        Raises ProtocolError 400 where Forwarded and X-Forwarded-* are both there and lead to different answers: one of
        them is the client's, and only the operator knows which (`fields`). Nothing is set then.
        """
        peer = request.client
        if peer is None or peer.host not in self._networks:
            return None
        headers = request.headers
        said = {name: headers.get_joined(name) or "" for name in self._fields.intersection(headers)}
        if not said:
            return None
        ignored: list[str] = []
        claim = _Claim(peer)
        has_x = not _BESIDE_FORWARDED.isdisjoint(said)
        if has_x:
            claim = self._x_forwarded(peer, request, said, ignored)
        if "forwarded" in said:
            newer = self._forwarded(peer, said["forwarded"], ignored)
            if has_x and (ignored or _outcome(newer, request) != _outcome(claim, request)):
                raise ProtocolError(400, "forwarded-contradiction", _contradiction(newer, claim, request, ignored))
            claim = newer  # it has the ports, too
        prefix = _outermost(said, "x-forwarded-prefix", 0, _prefix, ignored)
        request.client = claim.client
        request.scheme = claim.scheme or request.scheme
        request.forwarded_host = claim.host
        if prefix and request.raw_path != "*":
            request.root_path = prefix + request.root_path
        return "; ".join(ignored) or None

    def _forwarded(self, peer: Address, value: str, ignored: list[str]) -> _Claim:
        client, scheme, host = peer, None, None
        try:
            for element in forwarded_from_right(value):
                scheme, host = element.scheme or scheme, element.host or host
                client = element.client or client
                if element.client is None or client.host not in self._networks:
                    break
        except ValueError as error:
            ignored.append(f"Forwarded from {peer} is ignored: {error}")
            return _Claim(peer)
        return _Claim(client, scheme, host)

    def _x_forwarded(self, peer: Address, request: Request, said: dict[str, str], ignored: list[str]) -> _Claim:
        client, hops = peer, 0
        try:
            for address in addresses_from_right(said.get("x-forwarded-for", "")):
                client, hops = address, hops + 1
                if address.host not in self._networks:
                    break
        except ValueError as error:
            ignored.append(f"X-Forwarded-For from {peer} is ignored: {error}")
            client, hops = peer, 0
        scheme = _outermost(said, "x-forwarded-proto", hops, _scheme, ignored)
        host = _outermost(said, "x-forwarded-host", hops, _host, ignored)

        def with_port(text: str) -> str | None:
            return _with_port(scheme or request.scheme, host or request.host, text)

        return _Claim(client, scheme, _outermost(said, "x-forwarded-port", hops, with_port, ignored) or host)


# -- networks and nodes

# Read from the right, a quoted string begins at the first quote that has no backslash before it: those inside have one
# (RFC 9110 section 5.6.4). One that never begins takes the rest.
_MEMBER_REVERSED = re.compile(r'(?:[^",]++|"(?:[^"]++|"(?=\\))*+(?:"|\Z))++')
_NODE = re.compile(
    r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+)|(unknown|_[A-Za-z0-9._-]+))(?::([0-9]{1,5}|_[A-Za-z0-9._-]+))?",
    re.IGNORECASE,
)


def _network(item: str) -> tuple[int, int, int]:
    """IP version, bits that are not the network's, and the number of its first address. Raises ConfigurationError."""
    try:
        if "%" in item:
            raise ValueError("leave the zone out")
        network = ip_network(item, strict=False)
    except ValueError as error:
        raise ConfigurationError(
            f"{item!r} is no network: {error}. Write 10.0.0.0/8, 192.0.2.1, ::1, unix or *"
        ) from None
    if ip_address(item.partition("/")[0]) != network.network_address:
        raise ConfigurationError(f"{item!r} is an address in a network: write {network}, or the address alone")
    first = parse_ip(str(network.network_address))
    return first.version, network.max_prefixlen - network.prefixlen, int(first)


def _element(text: str) -> ForwardedElement:
    """One element of Forwarded. Raises ValueError."""
    try:
        _, parameters = value_and_parameters(f";{text}")
    except ValueError:
        raise ValueError(f"{_shown(text)} is no list of names and values, each once") from None
    client, by, scheme, host = (parameters.get(name) for name in ("for", "by", "proto", "host"))
    return ForwardedElement(
        None if client is None else parse_node(client),
        None if by is None else parse_node(by),
        None if scheme is None else _scheme(scheme),
        None if host is None else _host(host),
    )


def _outermost(
    said: dict[str, str], name: str, hops: int, parse: Callable[[str], T | None], ignored: list[str]
) -> T | None:
    """What the outermost trusted proxy says in a field where each may add its word at the right.

    `hops` is how many of them X-Forwarded-For tells of.
    """
    if name not in said:
        return None
    items = [item for item in (part.strip(" \t") for part in said[name].split(",")) if item]
    if not items:
        return None
    try:
        return parse(items[max(0, len(items) - max(1, hops))])
    except ValueError as error:
        ignored.append(f"{name.title()} is ignored: {error}")
        return None


# -- one value each: they raise ValueError

_SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}  # some proxies tell a WebSocket's
_SEGMENT = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+;=:@-]|%[0-9A-Fa-f]{2})+")  # RFC 3986 section 3.3, without the comma


def _scheme(text: str) -> str:
    scheme = _SCHEMES.get(text.lower())
    if scheme is None:
        raise ValueError(f"{_shown(text)} is neither http nor https")
    return scheme


def _host(text: str) -> str:
    try:
        parse_host(text)
    except ValueError:
        raise ValueError(f"{_shown(text)} is no host") from None
    return text


def _with_port(scheme: str, host: str, text: str) -> str | None:
    """`host` with the port behind it, unless it has one or the port is the scheme's own."""
    if not re.fullmatch("[0-9]{1,5}", text) or not 0 < int(text) < 65536:
        raise ValueError(f"{_shown(text)} is no port")
    if not host or ":" in host.rpartition("]")[2]:
        return None
    return None if URL.parse(f"{scheme}://{_host(host)}").effective_port == int(text) else f"{host}:{int(text)}"


def _prefix(text: str) -> str:
    """A prefix of paths without a slash at its end: neither another host (//) nor a way out (..) when it is a link."""
    segments = text.removesuffix("/").split("/")
    if segments[0] or not all(
        _SEGMENT.fullmatch(segment) and unquote(segment) not in (".", "..") for segment in segments[1:]
    ):
        raise ValueError(f"{_shown(text)} is no prefix of paths")
    return "/".join(segments)


# -- the two families beside each other


def _outcome(claim: _Claim, request: Request) -> tuple[str, str, str]:
    return claim.client.host, claim.scheme or request.scheme, (claim.host or request.host).lower()


def _contradiction(newer: _Claim, older: _Claim, request: Request, ignored: list[str]) -> str:
    if ignored:
        return f"Forwarded and X-Forwarded-* are both there, and {'; '.join(ignored)}"
    says, other = (" ".join(map(_shown, _outcome(claim, request))) for claim in (newer, older))
    return (
        f"Forwarded says {says}, but X-Forwarded-* {other}: have {request.client} delete the fields that it does not "
        "write, or name those that it does"
    )


def _shown(text: str) -> str:
    """Text for a message, short and with nothing that a log could take for a line of its own."""
    return ascii(text[:40]) + ("..." if len(text) > 40 else "")

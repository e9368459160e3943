"""Which hosts are ours: the allow-list that keeps foreign names in Host out of links, caches and redirects."""

from __future__ import annotations

import re
from ipaddress import ip_address

from firstbyte.errors import ConfigurationError
from firstbyte.http.percent import InvalidURL
from firstbyte.http.url import URL

_REMEMBERED = 1024  # answers kept: clients send the same Host again and again
_REMEMBERED_SIZE = 300  # characters, longer than any name with its port
_NOT_IN_HOST = re.compile(r"[/?#@]")  # what ends an authority, or begins one


def parse_host(text: str) -> str:
    """The name or address in `host`, `host:port` or `[IPv6]:port`, as two of them compare.

    That is in lower case, in A-labels, without a dot at its end; an IP address in its one short form, without brackets.
    Raises ValueError that says what is wrong with it (RFC 9110 section 7.2, RFC 3986 section 3.2.2).
    """
    if _NOT_IN_HOST.search(text):
        raise InvalidURL(f"{text!r} is more than a host and a port")
    host = URL.parse(f"http://{text}").host
    if ":" in host or host[-1].isdigit():
        try:
            return str(ip_address(host))
        except ValueError:
            pass  # a name that ends with a digit
    return host.removesuffix(".")


class Hosts:
    """A set of hosts, some of them with every name below: `*.example.org`. Make one with `Hosts.parse`."""

    def __init__(self, names: frozenset[str], parents: frozenset[str]) -> None:
        self._names = names
        self._parents = parents  # of which every name below is allowed
        self._known: dict[str, bool] = {}

    @classmethod
    def parse(cls, text: str) -> Hosts:
        """The hosts of a list with commas: `example.org,*.example.org,localhost,[::1]`.

        `*.example.org` is every name below example.org, however deep, and not example.org itself. Ports are not given:
        any is allowed. Raises ConfigurationError that names the item that is no host.
        """
        names: set[str] = set()
        parents: set[str] = set()
        for item in text.split(","):
            item = item.strip()
            below = item.startswith("*.")
            try:
                host = parse_host(_bracketed(item.removeprefix("*.")))
                if below and (":" in host or host[-1].isdigit()):
                    raise ValueError("nothing is below an address")
            except ValueError as error:
                raise ConfigurationError(f"{item!r} in the list of hosts is none: {error}") from None
            if _has_port(item):
                raise ConfigurationError(f"{item!r} in the list of hosts has a port: leave it out, any is allowed")
            (parents if below else names).add(host)
        return cls(frozenset(names), frozenset(parents))

    def allows(self, host: str) -> bool:
        """Whether a Host field, with or without a port, names one of these; what is malformed or empty does not."""
        known = self._known.get(host)
        if known is None:
            known = self._allows(host)
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            if len(host) < _REMEMBERED_SIZE:
                self._known[host] = known
        return known

    def _allows(self, text: str) -> bool:
        try:
            host = parse_host(text)
        except ValueError:
            return False
        if host in self._names:
            return True
        while host:
            host = host.partition(".")[2]
            if host in self._parents:
                return True
        return False

    def __repr__(self) -> str:
        return f"<Hosts {','.join(sorted(self._names) + sorted(f'*.{name}' for name in self._parents))}>"


def _bracketed(item: str) -> str:
    """An IPv6 address as a Host has it: in lists people write it bare."""
    return f"[{item}]" if item.count(":") > 1 and not item.startswith("[") else item


def _has_port(item: str) -> bool:
    return ":" in _bracketed(item).rpartition("]")[2]

"""Proxies: which one a URL goes through, and how it is asked to let us through (HTTP CONNECT, SOCKS 5, SOCKS 4a).

A handshake is a generator without I/O. It yields bytes to send, b"" if there are none, and is sent the bytes that came
next, b"" if the proxy has closed; it ends when what follows on the connection is the server's.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Callable, Generator, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import NoReturn, TypeAlias

from firstbyte.errors import InvalidRequest, ProtocolError, ProxyError
from firstbyte.http.headers import Headers
from firstbyte.http.percent import InvalidURL
from firstbyte.http.url import URL
from firstbyte.wire.response import ResponseReader

Handshake: TypeAlias = Generator[bytes, bytes, None]

MAX_INTERIM = 16  # heads of 1xx that are skipped before a proxy's answer


def proxy_for(url: URL, env: Mapping[str, str] = os.environ) -> URL | None:
    """The proxy that the environment names for a URL, or None. It is the same for all URLs of one origin.

    http_proxy counts for http and ws, https_proxy for https and wss, all_proxy where that is not set; names in small
    letters go before capitals, an empty value is no proxy, and `no_proxy` excepts hosts (see `is_excepted`). HTTP_PROXY
    is not believed in a CGI script, where it is the client's header "Proxy". Raises InvalidRequest for a value that is
    no proxy, and names the variable.
    """
    scheme = _ENVIRONMENT.get(url.scheme)
    if scheme is None:
        return None
    for name in (f"{scheme}_proxy", "all_proxy"):
        variable = name if name in env else name.upper()
        if variable not in env or (variable == "HTTP_PROXY" and "REQUEST_METHOD" in env):
            continue
        if not env[variable] or is_excepted(url, env.get("no_proxy", env.get("NO_PROXY", ""))):
            return None
        try:
            return parse_proxy(env[variable])
        except InvalidRequest as error:
            raise InvalidRequest(f"{variable} in the environment: {error}") from None
    return None


def is_excepted(url: URL, no_proxy: str) -> bool:
    """Whether a NO_PROXY list, separated by commas or spaces, names the host of a URL.

    "*" names every host; "example.org" that host and those below it, ".example.org" and "*.example.org" only those
    below it; "10.0.0.0/8" and "fd00::/8" the addresses in a network, if the URL has an address. A port behind a host or
    an address ("example.org:8000", "[::1]:8000") must be the URL's. Names are not resolved.
    """
    host = url.host.rstrip(".")
    address = _address(host)
    return any(
        _names(entry.lower(), host, address, url.effective_port) for entry in re.split(r"[,\s]+", no_proxy) if entry
    )


def parse_proxy(text: str) -> URL:
    """The URL of a proxy: http, https, socks5, socks5h, socks4 or socks4a; http if it names none.

    Raises InvalidRequest for another scheme, for a path or query, for what is no URL, and for a user or password that
    the proxy cannot be sent.
    """
    try:
        proxy = URL.parse(text if "://" in text else f"http://{text}")
    except InvalidURL as error:
        raise InvalidRequest(f"the proxy cannot be used: {error}") from None
    if proxy.scheme not in _TUNNELS:
        raise InvalidRequest(f"the proxy cannot be used: {proxy.scheme} is none of {', '.join(_TUNNELS)}")
    if proxy.path != "/" or proxy.query:
        raise InvalidRequest("the proxy cannot be used: it has a path")
    if any(len(part.encode("utf-8")) > 255 or _CONTROL.search(part) for part in (proxy.username, proxy.password)):
        raise InvalidRequest("the proxy cannot be used: its user or password is too long or has a control character")
    if ":" in proxy.username and proxy.scheme.startswith("http"):
        raise InvalidRequest("the proxy cannot be used: its user has a colon (RFC 7617 section 2)")
    return proxy


def proxy_port(proxy: URL) -> int:
    """The port of a proxy: that in its URL, else the scheme's own, 1080 for SOCKS."""
    return proxy.port or _PORTS[proxy.scheme]


def resolves_here(proxy: URL) -> bool:
    """Whether the server's name is resolved before the proxy is asked: with socks5 and socks4, as curl reads them."""
    return proxy.scheme in ("socks5", "socks4")


def is_forwarding(proxy: URL, url: URL) -> bool:
    """Whether requests for a URL are sent to the proxy in absolute-form, with no tunnel (RFC 9112 section 3.2.2)."""
    return proxy.scheme in ("http", "https") and url.scheme == "http"


def proxy_authorization(proxy: URL) -> str | None:
    """The value of Proxy-Authorization by the user and password of the proxy's URL, or None (RFC 7617)."""
    if not (proxy.username or proxy.password):
        return None
    pair = f"{proxy.username}:{proxy.password}".encode()
    return "Basic " + base64.b64encode(pair).decode("ascii")


def tunnel(proxy: URL, host: str, port: int) -> Handshake:
    """The handshake with a proxy of any kind for a tunnel to `host`, a name or an address without brackets."""
    return _TUNNELS[proxy.scheme](proxy, host, port)


def connect_handshake(host: str, port: int, headers: Headers | None = None) -> Handshake:
    """CONNECT (RFC 9110 section 9.3.6), with further header fields such as Proxy-Authorization.

    Raises ProxyError: with the `status` for an answer that is not 2xx, without for one that breaks a rule of HTTP.
    """
    authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if _AUTHORITY.fullmatch(authority) is None:
        raise ProxyError(f"{authority!r} is no host that a proxy can be asked for")
    lines = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}"]
    lines += [f"{name}: {value}" for name, value in (headers or Headers()).items()]
    reader = ResponseReader()
    reader.expect("CONNECT")
    to_send = "\r\n".join([*lines, "", ""]).encode("latin-1")
    interim = 0
    while True:
        data = yield to_send
        to_send = b""
        if not data:
            raise ProxyError("the proxy closed before it answered CONNECT")
        try:
            reader.feed(data)
            while (head := reader.read_head()) is not None and head.status < 200:
                interim += 1
                if interim > MAX_INTERIM or head.status == 101:
                    raise ProxyError("the proxy does not come to an answer to CONNECT")
        except ProtocolError as error:
            raise ProxyError(f"the proxy's answer to CONNECT breaks a rule of HTTP: {error}") from error
        if head is not None:
            if head.status >= 300:
                answer = f"{head.status} {head.reason}".rstrip()
                raise ProxyError(f"the proxy refused a tunnel: {answer}", status=head.status)
            if reader.pending:
                _refuse_surplus()
            return


def socks5_handshake(host: str, port: int, username: str = "", password: str = "") -> Handshake:
    """SOCKS 5 (RFC 1928), with user and password if they are given (RFC 1929); a host name is resolved by the proxy.

    Raises ProxyError.
    """
    reader = _Reader()
    reader.to_send = b"\x05\x02\x00\x02" if username or password else b"\x05\x01\x00"
    version, method = yield from reader.read(2)
    if version != 5:
        raise ProxyError(f"the proxy does not speak SOCKS 5: its first byte is {version:#04x}")
    if method == 2 and (username or password):
        reader.to_send = b"\x01" + _counted(username, "user") + _counted(password, "password")
        _, status = yield from reader.read(2)
        if status:
            raise ProxyError("the proxy refused the user or the password")
    elif method:
        raise ProxyError("the proxy takes no authentication that we have: give a user and a password")
    address = _address(host)
    if isinstance(address, IPv4Address):
        where = b"\x01" + address.packed
    elif isinstance(address, IPv6Address):
        where = b"\x04" + address.packed
    else:
        where = b"\x03" + _counted(host, "host")
    reader.to_send = b"\x05\x01\x00" + where + port.to_bytes(2, "big")
    version, reply, _, kind = yield from reader.read(4)
    if version != 5 or reply:
        raise ProxyError(f"the proxy did not connect: {_SOCKS5_REPLIES.get(reply, f'reply {reply:#04x}')}")
    if kind not in (1, 3, 4):
        raise ProxyError(f"the proxy's reply has an address of the unknown kind {kind:#04x}")
    length = (yield from reader.read(1))[0] if kind == 3 else {1: 4, 4: 16}[kind]
    yield from reader.read(length + 2)  # the address it connects from means nothing here
    reader.end()


def socks4a_handshake(host: str, port: int, username: str = "") -> Handshake:
    """SOCKS 4, with its extension 4a for a host name, which the proxy resolves. Raises ProxyError."""
    reader = _Reader()
    address = _address(host)
    if isinstance(address, IPv6Address):
        raise ProxyError("SOCKS 4 cannot connect to IPv6 addresses: use SOCKS 5")
    is_name = address is None
    where = b"\x00\x00\x00\x01" if address is None else address.packed
    user = _counted(username, "user")[1:]
    name = _counted(host, "host")[1:] + b"\x00" if is_name else b""
    reader.to_send = b"\x04\x01" + port.to_bytes(2, "big") + where + user + b"\x00" + name
    answer = yield from reader.read(8)
    if answer[0] != 0:
        raise ProxyError(f"the proxy does not speak SOCKS 4: its first byte is {answer[0]:#04x}")
    if answer[1] != 0x5A:
        raise ProxyError(f"the proxy did not connect: {_SOCKS4_REPLIES.get(answer[1], f'reply {answer[1]:#04x}')}")
    reader.end()


class _Reader:
    """Collects what a handshake waits for; what is `to_send` goes out before the next wait."""

    def __init__(self) -> None:
        self.to_send = b""
        self._buffer = b""

    def read(self, count: int) -> Generator[bytes, bytes, bytes]:
        while len(self._buffer) < count:
            data = yield self.to_send
            self.to_send = b""
            if not data:
                raise ProxyError("the proxy closed within the handshake")
            self._buffer += data
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken

    def end(self) -> None:
        if self._buffer:
            _refuse_surplus()


_ENVIRONMENT = {"http": "http", "ws": "http", "https": "https", "wss": "https"}
_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080, "socks4": 1080, "socks4a": 1080}
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_AUTHORITY = re.compile(r"[\x21-\x7e]+")
_ENTRY = re.compile(r"(?:\[([^\]]+)\]|([^:]+))(?::([0-9]+))?")
_SOCKS5_REPLIES = {  # RFC 1928 section 6
    1: "general failure",
    2: "its rules do not allow it",
    3: "the network is unreachable",
    4: "the host is unreachable",
    5: "the connection was refused",
    6: "the packet's time to live ran out",
    7: "it does not know the command",
    8: "it does not know the kind of address",
}
_SOCKS4_REPLIES = {
    0x5B: "rejected, or it failed",
    0x5C: "it cannot reach identd on this machine",
    0x5D: "identd here names another user",
}


def _connect(proxy: URL, host: str, port: int) -> Handshake:
    authorization = proxy_authorization(proxy)
    return connect_handshake(host, port, Headers({"Proxy-Authorization": authorization} if authorization else ()))


def _socks5(proxy: URL, host: str, port: int) -> Handshake:
    return socks5_handshake(host, port, proxy.username, proxy.password)


def _socks4(proxy: URL, host: str, port: int) -> Handshake:
    return socks4a_handshake(host, port, proxy.username)


_TUNNELS: dict[str, Callable[[URL, str, int], Handshake]] = {
    "http": _connect,
    "https": _connect,
    "socks5": _socks5,
    "socks5h": _socks5,
    "socks4": _socks4,
    "socks4a": _socks4,
}


def _names(entry: str, host: str, address: IPv4Address | IPv6Address | None, port: int) -> bool:
    """Whether one entry of NO_PROXY, in lower case, names a host."""
    if entry == "*":
        return True
    if "/" in entry:
        try:
            network = ip_network(entry, strict=False)
        except ValueError:
            return False
        return address is not None and address in network
    match = _ENTRY.fullmatch(entry)
    bracketed, plain, digits = match.groups() if match is not None else (entry, None, None)  # IPv6 without brackets
    if digits and int(digits) != port:
        return False
    named = _address(bracketed or plain or "")
    if named is not None or address is not None:
        return named == address
    domain = (plain or "").removeprefix("*").rstrip(".")
    return host.endswith(domain) if domain.startswith(".") else host == domain or host.endswith(f".{domain}")


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _counted(text: str, what: str) -> bytes:
    """Text behind its length in one byte. Raises ProxyError for what cannot be sent so."""
    data = text.encode("utf-8")
    if len(data) > 255 or b"\x00" in data:
        raise ProxyError(f"the {what} cannot be sent to the proxy: it has more than 255 bytes, or a NUL")
    return bytes([len(data)]) + data


def _refuse_surplus() -> NoReturn:
    raise ProxyError("the proxy sent more than its answer: nobody speaks before the client does")

"""Says from where a server can be reached: this machine alone, or the network, with a QR code for a phone."""

from __future__ import annotations

import ipaddress
import socket
import struct
import sys
from collections.abc import Iterable

from firstbyte.cli.say import say
from firstbyte.http.request import Address


def say_reach(addresses: Iterable[Address], scheme: str) -> None:
    """Prints how to open a server to the network that is not, and the addresses of one that is."""
    sockets = [address for address in addresses if address.port]
    if not sockets:
        return  # a Unix socket
    if all(_is_loopback(address.host) for address in sockets):
        say("only this machine can reach it; --bind 0.0.0.0 opens it to the network")
        return
    urls = [f"{scheme}://{reached}" for address in sockets for reached in _reached(address)]
    for url in urls:
        say(f"  on the network: {url}")
    if urls and sys.stderr.isatty():
        _show_code(urls[0])


def own_addresses(version: int = 4) -> list[str]:
    """The addresses of this machine in the network, without loopback."""
    found = _of_interfaces() if version == 4 else []
    for host in found or [_of_default_route(version)]:
        if host and not _is_loopback(host) and host not in found:
            found.append(host)
    return [host for host in found if not _is_loopback(host)]


def _reached(address: Address) -> list[Address]:
    """The addresses that one stands for: "any" for all of the machine."""
    if not ipaddress.ip_address(address.host).is_unspecified:
        return [address]
    version = ipaddress.ip_address(address.host).version
    return [Address(host, address.port) for host in own_addresses(version)]


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _of_interfaces() -> list[str]:
    """The IPv4 address of each network interface, where the system tells (Linux)."""
    try:
        import fcntl
    except ImportError:
        return []
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for _, name in socket.if_nameindex():
            try:
                answer = fcntl.ioctl(sock.fileno(), _SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
            except OSError:
                continue  # it has none
            found.append(socket.inet_ntoa(answer[20:24]))
    return found


def _of_default_route(version: int) -> str:
    """The address that packets to the world would be from; none is sent."""
    family, elsewhere = (socket.AF_INET, "192.0.2.1") if version == 4 else (socket.AF_INET6, "2001:db8::1")
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.connect((elsewhere, 9))  # for documentation (RFC 5737, RFC 3849), port discard
            return str(sock.getsockname()[0])
    except OSError:
        return ""


def _show_code(url: str) -> None:
    try:
        import segno
    except ImportError:
        say("  a QR code of that for your phone: pip install firstbyte[qr]")
        return
    segno.make(url, error="l", micro=False).terminal(out=sys.stderr, compact=True)


_SIOCGIFADDR = 0x8915

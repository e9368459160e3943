"""The PROXY protocol, versions 1 and 2: who a connection comes from, said by a proxy before the first request.

The specification is doc/proxy-protocol.txt of HAProxy; sections are its. A listener either expects the header on every
connection or on none: to guess would let any client say who it is.
"""

from __future__ import annotations

import re
import struct
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple, NoReturn

from firstbyte.errors import ProtocolError
from firstbyte.http.forwarded import parse_ip
from firstbyte.http.request import Address

MAX_V1 = 107  # bytes of a line with its CR LF, section 2.1
MAX_V2 = 16 + 65535  # bytes: the fixed part and what its length field can say, section 2.2


class ProxyHeader(NamedTuple):
    """What the proxy says of the connection.

    `source` and `destination` are the client's end and the one that it connected to; both are None where the proxy does
    not know them or opened the connection itself (`local`, such as for a health check): the connection's own ends hold
    then. An IPv4-mapped address is given as IPv4; a Unix socket's path as host and port 0, "" for one without a name.
    `length` is the size of the header in bytes; what follows it is the client's.
    """

    source: Address | None
    destination: Address | None
    length: int
    local: bool = False


def parse(buffer: bytes | bytearray) -> ProxyHeader | None:
    """The header at the start of `buffer`, which holds what has come over a connection so far; None if more is needed.

    More than `MAX_V1` or `MAX_V2` bytes never are. The answer is the same however the bytes were cut. Fields that
    extend the header (TLVs, section 2.2) are skipped. Raises ProtocolError for what is no header: close the connection.
    """
    if buffer[:1] == _SIGNATURE[:1]:
        return _parse_v2(buffer)
    return _parse_v1(buffer)


# -- version 1: a line of text

_LINE_START = b"PROXY "
_LINE = re.compile(rb"PROXY TCP([46]) ([0-9A-Fa-f:.]+) ([0-9A-Fa-f:.]+) (0|[1-9][0-9]{0,4}) (0|[1-9][0-9]{0,4})\r\n")
_UNKNOWN = re.compile(rb"PROXY UNKNOWN(?: [^\r\n]*)?\r\n")


def _parse_v1(buffer: bytes | bytearray) -> ProxyHeader | None:
    _check_start(buffer, _LINE_START)
    newline = buffer.find(b"\n", 0, MAX_V1)
    if newline < 0:
        if len(buffer) >= MAX_V1:
            _refuse("line-too-long", f"the PROXY line does not end within {MAX_V1} bytes", MAX_V1)
        return None
    line = bytes(buffer[: newline + 1])
    if _UNKNOWN.fullmatch(line):
        return ProxyHeader(None, None, len(line))
    match = _LINE.fullmatch(line)
    if match is None:
        _refuse("line", f"{line.decode('latin-1')!a} is no PROXY line", len(_LINE_START))
    return ProxyHeader(_end(match, 2, 4), _end(match, 3, 5), len(line))


def _end(match: re.Match[bytes], host: int, port: int) -> Address:
    """One end of the connection, from two groups of a line."""
    kind = IPv4Address if match[1] == b"4" else IPv6Address
    text, number = match[host].decode("ascii"), int(match[port])
    try:
        kind(text)
    except ValueError:
        _refuse("address", f"{text} is no address of TCP{match[1].decode()}", match.start(host))
    if number > 65535:
        _refuse("port", f"{number} is no port", match.start(port))
    return Address(str(parse_ip(text)), number)


# -- version 2: bytes

_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_FIXED = 16  # bytes of signature, version and command, family and transport, and length
_LOCAL, _PROXY = 0x20, 0x21  # version 2 in the upper half, the command in the lower
_IPV4, _IPV6, _UNIX = 1, 2, 3  # the family in the upper half of its byte; 0 is not specified
_DATAGRAM = 2  # the last of the transports in the lower half; 0 is not specified
_ADDRESSES = {_IPV4: struct.Struct("!4s4sHH"), _IPV6: struct.Struct("!16s16sHH"), _UNIX: struct.Struct("!108s108s")}


def _parse_v2(buffer: bytes | bytearray) -> ProxyHeader | None:
    # Each byte is judged as soon as it is here: so nobody waits for the rest of what is refused anyway.
    _check_start(buffer, _SIGNATURE)
    if len(buffer) > 12 and buffer[12] not in (_LOCAL, _PROXY):
        _refuse("version", f"0x{buffer[12]:02x} is no version and command of the PROXY protocol", 12)
    is_local = len(buffer) > 12 and buffer[12] == _LOCAL
    family, transport = divmod(buffer[13], 16) if len(buffer) > 13 and not is_local else (0, 0)
    if family > _UNIX or transport > _DATAGRAM:
        _refuse("family", f"0x{buffer[13]:02x} is no address family and transport of the PROXY protocol", 13)
    if len(buffer) < _FIXED:
        return None
    length = _FIXED + int.from_bytes(buffer[14:16], "big")
    addresses = _ADDRESSES.get(family) if transport else None
    if addresses is not None and length < _FIXED + addresses.size:
        _refuse("length", f"the PROXY header has {length - _FIXED} bytes for addresses of {addresses.size}", 14)
    if len(buffer) < length:
        return None
    if addresses is None:
        return ProxyHeader(None, None, length, is_local)
    _check_extensions(buffer, _FIXED + addresses.size, length)
    source, destination, *ports = addresses.unpack_from(buffer, _FIXED)
    source_port, destination_port = ports or (0, 0)
    return ProxyHeader(
        Address(_host(family, source), source_port), Address(_host(family, destination), destination_port), length
    )


def _host(family: int, raw: bytes) -> str:
    if family == _UNIX:  # padded with NULs; an abstract name, which begins with one, is no path
        return raw.partition(b"\0")[0].decode("utf-8", "backslashreplace")
    return str(parse_ip(str(ip_address(raw))))


def _check_extensions(buffer: bytes | bytearray, at: int, stop: int) -> None:
    """Raises ProtocolError unless the fields from `at` on (type, length in two bytes, value) end at `stop`."""
    while at < stop:
        end = at + 3 + int.from_bytes(buffer[at + 1 : at + 3], "big")
        if end > stop:
            _refuse("extension", "a field in the PROXY header goes beyond the header's end", at)
        at = end


# -- both


def _check_start(buffer: bytes | bytearray, expected: bytes) -> None:
    """Raises ProtocolError for the first byte that differs from `expected`; fewer bytes are no fault."""
    for at, (byte, right) in enumerate(zip(buffer, expected, strict=False)):
        if byte != right:
            _refuse("start", "the connection does not begin with a PROXY header, which is expected of every one", at)


def _refuse(rule: str, message: str, offset: int) -> NoReturn:
    raise ProtocolError(400, f"proxy-{rule}", message, offset)

"""The PROXY protocol's headers, whole, byte by byte, and with a request behind them."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firstbyte.errors import ProtocolError
from firstbyte.http.request import Address
from firstbyte.wire.proxy_protocol import MAX_V1, MAX_V2, ProxyHeader, parse

SETTINGS = settings(derandomize=True, max_examples=300, deadline=None)
SIGNATURE = bytes.fromhex("0d0a0d0a000d0a515549540a")
LONGEST_V6 = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
TRAILING = (b"", b"G", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\r\n", b"PROXY UNKNOWN\r\n", b"\0" * 200)


def v2(command: int, family: int, block: bytes, length: int | None = None) -> bytes:
    return SIGNATURE + struct.pack("!BBH", command, family, len(block) if length is None else length) + block


def ipv4(source: str, destination: str, *ports: int) -> bytes:
    return IPv4Address(source).packed + IPv4Address(destination).packed + struct.pack("!HH", *ports)


def ipv6(source: str, destination: str, *ports: int) -> bytes:
    return IPv6Address(source).packed + IPv6Address(destination).packed + struct.pack("!HH", *ports)


def unix(source: bytes, destination: bytes) -> bytes:
    return source.ljust(108, b"\0") + destination.ljust(108, b"\0")


def tlv(kind: int, value: bytes) -> bytes:
    return struct.pack("!BH", kind, len(value)) + value


def outcome(data: bytes | bytearray) -> Any:
    """The header, None, or what is refused and where."""
    try:
        return parse(data)
    except ProtocolError as error:
        assert error.status == 400
        return error.rule, error.offset, str(error)


def told(data: bytes) -> Any:
    """The answer to the bytes as they come one by one, the first that is one."""
    for size in range(len(data) + 1):
        answer = outcome(data[:size])
        if answer is not None:
            return answer
    return None


def in_every_way(data: bytes) -> Any:
    """The answer, which must be the same whole, byte by byte, as a bytearray, and with more behind it."""
    answer = outcome(data)
    assert told(data) == answer
    assert outcome(bytearray(data)) == answer
    for trailing in TRAILING if answer is not None else ():
        assert outcome(data + trailing) == answer
    return answer


FOUR = ipv4("192.0.2.1", "198.51.100.2", 56324, 443)
SIX = ipv6("2001:db8::1", "2001:db8::2", 1, 65535)
ENDS = {4: (("192.0.2.1", 56324), ("198.51.100.2", 443)), 6: (("2001:db8::1", 1), ("2001:db8::2", 65535))}


@pytest.mark.parametrize(
    ("data", "source", "destination"),
    [
        (b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n", *ENDS[4]),
        (b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", *[("255.255.255.255", 65535)] * 2),
        (b"PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", *[("0.0.0.0", 0)] * 2),
        (b"PROXY TCP6 2001:db8::1 2001:DB8:0::2 1 65535\r\n", *ENDS[6]),
        (f"PROXY TCP6 {LONGEST_V6} {LONGEST_V6} 65535 65535\r\n".encode(), *[(LONGEST_V6, 65535)] * 2),
        (b"PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n", ("192.0.2.1", 1), ("::1", 2)),
        (b"PROXY UNKNOWN\r\n", None, None),
        (b"PROXY UNKNOWN 1 \xff \0 anything\r\n", None, None),
        (f"PROXY UNKNOWN {LONGEST_V6} {LONGEST_V6} 65535 65535\r\n".encode(), None, None),
        (v2(0x21, 0x11, FOUR), *ENDS[4]),
        (v2(0x21, 0x12, FOUR), *ENDS[4]),
        (v2(0x21, 0x21, SIX), *ENDS[6]),
        (v2(0x21, 0x21, ipv6("::ffff:192.0.2.1", "::1", 1, 2)), ("192.0.2.1", 1), ("::1", 2)),
        (v2(0x21, 0x31, unix(b"/run/a.sock", b"")), ("/run/a.sock", 0), ("", 0)),
        (v2(0x21, 0x32, unix(b"x" * 108, b"\0abstract")), ("x" * 108, 0), ("", 0)),
        (v2(0x21, 0x31, unix(b"/\xff", "/é".encode())), ("/\\xff", 0), ("/é", 0)),
        (v2(0x21, 0x11, FOUR + tlv(4, b"") + tlv(2, b"example.org") + tlv(0xE0, b"\xff" * 300)), *ENDS[4]),
        (v2(0x21, 0x21, SIX + tlv(0x20, b"\1\0\0\0\0" + tlv(0x21, b"TLSv1.3"))), *ENDS[6]),
        (v2(0x21, 0x11, FOUR + tlv(4, b"\0" * 2000)), *ENDS[4]),
        # not specified: what is in the block is skipped
        (v2(0x21, 0x00, b""), None, None),
        (v2(0x21, 0x00, b"\xff" * 50), None, None),
        (v2(0x21, 0x10, FOUR), None, None),
        (v2(0x21, 0x01, FOUR), None, None),
    ],
)
def test_headers(data: bytes, source: Any, destination: Any) -> None:
    assert in_every_way(data) == ProxyHeader(source, destination, len(data))


@pytest.mark.parametrize("family", [0x00, 0x11, 0x21, 0x31, 0x99, 0xFF])
@pytest.mark.parametrize("block", [b"", FOUR, b"\xff" * 7])
def test_the_proxy_s_own_connections(family: int, block: bytes) -> None:
    """Of LOCAL the family is ignored and the block skipped, whatever is in it."""
    data = v2(0x20, family, block)
    assert in_every_way(data) == ProxyHeader(None, None, len(data), local=True)


@pytest.mark.parametrize(
    "data",
    [b"", b"P", b"PROXY", b"PROXY ", b"PROXY TCP4 junk", b"PROXY " + b"x" * 100, b"\r", SIGNATURE, SIGNATURE + b"\x21"],
)
def test_more_is_needed(data: bytes) -> None:
    assert in_every_way(data) is None


@pytest.mark.parametrize(
    ("line", "rule", "offset"),
    [
        ("GET / HTTP/1.1\r\n", "start", 0),
        ("proxy TCP4 192.0.2.1 192.0.2.2 1 2\r\n", "start", 0),
        (" PROXY UNKNOWN\r\n", "start", 0),
        ("PROXX", "start", 4),
        ("PROXY\r\n", "start", 5),
        ("PROXY\tTCP4 192.0.2.1 192.0.2.2 1 2\r\n", "start", 5),
        ("PROXY  TCP4 192.0.2.1 192.0.2.2 1 2\r\n", "line", 6),
        ("PROXY \r\n", "line", 6),
        ("PROXY \n", "line", 6),
        ("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n", "line", 6),
        ("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\r\n", "line", 6),
        ("PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n", "line", 6),
        ("PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n", "line", 6),
        ("PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n", "line", 6),
        ("PROXY TCP4 192.0.2.1  192.0.2.2 1 2\r\n", "line", 6),
        ("PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n", "line", 6),
        ("PROXY TCP4 192.0.2.1 192.0.2.2 1 02\r\n", "line", 6),
        ("PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n", "line", 6),
        ("PROXY TCP4 192.0.2.1 192.0.2.2 -1 2\r\n", "line", 6),
        ("PROXY TCP4 192.0.2.1 192.0.2.2 1 123456\r\n", "line", 6),
        ("PROXY TCP5 192.0.2.1 192.0.2.2 1 2\r\n", "line", 6),
        ("PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n", "line", 6),
        ("PROXY tcp4 192.0.2.1 192.0.2.2 1 2\r\n", "line", 6),
        ("PROXY UNKNOWNX\r\n", "line", 6),
        ("PROXY UNKNOWN \n\r\n", "line", 6),
        ("PROXY UNKNOWN \r \r\n", "line", 6),
        ("PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n", "line", 6),
        ("PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n", "port", 33),
        ("PROXY TCP4 192.0.2.1 192.0.2.2 99999 1\r\n", "port", 31),
        ("PROXY TCP4 192.0.2.256 192.0.2.2 1 2\r\n", "address", 11),
        ("PROXY TCP4 192.0.02.1 192.0.2.2 1 2\r\n", "address", 11),
        ("PROXY TCP4 192.0.2 192.0.2.2 1 2\r\n", "address", 11),
        ("PROXY TCP4 192.0.2.1 ::1 1 2\r\n", "address", 21),
        ("PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n", "address", 11),
        ("PROXY TCP6 ::1 1::2::3 1 2\r\n", "address", 15),
        ("PROXY TCP6 12345::1 ::1 1 2\r\n", "address", 11),
        ("PROXY UNKNOWN " + "x" * 92 + "\r\n", "line-too-long", MAX_V1),
        ("PROXY UNKNOWN " + "x" * 93, "line-too-long", MAX_V1),
    ],
)
def test_lines_that_are_refused(line: str, rule: str, offset: int) -> None:
    assert in_every_way(line.encode())[:2] == (f"proxy-{rule}", offset)


def test_the_longest_line() -> None:
    data = b"PROXY UNKNOWN " + b"x" * 91 + b"\r\n"
    assert len(data) == MAX_V1 == 107
    assert in_every_way(data) == ProxyHeader(None, None, 107)


@pytest.mark.parametrize(
    ("data", "rule", "offset"),
    [
        (b"\r\n\r\n\0\r\nQUIX", "start", 10),
        (b"\r\nPROXY", "start", 2),
        (b"\r\n\r\nGET / HTTP/1.1", "start", 4),
        (v2(0x11, 0x11, FOUR), "version", 12),
        (v2(0x31, 0x11, FOUR), "version", 12),
        (v2(0x22, 0x11, FOUR), "version", 12),
        (v2(0x2F, 0x11, FOUR), "version", 12),
        (v2(0x21, 0x41, FOUR), "family", 13),
        (v2(0x21, 0x13, FOUR), "family", 13),
        (v2(0x21, 0x1F, FOUR), "family", 13),
        (v2(0x21, 0x11, FOUR[:-1]), "length", 14),
        (v2(0x21, 0x11, b""), "length", 14),
        (v2(0x21, 0x11, FOUR, 11), "length", 14),
        (v2(0x21, 0x21, FOUR), "length", 14),
        (v2(0x21, 0x31, SIX), "length", 14),
        (v2(0x21, 0x11, FOUR + b"\1"), "extension", 28),
        (v2(0x21, 0x11, FOUR + b"\1\0"), "extension", 28),
        (v2(0x21, 0x11, FOUR + b"\1\0\1"), "extension", 28),
        (v2(0x21, 0x11, FOUR + tlv(4, b"xx") + b"\1\xff\xff" + b"\0" * 100), "extension", 33),
    ],
)
def test_binary_headers_that_are_refused(data: bytes, rule: str, offset: int) -> None:
    assert in_every_way(data)[:2] == (f"proxy-{rule}", offset)


def test_the_longest_header() -> None:
    data = v2(0x20, 0, b"\0" * 65535)
    assert len(data) == MAX_V2
    assert outcome(data[:-1]) is None
    assert outcome(data + b"x") == ProxyHeader(None, None, MAX_V2, local=True)


def test_what_is_refused_says_why() -> None:
    with pytest.raises(ProtocolError, match="does not begin with a PROXY header"):
        parse(b"GET / HTTP/1.1\r\n")
    with pytest.raises(ProtocolError, match="goes beyond the header's end"):
        parse(v2(0x21, 0x11, FOUR + b"\1\0\3"))


# -- for any addresses and any bytes

PORTS = st.tuples(st.integers(0, 65535), st.integers(0, 65535))


@given(st.ip_addresses(v=4), st.ip_addresses(v=4), PORTS)
@SETTINGS
def test_any_ipv4_addresses(source: Any, destination: Any, ports: tuple[int, int]) -> None:
    expected = Address(str(source), ports[0]), Address(str(destination), ports[1])
    for data in (
        f"PROXY TCP4 {source} {destination} {ports[0]} {ports[1]}\r\n".encode(),
        v2(0x21, 0x11, ipv4(str(source), str(destination), *ports)),
    ):
        assert parse(data) == (*expected, len(data), False)


@given(st.ip_addresses(v=6), st.ip_addresses(v=6), PORTS)
@SETTINGS
def test_any_ipv6_addresses(source: Any, destination: Any, ports: tuple[int, int]) -> None:
    for data in (
        f"PROXY TCP6 {source} {destination} {ports[0]} {ports[1]}\r\n".encode(),
        f"PROXY TCP6 {source.exploded} {destination.exploded.upper()} {ports[0]} {ports[1]}\r\n".encode(),
        v2(0x21, 0x21, ipv6(str(source), str(destination), *ports)),
    ):
        header = parse(data)
        assert header is not None
        assert header.length == len(data)
        for end, ip, port in ((header.source, source, ports[0]), (header.destination, destination, ports[1])):
            assert end is not None
            assert (ip_address(end.host), end.port) == (ip.ipv4_mapped or ip, port)


WHOLE = [
    b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\nGET",
    b"PROXY UNKNOWN\r\nGET",
    v2(0x21, 0x11, FOUR + tlv(2, b"example.org") + tlv(4, b"")) + b"GET",
    v2(0x21, 0x21, SIX + tlv(2, b"example.org")) + b"GET",
    v2(0x20, 0, b"") + b"GET",
]


@st.composite
def near_headers(draw: st.DrawFn) -> bytes:
    """A header with a few bytes changed."""
    data = bytearray(draw(st.sampled_from(WHOLE)))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data) - 1))
        data[at : at + draw(st.integers(0, 2))] = draw(st.one_of(st.binary(max_size=2), st.sampled_from([b" ", b"\n"])))
    return bytes(data)


@given(st.one_of(near_headers(), st.binary(max_size=120), st.binary(max_size=120).map(SIGNATURE.__add__)))
@SETTINGS
def test_any_bytes_have_one_answer_however_they_come(data: bytes) -> None:
    answer = in_every_way(data)
    if isinstance(answer, ProxyHeader):
        assert 0 < answer.length <= len(data)
        assert (answer.source is None) == (answer.destination is None)


@given(st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=30)), max_size=6), st.integers(1, 40))
@SETTINGS
def test_extensions_end_where_the_header_does(fields: list[tuple[int, bytes]], cut: int) -> None:
    block = FOUR + b"".join(tlv(*field) for field in fields)
    assert parse(v2(0x21, 0x11, block)) == (*ENDS[4], 16 + len(block), False)
    starts = {len(FOUR)}
    for _, value in fields:
        starts.add(max(starts) + 3 + len(value))
    shorter = block[:-cut]
    if len(shorter) >= len(FOUR) and len(shorter) not in starts:
        assert outcome(v2(0x21, 0x11, shorter))[0] == "proxy-extension"

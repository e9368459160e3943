"""How lists of networks are written, and the fields in which proxies name a client."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstbyte.errors import ConfigurationError
from firstbyte.http.forwarded import (
    ForwardedElement,
    Networks,
    addresses_from_right,
    forwarded_from_right,
    parse_node,
)
from firstbyte.http.request import Address

# -- networks


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("10.0.0.0/8", "10.0.0.0 10.255.255.255 ::ffff:10.1.2.3 ::ffff:a01:203", "11.0.0.0 9.255.255.255 ::a00:1 unix"),
        ("192.0.2.1", "192.0.2.1 ::ffff:192.0.2.1", "192.0.2.0 192.0.2.2"),
        ("192.0.2.0/255.255.255.0", "192.0.2.7", "192.0.3.7"),
        ("::1", "::1 0:0:0:0:0:0:0:1", "::2 127.0.0.1 0.0.0.1 ::1.1.1.1"),
        ("2001:db8::/32", "2001:DB8::5 2001:db8:ffff::", "2001:db9::"),
        ("fe80::/10", "fe80::1 fe80::1%eth0", "fec0::"),
        ("::ffff:10.0.0.0/104", "10.1.1.1 ::ffff:10.1.1.1", "11.1.1.1 ::1"),
        ("::ffff:0:0/96", "1.2.3.4", "::1"),
        ("::/0", "::1 2001:db8::", "1.2.3.4 ::ffff:1.2.3.4 unix"),
        ("0.0.0.0/0", "1.2.3.4 ::ffff:1.2.3.4", "::1 unix"),
        ("unix", "unix", "1.2.3.4 ::1"),
        ("*", "1.2.3.4 ::1 unix", "unknown _hidden 1.2.3 1.2.3.4:5"),
        (" 10.0.0.0/8 ,\t::1 ,unix", "10.1.1.1 ::1 unix", "1.2.3.4"),
        ("", "", "1.2.3.4 ::1 unix"),
    ],
)
def test_networks(text: str, inside: str, outside: str) -> None:
    networks = Networks.parse(text)
    for _ in range(2):  # the second time from what it remembers
        assert [address for address in inside.split() if address not in networks] == []
        assert [address for address in [*outside.split(), "", "x"] if address in networks] == []


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("10.0.0.0/8,,::1", "''"),
        (",", "''"),
        ("::1,10.0.0.0/33", "'10.0.0.0/33'"),
        ("10.0.0.1/8", "'10.0.0.1/8' is an address in a network: write 10.0.0.0/8"),
        ("10.0.0/8", "'10.0.0/8'"),
        ("010.0.0.1", "'010.0.0.1'"),
        ("localhost", "'localhost'"),
        ("fe80::1%eth0", "leave the zone out"),
        ("[::1]", r"'\[::1\]'"),
        ("10.0.0.0/8 ::1", "'10.0.0.0/8 ::1'"),
        ("Unix", "'Unix'"),
    ],
)
def test_what_is_no_list_of_networks(text: str, named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        Networks.parse(text)


def test_what_networks_remember_is_bounded() -> None:
    networks = Networks.parse("10.0.0.0/8,unix")
    for number in range(5000):
        assert f"10.0.{number >> 8}.{number & 255}" in networks
    assert len(networks._known) <= 1024
    assert "_" * 10_000 not in networks
    assert max(map(len, networks._known)) < 64
    assert "unix" in networks


@given(st.ip_addresses(), st.ip_addresses(), st.integers(0, 32))
def test_networks_are_those_of_ipaddress(address: Any, other: Any, prefix: int) -> None:
    from ipaddress import ip_network

    network = ip_network(f"{other}/{prefix}", strict=False)
    mapped = getattr(address, "ipv4_mapped", None) or address
    assert (str(address) in Networks.parse(str(network))) == (mapped in network)


# -- grammar


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("192.0.2.1", "192.0.2.1", 0),
        ("192.0.2.1:4711", "192.0.2.1", 4711),
        ("[2001:DB8::17]", "2001:db8::17", 0),
        ("[2001:db8:0::17]:4711", "2001:db8::17", 4711),
        ("[::ffff:192.0.2.1]:1", "192.0.2.1", 1),
        ("unknown", "unknown", 0),
        ("UNKNOWN", "unknown", 0),
        ("unknown:80", "unknown", 80),
        ("_SEVKISEK", "_SEVKISEK", 0),
        ("_gazonk:_a.b-c", "_gazonk", 0),
        ("192.0.2.1:_hidden", "192.0.2.1", 0),
    ],
)
def test_nodes(text: str, host: str, port: int) -> None:
    assert parse_node(text) == (host, port)


@pytest.mark.parametrize(
    "text",
    [
        *("", "2001:db8::17", "[192.0.2.1", "192.0.2", "192.0.2.256", "192.0.02.1", "192.0.2.1:", "192.0.2.1:65536"),
        *("192.0.2.1:123456", "192.0.2.1:-1", "192.0.2.1:x", "[::1%eth0]", "[::1]x", "[:::]", "[]", "example.org"),
        *("_", "_a b", "unknown_", "192.0.2.1 ", "192.0.2.1\n", "１92.0.2.1", "unix", "*"),
    ],
)
def test_what_is_no_node(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no address|over 65535"):
        parse_node(text)


def element(**parts: Any) -> ForwardedElement:
    return ForwardedElement(**parts)


@pytest.mark.parametrize(
    ("value", "elements"),
    [
        # the examples of RFC 7239 sections 4, 6 and 7
        ('for="_gazonk"', [element(client=("_gazonk", 0))]),
        ('For="[2001:db8:cafe::17]:4711"', [element(client=("2001:db8:cafe::17", 4711))]),
        (
            "for=192.0.2.60;proto=http;by=203.0.113.43",
            [element(client=("192.0.2.60", 0), scheme="http", by=("203.0.113.43", 0))],
        ),
        ("for=1.2.3.4, for=198.51.100.17", [element(client=("198.51.100.17", 0)), element(client=("1.2.3.4", 0))]),
        (
            'for=192.0.2.43,for="[2001:db8:cafe::17]",for=unknown',
            [
                element(client=("unknown", 0)),
                element(client=("2001:db8:cafe::17", 0)),
                element(client=("192.0.2.43", 0)),
            ],
        ),
        (
            "for=_hidden, for=_SEVKISEK;by=_x",
            [element(client=("_SEVKISEK", 0), by=("_x", 0)), element(client=("_hidden", 0))],
        ),
        ("PROTO=HTTPS;Host=example.org", [element(scheme="https", host="example.org")]),
        (
            'host="example.org:8000";for="192.0.2.1:80"',
            [element(host="example.org:8000", client=("192.0.2.1", 80))],
        ),
        ("for=192.0.2.1;secret=\"a,b;c=\\\"d\\\\\";x=';'", None),
        ('for=192.0.2.1;secret="a,b;c=\\"d\\\\"', [element(client=("192.0.2.1", 0))]),
        ('for=192.0.2.1;a="\\,for=1.1.1.1"', [element(client=("192.0.2.1", 0))]),
        ("for=\"192.0.2.\\1\"", [element(client=("192.0.2.1", 0))]),
        (" , ,for=192.0.2.1 ,\t,", [element(client=("192.0.2.1", 0))]),
        (";for=192.0.2.1;;", [element(client=("192.0.2.1", 0))]),
        ("for=192.0.2.1 ; proto=http", [element(client=("192.0.2.1", 0), scheme="http")]),
        ("", []),
        ("by=unknown;ext=1", [element(by=("unknown", 0))]),
    ],
)  # fmt: skip
def test_forwarded(value: str, elements: list[ForwardedElement] | None) -> None:
    if elements is None:
        with pytest.raises(ValueError, match="no list"):
            list(forwarded_from_right(value))
    else:
        assert list(forwarded_from_right(value)) == elements


@pytest.mark.parametrize(
    "value",
    [
        "for",
        "for=",
        'for=""',
        "for = 192.0.2.1",
        "for=192.0.2.1;for=192.0.2.2",
        "for=192.0.2.1;FOR=192.0.2.1",
        "for=[::1]",  # a bracket must be quoted
        "for=2001:db8::1",
        "for=192.0.2.1:80",  # a colon too
        'for="2001:db8::1"',
        "for='192.0.2.1'",
        'for="192.0.2.1',
        'for=192.0.2.1"',
        'for="192.0.2.1"x',
        '"for=192.0.2.1"',
        'for="192.0.2.1\\"',
        "192.0.2.1",
        "proto=ftp",
        'proto=""',
        'host="a b"',
        'host="a@b"',
        'host="a/b"',
        "by=x",
        "for=192.0.2.1 proto=http",
        "for=192.0.2.1&proto=http",
    ],
)
def test_malformed_elements(value: str) -> None:
    with pytest.raises(ValueError, match="is n"):
        list(forwarded_from_right(value))


@pytest.mark.parametrize(
    ("value", "hosts"),
    [
        ("192.0.2.1", ["192.0.2.1"]),
        ("192.0.2.1, 198.51.100.2:8080", ["198.51.100.2", "192.0.2.1"]),
        ("2001:db8::1,[2001:db8::2],[2001:db8::3]:80", ["2001:db8::3", "2001:db8::2", "2001:db8::1"]),
        ("unknown, 192.0.2.1", ["192.0.2.1", "unknown"]),
        (",,192.0.2.1, ,", ["192.0.2.1"]),
        ("", []),
    ],
)
def test_x_forwarded_for(value: str, hosts: list[str]) -> None:
    assert [address.host for address in addresses_from_right(value)] == hosts


TOKENS = st.text('abc=;,\\"[]:. ', max_size=12)


@given(st.lists(st.tuples(st.integers(1, 254), st.one_of(st.none(), TOKENS)), max_size=5))
def test_what_is_written_by_the_rules_is_read_from_the_right(given: list[tuple[int, str | None]]) -> None:
    value = ", ".join(
        f"for=192.0.2.{last}" + ("" if text is None else ';x="' + text.replace("\\", "\\\\").replace('"', '\\"') + '"')
        for last, text in given
    )
    read = [element.client for element in forwarded_from_right(value)]
    assert read == [Address(f"192.0.2.{last}", 0) for last, _ in reversed(given)]

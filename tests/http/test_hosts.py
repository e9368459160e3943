"""The allow-list of hosts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstbyte.errors import ConfigurationError
from firstbyte.http.hosts import Hosts, parse_host

HOSTS = Hosts.parse("example.org, *.Example.COM ,localhost,127.0.0.1,::1,[2001:DB8::1],bücher.example,r2d2")


@pytest.mark.parametrize(
    "host",
    [
        "example.org",
        "EXAMPLE.org",
        "example.org.",
        "example.org:8000",
        "example.org.:8000",
        "example.org:",
        "a.example.com",
        "a.b.example.com:443",
        "A.EXAMPLE.COM.",
        "localhost",
        "LocalHost:1",
        "127.0.0.1",
        "127.0.0.1:80",
        "[::1]",
        "[::1]:8000",
        "[0:0:0:0:0:0:0:1]",
        "[2001:db8:0::1]",
        "xn--bcher-kva.example",
        "XN--BCHER-KVA.example",
        "bücher.example",
        "r2d2",
    ],
)
def test_hosts_that_are_ours(host: str) -> None:
    assert HOSTS.allows(host)
    assert HOSTS.allows(host)  # from what it remembers


@pytest.mark.parametrize(
    "host",
    [
        "",
        ".",
        "example.com",  # only what is below it
        ".example.com",
        "evilexample.com",
        "evilexample.org",
        "example.org.evil.net",
        "a.example.org",
        "example.org..",
        "example.org:x",
        "example.org:0",
        "example.org:65536",
        "example.org:80:80",
        "example.org@evil.net",
        "evil.net@example.org",
        "evil.net/example.org",
        "evil.net?.example.com",
        "evil.net#.example.com",
        "evil.net\\.example.com",
        "evil.net,example.org",
        "example.org evil.net",
        " example.org",
        "example.org\r\nX: y",
        "*.example.com",
        "::1",
        "[::1",
        "[::1]x",
        "[::1%25lo]",
        "[::2]",
        "127.1",
        "0x7f000001",
        "127.0.0.01",
        "a.127.0.0.1",
        "%6cocalhost",
    ],
)
def test_hosts_that_are_not(host: str) -> None:
    assert not HOSTS.allows(host)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "''"),
        ("a,,b", "''"),
        ("a, b c", "'b c'"),
        ("*", r"'\*'"),
        ("a.*.b", "no domain name"),
        ("*a.org", r"'\*a.org'"),
        ("*.127.0.0.1", "below an address"),
        ("*.::1", "below an address"),
        ("example.org:8000", "leave it out"),
        ("[::1]:8000", "leave it out"),
        ("http://example.org", "more than a host"),
        ("1::2::3", "1::2::3"),
        ("a..b", "a..b"),
    ],
)
def test_what_is_no_list_of_hosts(text: str, named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        Hosts.parse(text)


def test_what_it_remembers_is_bounded() -> None:
    hosts = Hosts.parse("*.example.org")
    for number in range(5000):
        assert hosts.allows(f"h{number}.example.org")
    assert len(hosts._known) <= 1024
    assert not hosts.allows("h" * 10_000)
    assert max(map(len, hosts._known)) < 300


@pytest.mark.parametrize(
    ("text", "host"),
    [("A.b.:1", "a.b"), ("[0:0::DB8]:1", "::db8"), ("1.2.3.4:5", "1.2.3.4"), ("web1", "web1")],
)
def test_a_host_as_it_compares(text: str, host: str) -> None:
    assert parse_host(text) == host


@given(st.text(max_size=40))
def test_any_text_is_allowed_or_not(text: str) -> None:
    assert HOSTS.allows(text) in (True, False)


@given(st.text("abc.-:[]@/*\\%0", max_size=12))
def test_nobody_gets_under_a_name_without_its_dot(prefix: str) -> None:
    """Whatever stands before a name that is not ours does not make it ours."""
    assert not HOSTS.allows(prefix + "xexample.org")


def test_its_repr() -> None:
    assert repr(Hosts.parse("b,*.a,a")) == "<Hosts a,b,*.a>"

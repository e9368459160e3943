"""What proxies say of the client, and what a client makes up."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstbyte.errors import ConfigurationError, ProtocolError
from firstbyte.http.forwarded import (
    FIELDS,
    Networks,
    TrustedProxies,
)
from firstbyte.http.request import Address, Request

NETWORKS = Networks.parse("10.0.0.0/8,::1,unix")
PROXIES = TrustedProxies(NETWORKS, FIELDS)
PROXY = Address("10.0.0.1", 40000)


def asked(*fields: tuple[str, str], client: Address | None = PROXY, target: str = "/a?b") -> Request:
    return Request.build("GET", target, [("Host", "inner:8000"), *fields], client=client)


def forwarded(*values: str) -> list[tuple[str, str]]:
    return [("Forwarded", value) for value in values]


def x_for(*values: str) -> list[tuple[str, str]]:
    return [("X-Forwarded-For", value) for value in values]


def seen(*fields: tuple[str, str], proxies: TrustedProxies = PROXIES, **options: Any) -> tuple[str, str, str | None]:
    """The client, the URL, and what is told to the log."""
    request = asked(*fields, **options)
    headers = request.headers.items()
    told = proxies.apply(request)
    assert request.headers.items() == headers
    return str(request.client), str(request.url), told


UNTOUCHED = ("10.0.0.1:40000", "http://inner:8000/a?b", None)


# -- who is believed


@pytest.mark.parametrize("client", [Address("192.0.2.9", 5), Address("::2", 5), None])
def test_from_others_nothing_is_read(client: Address | None) -> None:
    request = asked(*forwarded("for=6.6.6.6;proto=https;host=evil"), *x_for("junk"), client=client)
    assert PROXIES.apply(request) is None
    assert (request.client, request.scheme, request.forwarded_host) == (client, "http", None)


@pytest.mark.parametrize("host", ["10.1.1.1", "::ffff:10.1.1.1", "::1", "unix"])
def test_trusted_peers(host: str) -> None:
    assert seen(*x_for("192.0.2.1"), client=Address(host, 0))[0] == "192.0.2.1"


def test_a_trusted_peer_that_says_nothing() -> None:
    assert seen() == UNTOUCHED


@pytest.mark.parametrize(
    ("chain", "client"),
    [
        (["192.0.2.1"], "192.0.2.1"),
        (["192.0.2.1", "10.0.0.2"], "192.0.2.1"),
        (["192.0.2.1", "10.0.0.3", "10.0.0.2"], "192.0.2.1"),
        (["6.6.6.6", "192.0.2.1", "10.0.0.2"], "192.0.2.1"),
        (["10.6.6.6", "192.0.2.1", "10.0.0.2"], "192.0.2.1"),  # a spoofed proxy
        (["::1", "192.0.2.1"], "192.0.2.1"),
        (["192.0.2.1", "192.0.2.2"], "192.0.2.2"),
        (["2001:db8::1", "::1"], "2001:db8::1"),
        (["192.0.2.1", "::ffff:10.0.0.2"], "192.0.2.1"),
        (["192.0.2.1", "::ffff:192.0.2.2"], "192.0.2.2"),
        (["10.0.0.4", "10.0.0.3"], "10.0.0.4"),  # one of us asks
        (["192.0.2.1", "unknown"], "unknown"),
        (["192.0.2.1", "unknown", "10.0.0.2"], "unknown"),
        (["unknown", "192.0.2.1"], "192.0.2.1"),
    ],
)
def test_chains(chain: list[str], client: str) -> None:
    """The same answer in one line, in a line for each, and in both families of fields."""
    quoted = [f'for="[{node}]"' if ":" in node else f"for={node}" for node in chain]
    for fields in (x_for(",".join(chain)), x_for(*chain), forwarded(", ".join(quoted)), forwarded(*quoted)):
        assert seen(*fields) == (client, "http://inner:8000/a?b", None)


JUNK = [
    *("junk", "", ",,,", "10.0.0.1:99999", "'", "\\", "=", ";;", "1.2.3.4 ", "a b", "6.6.6.6", "<script>", "\xff\x80"),
    *('"', 'for="', 'for="\\', 'for="a, for=6.6.6.6', 'for=6.6.6.6;host="', "for=6.6.6.6;host=evil", 'x="\\"', '\\"'),
    *('for="6.6.6.6"', 'host="evil";', "proto=https", "for=_hidden;proto=https", "for=10.0.0.9;host=evil"),
]


@pytest.mark.parametrize("junk", JUNK)
@pytest.mark.parametrize("joined", [True, False])
def test_what_the_client_writes_changes_nothing(junk: str, joined: bool) -> None:
    """The proxy appends to it, to the same line or in one of its own."""
    ends = "for=192.0.2.1;host=example.org"
    values = [f"{junk}, {ends}"] if joined else [junk, ends]
    assert seen(*forwarded(*values)) == ("192.0.2.1", "http://example.org/a?b", None)
    values = [f"{junk}, 192.0.2.1"] if joined else [junk, "192.0.2.1"]
    assert seen(*x_for(*values)) == ("192.0.2.1", "http://inner:8000/a?b", None)


LATIN = st.text(st.characters(max_codepoint=255, exclude_categories=["Cc"]), max_size=60)
NASTY = st.text('",\\=;for 10.0.0.9_unknown:[]', max_size=40)


@given(st.one_of(LATIN, NASTY), st.one_of(st.none(), LATIN))
def test_no_text_of_the_client_changes_anything(junk: str, more: str | None) -> None:
    ends = 'for=192.0.2.1;proto=https;host="example.org:444";x="a, for=6.6.6.6\\", \\\\", for="10.0.0.2:1"'
    lines = [ends] if more is None else [more, ends]
    lines[0] = f"{junk},{lines[0]}"
    assert seen(*forwarded(*lines)) == ("192.0.2.1", "https://example.org:444/a?b", None)
    lines = ["192.0.2.1:5, 10.0.0.2"] if more is None else [more, "192.0.2.1:5, 10.0.0.2"]
    lines[0] = f"{junk},{lines[0]}"
    assert seen(*x_for(*lines)) == ("192.0.2.1:5", "http://inner:8000/a?b", None)


@pytest.mark.parametrize("node", ["192.0.2.1", "10.0.0.2"])
def test_ten_thousand_elements(node: str) -> None:
    many = 10_000
    expected = ("192.0.2.1", "http://inner:8000/a?b", None)
    for fields in (
        x_for("192.0.2.1," + ",".join([node] * many)),
        x_for("192.0.2.1", *[node] * many),
        forwarded("for=192.0.2.1, " + ", ".join([f"for={node}"] * many)),
        forwarded("for=192.0.2.1;" + ";".join(f"x{number}={node}" for number in range(many))),
        forwarded('for=192.0.2.1;x="' + '\\"' * many + '"'),
        forwarded('"' * many + ",for=192.0.2.1"),
        forwarded("for=192.0.2.1" + "," * many),
        x_for("192.0.2.1" + " ," * many),
    ):
        assert seen(*fields) == expected


def test_everyone_is_trusted() -> None:
    proxies = TrustedProxies(Networks.parse("*"))
    assert seen(*x_for("192.0.2.1, 192.0.2.2"), proxies=proxies, client=Address("198.51.100.1", 1))[0] == "192.0.2.1"
    assert seen(*x_for("192.0.2.1, unknown, 192.0.2.2"), proxies=proxies)[0] == "unknown"


# -- scheme, host, port, prefix


@pytest.mark.parametrize(
    ("value", "url"),
    [
        ("for=192.0.2.1;proto=https;host=example.org", "https://example.org/a?b"),
        ("for=192.0.2.1;proto=https", "https://inner:8000/a?b"),
        ("for=192.0.2.1;proto=WSS", "https://inner:8000/a?b"),
        ("proto=https;host=example.org", "https://example.org/a?b"),
        ('for=192.0.2.1;host="[2001:db8::1]:8443";proto=https', "https://[2001:db8::1]:8443/a?b"),
        # the outermost of those that are trusted tells what the client sees
        ("for=192.0.2.1;proto=https;host=example.org, for=10.0.0.2;proto=http;host=x", "https://example.org/a?b"),
        ("for=192.0.2.1, for=10.0.0.2;proto=https;host=example.org", "https://example.org/a?b"),
        ("for=192.0.2.1;proto=https, for=10.0.0.2;proto=http;host=example.org", "https://example.org/a?b"),
        ("for=6.6.6.6;proto=https;host=evil, for=192.0.2.1", "http://inner:8000/a?b"),
        # who says nothing of the one before ends the chain
        ("for=6.6.6.6;proto=https;host=evil, proto=http", "http://inner:8000/a?b"),
        ("for=6.6.6.6;proto=https;host=evil, for=10.0.0.3, by=10.0.0.1, for=10.0.0.2", "http://inner:8000/a?b"),
    ],
)
def test_scheme_and_host_of_forwarded(value: str, url: str) -> None:
    assert seen(*forwarded(value))[1:] == (url, None)


@pytest.mark.parametrize(
    ("fields", "url"),
    [
        ({"Proto": "https"}, "https://inner:8000/a?b"),
        ({"Proto": "HTTPS", "Host": "example.org"}, "https://example.org/a?b"),
        ({"Proto": "wss"}, "https://inner:8000/a?b"),
        ({"Host": "example.org:8443"}, "http://example.org:8443/a?b"),
        ({"Host": "example.org", "Port": "8443"}, "http://example.org:8443/a?b"),
        ({"Host": "example.org", "Port": "443", "Proto": "https"}, "https://example.org/a?b"),
        ({"Host": "example.org", "Port": "443"}, "http://example.org:443/a?b"),
        ({"Host": "example.org:1", "Port": "2"}, "http://example.org:1/a?b"),
        ({"Host": "[2001:db8::1]", "Port": "2"}, "http://[2001:db8::1]:2/a?b"),
        ({"Port": "2"}, "http://inner:8000/a?b"),  # Host has one
        ({"Prefix": "/api"}, "http://inner:8000/api/a?b"),
        ({"Prefix": "/api/v%201/"}, "http://inner:8000/api/v%201/a?b"),
        ({"Prefix": "/"}, "http://inner:8000/a?b"),
        # lists: each proxy adds its own at the right
        ({"Proto": "http, https"}, "https://inner:8000/a?b"),
        ({"Host": "evil, example.org"}, "http://example.org/a?b"),
        ({"For": "6.6.6.6, 192.0.2.1", "Proto": "https, http"}, "http://inner:8000/a?b"),
        ({"For": "192.0.2.1, 10.0.0.2", "Proto": "https, http"}, "https://inner:8000/a?b"),
        ({"For": "192.0.2.1, 10.0.0.2", "Proto": "https"}, "https://inner:8000/a?b"),
        ({"For": "192.0.2.1, 10.0.0.2", "Host": "evil, example.org, x"}, "http://example.org/a?b"),
        ({"Proto": " , ,"}, "http://inner:8000/a?b"),
    ],
)
def test_scheme_host_port_and_prefix_of_x_forwarded(fields: dict[str, str], url: str) -> None:
    assert seen(*((f"X-Forwarded-{name}", value) for name, value in fields.items()))[1:] == (url, None)


def test_a_port_for_a_host_without_one() -> None:
    request = Request.build("GET", "/", {"Host": "example.org", "X-Forwarded-Port": "8443"}, client=PROXY)
    assert PROXIES.apply(request) is None
    assert (request.host, str(request.url)) == ("example.org:8443", "http://example.org:8443/")
    request = Request.build("GET", "/", {"X-Forwarded-Port": "8443"}, client=PROXY, minor=0)
    assert PROXIES.apply(request) is None
    assert request.host == ""


def test_the_prefix_is_no_part_of_the_path() -> None:
    request = asked(("X-Forwarded-Prefix", "/api"))
    assert PROXIES.apply(request) is None
    assert (request.root_path, request.path, request.target) == ("/api", "/a", "/api/a?b")
    request = Request.build("OPTIONS", "*", {"X-Forwarded-Prefix": "/api"}, client=PROXY)
    assert PROXIES.apply(request) is None
    assert (request.root_path, request.target) == ("", "*")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Proto", "ftp"),
        ("Proto", "https://"),
        ("Host", "a b"),
        ("Host", "evil@example.org"),
        ("Host", "example.org/evil"),
        ("Host", "example.org\\evil"),
        ("Host", "example.org:99999"),
        ("Port", "0"),
        ("Port", "65536"),
        ("Port", "-1"),
        ("Port", "²"),
        ("Prefix", "//evil.org"),
        ("Prefix", "/a//b"),
        ("Prefix", "api"),
        ("Prefix", "/a/../b"),
        ("Prefix", "/a/%2E%2e/b"),
        ("Prefix", "/a/."),
        ("Prefix", "/a%"),
        ("Prefix", "/a?b"),
        ("Prefix", "/a\\b"),
        ("Prefix", "https://evil.org"),
    ],
)
def test_a_malformed_field_is_ignored_and_the_others_are_not(name: str, value: str) -> None:
    """Or a client could turn off what the proxy says of it with a field that the proxy does not write."""
    client, url, told = seen(*x_for("192.0.2.1"), (f"X-Forwarded-{name}", value))
    assert (client, url) == ("192.0.2.1", "http://inner:8000/a?b")
    assert told is not None
    assert told.startswith(f"X-Forwarded-{name} is ignored: ")


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        (
            forwarded('for=192.0.2.1;proto=https;host="a@b"'),
            "Forwarded from 10.0.0.1:40000 is ignored: 'a@b' is no host",
        ),
        (forwarded("for=192.0.2.1, for=10.0.0.2:80"), "Forwarded from 10.0.0.1:40000 is ignored: 'for=10.0.0.2:80' is"),
        (forwarded("for=192.0.2.1, for=10.0.0.2, junk"), "Forwarded from 10.0.0.1:40000 is ignored: 'junk'"),
        (forwarded("for=2001:db8::1;proto=https"), "Forwarded from 10.0.0.1:40000 is ignored"),
        (forwarded("junk, for=10.0.0.3;proto=https;host=a"), "Forwarded from 10.0.0.1:40000 is ignored: 'junk'"),
        (x_for("192.0.2.1, junk"), "X-Forwarded-For from 10.0.0.1:40000 is ignored: 'junk' is no address"),
        (x_for("192.0.2.1, junk, 10.0.0.2"), "X-Forwarded-For from 10.0.0.1:40000 is ignored: 'junk' is no address"),
        (x_for("192.0.2.1, 10.0.0.2, 10.0.0.2:x"), "X-Forwarded-For from 10.0.0.1:40000 is ignored"),
    ],
)
def test_a_malformed_word_of_a_trusted_proxy_is_ignored_as_a_whole(fields: Any, told: str) -> None:
    client, url, said = seen(*fields)
    assert (client, url) == UNTOUCHED[:2]
    assert said is not None
    assert said.startswith(told)


def test_what_is_told_is_short_and_one_line() -> None:
    _, _, told = seen(*forwarded("x\x85\x1b[31m".replace("\x1b", "") + "y" * 10_000))
    assert told is not None
    assert len(told) < 200
    assert told.isascii()
    assert told.isprintable()


# -- both families


@pytest.mark.parametrize(
    ("newer", "older"),
    [
        ("for=192.0.2.1", {"For": "192.0.2.1"}),
        ("for=192.0.2.1;proto=https", {"For": "192.0.2.1", "Proto": "https"}),
        ('for="192.0.2.1:99";host="INNER:8000"', {"For": "192.0.2.1"}),
        ("for=6.6.6.6;proto=https, for=192.0.2.1;proto=http", {"For": "junk, 192.0.2.1"}),
    ],
)
def test_two_families_that_agree(newer: str, older: dict[str, str]) -> None:
    client, _, told = seen(*forwarded(newer), *((f"X-Forwarded-{name}", value) for name, value in older.items()))
    assert client.startswith("192.0.2.1")
    assert told is None


@pytest.mark.parametrize(
    ("newer", "older"),
    [
        ("for=6.6.6.6", {"For": "192.0.2.1"}),  # the client's own Forwarded through a proxy that does not know it
        ("for=192.0.2.1;proto=https", {"For": "192.0.2.1"}),
        ("for=192.0.2.1;host=evil", {"For": "192.0.2.1"}),
        ("for=192.0.2.1", {"For": "6.6.6.6"}),
        ("for=192.0.2.1", {"For": "192.0.2.1", "Proto": "https"}),
        ("for=192.0.2.1", {"For": "192.0.2.1", "Host": "evil"}),
        ("for=192.0.2.1", {"Proto": "https"}),
        ("junk", {"For": "192.0.2.1"}),
        ("for=192.0.2.1", {"For": "junk"}),
        ("for=192.0.2.1", {"For": "192.0.2.1", "Proto": "junk"}),
    ],
)
def test_two_families_that_contradict_each_other_are_refused(newer: str, older: dict[str, str]) -> None:
    request = asked(*forwarded(newer), *((f"X-Forwarded-{name}", value) for name, value in older.items()))
    with pytest.raises(ProtocolError, match=r"Forwarded.*X-Forwarded-") as caught:
        PROXIES.apply(request)
    assert (caught.value.status, caught.value.rule) == (400, "forwarded-contradiction")
    assert (request.client, request.scheme, request.forwarded_host) == (PROXY, "http", None)


def test_a_contradiction_says_what_to_do() -> None:
    with pytest.raises(ProtocolError) as caught:
        PROXIES.apply(asked(*forwarded("for=6.6.6.6;proto=https"), *x_for("192.0.2.1")))
    assert str(caught.value) == (
        "Forwarded says '6.6.6.6' 'https' 'inner:8000', but X-Forwarded-* '192.0.2.1' 'http' 'inner:8000': "
        "have 10.0.0.1:40000 delete the fields that it does not write, or name those that it does"
    )


@pytest.mark.parametrize(
    ("names", "client", "url"),
    [
        (["Forwarded"], "6.6.6.6", "https://inner:8000/a?b"),
        (["x-forwarded-for"], "192.0.2.1", "http://inner:8000/a?b"),
        (["X-Forwarded-For", "X-Forwarded-Host"], "192.0.2.1", "http://example.org/a?b"),
        (["X-Forwarded-Host"], "10.0.0.1:40000", "http://example.org/a?b"),
        ([], "10.0.0.1:40000", "http://inner:8000/a?b"),
    ],
)
def test_only_the_fields_that_are_named_are_read(names: list[str], client: str, url: str) -> None:
    fields = [*forwarded("for=6.6.6.6;proto=https"), *x_for("192.0.2.1"), ("X-Forwarded-Host", "example.org")]
    assert seen(*fields, proxies=TrustedProxies(NETWORKS, names)) == (client, url, None)


def test_by_default_fields_that_most_proxies_pass_on_are_not_read() -> None:
    passed_on = [(f"X-Forwarded-{name}", value) for name, value in {"Host": "a", "Port": "1", "Prefix": "/a"}.items()]
    fields = [*x_for("192.0.2.1"), ("X-Forwarded-Proto", "https"), *passed_on]
    assert seen(*fields, proxies=TrustedProxies(NETWORKS)) == ("192.0.2.1", "https://inner:8000/a?b", None)


def test_a_prefix_beside_forwarded_is_no_contradiction() -> None:
    fields = [*forwarded("for=192.0.2.1"), ("X-Forwarded-Prefix", "/api")]
    assert seen(*fields) == ("192.0.2.1", "http://inner:8000/api/a?b", None)


def test_a_field_that_is_not_known() -> None:
    with pytest.raises(ConfigurationError, match="'x-real-ip' is no field"):
        TrustedProxies(NETWORKS, ["forwarded", "X-Real-IP"])

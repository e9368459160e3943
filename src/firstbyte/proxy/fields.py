"""Which header fields go through a proxy, and which it writes itself (RFC 9110 section 7.6).

No I/O is done here. What a field block comes down to is remembered, within bounds: clients and servers send the same
ones again and again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from firstbyte.http.forwarded import parse_ip
from firstbyte.http.headers import Headers
from firstbyte.http.request import Request
from firstbyte.http.response import Prepared
from firstbyte.wire.response import ResponseHead

HOP_BY_HOP = frozenset(
    (
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "transfer-encoding",
        "upgrade",
    )
)
"""What is for the next hop alone (RFC 9110 section 7.6.1), besides what Connection names. Trailer is not among them:
trailer fields are passed on."""

# What a client must not be able to say in our name, or to servers that take it for the environment's (Proxy, which CGI
# makes HTTP_PROXY of). A "_" is a "-" to CGI and WSGI.
_OURS = frozenset(("forwarded", "x-real-ip", "proxy"))
_OURS_PREFIX = "x-forwarded-"
_WRITTEN_ANEW = HOP_BY_HOP | {"host", "content-length", "expect", "max-forwards"}

_REMEMBERED = 1024  # blocks
_REMEMBERED_SIZE = 2048  # bytes of a block


class Passed(NamedTuple):
    """What of a request's fields is passed on.

    `lines` are the field lines as they are sent, each with its CRLF. `host` is the field Host, None without one;
    `upgrade` the protocols that the client would go on with, in lower case; `length` the Content-Length, None without
    one; `takes_trailers` whether the client reads trailer fields; `via` what the request has come through.
    """

    lines: bytes
    host: str | None
    upgrade: tuple[str, ...]
    length: int | None
    is_chunked: bool
    expects_continue: bool
    takes_trailers: bool
    max_forwards: int | None
    via: str | None


def passed_fields(request: Request) -> Passed:
    """What of its fields is passed on."""
    block = request.field_block
    if block is None:
        return _pass_on(request.headers.fields())
    known = _passed.get(block)
    if known is None:
        known = _pass_on(Headers.from_block(block).fields())
        if len(block) <= _REMEMBERED_SIZE:
            if len(_passed) >= _REMEMBERED:
                _passed.clear()
            _passed[block] = known
    return known


def _pass_on(fields: list[tuple[str, str, str]]) -> Passed:
    said = {name: [value for lowered, _, value in fields if lowered == name] for name in _WRITTEN_ANEW}
    options = _members(said["connection"])
    lines = [
        f"{name}: {value}\r\n"
        for lowered, name, value in fields
        if lowered not in _WRITTEN_ANEW and lowered not in options and not _is_ours(lowered)
    ]
    return Passed(
        "".join(lines).encode("latin-1"),
        next(iter(said["host"]), None),
        tuple(_members(said["upgrade"])) if "upgrade" in options else (),
        next(map(int, said["content-length"]), None),
        bool(said["transfer-encoding"]),
        bool(said["expect"]),
        "te" in options and "trailers" in _members(said["te"]),
        next((int(value) for value in said["max-forwards"] if value.isascii() and value.isdigit()), None),
        ", ".join(value for lowered, _, value in fields if lowered == "via") or None,
    )


def _is_ours(lowered: str) -> bool:
    name = lowered.replace("_", "-")
    return name in _OURS or name.startswith(_OURS_PREFIX)


class Returned:
    """What of the fields of an upstream's answer is passed on: all of them, not to be changed, and the head for a body
    that is whole, whose length the server here writes."""

    __slots__ = ("headers", "prepared")

    def __init__(self, headers: Headers, prepared: Prepared) -> None:
        self.headers = headers
        self.prepared = prepared


def answered_fields(answer: ResponseHead) -> Returned:
    """What of its fields is passed on."""
    block, status = answer.block, answer.status
    known = _answered.get(block)
    if known is None or known.prepared.status != status:
        headers = _without_hops(Headers.from_block(block))
        without_length = Headers(headers)
        del without_length["content-length"]
        known = Returned(headers, Prepared(status, without_length))
        if len(block) <= _REMEMBERED_SIZE:
            if len(_answered) >= _REMEMBERED:
                _answered.clear()
            _answered[block] = known
    return known


def trailers_passed(trailers: Headers | None) -> Headers | None:
    """What of the fields behind a body is passed on; None for nothing."""
    if trailers is None:
        return None
    return _without_hops(trailers) or None


def _without_hops(headers: Headers) -> Headers:
    fields = headers.fields()
    options = _members(value for lowered, _, value in fields if lowered == "connection")
    return Headers(
        (name, value) for lowered, name, value in fields if lowered not in HOP_BY_HOP and lowered not in options
    )


def _members(values: Iterable[str]) -> list[str]:
    """The members of a list-valued field, in lower case."""
    return [member for value in values for part in value.split(",") if (member := part.strip(" \t").lower())]


def forwarded_lines(request: Request, host: str, prefix: str, families: frozenset[str]) -> bytes:
    """The field lines that say for whom the proxy asks: X-Forwarded-* and Forwarded (RFC 7239), as `families` says.

    They say what is known of the client here, and nothing of what came in such fields: what of that was to be believed
    has been by then (`TrustedProxies`). `host` is the one it has asked for, `prefix` the part of the path that is not
    passed on.
    """
    client = request.client
    key = (client.host if client is not None else "", request.scheme, host, prefix, families)
    known = _forwarded.get(key)
    if known is None:
        known = _forward(*key)
        if len(_forwarded) >= _REMEMBERED:
            _forwarded.clear()
        _forwarded[key] = known
    return known


def _forward(client: str, scheme: str, host: str, prefix: str, families: frozenset[str]) -> bytes:
    lines = []
    try:
        ip = parse_ip(client.partition("%")[0])
        node = f'"[{ip}]"' if ip.version == 6 else str(ip)
        address = str(ip)
    except ValueError:  # a Unix socket has no address
        node = address = "unknown"
    if "x-forwarded" in families:
        lines += [f"X-Forwarded-For: {address}", f"X-Forwarded-Proto: {scheme}"]
        lines += [f"X-Forwarded-Host: {host}"] if host else []
        lines += [f"X-Forwarded-Prefix: {prefix}"] if prefix else []
    if "forwarded" in families:
        lines.append(f"Forwarded: for={node};proto={scheme}" + (f';host="{host}"' if host else ""))
    return "".join(f"{line}\r\n" for line in lines).encode("latin-1")


_passed: dict[bytes, Passed] = {}
_answered: dict[bytes, Returned] = {}
_forwarded: dict[tuple[str, str, str, str, frozenset[str]], bytes] = {}

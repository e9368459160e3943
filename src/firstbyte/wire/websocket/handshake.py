"""The opening handshake of WebSocket, from both ends (RFC 6455 sections 1.3, 4.1 and 4.2)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Collection, Sequence
from typing import NamedTuple

from firstbyte.errors import HTTPError, ProtocolError
from firstbyte.http.headers import TOKEN, Headers
from firstbyte.http.request import Request
from firstbyte.http.url import URL
from firstbyte.wire.websocket.deflate import Deflate, answer_offers, check_answer, offer

VERSION = "13"
ANY_ORIGIN = ("*",)

_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Agreement(NamedTuple):
    """What both ends have agreed on. `fields` are those that the server's 101 has for it, empty at the client."""

    subprotocol: str | None
    deflate: Deflate | None
    fields: tuple[tuple[str, str], ...] = ()


# -- the server's end


def is_handshake(request: Request) -> bool:
    """Whether a request asks for a WebSocket, rightly or wrongly: one that does not is one of HTTP as any other."""
    head = request.head
    if head and b"websocket" not in head.lower():  # cheaper than to look for fields, which few have
        return False
    headers = request.headers
    return (
        request.method == "GET"
        and request.minor > 0
        and _has_token(headers.get_joined("upgrade"), "websocket")
        and _has_token(headers.get_joined("connection"), "upgrade")
    )


def accept(
    request: Request,
    subprotocols: Sequence[str] = (),
    origins: Collection[str] | None = None,
    deflate: Deflate | None = None,
) -> Agreement:
    """What to answer to a request for a WebSocket: 101 (Switching Protocols) with the agreement's fields.

    The first of `subprotocols` that the client offers is chosen, or none. `origins` are those from which pages may
    connect, as "https://example.org"; None for the host's own pages, `ANY_ORIGIN` for all. A request without an Origin
    is no page's. `deflate` is None for no compression. Raises HTTPError: 426 for a request for something else or
    another version, 403 for an origin, 400 for what is malformed.
    """
    headers = request.headers
    if request.method != "GET":
        raise HTTPError(405, "a WebSocket is asked for with GET", {"Allow": "GET"})
    if not (
        request.minor
        and _has_token(headers.get_joined("upgrade"), "websocket")
        and _has_token(headers.get_joined("connection"), "upgrade")
    ):
        raise HTTPError(426, "this address is a WebSocket's", {"Upgrade": "websocket"})
    versions = headers.get_all("sec-websocket-version")
    if versions != [VERSION]:
        raise HTTPError(
            426, "the version of WebSocket must be 13", {"Upgrade": "websocket", "Sec-WebSocket-Version": VERSION}
        )
    keys = headers.get_all("sec-websocket-key")
    if len(keys) != 1 or not _is_key(keys[0]):
        raise HTTPError(400, "Sec-WebSocket-Key must be given once, and be 16 bytes in base64")
    _check_origin(request, origins)
    offered = offered_subprotocols(request)
    subprotocol = next((each for each in subprotocols if each in offered), None)
    fields = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", accept_value(keys[0]))]
    if subprotocol is not None:
        fields.append(("Sec-WebSocket-Protocol", subprotocol))
    agreed = None
    if deflate is not None:
        try:
            answer = answer_offers(headers.get_joined("sec-websocket-extensions"), deflate)
        except ProtocolError as error:
            raise HTTPError(400, str(error)) from None
        if answer is not None:
            agreed, value = answer
            fields.append(("Sec-WebSocket-Extensions", value))
    return Agreement(subprotocol, agreed, tuple(fields))


def offered_subprotocols(request: Request) -> list[str]:
    """What a client offers, in its order. Raises HTTPError 400 for what is no list of different tokens."""
    offered = _tokens(request.headers.get_joined("sec-websocket-protocol"))
    if any(TOKEN.fullmatch(each) is None for each in offered) or len(set(offered)) < len(offered):
        raise HTTPError(400, "Sec-WebSocket-Protocol must be a list of different tokens")
    return offered


def accept_value(key: str) -> str:
    """The Sec-WebSocket-Accept that answers a Sec-WebSocket-Key (section 4.2.2)."""
    return base64.b64encode(hashlib.sha1((key + _GUID).encode(), usedforsecurity=False).digest()).decode()


def _check_origin(request: Request, origins: Collection[str] | None) -> None:
    """Section 10.2: a browser says whose page wants to connect, and sends our cookies along whosever it is."""
    given = request.headers.get_all("origin")
    if not given or origins == ANY_ORIGIN:
        return
    try:
        (text,) = given
        origin = URL.parse(text)
        if origins is not None:
            allowed = any(origin.origin == URL.parse(each).origin for each in origins)
        else:
            # By the host: before a proxy that is not trusted there may be TLS of which we do not know.
            ours = URL.parse(f"{origin.scheme}://{request.host}")
            allowed = ours.authority == origin.authority and (request.scheme, origin.scheme) != ("https", "http")
    except ValueError:  # "null", two of them, no host
        allowed = False
    if not allowed:
        raise HTTPError(403, "pages of this origin may not connect")


def _is_key(value: str) -> bool:
    try:
        return len(value) == 24 and len(base64.b64decode(value, validate=True)) == 16
    except (binascii.Error, ValueError):  # ValueError: not ASCII
        return False


# -- the client's end


def new_key() -> str:
    """A Sec-WebSocket-Key: new for each handshake."""
    return base64.b64encode(os.urandom(16)).decode()


def request_fields(
    key: str, subprotocols: Sequence[str] = (), deflate: Deflate | None = None
) -> tuple[tuple[str, str], ...]:
    """The fields that make a GET ask for a WebSocket. Raises ValueError for subprotocols that are no tokens."""
    fields = [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", key),
        ("Sec-WebSocket-Version", VERSION),
    ]
    if subprotocols:
        if any(TOKEN.fullmatch(each) is None for each in subprotocols) or len(set(subprotocols)) < len(subprotocols):
            raise ValueError(f"subprotocols are different tokens, not {', '.join(map(repr, subprotocols))}")
        fields.append(("Sec-WebSocket-Protocol", ", ".join(subprotocols)))
    if deflate is not None:
        fields.append(("Sec-WebSocket-Extensions", offer(deflate)))
    return tuple(fields)


def check_response(
    key: str, status: int, headers: Headers, subprotocols: Sequence[str] = (), deflate: Deflate | None = None
) -> Agreement:
    """What the server has agreed to, by its answer to `request_fields` of the same arguments.

    Raises ProtocolError, whose status is the answer's, with a rule: "websocket-refused" for an answer that is not 101,
    else which of its fields is wrong.
    """
    if status != 101:
        raise ProtocolError(status, "websocket-refused", f"the server answers {status} instead of 101")
    if not _has_token(headers.get_joined("upgrade"), "websocket"):
        raise ProtocolError(status, "websocket-upgrade", "the answer has no Upgrade: websocket")
    if not _has_token(headers.get_joined("connection"), "upgrade"):
        raise ProtocolError(status, "websocket-connection", "the answer has no Connection: Upgrade")
    if headers.get_all("sec-websocket-accept") != [accept_value(key)]:
        raise ProtocolError(status, "websocket-accept", "the answer is not to our Sec-WebSocket-Key")
    chosen = headers.get_all("sec-websocket-protocol")
    if len(chosen) > 1 or not set(chosen) <= set(subprotocols):
        raise ProtocolError(status, "websocket-protocol", f"the subprotocol {', '.join(chosen)} was not offered")
    agreed = check_answer(headers.get_joined("sec-websocket-extensions"), deflate)
    return Agreement(chosen[0] if chosen else None, agreed)


# -- lists


def _tokens(value: str | None) -> list[str]:
    """The members of a field that is a list (RFC 9110 section 5.6.1)."""
    return [each for part in (value or "").split(",") if (each := part.strip(" \t"))]


def _has_token(value: str | None, token: str) -> bool:
    return any(each.lower() == token for each in _tokens(value))

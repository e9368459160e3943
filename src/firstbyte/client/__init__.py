"""The HTTP client.

    from firstbyte import client

    r = client.get("https://example.org/", params={"q": 1})
    with client.Session(base_url="https://api.example.org") as s:
        s.post("/items", json={"title": "milk"})
    async with client.AsyncSession() as s:
        r = await s.get("https://example.org/")

The functions here use a session of their own for one request; a `Session` keeps connections and cookies.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Unpack, cast

from firstbyte.client.auth import Auth, Basic, Bearer, Digest, NetrcAuth
from firstbyte.client.cookies import CookieJar
from firstbyte.client.hooks import Hooks, Timings
from firstbyte.client.request import ClientRequest
from firstbyte.client.response import ClientResponse
from firstbyte.client.retries import Retry
from firstbyte.client.saving import ProgressInput
from firstbyte.client.session import AsyncSession, ConnectionOptions, RequestOptions, Session, WebSocketOptions
from firstbyte.client.timeouts import Timeout
from firstbyte.client.websocket import AsyncWebSocket, WebSocket
from firstbyte.http.events import Event
from firstbyte.http.url import URL

__all__ = [
    "AsyncSession",
    "AsyncWebSocket",
    "Auth",
    "Basic",
    "Bearer",
    "ClientRequest",
    "ClientResponse",
    "CookieJar",
    "Digest",
    "Event",
    "Hooks",
    "NetrcAuth",
    "RequestOptions",
    "Retry",
    "Session",
    "Timeout",
    "Timings",
    "WebSocket",
    "delete",
    "download",
    "get",
    "head",
    "options",
    "patch",
    "post",
    "put",
    "request",
    "stream",
    "websocket",
]


class OneRequestOptions(RequestOptions, ConnectionOptions):
    """What a request without a session takes: those options of one, too, that say how its connection is made."""


class OneWebSocketOptions(WebSocketOptions, ConnectionOptions):
    """The same for a WebSocket."""


def request(method: str, url: str | URL, **options: Unpack[OneRequestOptions]) -> ClientResponse:
    """The response to one request, its body read. Raises ClientError."""
    session, rest = _split(options)
    with session:
        return session.request(method, url, **rest)


@contextmanager
def stream(method: str, url: str | URL, **options: Unpack[OneRequestOptions]) -> Iterator[ClientResponse]:
    """A response whose body is read as it comes: `with client.stream("GET", url) as response`. Raises ClientError."""
    session, rest = _split(options)
    with session, session.stream(method, url, **rest) as response:
        yield response


@contextmanager
def websocket(url: str | URL, **options: Unpack[OneWebSocketOptions]) -> Iterator[WebSocket]:
    """A WebSocket, closed with the block; see `Session.websocket`. Raises ClientError."""
    session, rest = _split(options)
    with session, session.websocket(url, **rest) as ws:
        yield ws


def download(
    url: str | URL,
    path: str | os.PathLike[str] = ".",
    *,
    progress: ProgressInput = False,
    checksum: str | None = None,
    **options: Unpack[OneRequestOptions],
) -> Path:
    """Saves what is at `url` in a file; see `Session.download`."""
    session, rest = _split(options)
    with session:
        return session.download(url, path, progress=progress, checksum=checksum, **rest)


def get(url: str | URL, **options: Unpack[OneRequestOptions]) -> ClientResponse:
    """GET; see `request`."""
    return request("GET", url, **options)


def head(url: str | URL, **options: Unpack[OneRequestOptions]) -> ClientResponse:
    """HEAD; see `request`."""
    return request("HEAD", url, **options)


def options(url: str | URL, **options: Unpack[OneRequestOptions]) -> ClientResponse:
    """OPTIONS; see `request`."""
    return request("OPTIONS", url, **options)


def post(url: str | URL, **options: Unpack[OneRequestOptions]) -> ClientResponse:
    """POST; see `request`."""
    return request("POST", url, **options)


def put(url: str | URL, **options: Unpack[OneRequestOptions]) -> ClientResponse:
    """PUT; see `request`."""
    return request("PUT", url, **options)


def patch(url: str | URL, **options: Unpack[OneRequestOptions]) -> ClientResponse:
    """PATCH; see `request`."""
    return request("PATCH", url, **options)


def delete(url: str | URL, **options: Unpack[OneRequestOptions]) -> ClientResponse:
    """DELETE; see `request`."""
    return request("DELETE", url, **options)


def _split(options: OneRequestOptions | OneWebSocketOptions) -> tuple[Session, Any]:
    """A session with those of the options that are a session's, and the rest of them."""
    own = {name: value for name, value in options.items() if name in ConnectionOptions.__optional_keys__}
    rest = {name: value for name, value in options.items() if name not in own}
    return Session(**cast("ConnectionOptions", own)), rest

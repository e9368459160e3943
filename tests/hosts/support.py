"""WSGI applications as a server calls them, without one; what ASGI applications of the tests have in common."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from engine.support import WAIT
from firstbyte.hosts.asgi import ASGI
from firstbyte.hosts.wsgi import WSGI
from firstbyte.http.request import Address, Ends, Request
from firstbyte.http.response import FileBody, Response
from firstbyte.wire.head import HeadScanner
from firstbyte.wire.limits import Limits

ENDS = Ends(Address("192.0.2.7", 4711), Address("192.0.2.1", 8000))


def scanned(head: str, body: bytes = b"", scanner: HeadScanner | None = None, ends: Ends = ENDS) -> Request:
    """A request as it comes from the wire."""
    found = (scanner or HeadScanner(Limits())).scan(head.replace("\n", "\r\n").encode("latin-1"), 0)
    assert found is not None
    request = found.request(ends)
    request._body = body
    return request


def ask(app: Any, request: Request | None = None) -> Response:
    """The answer of a WSGI application."""
    if request is None:
        request = scanned("GET / HTTP/1.1\nHost: a\n\n")
    response = WSGI(app).resolve(request).call(request)
    assert isinstance(response, Response)
    return response


def body_of(response: Response) -> bytes:
    """The whole body of an answer, as it would be sent."""
    body = response.body
    if isinstance(body, bytes):
        return body
    if isinstance(body, FileBody):
        data = body.read(body.count)
        body.close()
        return data
    return b"".join(body)  # type: ignore[arg-type]


Scope = dict[str, Any]
Receive = Callable[[], Any]
Send = Callable[[dict[str, Any]], Any]


def host(app: Any) -> ASGI:
    """The application without a lifespan."""

    def call(scope: Scope, receive: Receive, send: Send) -> Any:
        if scope["type"] == "lifespan":
            raise NotImplementedError
        return app(scope, receive, send)

    return ASGI(call)


PLAIN = [(b"content-type", b"text/plain")]


def start(status: int = 200, headers: Iterable[tuple[bytes, bytes]] = PLAIN, **more: Any) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": headers, **more}


def body(piece: bytes = b"", more_body: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": piece, "more_body": more_body}


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the pieces that came, as they came."""
    await send(start())
    more = True
    while more:
        message = await receive()
        assert message["type"] == "http.request"
        more = message["more_body"]
        await send(body(message["body"], more))


class Told:
    """What an application has written down, and a way to wait for it."""

    def __init__(self) -> None:
        self.things: list[Any] = []
        self._changed = threading.Condition()

    def say(self, thing: Any) -> None:
        with self._changed:
            self.things.append(thing)
            self._changed.notify_all()

    def wait(self, count: int = 1) -> list[Any]:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.things) >= count, WAIT), self.things
            return self.things


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture(params=["asyncio", "uvloop"])
def each_loop(request: pytest.FixtureRequest) -> str:
    """Both event loops, for coroutines."""
    return str(request.param)

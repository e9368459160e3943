"""A handler as an ASGI application, for the servers that call one (ASGI 3.0: HTTP, WebSocket and lifespan)."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Any, BinaryIO

from firstbyte.app.behind import ForeignServices
from firstbyte.app.foreign_wsgi import BODY, BODY_MEMORY, PIECE, fields_of
from firstbyte.app.pages import error_response
from firstbyte.errors import ClientDisconnected, HTTPError
from firstbyte.foreign_websocket import complete_handshake, run_session
from firstbyte.http.handler import Endpoint, Handler, lifespan_of
from firstbyte.http.headers import Headers
from firstbyte.http.percent import encode_path
from firstbyte.http.request import Address, Ends, Request
from firstbyte.http.response import Feed, FileBody, LiveBody, Response
from firstbyte.http.status import has_body
from firstbyte.http.upgrade import Upgrade

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


async def answer_asgi(handler: Handler, scope: Scope, receive: Receive, send: Send) -> None:
    """Answers one call of an ASGI server: a request, a WebSocket, or the lifespan of the process.

    The body is read before the endpoint is called unless it streams it. A plain function runs in a thread until it has
    proven fast. Raises what the endpoint raises, ResponseError for an answer that no server could send, and
    NotImplementedError for another protocol.
    """
    if scope["type"] == "lifespan":
        await _live(handler, receive, send)
        return
    if scope["type"] == "websocket":
        await _open(handler, scope, receive, send)
        return
    if scope["type"] != "http":
        raise NotImplementedError(f"an App answers http and websocket, not {scope['type']}")
    request = request_of(scope)
    hints = _Hints(scope, send)
    request._services = services = ForeignServices(hints)
    body: _Incoming | None = None
    try:
        try:
            endpoint = handler.resolve(request)
            body = _Incoming(receive, BODY if endpoint.max_body is None else endpoint.max_body)
            if endpoint.streams_body:
                request._stream = body
            else:
                request._body = await _whole(body)
        except HTTPError as error:
            await _send(_page(request, error), request, send)
            return
        cancels = endpoint.is_async and endpoint.cancel_on_disconnect and not endpoint.streams_body
        async with _cancelled_with_client(cancels, receive):
            try:
                response = await _call(endpoint, request)
            except HTTPError as error:
                response = _page(request, error)
            request.answered = True
            await hints.wait()
            waits = isinstance(response.body, Feed) and not cancels and not endpoint.streams_body
            async with _cancelled_with_client(waits, receive):
                await _send(response, request, send)
    except ClientDisconnected:
        if body is None or not body.is_cut:
            raise
    finally:
        request.close_body()
        await services.run()


async def _open(handler: Handler, scope: Scope, receive: Receive, send: Send) -> None:
    """Answers a WebSocket's handshake, and runs what it has been upgraded to."""
    await receive()
    request = request_of(scope)
    complete_handshake(request.headers)
    try:
        response = await _call(handler.resolve(request), request)
    except HTTPError as error:
        response = _page(request, error)
    if not isinstance(response, Upgrade):
        if "websocket.http.response" in (scope.get("extensions") or {}):

            async def deny(message: dict[str, Any]) -> None:
                await send({**message, "type": f"websocket.{message['type']}"})

            await _send(response, request, deny)
        else:
            response.close()
            await send({"type": "websocket.close", "code": 1008})
        return
    try:
        fields = [(name, value) for name, value in response.headers.items() if name.lower() not in _HANDSHAKE]
        headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in fields]
        subprotocol = response.headers.get("Sec-WebSocket-Protocol")
        await send({"type": "websocket.accept", "subprotocol": subprotocol, "headers": headers})
        await run_session(response.session, receive, send)
    finally:
        response.close()


_SCHEMES = {"ws": "http", "wss": "https", "https": "https"}
_HANDSHAKE = frozenset(("connection", "upgrade", "sec-websocket-accept", "sec-websocket-protocol"))


def request_of(scope: Scope) -> Request:
    """The request that a scope stands for, without its body."""
    root, path = encode_path(scope.get("root_path") or ""), scope["path"]
    raw_path = scope.get("raw_path")
    raw = encode_path(path) if raw_path is None else raw_path.decode("latin-1").partition("?")[0]
    if root and raw.startswith(root) and raw[len(root) :][:1] in ("", "/"):
        raw = raw[len(root) :]
    client, server = scope.get("client"), scope.get("server")
    request = Request(
        scope.get("method", "GET"),
        raw or "/",
        scope.get("query_string", b"").decode("latin-1"),
        0 if scope.get("http_version") == "1.0" else 1,
        ends=Ends(
            Address(client[0], client[1] or 0) if client else None,
            Address(server[0], server[1] or 0) if server else None,
            _SCHEMES.get(scope.get("scheme", "http"), "http"),
        ),
    )
    request.root_path = root
    request._headers = Headers(
        (name.decode("latin-1"), value.decode("latin-1").strip(" \t")) for name, value in scope["headers"]
    )
    return request


class _Incoming:
    """The body on its way from `receive`, at most `limit` bytes of it; see `BodyStream`."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive = receive
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._read = 0
        self.ended = False
        self.is_cut = False  # the client left within it

    def read(self) -> bytes:
        """`aread` for a function in a thread of its own."""
        return asyncio.run_coroutine_threadsafe(self.aread(), self._loop).result()

    async def aread(self) -> bytes:
        """The next piece; empty at the end."""
        piece = b""
        while not (piece or self.ended):
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self.is_cut = True
                raise ClientDisconnected("the client left before the end of its body")
            piece = message.get("body", b"")
            self.ended = not message.get("more_body", False)
        self._read += len(piece)
        if self._read > self._limit:
            raise HTTPError(413, f"the body is longer than {self._limit} bytes")
        return piece

    def take_whole(self, at_most: int) -> bytes | None:
        """See `BodyStream.take_whole`: it is not known what is here."""
        return None


async def _whole(body: _Incoming) -> bytes | BinaryIO:
    """All of a body, in memory while it is short, then in a temporary file."""
    pieces: list[bytes] = []
    size = 0
    while piece := await body.aread():
        pieces.append(piece)
        size += len(piece)
        if size > BODY_MEMORY:
            file: BinaryIO = tempfile.TemporaryFile(prefix="firstbyte-")  # noqa: SIM115 - the request closes it
            try:
                file.writelines(pieces)
                while piece := await body.aread():
                    file.write(piece)
            except BaseException:
                file.close()
                raise
            return file
    return b"".join(pieces)


async def _call(endpoint: Endpoint, request: Request) -> Response:
    if endpoint.is_async:
        response: Response = await endpoint.call(request)
        return response
    if endpoint.pace.is_proven_fast and not endpoint.streams_body:
        return _timed(endpoint, request)
    return await asyncio.to_thread(_timed, endpoint, request)


def _timed(endpoint: Endpoint, request: Request) -> Response:
    start = perf_counter()
    try:
        response: Response = endpoint.call(request)
        return response
    finally:
        endpoint.pace.count(perf_counter() - start)


@asynccontextmanager
async def _cancelled_with_client(cancels: bool, receive: Receive) -> AsyncIterator[None]:
    """Cancels what is within when the client leaves, if it `cancels` and does not receive by itself."""
    if not cancels:
        yield
        return
    task, has_left = asyncio.current_task(), False

    async def watch() -> None:
        nonlocal has_left
        while (await receive())["type"] != "http.disconnect":
            pass
        has_left = True
        assert task is not None
        task.cancel("the client has left")

    watcher = asyncio.create_task(watch())
    try:
        yield
    except asyncio.CancelledError:
        if not has_left:
            raise
        assert task is not None
        task.uncancel()
    finally:
        watcher.cancel()


class _Hints:
    """Sends early hints, from the loop or from a thread, before the answer."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._can = "http.response.early_hint" in (scope.get("extensions") or {})
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._sending: list[Future[None]] = []

    def __call__(self, links: list[str]) -> None:
        if self._can:
            given = [link.encode("latin-1") for link in links]
            self._sending.append(asyncio.run_coroutine_threadsafe(self._give(given), self._loop))

    async def wait(self) -> None:
        """Returns when they are sent."""
        for sending in self._sending:
            await asyncio.wrap_future(sending)

    async def _give(self, links: list[bytes]) -> None:
        await self._send({"type": "http.response.early_hint", "links": links})


async def _send(response: Response, request: Request, send: Send) -> None:
    body = response.body
    try:
        fields, length = fields_of(response)
        if length is None and isinstance(body, bytes | FileBody):
            length = len(body) if isinstance(body, bytes) else body.count
        is_empty = not has_body(response.status)
        if length is not None and not is_empty:
            fields.append(("content-length", str(length)))
        headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in fields]
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        if isinstance(body, bytes) or is_empty or request.method == "HEAD":
            whole = body if isinstance(body, bytes) and not is_empty and request.method != "HEAD" else b""
            await send({"type": "http.response.body", "body": whole})
            return
        async with _kept_alive(body, send) as give:
            async for piece in _pieces(body):
                await give(piece)
        await send({"type": "http.response.body", "body": b""})
    finally:
        aclose = getattr(body, "aclose", None)
        if aclose is not None:
            await aclose()
        response.close()


@asynccontextmanager
async def _kept_alive(body: object, send: Send) -> AsyncIterator[Callable[[bytes], Awaitable[None]]]:
    """What sends a piece of a body; when nothing is sent for long, what keeps it alive is, if the body has that."""
    lock = asyncio.Lock()
    loop = asyncio.get_running_loop()
    since = loop.time()

    async def give(piece: bytes) -> None:
        nonlocal since
        since = loop.time()
        async with lock:
            await send({"type": "http.response.body", "body": piece, "more_body": True})

    async def fill(seconds: float, filler: bytes) -> None:
        while True:
            await asyncio.sleep(since + seconds - loop.time())
            if loop.time() >= since + seconds:
                await give(filler)

    keep_alive = body.keep_alive if isinstance(body, Feed | LiveBody) else None
    if keep_alive is None:
        yield give
        return
    await give(b"")  # the head
    filling = asyncio.create_task(fill(*keep_alive))
    try:
        yield give
    finally:
        filling.cancel()


async def _pieces(body: Iterator[bytes] | AsyncIterator[bytes] | FileBody) -> AsyncIterator[bytes]:
    """The pieces of a body; what blocks runs in threads."""
    if isinstance(body, AsyncIterator):
        async for piece in body:
            if piece:
                yield piece
        return
    pieces = iter(lambda: body.read(PIECE), b"") if isinstance(body, FileBody) else body
    while True:
        step = asyncio.ensure_future(asyncio.to_thread(next, pieces, None))
        try:
            following = await asyncio.shield(step)
        except asyncio.CancelledError:
            await asyncio.wait((step,))  # nobody can close an iterator that runs
            raise
        if following is None:
            return
        if following:
            yield following


def _page(request: Request, error: HTTPError) -> Response:
    response = error_response(request, error.status, error.detail)
    response.headers.update(error.headers)
    return response


async def _live(handler: Handler, receive: Receive, send: Send) -> None:
    """The lifespan: the handler's own, begun and ended when the server says so."""
    await receive()
    step = "startup"
    try:
        async with lifespan_of(handler):
            await send({"type": "lifespan.startup.complete"})
            step = "shutdown"
            await receive()
    except Exception as error:
        await send({"type": f"lifespan.{step}.failed", "message": str(error) or type(error).__name__})
        raise
    await send({"type": "lifespan.shutdown.complete"})

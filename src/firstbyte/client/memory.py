"""Answers requests by an app in the same process, with no socket: a firstbyte handler, a WSGI or an ASGI app.

The heads are written and read as they would be on the wire, so what could not be sent there is refused here too. What
the app raises is the caller's to see. A request's body is complete before the app is called. An app with coroutines
runs in the loop of an AsyncSession; for a Session it runs, to the end of its answer, in a loop made for the request. An
ASGI app's lifespan is not run.
"""

from __future__ import annotations

import asyncio
import inspect
import io
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from functools import partial
from time import monotonic
from typing import Any, NamedTuple, TypeAlias, TypeVar, cast
from urllib.parse import unquote_to_bytes

from firstbyte.client.hooks import Timings
from firstbyte.client.network import Stream
from firstbyte.client.request import ClientRequest
from firstbyte.client.timeouts import Budget
from firstbyte.errors import BadResponse, ClientError, ConfigurationError, IncompleteBody, ProtocolError, TotalTimeout
from firstbyte.http.handler import Handler
from firstbyte.http.headers import Headers
from firstbyte.http.request import Address, Request
from firstbyte.http.response import FileBody, Response
from firstbyte.http.services import Job
from firstbyte.wire.head import CHUNKED
from firstbyte.wire.response import UNTIL_CLOSE, ResponseHead, ResponseReader
from firstbyte.wire.writer import Tails, encode_head, encode_interim

T = TypeVar("T")
Pieces: TypeAlias = "Iterator[bytes] | AsyncIterator[bytes]"
Answer: TypeAlias = "tuple[bytes, Pieces, Callable[[], None]]"
"""A head as on the wire, the pieces of the body, and what to call when no more of them are wanted."""

NAME = "localhost"  # the host of an app, where no base_url gives one
_CLIENT = Address("127.0.0.1", 0)
_DATE = "Thu, 01 Jan 1970 00:00:00 GMT"  # the Date of a response is a server's to write; here is none, and no clock
_WAITING = 16  # pieces of an ASGI app's body that are made before it must wait for them to be taken


class AppInput(NamedTuple):
    """A request as all three kinds of app need it."""

    request: ClientRequest
    headers: Headers
    body: bytes


class MemoryTransport:
    """Sends requests to one app. Raises ConfigurationError for what is no app."""

    upgrades = False  # a 101 can be answered

    def __init__(self, app: Any, is_async: bool) -> None:
        self._app = app
        self._is_async = is_async
        self._answer = _kind_of(app)
        self._coroutine = inspect.iscoroutinefunction(self._answer)

    async def send(
        self, request: ClientRequest, fields: tuple[tuple[str, str], ...], budget: Budget
    ) -> tuple[ResponseHead, MemoryBody]:
        """The head of the answer, and where its body comes from. Raises ClientError, and what the app raises."""
        head = request.encode_head(more=fields)
        headers = Headers.from_block(head[head.index(b"\r\n") + 2 : -2])
        body = b"".join([piece async for piece in request.body.apieces()]) if request.body is not None else b""
        if request.body is not None and request.body.length is None:
            del headers["Transfer-Encoding"]  # it is complete: its length is known
            headers["Content-Length"] = str(len(body))
        asked = AppInput(request, headers, body)
        data, pieces, close = await self._within(budget, self._call(asked))
        try:
            answer = _read_head(data, request)
        except ClientError:
            close()
            raise
        length = 0 if request.method == "HEAD" or answer.status in (204, 304) else answer.length
        if answer.status == 101 or length == CHUNKED:
            length = UNTIL_CLOSE
        return answer, MemoryBody(self, pieces, close, budget, length)

    async def _call(self, asked: AppInput) -> Answer:
        if not self._coroutine:
            return cast("Answer", await self.blocking(self._answer, self._app, asked))
        if self._is_async:
            return cast("Answer", await self._answer(self._app, asked))

        async def whole() -> Answer:
            data, pieces, close = await self._answer(self._app, asked)
            try:
                taken = [piece async for piece in cast("AsyncIterator[bytes]", pieces)]
            finally:
                close()
            await asyncio.gather(*_behind)  # what runs behind the answer has this loop alone
            return data, iter(taken), _nothing

        return asyncio.run(whole())

    async def _within(self, budget: Budget, work: Coroutine[Any, Any, T]) -> T:
        if not self._is_async or budget.deadline is None:
            return await work  # what blocks cannot be interrupted
        try:
            async with asyncio.timeout(budget.left(None)):
                return await work
        except TimeoutError:
            raise budget.over(TotalTimeout, "the app does not answer") from None

    async def blocking(self, function: Callable[..., T], *args: Any) -> T:
        """Calls what may block: in a thread, where there is a loop that must not."""
        return await asyncio.to_thread(function, *args) if self._is_async else function(*args)


class MemoryBody:
    """The body of an app's answer; see `BodySource`. It is held to the length that its head promised."""

    def __init__(
        self, transport: MemoryTransport, pieces: Pieces, close: Callable[[], None], budget: Budget, length: int
    ) -> None:
        self.is_async = transport._is_async
        self.is_over = False
        self.trailers: Headers | None = None
        self._transport = transport
        self._pieces = pieces
        self._close = close
        self._budget = budget
        self._length = length
        self._received = 0
        self._first = monotonic()
        self._done = 0.0
        if not length:
            self.close()

    async def read(self) -> bytes:
        """See `BodySource.read`."""
        while not self.is_over:
            try:
                piece = await self._transport._within(self._budget, self._next())
            except BaseException:
                self.close()
                raise
            self._received += len(piece or b"")
            if piece is None:
                self.trailers = getattr(self._pieces, "trailers", None)
            if piece is None or self._received > self._length >= 0:
                self.close()
                if self._length >= 0 and self._received != self._length:
                    message = f"the body has {self._received} bytes of the {self._length} that its head promised"
                    raise IncompleteBody(message, received=self._received, expected=self._length, phase="body")
                return b""
            if piece:
                return piece
        return b""

    async def _next(self) -> bytes | None:
        if isinstance(self._pieces, AsyncIterator):
            return await anext(self._pieces, None)
        return await self._transport.blocking(next, self._pieces, None)

    def take_whole(self, at_most: int) -> bytes | None:
        """See `BodySource.take_whole`."""
        return None

    def take_over(self) -> tuple[Stream, bytes]:
        """See `BodySource.take_over`. Raises ClientError where nothing can be taken over."""
        if not self._transport.upgrades:
            raise ClientError("an app in memory has no connection to give to another protocol")
        return cast("Stream", self._pieces), b""

    def close(self) -> None:
        """See `BodySource.close`."""
        if not self.is_over:
            self.is_over = True
            self._done = monotonic()
            self._close()

    @property
    def seconds(self) -> float:
        """See `BodySource.seconds`."""
        return (self._done or monotonic()) - self._budget.started

    @property
    def timings(self) -> Timings:
        """See `BodySource.timings`."""
        first = self._first - self._budget.started
        return Timings(None, None, None, None, first, self._done - self._first if self._done else None)


def _kind_of(app: Any) -> Callable[[Any, AppInput], Any]:
    """The function that asks an app of this kind, told by what it is."""
    if hasattr(app, "resolve"):
        return _ask_async_handler if getattr(app, "is_async", False) else _ask_handler
    if not callable(app):
        raise ConfigurationError(f"{type(app).__name__} is no app: it is neither a Handler nor callable")
    if inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(getattr(app, "__call__", None)):  # noqa: B004
        return _ask_asgi
    try:
        count = len(inspect.signature(app).parameters)
    except (TypeError, ValueError):
        count = 2
    if count not in (2, 3):
        raise ConfigurationError(f"{type(app).__name__} takes {count} arguments: WSGI apps take 2 and ASGI apps 3")
    return _ask_asgi if count == 3 else _ask_wsgi


def _read_head(data: bytes, request: ClientRequest) -> ResponseHead:
    reader = ResponseReader()
    reader.expect(request.method)
    reader.feed(data)
    try:
        head = reader.read_head()
    except ProtocolError as error:
        raise BadResponse(str(error), rule=error.rule, offset=error.offset, phase="head") from None
    assert head is not None
    return head


def _nothing() -> None:
    pass


# -- firstbyte's own


def build_request(asked: AppInput) -> Request:
    """The request as a handler has it."""
    request = asked.request
    built = Request.build(
        request.method,
        request.url.target,
        asked.headers,
        asked.body,
        client=_CLIENT,
        server=Address(request.url.host, request.url.port or 0),
        scheme=request.url.scheme,
    )
    built._services = MemoryServices()
    return built


class MemoryServices:
    """What a request may ask for; see `http.services.Services`."""

    def __init__(self) -> None:
        self.early_hints: list[str] = []
        self.jobs: list[Job] = []

    def send_interim(self, status: int, fields: Headers) -> None:
        """See `Services`. The links of a 103 are kept."""
        encode_interim(status, fields)  # which raises for what cannot be sent
        if status == 103:
            self.early_hints += fields.get_all("link")

    def after(self, job: Job) -> None:
        """See `Services`."""
        self.jobs.append(job)

    def start(self) -> None:
        """The answer is complete: runs the jobs, coroutines as tasks where there is a loop. Raises what they raise."""
        jobs, self.jobs = self.jobs, []
        for job in jobs:
            if not job.is_async:
                job.context.run(job.call)
            elif asyncio._get_running_loop() is None:
                asyncio.run(job.call())
            else:
                task = asyncio.create_task(job.call(), context=job.context)
                _behind.add(task)
                task.add_done_callback(_behind.discard)


_behind: set[asyncio.Task[Any]] = set()  # the tasks of such jobs: a reference keeps them alive


def _ask_handler(app: Handler, asked: AppInput) -> Answer:
    request = build_request(asked)
    return answer_of(app.resolve(request).call(request), request)


async def _ask_async_handler(app: Handler, asked: AppInput) -> Answer:
    request = build_request(asked)
    endpoint = app.resolve(request)
    response = await endpoint.call(request) if endpoint.is_async else await asyncio.to_thread(endpoint.call, request)
    data, pieces, close = answer_of(response, request)
    return data, pieces if isinstance(pieces, AsyncIterator) else _in_loop(pieces), close


async def _in_loop(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
        yield piece


def answer_of(response: Response, request: Request) -> Answer:
    """What a handler has answered; the pieces are asynchronous if its body is. Raises ResponseError."""
    head = encode_head(response, request.method, 1, True, Tails(_DATE))
    body = response.body

    def close() -> None:
        if isinstance(body, FileBody | Iterator):
            response.close()
        request.close_body()
        if isinstance(request._services, MemoryServices):
            request._services.start()

    if isinstance(body, bytes):
        return head.data, iter((body,)), close
    if isinstance(body, FileBody):
        return head.data, iter(lambda: body.read(65536), b""), close
    return head.data, body, close


# -- WSGI (PEP 3333)


def _ask_wsgi(app: Callable[..., Any], asked: AppInput) -> Answer:
    request, url = asked.request, asked.request.url
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(url.path).decode("latin-1"),
        "QUERY_STRING": url.query,
        "SERVER_NAME": url.host,
        "SERVER_PORT": str(url.effective_port),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": _CLIENT.host,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": url.scheme,
        "wsgi.input": io.BytesIO(asked.body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in asked.headers.items():
        key = name.upper().replace("-", "_")
        key = key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"
        environ[key] = f"{environ[key]},{value}" if key in environ else value

    started: list[tuple[str, list[tuple[str, str]]]] = []
    written: list[bytes] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], None]:
        if exc_info is None and started:
            raise RuntimeError("start_response was called twice without exc_info")
        started[:] = [(status, headers)]
        return written.append

    result = app(environ, start_response)
    try:
        pieces = iter(result)
        first = None
        while not started and first != b"":  # it may be called as late as for the first piece
            first = next(pieces, b"")
    except BaseException:
        getattr(result, "close", _nothing)()
        raise
    if not started:
        getattr(result, "close", _nothing)()
        raise RuntimeError("the WSGI app did not call start_response")

    def all_pieces() -> Iterator[bytes]:
        yield from written
        if first:
            yield first
        yield from pieces

    status, fields = started[0]
    return _head(status, fields), all_pieces(), getattr(result, "close", _nothing)


# -- ASGI 3


async def _ask_asgi(app: Callable[..., Coroutine[Any, Any, None]], asked: AppInput) -> Answer:
    request, url = asked.request, asked.request.url
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": url.scheme,
        "path": unquote_to_bytes(url.path).decode("utf-8", "replace"),
        "raw_path": url.path.encode("ascii"),
        "query_string": url.query.encode("ascii"),
        "root_path": "",
        "headers": [(name.lower().encode("ascii"), value.encode("latin-1")) for name, value in asked.headers.items()],
        "client": (_CLIENT.host, _CLIENT.port),
        "server": (url.host, url.effective_port),
        "state": {},
    }
    messages: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue(_WAITING)
    left = asyncio.Event()
    bodies = iter((asked.body,))

    async def receive() -> dict[str, Any]:
        for body in bodies:
            return {"type": "http.request", "body": body, "more_body": False}
        await left.wait()
        return {"type": "http.disconnect"}

    async def run() -> None:
        try:
            await app(scope, receive, messages.put)
        finally:
            await messages.put(None)

    task = asyncio.create_task(run())
    pieces = _asgi_pieces(messages, task, left)
    try:
        message = await messages.get()
        if message is None:
            await task
            raise RuntimeError("the ASGI app ended without a response")
        if message["type"] != "http.response.start":
            raise RuntimeError(f"the ASGI app began with {message['type']!r} instead of http.response.start")
    except BaseException:
        task.cancel()
        raise
    fields = [
        (bytes(name).decode("latin-1"), bytes(value).decode("latin-1")) for name, value in message.get("headers", ())
    ]
    return _head(f"{message['status']} ", fields), pieces, partial(_leave, task)


def _leave(task: asyncio.Task[None]) -> None:
    task.cancel()


async def _asgi_pieces(
    messages: asyncio.Queue[dict[str, Any] | None], task: asyncio.Task[None], left: asyncio.Event
) -> AsyncIterator[bytes]:
    while (message := await messages.get()) is not None:
        if message["type"] == "http.response.body":
            yield bytes(message.get("body", b""))
            if not message.get("more_body", False):
                left.set()
                break
    # The app goes on until it is done, and what it raises is told.
    while not task.done():
        await messages.get()
        await asyncio.sleep(0)
    await task


def _head(status: str, fields: list[tuple[str, str]]) -> bytes:
    """A head of what an app gave, as it would go over the wire; what cannot is found out when it is read."""
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in fields), "", ""]
    return "\r\n".join(lines).encode("latin-1", "replace")

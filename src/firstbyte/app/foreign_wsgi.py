"""A handler as a WSGI application, for the servers that call one (PEP 3333)."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import unquote_to_bytes

from firstbyte.app.behind import ForeignServices
from firstbyte.app.pages import error_response
from firstbyte.errors import ClientDisconnected, HTTPError, ResponseError
from firstbyte.http.handler import Endpoint, Handler
from firstbyte.http.headers import Headers
from firstbyte.http.percent import encode_path
from firstbyte.http.request import Address, Ends, Request
from firstbyte.http.response import TEXT, FileBody, Response
from firstbyte.http.status import has_body, phrase

if TYPE_CHECKING:
    import asyncio

BODY = 32 * 1024 * 1024  # bytes of a body whose endpoint does not say otherwise: what firstbyte's own server takes
BODY_MEMORY = 1024 * 1024  # bytes of it that are held in memory; what is longer goes to a temporary file
PIECE = 64 * 1024  # bytes read or sent at a time

Environ = Mapping[str, Any]


def answer_wsgi(handler: Handler, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answers one call of a WSGI server.

    The body is read before the endpoint is called unless it streams it. A coroutine gets an event loop for its request.
    Raises what the endpoint raises, and ResponseError for an answer that no server could send.
    """
    try:
        request = request_of(environ)
    except ValueError as error:  # a header that is none: some servers are less strict
        start_response("400 Bad Request", [("Content-Type", TEXT)])
        return [f"{error}\n".encode()]
    runner: asyncio.Runner | None = None
    request._services = ForeignServices()
    try:
        endpoint = handler.resolve(request)
        _receive(environ, request, endpoint)
        if endpoint.is_async:
            from asyncio import Runner  # here, since asyncio takes long to import

            runner = Runner()
            response = runner.run(_call(endpoint, request))
        else:
            response = endpoint.call(request)
    except HTTPError as error:
        response = error_response(request, error.status, error.detail)
        response.headers.update(error.headers)
    except BaseException:
        _finish(request, runner)
        raise
    return _send(environ, request, response, runner, start_response)


def request_of(environ: Environ) -> Request:
    """The request that an environ stands for, without its body."""
    script, path = environ.get("SCRIPT_NAME", ""), environ.get("PATH_INFO", "")
    root, raw_path = _raw(script), _raw(path) or "/"
    target = environ.get("REQUEST_URI") or environ.get("RAW_URI") or ""
    sent = target.partition("?")[0]
    if sent.startswith(root) and sent[len(root) :].startswith("/") and _decoded(sent) == script + path:
        raw_path = sent[len(root) :]  # as the client wrote it: it may tell %2F from a slash
    elif sent == "*":
        raw_path = "*"
    client, server = environ.get("REMOTE_ADDR"), environ.get("SERVER_NAME")
    request = Request(
        environ["REQUEST_METHOD"],
        raw_path,
        environ.get("QUERY_STRING", ""),
        0 if environ.get("SERVER_PROTOCOL") == "HTTP/1.0" else 1,
        ends=Ends(
            Address(client, _number(environ.get("REMOTE_PORT")) or 0) if client else None,
            Address(server, _number(environ.get("SERVER_PORT")) or 0) if server else None,
            environ["wsgi.url_scheme"],
        ),
    )
    request.root_path = root
    request._headers = Headers(
        (_field_name(name), value.strip(" \t"))
        for name, value in environ.items()
        if name.startswith("HTTP_") or (name in _WITHOUT_PREFIX and value)
    )
    return request


class _Input:
    """The body on its way from `wsgi.input`, at most `limit` bytes of it; see `BodyStream`."""

    def __init__(self, environ: Environ, limit: int) -> None:
        self._file = environ["wsgi.input"]
        self._limit = limit
        self._length = _number(environ.get("CONTENT_LENGTH"))
        self._read = 0
        if self._length is None and not environ.get("wsgi.input_terminated"):
            if "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower():
                raise HTTPError(411, "this server does not say where a chunked body ends")
            self._length = 0
        if self._length is not None and self._length > limit:
            raise HTTPError(413, f"the body is longer than {limit} bytes")

    def read(self) -> bytes:
        """The next piece; empty at the end."""
        piece: bytes = self._file.read(PIECE if self._length is None else min(PIECE, self._length - self._read))
        self._read += len(piece)
        if self._read > self._limit:
            raise HTTPError(413, f"the body is longer than {self._limit} bytes")
        if not piece and self._length is not None and self._read < self._length:
            raise ClientDisconnected("the client left before the end of its body")
        return piece

    async def aread(self) -> bytes:
        """`read` for the coroutine, which has its loop for itself."""
        return self.read()

    @property
    def ended(self) -> bool:
        """Whether no piece is to come, as far as the length says."""
        return self._read == self._length

    def take_whole(self, at_most: int) -> bytes | None:
        """See `BodyStream.take_whole`: it is not known what is here."""
        return None


async def _call(endpoint: Endpoint, request: Request) -> Response:
    response: Response = await endpoint.call(request)  # which may begin at once, and must find a loop
    return response


def _receive(environ: Environ, request: Request, endpoint: Endpoint) -> None:
    """Gives the request its body, or the way to it."""
    stream = _Input(environ, BODY if endpoint.max_body is None else endpoint.max_body)
    if endpoint.streams_body:
        request._stream = stream
        return
    pieces: list[bytes] = []
    size = 0
    while piece := stream.read():
        pieces.append(piece)
        size += len(piece)
        if size > BODY_MEMORY:
            file: BinaryIO = tempfile.TemporaryFile(prefix="firstbyte-")  # noqa: SIM115 - the request closes it
            request._body = file
            file.writelines(pieces)
            while piece := stream.read():
                file.write(piece)
            return
    request._body = b"".join(pieces)


def _send(
    environ: Environ,
    request: Request,
    response: Response,
    runner: asyncio.Runner | None,
    start_response: Callable[..., Any],
) -> Iterable[bytes]:
    body = response.body
    answer = _Answer(request, response, runner)
    try:
        fields, length = fields_of(response)
        if length is None and isinstance(body, bytes):
            length = len(body)
        elif length is None and isinstance(body, FileBody):
            length = body.count
        empty = not has_body(response.status)
        if length is not None and not empty:
            fields.append(("Content-Length", str(length)))
        start_response(f"{response.status} {phrase(response.status)}", fields)
    except BaseException:
        answer.close()
        raise
    if isinstance(body, bytes) or empty or request.method == "HEAD":
        answer.close()
        return [] if empty or request.method == "HEAD" or not isinstance(body, bytes) else [body]
    if isinstance(body, FileBody):
        answer.pieces = iter(lambda: body.read(PIECE), b"")
    elif isinstance(body, Iterator):
        answer.pieces = body
    else:
        answer.pieces = _awaited(body, runner)
    return answer


class _Answer:
    """A body on its way to the server, and what is to be closed behind it."""

    def __init__(self, request: Request, response: Response, runner: asyncio.Runner | None) -> None:
        self.pieces: Iterator[bytes] = iter(())
        self._request = request
        self._response = response
        self._runner = runner

    def __iter__(self) -> Iterator[bytes]:
        return filter(None, self.pieces)

    def close(self) -> None:
        """Ends the body, sent or not."""
        try:
            aclose = getattr(self._response.body, "aclose", None)
            if aclose is not None and self._runner is not None:
                self._runner.run(aclose())
            self._response.close()
        finally:
            _finish(self._request, self._runner)


def _awaited(body: AsyncIterator[bytes], runner: asyncio.Runner | None) -> Iterator[bytes]:
    """The pieces of an asynchronous body, each awaited in the loop of its request."""

    async def following() -> bytes | None:
        return await anext(body, None)

    assert runner is not None
    while (piece := runner.run(following())) is not None:
        yield piece


def _finish(request: Request, runner: asyncio.Runner | None) -> None:
    request.close_body()
    if runner is not None:
        runner.close()
    assert isinstance(request._services, ForeignServices)
    request._services.start()


def fields_of(response: Response) -> tuple[list[tuple[str, str]], int | None]:
    """The header fields for a server of another house, and the length that the handler has given.

    Raises ResponseError.
    """
    try:
        given = response.headers.fields()
    except (TypeError, ValueError) as error:
        raise ResponseError(str(error)) from None
    fields = []
    length = None
    for lowered, name, value in given:
        if lowered == "content-length":
            length = _number(value)
        elif lowered == "upgrade" and response.status == 426:
            continue  # the server's to write, which does not know
        elif lowered in _SERVERS_OWN:
            raise ResponseError(f"the header {name} is the server's to write")
        elif lowered != "connection":  # what asks for the end of the connection has no place in WSGI
            fields.append((name, value))
    return fields, length


def _raw(path: str) -> str:
    """A path of an environ, its bytes as Latin-1, percent-encoded."""
    try:
        return encode_path(path.encode("latin-1").decode())
    except UnicodeError:
        return "".join(f"%{ord(character):02X}" if character > "~" else encode_path(character) for character in path)


def _decoded(raw: str) -> str:
    return unquote_to_bytes(raw).decode("latin-1")


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() else None


def _field_name(variable: str) -> str:
    return variable.removeprefix("HTTP_").replace("_", "-").title()


_WITHOUT_PREFIX = ("CONTENT_TYPE", "CONTENT_LENGTH")
_SERVERS_OWN = frozenset(("transfer-encoding", "keep-alive", "upgrade", "te", "trailer", "proxy-connection"))

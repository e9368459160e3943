"""WSGI applications as handlers (PEP 3333).

An application is called with its request body complete. What it returns as one piece of bytes is sent as such; a file
in `wsgi.file_wrapper` goes out by sendfile; anything else is streamed, a piece at a time, for as long as the client
reads.
"""

from __future__ import annotations

import io
import os
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain
from time import perf_counter
from types import TracebackType
from typing import Any, BinaryIO, TypeAlias

from firstbyte.errors import ResponseError
from firstbyte.hosts.environ import Environs, ErrorLog
from firstbyte.hosts.places import Places
from firstbyte.http.handler import SLOW, Endpoint, Pace
from firstbyte.http.headers import Headers, check_field
from firstbyte.http.request import Request
from firstbyte.http.response import FileBody, Response, assembled
from firstbyte.http.status import has_body
from firstbyte.wire.websocket.handshake import is_handshake

Write: TypeAlias = Callable[[bytes], None]
ExcInfo: TypeAlias = tuple[type[BaseException], BaseException, TracebackType]
StartResponse: TypeAlias = Callable[..., Write]
Application: TypeAlias = Callable[[dict[str, Any], Any], Iterable[bytes]]

_KNOWN_SIZE = 1024  # bytes of the longest head whose endpoint is remembered
_IN_MEMORY = 16 * 1024  # bytes up to which a file, or several pieces at hand, are sent as one
_WRITTEN = 64 * 1024  # bytes given to write() that stay in memory


class WSGI:
    """A WSGI application as a `Handler`.

    `multiprocess` is what `wsgi.multiprocess` says: whether other processes serve it too. An application that raises,
    or does not keep to PEP 3333, is answered for with a 500 if nothing has been sent, else the connection is cut; the
    log says what it did. What it writes to `wsgi.errors` goes to the logger "firstbyte.wsgi".
    """

    def __init__(self, app: Application, *, multiprocess: bool = False) -> None:
        self.app = app
        self.name = _name_of(app)
        self.environs = Environs(
            {
                "wsgi.version": (1, 0),
                "wsgi.url_scheme": "http",
                "wsgi.errors": ErrorLog(),
                "wsgi.multithread": True,
                "wsgi.multiprocess": multiprocess,
                "wsgi.run_once": False,
                "wsgi.input_terminated": True,
                "wsgi.file_wrapper": FileWrapper,
                "SERVER_SOFTWARE": "firstbyte",
                "GATEWAY_INTERFACE": "CGI/1.1",
            }
        )
        self._places = Places(partial(_endpoint, self))
        self._known: dict[bytes, Endpoint] = {}  # by heads that clients have sent lately
        self._sockets = Endpoint(self._call_with_socket, name=self.name)

    def resolve(self, request: Request) -> Endpoint:
        """See `Handler.resolve`: an endpoint for each method and beginning of a path, each with a pace of its own."""
        head = request.head
        is_as_sent = request._headers is None and not request.root_path  # then the head alone says where it belongs
        if is_as_sent and (known := self._known.get(head)) is not None:
            return known
        if head.find(b"pgrade") >= 0 and is_handshake(request):  # `in` takes ten times as long with bytes
            return self._sockets
        endpoint = self._places.find(request.method, request.raw_path)
        if is_as_sent and 0 < len(head) <= _KNOWN_SIZE:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[head] = endpoint
        return endpoint

    def _call_with_socket(self, request: Request) -> Response:
        """The answer to a request for a WebSocket, which the application may also give by a socket in its environ."""
        from firstbyte.hosts.wsgi_socket import SocketCall  # here, since few applications have any

        start = _Start(request)
        environ = self.environs.of(request)
        answer = partial(_Place(self).answer, request, start)
        return SocketCall(request, environ, lambda: self.app(environ, start.start_response), answer).respond()

    def __repr__(self) -> str:
        return f"<WSGI {self.name}>"


class FileWrapper:
    """`wsgi.file_wrapper`: a file as an iterable of its blocks; returned as such, it goes out by sendfile."""

    __slots__ = ("block_size", "file")

    def __init__(self, file: Any, block_size: int = 8192) -> None:
        self.file = file
        self.block_size = block_size

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        block: bytes = self.file.read(self.block_size)
        if block:
            return block
        raise StopIteration

    def close(self) -> None:
        """Closes the file, if it can be closed."""
        close = getattr(self.file, "close", None)
        if close is not None:
            close()


class _Place:
    """Runs the application for requests of one method and beginning of a path."""

    __slots__ = ("_app", "_ending", "_environs", "endpoint")

    def __init__(self, host: WSGI) -> None:
        self._app = host.app
        self._environs = host.environs
        self.endpoint = Endpoint(self.call, name=host.name)
        self._ending = Pace()  # of what it does behind its last byte: if that is slow, the bytes are sent before

    def call(self, request: Request) -> Response:
        """The application's answer. Raises what it raises, and ResponseError or TypeError for what it does wrong."""
        start = _Start(request)
        result = self._app(self._environs.of(request), start.start_response)
        if type(result) is list and len(result) == 1 and start.status and not start.wrote:
            body = result[0]
            if type(body) is bytes:
                return start.response(request, body)
        if start.wrote:
            self.endpoint.sends = True  # from the next request on: asking for what few use costs all others
        return self.answer(request, start, result)

    def answer(self, request: Request, start: _Start, result: Any) -> Response:
        """The answer of any result; whatever happens, it is closed, here or by whoever sends it."""
        if result is None or isinstance(result, str | bytes | bytearray):
            start.close()
            raise TypeError(f"the application returned {type(result).__name__}: it must return an iterable of bytes")
        pieces = _Pieces(start, result, self._ending)
        try:
            if type(result) is FileWrapper and start.status and not start.wrote:
                file = _file_body(result, start.length)
                if file is not None and request.method != "HEAD" and _may_have_body(start.status):
                    if file.count > _IN_MEMORY:
                        return start.response(request, file)
                    data = file.read(file.count)
                    pieces.close()
                    return start.response(request, data)
            elif isinstance(result, list | tuple) and start.status and not start.wrote:
                _check_pieces(result)
                size = sum(map(len, result))
                if size <= _IN_MEMORY or start.length not in (None, size):
                    pieces.close()
                    return start.response(request, b"".join(result))
                start.length = size
            return self._streamed(request, start, pieces)
        except BaseException:
            pieces.close()
            raise

    def _streamed(self, request: Request, start: _Start, pieces: _Pieces) -> Response:
        """The answer of what gives its pieces one by one: its status may come with the first."""
        if start.begun is not None:
            return start.send_rest(pieces)
        first = pieces.take_first()
        if not start.status:
            raise ResponseError("the application did not call start_response before the first piece of its body")
        start.sent = True
        if request.method == "HEAD" or not _may_have_body(start.status):
            pieces.close()
            return start.response(request, b"" if start.length is not None or not (first or start.wrote) else iter(()))
        if not first:
            pieces.close()
            return start.response(request, b"")
        if start.length == len(first) and self._ending.seconds < SLOW:
            pieces.end()
            return start.response(request, first)
        return start.response(request, pieces)


class _Start:
    """What one request's application has said of its answer, by `start_response` and `write`."""

    __slots__ = ("_content_type", "_fields", "_request", "begun", "length", "sent", "status", "written", "wrote")

    def __init__(self, request: Request) -> None:
        self._request = request
        self.status = 0  # not given yet
        self.length: int | None = None
        self.sent = False  # it is too late to change the head
        self.wrote = False  # `write` was called
        self.begun: Response | None = None  # what `write` sends the body of, where it can while the application runs
        self.written: BinaryIO | None = None  # where it cannot: what it was given
        self._content_type: str | None = None
        self._fields: list[tuple[str, str]] = []  # all others

    def start_response(self, status: str, headers: list[tuple[str, str]], exc_info: ExcInfo | None = None) -> Write:
        """See PEP 3333. Raises ResponseError for a head that cannot be sent, `exc_info` if it is too late for one."""
        if exc_info is not None:
            try:
                if self.sent:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None  # as the PEP asks: a traceback that holds this frame would hold itself
        elif self.status:
            raise ResponseError("start_response was called again without exc_info")
        if type(headers) is not list and hasattr(headers, "keys"):
            raise TypeError(f"the application's headers are {type(headers).__name__}: they must be a list of pairs")
        number = _statuses.get(status) or _status(status)
        content_type: str | None = None
        length: int | None = None
        fields: list[tuple[str, str]] = []
        for name, value in headers:
            kind = _names.get(name)
            if kind is None:
                kind = _kind(name)
            if kind == _LENGTH:
                if length is not None:
                    raise ResponseError("the application gives Content-Length twice")
                length = _lengths.get(value)
                if length is None:
                    length = _content_length(value)
            elif kind == _TYPE and content_type is None:
                if value not in _types:
                    _check_type(value)
                content_type = value
            else:
                _check(name, value)
                fields.append((name, value))
        self.status = number
        self.length = length
        self._content_type = content_type
        self._fields = fields
        return self.write

    def write(self, data: bytes) -> None:
        """Takes a piece of the body that goes before all that the application returns."""
        if not isinstance(data, bytes):
            raise TypeError(f"write() takes bytes, not {type(data).__name__}")
        self.wrote = True
        if not data:
            return
        sender = self._request.sender
        if sender is None:
            if self.written is None:
                self.written = tempfile.SpooledTemporaryFile(_WRITTEN, prefix="firstbyte-")  # type: ignore[assignment]  # noqa: SIM115
            self.written.write(data)  # type: ignore[union-attr]
        elif self.begun is not None:
            sender.write(data)
        elif not self.sent:
            response = self.response(self._request, iter(()))
            if sender.begin(response):  # else there is no body to be sent, and a piece of it is dropped
                self.begun = response
                sender.write(data)
        self.sent = True

    def send_rest(self, pieces: Iterable[bytes]) -> Response:
        """Sends what the application has returned behind what it has written."""
        sender, response = self._request.sender, self.begun
        assert sender is not None and response is not None
        for piece in pieces:
            if piece:
                sender.write(piece)
        return response

    def response(self, request: Request, body: bytes | Iterator[bytes] | FileBody) -> Response:
        """The response of what has been said so far, with this body. Raises ResponseError if its length is another."""
        status = self.status
        length = self.length
        if not _may_have_body(status):  # a body where none can be: many give one, and servers leave it out
            body = b""
            if status != 304:
                length = None
        elif type(body) is bytes and length is not None and length != len(body) and request.method != "HEAD":
            raise ResponseError(f"the application says Content-Length: {length}, but gave {len(body)} bytes")
        response = assembled(body, status, self._content_type)
        if not self._fields and (length is None or (type(body) is bytes and length == len(body))):
            return response
        response.content_type = None
        headers = response._headers = Headers(self._fields)
        if self._content_type is not None:
            headers.add("Content-Type", self._content_type)
        if length is not None:
            headers.add("Content-Length", str(length))
        return response

    def close(self) -> None:
        """Lets go of what was written."""
        if self.written is not None:
            self.written.close()


class _Pieces:
    """The body of an application that gives it in pieces: what it has written, then what it has returned.

    `ending` is told how long the application takes behind its last byte.
    """

    __slots__ = ("_close", "_ending", "_first", "_pieces", "_start")

    def __init__(self, start: _Start, result: Iterable[bytes], ending: Pace) -> None:
        self._start = start
        self._ending = ending
        self._close: Callable[[], Any] | None = getattr(result, "close", None)
        self._first = b""
        try:
            self._pieces = iter(result)
        except TypeError:
            self.close()
            raise TypeError(f"the application returned {type(result).__name__}, which is no iterable") from None
        written = start.written
        if written is not None:
            written.seek(0)
            self._pieces = chain(iter(partial(written.read, _WRITTEN), b""), self._pieces)

    def take_first(self) -> bytes:
        """The first piece that is not empty; it comes again with the others. Empty if there is none."""
        for piece in self._pieces:
            if type(piece) is not bytes:
                _check_pieces((piece,))
            if piece:
                self._first = piece
                return piece
        return b""

    def end(self) -> None:
        """Lets the application go to its end, behind a body that is complete. Raises ResponseError if it gives more."""
        begin = perf_counter()
        for piece in self._pieces:
            if piece:
                raise ResponseError("the application gives a longer body than its Content-Length says")
        self.close()
        self._ending.count(perf_counter() - begin)

    def __iter__(self) -> _Pieces:
        return self

    def __next__(self) -> bytes:
        if self._first:
            piece, self._first = self._first, b""
            return piece
        begin = perf_counter()
        try:
            piece = next(self._pieces)
        except StopIteration:
            self.close()
            self._ending.count(perf_counter() - begin)
            raise
        if type(piece) is not bytes:
            _check_pieces((piece,))
        return piece

    def close(self) -> None:
        """Calls the `close` of what was returned, once."""
        self._start.close()
        close, self._close = self._close, None
        if close is not None:
            close()


class _WrappedFile(FileBody):
    """The file in a wrapper, which is what is to be closed."""

    __slots__ = ("_wrapper",)

    def __init__(self, wrapper: FileWrapper, offset: int, count: int) -> None:
        super().__init__(wrapper.file, offset, count)
        self._wrapper = wrapper

    def close(self) -> None:
        self._wrapper.close()


def _endpoint(host: WSGI) -> Endpoint:
    return _Place(host).endpoint


def _name_of(app: Any) -> str:
    """What people call it: the name of a function, or the one that a framework's object has, or its type's."""
    own = getattr(app, "__qualname__", None) or getattr(app, "name", None) or getattr(app, "import_name", None)
    return f"WSGI {own}" if isinstance(own, str) else f"WSGI {type(app).__qualname__}"


def _file_body(wrapper: FileWrapper, length: int | None) -> FileBody | None:
    """The rest of the file as a span of it, if it is one on disk; `length` bytes of it, if so many were announced."""
    file = wrapper.file
    raw = getattr(file, "raw", file)
    if not isinstance(file, io.BufferedReader | io.BufferedRandom | io.FileIO) or not isinstance(raw, io.FileIO):
        return None  # what only looks like a file may give other bytes than its descriptor has
    facts = os.fstat(raw.fileno())
    if not stat.S_ISREG(facts.st_mode):
        return None
    offset = file.tell()
    count = max(0, facts.st_size - offset)
    if length is not None:
        if length > count:
            raise ResponseError(f"the application says Content-Length: {length}, but its file has {count} bytes left")
        count = length
    return _WrappedFile(wrapper, offset, count)


def _may_have_body(status: int) -> bool:
    return status not in _BODILESS


def _check_pieces(pieces: Iterable[Any]) -> None:
    for piece in pieces:
        if not isinstance(piece, bytes):
            raise TypeError(f"the body of the application has {type(piece).__name__} in it: it must be of bytes")


# -- the head, whose words are few and come again and again

_BODILESS = frozenset(status for status in range(200, 600) if not has_body(status) or status == 205)  # RFC 9110 15.3.6
_OTHER, _LENGTH, _TYPE = 1, 2, 3  # kinds of header names
_REMEMBERED = 1024  # of each kind of word
_statuses: dict[str, int] = {}
_names: dict[str, int] = {}
_types: set[str] = set()
_lengths: dict[str, int] = {}

# RFC 2616 section 13.5.1, as PEP 3333 has it, and what RFC 9110 section 7.6.1 adds.
_HOP_BY_HOP = frozenset(
    (
        "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
        "trailers", "transfer-encoding", "upgrade",
    )
)  # fmt: skip


def _status(status: str) -> int:
    """The number of a status such as "200 OK"."""
    if not isinstance(status, str):
        raise TypeError(f"the application's status is {type(status).__name__}: it must be str")
    number = status[:3]
    if not (number.isascii() and number.isdigit() and status[3:4] in ("", " ") and 200 <= int(number) <= 599):
        raise ResponseError(f"the application's status is {status[:40]!r}: it must be like '200 OK', from 200 to 599")
    if any(character < " " for character in status):
        raise ResponseError(f"the application's status {status[:40]!r} has a control character")
    if len(_statuses) < _REMEMBERED and len(status) < 64:
        _statuses[status] = int(number)
    return int(number)


def _kind(name: str) -> int:
    """The kind of a header name that has not been seen yet."""
    if not isinstance(name, str):
        raise TypeError(f"the application has a header whose name is {type(name).__name__}: it must be str")
    _check(name, "")
    lowered = name.lower()
    if lowered in _HOP_BY_HOP:
        raise ResponseError(f"the application sends {name}, which is of the connection and so the server's to send")
    kind = {"content-length": _LENGTH, "content-type": _TYPE}.get(lowered, _OTHER)
    if len(_names) < _REMEMBERED and len(name) < 64:
        _names[name] = kind
    return kind


def _check_type(value: str) -> None:
    _check("Content-Type", value)
    if len(_types) < _REMEMBERED and len(value) < 128:
        _types.add(value)


def _check(name: str, value: str) -> None:
    try:
        check_field(name, value)
    except ValueError as error:
        raise ResponseError(f"the application sends a head that is none: {error}") from None


def _content_length(value: str) -> int:
    _check("Content-Length", value)
    if not (value.isascii() and value.isdigit()):
        raise ResponseError(f"the application says Content-Length: {value}, which is no plain decimal number")
    length = int(value)
    if len(_lengths) < _REMEMBERED and len(value) < 16:
        _lengths[value] = length
    return length

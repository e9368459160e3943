"""One request, from wire to handler: its head is kept as it came, everything else is a view made on first use."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, Protocol

from firstbyte._lazy import LazyModule
from firstbyte.errors import HTTPError
from firstbyte.http.cookies import parse_cookies
from firstbyte.http.headers import Headers, HeadersInput, raw_fields
from firstbyte.http.media import MediaType, media_type_of, text_of
from firstbyte.http.multidict import MultiDict
from firstbyte.http.percent import decode_path, parse_query
from firstbyte.http.services import Job, Services

if TYPE_CHECKING:
    import msgspec

    from firstbyte.http.forms import Parts
    from firstbyte.http.limits import FormLimits
    from firstbyte.http.response import Response
    from firstbyte.http.uploads import FormData
    from firstbyte.http.url import URL
else:
    msgspec = LazyModule("msgspec")

_CONTENT_TYPE = b"\ncontent-type:"  # behind the request line, or another field
_PIECE = 64 * 1024  # bytes read at a time from a body that is in a file


class Address(NamedTuple):
    """One end of a connection: an IP address and a port, or the path of a Unix socket and port 0."""

    host: str
    port: int

    def __str__(self) -> str:
        if not self.port:
            return self.host
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Ends:
    """The two ends of a connection, its scheme and, where it is encrypted, what is known of that (`engine.tls`)."""

    __slots__ = ("client", "scheme", "server", "services", "tls")

    def __init__(
        self, client: Address | None = None, server: Address | None = None, scheme: str = "http", tls: Any = None
    ) -> None:
        self.client = client
        self.server = server
        self.scheme = scheme
        self.tls = tls
        self.services: Services | None = None  # of the connection, for its requests


class BodyStream(Protocol):
    """Where a body comes from while it is still arriving; the engine gives one to endpoints that stream it."""

    def read(self) -> bytes:
        """The next piece, waiting for it; empty at the end. Raises ClientDisconnected, or HTTPError for a bad body."""
        ...

    async def aread(self) -> bytes:
        """`read` for coroutines."""
        ...

    @property
    def ended(self) -> bool:
        """Whether no piece is to come: known with the last one, where that can be."""
        ...

    def take_whole(self, at_most: int) -> bytes | None:
        """The whole body, if that can be had at once and is `at_most` so many bytes; before `read`. Else None."""
        ...


class Peer(Protocol):
    """The other end, as a coroutine that is called before its body has come may see it (`Request.peer`)."""

    def when_gone(self, callback: Callable[[], object]) -> None:
        """Has `callback` called, once, when the client has left or the connection is closed; at once if it is."""

    def when_draining(self, callback: Callable[[], object]) -> None:
        """Has `callback` called when the server begins to stop, for an answer that has no end of its own; at once if it
        has begun."""

    def interrupt(self) -> None:
        """Raises Interrupted in the coroutine if it waits for its body, which it can read on."""

    async def drain(self) -> None:
        """Returns when the client has taken what was sent. Raises ClientDisconnected if it does not in time."""


class Sender(Protocol):
    """Sends an answer while its handler still runs; the engine gives one to endpoints that ask for it (`sends`)."""

    begun: bool  # the answer is on its way

    def begin(self, response: Response) -> bool:
        """Sends the head, with the first piece at the latest; the body of `response` is what is written from now on.

        False if the answer to this request has no body: then it is returned, as it would be otherwise. Once begun the
        endpoint must return this very response when the last piece is written; anything else breaks the answer off.
        """
        ...

    def write(self, piece: bytes) -> None:
        """Sends a piece, or the head alone if it is empty, and waits while too much of it is not taken by the peer.

        Raises ClientDisconnected, and ResponseError for more than the head has promised.
        """
        ...

    def has_left(self) -> bool:
        """Whether the client is known to have left: also for an endpoint that returns its answer like any other."""
        ...

    def end(self, response: Response) -> bool:
        """For the engine: the endpoint has returned. False if nothing more can come over the connection."""
        ...


class URLs(Protocol):
    """Knows the paths of routes by their names, as an app does."""

    def url_for(self, name: str, /, **values: Any) -> str:
        """The path of the route of that name, or //host/path. Raises LookupError."""
        ...


_NOWHERE = Ends()


class Request:
    """One HTTP request.

    `method`, `raw_path` and `raw_query` are str as they were sent (percent-encoded, without the "?"), `root_path` the
    prefix where the handler is mounted, `head` the bytes of request line and header fields, `minor` the x of HTTP/1.x.
    `client` and `server` are the two ends of the connection, `scheme` is "http" or "https", `tls` what is known of an
    encrypted connection (the protocol, the client's certificate) or None, `forwarded_host` the host and port that a
    trusted proxy says the client asked for, or None (`TrustedProxies` sets it, and `client` and `scheme`),
    `path_params` what the router read from the path, `host_params` what it read from the host, `state` a place for
    middleware to leave things, `trailers` the fields behind a chunked body, `sender` what an endpoint that `sends`
    sends its answer with, else None, `peer` the other end for a coroutine that streams its body, else None, `app` the
    app that answers, if one does, `refusal` what a rule of it has against the request, else None, `failure` what the
    handler raised where the answer is a 500 for it, `failure_headers` fields for that answer from a middleware that it
    does not pass through, or None,
    `answered` whether the answer has begun to be sent. The wire floor makes it; `Request.build` makes one from parts,
    for tests and other hosts.
    """

    __slots__ = (
        "_body", "_cookies", "_fields_at", "_form", "_headers", "_path", "_query", "_services", "_state", "_stream",
        "answered", "app", "client", "failure", "failure_headers", "forwarded_host", "head", "host_params", "method",
        "minor", "path_params", "peer", "raw_path", "raw_query", "refusal", "root_path", "scheme", "sender", "server",
        "tls", "trailers",
    )  # fmt: skip

    def __init__(
        self,
        method: str,
        raw_path: str,
        raw_query: str,
        minor: int,
        head: bytes = b"",
        fields_at: int = 0,
        ends: Ends = _NOWHERE,
    ) -> None:
        self._begin(method, raw_path, raw_query, minor, head, fields_at, ends)

    def _begin(
        self, method: str, raw_path: str, raw_query: str, minor: int, head: bytes, fields_at: int, ends: Ends
    ) -> None:
        """`__init__` for the wire floor: compiled, it is a plain C function, and its arguments need no objects."""
        self.method = method
        self.raw_path = raw_path
        self.raw_query = raw_query
        self.root_path = ""  # the part of the path, percent-encoded, that mounts have taken off `raw_path`
        self.minor = minor
        self.head = head
        self._fields_at = fields_at  # where in `head` the first header field begins
        self.client = ends.client
        self.server = ends.server
        self.scheme = ends.scheme
        self.tls = ends.tls
        self._services = ends.services
        self.answered = False
        self.forwarded_host: str | None = None
        self.path_params: Mapping[str, Any] = _NO_PARAMS
        self.host_params: Mapping[str, str] = _NO_PARAMS
        self.trailers: Headers | None = None
        self.peer: Peer | None = None
        self._headers: Headers | None = None
        self._path: str | None = None
        self._query: MultiDict[str] | None = None
        self._cookies: dict[str, str] | None = None
        self._state: SimpleNamespace | None = None
        self._body: bytes | BinaryIO = b""
        self._stream: BodyStream | None = None
        self.sender: Sender | None = None
        self._form: FormData | None = None
        self.failure: Exception | None = None
        self.failure_headers: Headers | None = None
        self.app: URLs | None = None
        self.refusal: Exception | None = None

    @classmethod
    def build(
        cls,
        method: str,
        target: str,
        headers: HeadersInput = (),
        body: bytes | BinaryIO = b"",
        *,
        client: Address | None = None,
        server: Address | None = None,
        scheme: str = "http",
        minor: int = 1,
    ) -> Request:
        """A request from its parts; `target` in origin-form ("/path?query"), `body` as bytes or a seekable file."""
        raw_path, _, raw_query = target.partition("?")
        self = cls(method, raw_path, raw_query, minor, ends=Ends(client, server, scheme))
        self._headers = Headers(headers)
        self._body = body
        return self

    # -- the request line

    @property
    def target(self) -> str:
        """Path and query as they were sent (origin-form, RFC 9112 section 3.2.1)."""
        path = self.root_path + self.raw_path
        return f"{path}?{self.raw_query}" if self.raw_query else path

    @property
    def http_version(self) -> str:
        """ "1.0" or "1.1"."""
        return f"1.{self.minor}"

    @property
    def path(self) -> str:
        """The path, percent-decoded once. Raises HTTPError 400 for a broken escape, invalid UTF-8 or NUL."""
        if self._path is None:
            if "%" in self.raw_path:
                try:
                    self._path = decode_path(self.raw_path)
                except ValueError as error:
                    raise HTTPError(400, str(error)) from None
            else:
                self._path = self.raw_path
        return self._path

    @property
    def query(self) -> MultiDict[str]:
        """The query's fields, decoded, repeated ones kept in order. Raises HTTPError 400 for too many."""
        if self._query is None:
            try:
                self._query = parse_query(self.raw_query)
            except ValueError as error:
                raise HTTPError(400, str(error)) from None
        return self._query

    @property
    def url(self) -> URL:
        """The whole address as the client sees it: scheme, host, path, query. Raises HTTPError 400 for a bad host."""
        from firstbyte.http.url import URL  # here, since few ask for it

        host = self.host or (str(self.server) if self.server and self.server.port else "localhost")
        try:
            return URL.parse(f"{self.scheme}://{host}{self.target if self.raw_path != '*' else ''}")
        except ValueError as error:
            raise HTTPError(400, str(error)) from None

    @property
    def host(self) -> str:
        """Host and port that the client asked for: `forwarded_host`, else the field Host as it came, "" without one."""
        return self.forwarded_host or self.headers.get("host") or ""

    # -- the header fields

    @property
    def headers(self) -> Headers:
        """The header fields, in their order."""
        if self._headers is None:
            self._headers = Headers.from_block(self.head[self._fields_at :])
        return self._headers

    @property
    def field_block(self) -> bytes | None:
        """The header fields as the lines that came, each with its CRLF; None where `headers` may say otherwise."""
        return self.head[self._fields_at : -2] if self.head and self._headers is None else None

    @property
    def raw_headers(self) -> list[tuple[bytes, bytes]]:
        """The header fields as bytes, (lower-case name, value) each, in their order; a list of the caller's own."""
        if self.head:
            return raw_fields(self.head[self._fields_at :])
        return [(name.encode("latin-1"), value.encode("latin-1")) for name, _, value in self.headers.fields()]

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies by name (RFC 6265 section 4.2)."""
        if self._cookies is None:
            # HTTP/2 and some proxies split the field; RFC 9113 section 8.2.3 joins it again with "; ".
            self._cookies = parse_cookies("; ".join(self.headers.get_all("cookie")))
        return self._cookies

    @property
    def content_type(self) -> str | None:
        """What the field Content-Type says, as it came, or None without one."""
        if self._headers is not None or not self.head:
            return self.headers.get("content-type")
        # Of the fields of most requests with a body this alone is wanted: then the others need not be split.
        before, found, _ = self.head.lower().partition(_CONTENT_TYPE)
        if not found:
            return None
        return self.head[len(before) + len(_CONTENT_TYPE) :].partition(b"\r\n")[0].decode("latin-1").strip(" \t")

    @property
    def media_type(self) -> MediaType | None:
        """The body's media type, or None where the client names none or a malformed one."""
        return media_type_of(self.headers)

    @property
    def state(self) -> SimpleNamespace:
        """An empty object for middleware and handlers to leave things on, for this request."""
        if self._state is None:
            self._state = SimpleNamespace()
        return self._state

    # -- the body

    @property
    def body(self) -> bytes:
        """The whole body. It is complete before the handler runs; one that still arrives is read to its end first."""
        if self._stream is not None:
            self._body = b"".join(self.stream())
        elif not isinstance(self._body, bytes):
            with self._body as file:
                file.seek(0)
                self._body = file.read()
        return self._body

    @property
    def body_file(self) -> BinaryIO:
        """The whole body as a file at its start, in memory or on disk as it arrived: no copy of a large one is made."""
        if self._stream is not None or isinstance(self._body, bytes):
            return io.BytesIO(self.body)
        self._body.seek(0)
        return self._body

    def stream(self) -> BodyPieces:
        """The body's pieces, each as soon as it is here, with `for` or in a coroutine with `async for`; once.

        Raises ClientDisconnected if the client leaves before, HTTPError if what it sends is no valid body or too long.
        """
        return BodyPieces(self)

    async def read(self) -> bytes:
        """The whole body, for a coroutine that is called before it has come (see `Endpoint.streams_body`)."""
        if self._stream is not None:
            self._body = b"".join([piece async for piece in self.stream()])
        return self.body

    def close_body(self) -> None:
        """Closes the temporary files of a long body and of a form; the engine calls it when the answer is sent."""
        if not isinstance(self._body, bytes):
            self._body.close()
        if self._form is not None:
            self._form.close()

    @property
    def text(self) -> str:
        """The body as text, by the charset of its media type (UTF-8 if none). Raises HTTPError 400 if it is not."""
        return text_of(self.body, self.media_type, "the body")

    def json(self, type: Any = Any) -> Any:  # noqa: A002 - msgspec's own word for it
        """The body as JSON, checked against and converted to `type` if one is given.

        Raises HTTPError: 400 for what is no JSON, 422 for JSON of another shape than `type`.
        """
        try:
            return msgspec.json.decode(self.body, type=type)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            if isinstance(error, msgspec.ValidationError) and type is not Any:
                raise HTTPError(422, str(error)) from None
            raise HTTPError(400, f"the body is not valid JSON: {error}") from None

    def form(self, limits: FormLimits | None = None) -> FormData:
        """The body as a form: its fields, and in `files` its files. Read by the first call, whose `limits` hold.

        Raises HTTPError that says which part is at fault: 415 for a body that is neither multipart/form-data (RFC 7578)
        nor application/x-www-form-urlencoded, 400 for a malformed one, 413 for one beyond the limits. The files are
        closed when the answer is sent.
        """
        if self._form is None:
            from firstbyte.http.forms import read_form  # its parser is loaded by those who have forms

            self._form = read_form(self, limits)
        return self._form

    def stream_parts(self, limits: FormLimits | None = None) -> Parts:
        """The parts of a multipart/form-data body one by one, for endpoints that read it as it comes (`streams_body`).

        With `for` they are `Part`s, in a coroutine with `async for` `AsyncPart`s; once. Raises HTTPError as `form`.
        """
        from firstbyte.http.forms import stream_parts

        return stream_parts(self, limits)

    def url_for(self, name: str, /, **values: Any) -> str:
        """The path of the app's route of that name with these parameters, as this client must ask for it.

        It has the prefix below which the app is mounted, or served behind a proxy. Of a route of a host it is the whole
        URL. Raises LookupError for no such route or parameter, and where no app answers.
        """
        if self.app is None:
            raise LookupError(f"no app answers this request: it cannot know the route {name!r}")
        path = self.app.url_for(name, **values)
        if path.startswith("//"):
            port = self.url.port
            host, slash, rest = path[2:].partition("/")
            return f"{self.scheme}://{host}{'' if port is None else f':{port}'}{slash}{self.root_path}{rest}"
        return self.root_path + path

    # -- beside the answer

    def early_hints(self, links: Iterable[str]) -> None:
        """Sends 103 (Early Hints, RFC 8297) with these values of Link, so that the client can fetch what it will need.

        `links` are like `</app.css>; rel=preload; as=style`. Nothing is sent to a client of HTTP/1.0, by a server that
        cannot, or when the answer has begun. Raises ValueError for what is no value of a header.
        """
        self.send_interim(103, Headers([("Link", link) for link in links]))

    def send_interim(self, status: int, fields: Headers) -> None:
        """Sends a response of 1xx with these fields before the answer (RFC 9110 section 15.2); see `early_hints`.

        Raises ValueError for 101 and a status that is none of these.
        """
        if self._services is not None and self.minor and not self.answered:
            self._services.send_interim(status, fields)

    def after(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> None:
        """Has `function` called when the answer is sent, whatever it is; in a thread, a coroutine in the server's loop.

        The connection does not wait for it, and a server that stops does, as for an answer. What it raises is logged.
        Raises HTTPError 503 while too many have not ended, and RuntimeError for a request that no server has received.
        """
        if self._services is None:
            raise RuntimeError("no server has received this request: nothing can run behind its answer")
        self._services.after(Job(function, args, kwargs))

    def move_to_mount(self, prefix: str) -> None:
        """Takes `prefix` off the path, for a handler that is mounted there; `target` and `url` stay whole."""
        self.root_path += prefix
        self.raw_path = self.raw_path[len(prefix) :] or "/"
        self._path = None

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.target}>"


class BodyPieces:
    """The pieces of a request's body, in memory, in a file or still arriving, for `for` and `async for`."""

    __slots__ = ("_request", "_source")

    def __init__(self, request: Request) -> None:
        self._request = request
        self._source: BodyStream | None = None  # the request's own until the first piece is asked for

    def __iter__(self) -> BodyPieces:
        return self

    def __next__(self) -> bytes:
        piece = (self._source or self._take()).read()
        if not piece:
            raise StopIteration
        return piece

    def __aiter__(self) -> BodyPieces:
        return self

    async def __anext__(self) -> bytes:
        piece = await (self._source or self._take()).aread()
        if not piece:
            raise StopAsyncIteration
        return piece

    @property
    def ended(self) -> bool:
        """Whether no piece is to come: see `BodyStream.ended`."""
        return (self._source or self._take()).ended

    def take_whole(self, at_most: int) -> bytes | None:
        """All of them in one, before the first is asked for: see `BodyStream.take_whole`."""
        return (self._source or self._take()).take_whole(at_most)

    def _take(self) -> BodyStream:
        self._source, self._request._stream = self._request._stream or _Stored(self._request.body_file), None
        return self._source


class _Stored:
    """A body that is complete, as a BodyStream."""

    __slots__ = ("_file", "_left")

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._left = file.seek(0, io.SEEK_END)
        file.seek(0)

    def read(self) -> bytes:
        """See `BodyStream.read`."""
        piece = self._file.read(_PIECE)
        self._left -= len(piece)
        return piece

    async def aread(self) -> bytes:
        """See `BodyStream.aread`."""
        return self.read()

    @property
    def ended(self) -> bool:
        """See `BodyStream.ended`."""
        return not self._left

    def take_whole(self, at_most: int) -> bytes | None:
        """See `BodyStream.take_whole`."""
        return None if self._left > at_most else self._file.read()


class _NoParams(dict[str, Any]):
    """What requests without path parameters share. A dict, since a call with `**` takes three times as long with a
    mapping of another kind."""

    def _refuse(self, *_: object, **__: object) -> Any:
        raise TypeError("path_params does not support item assignment: use `state` for what is to be kept")

    __setitem__ = __ior__ = setdefault = update = _refuse


_NO_PARAMS = _NoParams()

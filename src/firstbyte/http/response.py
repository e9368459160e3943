"""One response: a status, header fields and a body that is bytes, an iterator of bytes or a file."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from firstbyte._lazy import LazyModule
from firstbyte.http.cookies import expire_cookie, format_set_cookie
from firstbyte.http.headers import Headers, HeadersInput, check_field
from firstbyte.http.percent import encode_escaped

if TYPE_CHECKING:
    from datetime import datetime

    import msgspec
else:
    msgspec = LazyModule("msgspec")

HTML = "text/html; charset=utf-8"
TEXT = "text/plain; charset=utf-8"
JSON = "application/json"
OCTETS = "application/octet-stream"


class FileBody:
    """A span of an open file as a body: `count` bytes from `offset`. Whoever sends the response closes it."""

    __slots__ = ("count", "file", "offset")

    def __init__(self, file: BinaryIO, offset: int, count: int) -> None:
        self.file = file
        self.offset = offset
        self.count = count

    def read(self, size: int) -> bytes:
        """At most `size` of the bytes that are left; empty when none are. For hosts that cannot sendfile."""
        self.file.seek(self.offset)
        piece = self.file.read(min(size, self.count))
        self.offset += len(piece)
        self.count -= len(piece)
        return piece

    def close(self) -> None:
        """Closes the file."""
        self.file.close()


class LiveBody:
    """The base of asynchronous bodies that are more than their pieces.

    `trailers` are sent behind the last piece where the client's HTTP can carry them. One that `waits` for a slow client
    by itself (`Peer.drain`) is not made to wait. One that `lingers` has more to do when its last piece is given: the
    connection then goes on, and `aclose` is awaited for as long as that takes. `keep_alive` is what is sent when
    nothing else was for so many seconds; of a body that has it, `drain` is called when the server stops.
    """

    __slots__ = ()

    @property
    def trailers(self) -> Headers | None:
        """What is sent behind the last piece."""
        return None

    @property
    def waits(self) -> bool:
        """Whether it waits for a slow client by itself."""
        return False

    @property
    def lingers(self) -> bool:
        """Whether there is more to do when all is sent."""
        return False

    @property
    def keep_alive(self) -> tuple[float, bytes] | None:
        """Seconds of silence, and what then is sent."""
        return None

    def drain(self) -> None:
        """The server stops, and waits for the body to end."""


class Feed(Iterator[bytes]):
    """The base of bodies that wait for what is to be sent: each has a thread of its own, as long as its client stays.

    An empty piece is sent to nobody, but lets the server end a body whose client has left.
    """

    @property
    def keep_alive(self) -> tuple[float, bytes]:
        """What is sent when nothing else was for so many seconds."""
        raise NotImplementedError

    def close(self) -> None:
        """Ends the body."""
        raise NotImplementedError


Body = bytes | Iterator[bytes] | AsyncIterator[bytes] | FileBody


class Response:
    """One HTTP response.

    `body`: str is sent as UTF-8, bytes as they are; an iterable of bytes or str, asynchronous or not, is streamed a
    piece at a time; a `FileBody` is sent from its file. `media_type` is the Content-Type; a text type gets its charset,
    and where none is given str is text/plain and anything else application/octet-stream. Content-Length,
    Transfer-Encoding, Date and Connection are the server's to write. `trailers` is called when a streamed body has
    ended and gives the fields that are sent behind it, to clients that have asked for trailers (RFC 9110 section 6.5).
    Raises ValueError for a status outside 200..599 or a header that is no header.
    """

    __slots__ = ("_headers", "_prepared", "body", "content_type", "status", "trailers")

    def __init__(
        self,
        body: str | bytes | Iterable[bytes | str] | AsyncIterable[bytes | str] | FileBody = b"",
        status: int = 200,
        headers: HeadersInput | None = None,
        media_type: str | None = None,
        trailers: Callable[[], HeadersInput] | None = None,
    ) -> None:
        if type(body) is bytes:
            self.body: Body = body
            content_type = OCTETS if body else None
        elif isinstance(body, str):
            self.body = str.encode(body)  # and not `body.encode()`: compiled, it need not look for the method
            content_type = TEXT
        else:
            self.body = _body_of(body)
            content_type = OCTETS
        if media_type is not None:
            content_type = _content_types.get(media_type)
            if content_type is None:
                content_type = _content_type(media_type)
        self.content_type: str | None = content_type
        if status != 200 and not 200 <= status <= 599:
            raise ValueError(f"a response's status is from 200 to 599, not {status}")
        self.status = status
        self.trailers = trailers
        self._headers: Headers | None = None
        self._prepared: Prepared | None = None  # its fields, as long as nobody has asked for them
        if headers is not None:
            self.headers.update(headers)

    @classmethod
    def passed_on(cls, body: Body, status: int, headers: Headers) -> Response:
        """A response with these very header fields: those of another server's, found valid when they came."""
        self = cls(b"", status)
        self.body = body
        self.content_type = headers.get("content-type")
        self._headers = headers
        return self

    @property
    def headers(self) -> Headers:
        """The header fields, Content-Type among them; change them in place."""
        if self._headers is None:
            if self._prepared is not None:
                self._headers = Headers(self._prepared.headers)
                return self._headers
            self._headers = Headers()
            if self.content_type is not None:
                self._headers.add("Content-Type", self.content_type)
        return self._headers

    @classmethod
    def html(cls, text: str, status: int = 200, headers: HeadersInput | None = None) -> Response:
        """A page."""
        return cls(text, status, headers, HTML)

    @classmethod
    def json(
        cls, value: Any, status: int = 200, headers: HeadersInput | None = None, media_type: str = JSON
    ) -> Response:
        """`value` as JSON: what msgspec encodes (dict, list, dataclass, Struct, datetime, ...). Raises TypeError."""
        return cls(msgspec.json.encode(value), status, headers, media_type)

    @classmethod
    def redirect(cls, location: str, status: int = 303) -> Response:
        """Sends the client to `location`, relative or absolute; 303 See Other makes it a GET (RFC 9110 15.4)."""
        if status not in (301, 302, 303, 307, 308):
            raise ValueError(f"a redirect's status is 301, 302, 303, 307 or 308, not {status}")
        return cls(b"", status, {"Location": encode_escaped(location)})

    def set_cookie(
        self,
        name: str,
        value: str,
        *,
        max_age: int | None = None,
        expires: datetime | float | None = None,
        path: str = "/",
        domain: str | None = None,
        secure: bool = False,
        httponly: bool = True,
        samesite: Literal["Strict", "Lax", "None"] | None = "Lax",
        partitioned: bool = False,
    ) -> None:
        """Adds a Set-Cookie field; `max_age` in seconds. Raises ValueError as `format_set_cookie` does."""
        cookie = format_set_cookie(
            name,
            value,
            max_age=max_age,
            expires=expires if expires is None or isinstance(expires, float | int) else expires.timestamp(),
            path=path,
            domain=domain,
            secure=secure,
            httponly=httponly,
            samesite=samesite,
            partitioned=partitioned,
        )
        self.headers.add("Set-Cookie", cookie)

    def delete_cookie(
        self,
        name: str,
        *,
        path: str = "/",
        domain: str | None = None,
        secure: bool = False,
        samesite: Literal["Strict", "Lax", "None"] | None = "Lax",
        partitioned: bool = False,
    ) -> None:
        """Adds a Set-Cookie field that makes the client forget a cookie that was set with these, as `expire_cookie`.

        Raises ValueError as `format_set_cookie` does.
        """
        cookie = expire_cookie(
            name, path=path, domain=domain, secure=secure, samesite=samesite, partitioned=partitioned
        )
        self.headers.add("Set-Cookie", cookie)

    def close(self) -> None:
        """Ends a body that will not be sent to its end: closes the file or the generator."""
        close = getattr(self.body, "close", None)
        if close is not None:
            close()

    def __repr__(self) -> str:
        kind = f"{len(self.body)} bytes" if isinstance(self.body, bytes) else type(self.body).__name__
        return f"<Response {self.status} {self.content_type or 'no type'}, {kind}>"


class Prepared:
    """Status and header fields that many responses share. `headers` must not be changed; each response has a copy.

    `encoded` is what the wire floor has made of them, for the next response; `is_dated` whether they have a Date.
    """

    __slots__ = ("content_type", "encoded", "headers", "is_dated", "status")

    def __init__(self, status: int, headers: Headers) -> None:
        self.status = status
        self.headers = Headers(headers)
        self.content_type = headers.get("content-type")
        self.encoded: bytes | None = None
        self.is_dated = "date" in headers

    def response(self, body: bytes | FileBody) -> Response:
        """A response with these, and a body."""
        return assembled(body, self.status, self.content_type, self)


def assembled(body: Body, status: int, content_type: str | None, prepared: Prepared | None = None) -> Response:
    """A response of parts that are known to be right, for floors that have checked them."""
    made = Response.__new__(Response)
    made.body = body
    made.status = status
    made.content_type = content_type
    made._headers = None
    made._prepared = prepared
    made.trailers = None
    return made


_content_types: dict[str, str] = {}  # media type as given -> Content-Type, for the few types that one program uses


def _content_type(media_type: str) -> str:
    """`media_type` as a Content-Type value: text gets its charset. Raises ValueError."""
    check_field("Content-Type", media_type)
    is_text = media_type.startswith("text/") and "charset" not in media_type.lower()
    content_type = f"{media_type}; charset=utf-8" if is_text else media_type
    if len(_content_types) < 256:
        _content_types[media_type] = content_type
    return content_type


def _body_of(body: object) -> Body:
    if isinstance(body, FileBody):
        return body
    if isinstance(body, bytes | bytearray | memoryview):
        return bytes(body)
    if isinstance(body, Iterable):
        return _Encoded(iter(body))
    if isinstance(body, AsyncIterable):
        return _AsyncEncoded(aiter(body))
    raise TypeError(f"a response body is str, bytes, an iterable of them or a FileBody, not {type(body).__name__}")


class _Encoded:
    """The pieces of a streamed body as bytes. `close` closes what they come from, even if none was taken: a generator
    around them would not."""

    __slots__ = ("_pieces",)

    def __init__(self, pieces: Iterator[bytes | str]) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        piece = next(self._pieces)
        return piece.encode() if isinstance(piece, str) else piece

    def close(self) -> None:
        close = getattr(self._pieces, "close", None)
        if close is not None:
            close()


class _AsyncEncoded:
    """The pieces of an asynchronous body as bytes; `aclose` ends what they come from."""

    __slots__ = ("_pieces",)

    def __init__(self, pieces: AsyncIterator[bytes | str]) -> None:
        self._pieces = pieces

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        piece = await anext(self._pieces)
        return piece.encode() if isinstance(piece, str) else piece

    async def aclose(self) -> None:
        aclose = getattr(self._pieces, "aclose", None)
        if aclose is not None:
            await aclose()

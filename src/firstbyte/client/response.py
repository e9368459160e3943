"""One response of the client: its head is there, its body too or still to be read."""

from __future__ import annotations

import codecs
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from datetime import timedelta
from typing import Any, Literal, Protocol

import msgspec

from firstbyte.client.decoding import Decoder, make_decoder
from firstbyte.client.hooks import Timings
from firstbyte.client.network import Stream, run
from firstbyte.client.request import ClientRequest
from firstbyte.errors import ClientError, DecodingError, StatusError
from firstbyte.http.cookies import parse_cookies
from firstbyte.http.headers import Headers
from firstbyte.http.media import MediaType, codec_of
from firstbyte.http.url import URL
from firstbyte.wire.response import ResponseHead


class BodySource(Protocol):
    """Where the body of a response comes from: an exchange on a connection, or an app in memory."""

    is_async: bool
    is_over: bool  # whether there is nothing more to read

    @property
    def trailers(self) -> Headers | None:
        """Of a body that was read to its end."""
        ...

    @property
    def timings(self) -> Timings:
        """How long each phase took."""
        ...

    @property
    def seconds(self) -> float:
        """From the call until the end of the body, or until now."""
        ...

    def take_whole(self, at_most: int) -> bytes | None:
        """The body, if all of it is here before any was read, and is no longer than this; else `read` it."""
        ...

    async def read(self) -> bytes:
        """The next piece as it was sent; none at the end. Raises ClientError."""
        ...

    def take_over(self) -> tuple[Stream, bytes]:
        """See `ClientResponse.take_over`."""
        ...

    def close(self) -> None:
        """Leaves what is not read."""
        ...


class ClientResponse:
    """What a server answered.

    `status` and `reason`, `headers`, `url` (that of the last request), `request`, `http_version` ("1.1"), `history`
    (the responses that led here by redirects, oldest first). `content` is the body, decoded by its Content-Encoding. Of
    a streamed response read it with `chunks`, `lines` or `iter_raw`, in a loop with their namesakes that begin with an
    a.
    """

    __slots__ = (
        "_content", "_decoder", "_head", "_headers", "_max_body", "_pieces", "_source", "history", "reason", "request",
        "status",
    )  # fmt: skip

    def __init__(self, request: ClientRequest, head: ResponseHead, source: BodySource, max_body: int) -> None:
        self.request = request
        self.status = head.status
        self.reason = head.reason
        self.history: tuple[ClientResponse, ...] = ()
        self._head = head
        self._headers: Headers | None = None
        self._source = source
        self._content: bytes | None = None
        self._max_body = max_body
        self._decoder: Decoder | Literal[False] | None = False  # False: not looked for yet
        self._pieces = _NOTHING  # of what was decoded last

    # -- the head

    @property
    def ok(self) -> bool:
        """Whether the status is below 400."""
        return self.status < 400

    @property
    def url(self) -> URL:
        """The address that this is the answer of."""
        return self.request.url

    @property
    def http_version(self) -> str:
        """ "1.0" or "1.1"."""
        return f"1.{self._head.minor}"

    @property
    def headers(self) -> Headers:
        """The header fields, in their order."""
        if self._headers is None:
            self._headers = self._head.headers
        return self._headers

    @property
    def media_type(self) -> MediaType | None:
        """The body's media type, or None where the server names none or a malformed one."""
        value = self.headers.get("content-type")
        try:
            return None if value is None else MediaType.parse(value)
        except ValueError:
            return None

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies that this response sets, by name; those of the session are in its jar."""
        cookies: dict[str, str] = {}
        for value in self.headers.get_all("set-cookie"):
            cookies |= parse_cookies(value.partition(";")[0])
        return cookies

    @property
    def trailers(self) -> Headers | None:
        """The trailer fields of a chunked body that was read to its end, if there were any."""
        return self._source.trailers

    @property
    def elapsed(self) -> timedelta:
        """From the call to the end of the body, or until now while it is being read; of this exchange, not of
        `history`."""
        return timedelta(seconds=self._source.seconds)

    @property
    def timings(self) -> Timings:
        """How long each phase took."""
        return self._source.timings

    def take_over(self) -> tuple[Stream, bytes]:
        """The connection behind a 101, and what has come of the other protocol already; `close` ends it."""
        return self._source.take_over()

    def raise_for_status(self) -> ClientResponse:
        """This response. Raises StatusError for a status from 400 up."""
        if self.status < 400:
            return self
        message = f"{self.request.method} {self.url!r} was answered with {self.status} {self.reason}".rstrip()
        raise StatusError(message, response=self)

    # -- the whole body

    @property
    def content(self) -> bytes:
        """The body. A streamed response is read to its end first, which in a loop is `await r.aread()`."""
        if self._content is None:
            self._check_is_sync()
            return run(self.aread())
        return self._content

    @property
    def text(self) -> str:
        """The body as text, by the charset of its media type, UTF-8 if it names none; what is not valid becomes U+FFFD.

        Raises DecodingError for a charset that Python does not know.
        """
        return self.content.decode(self._charset(), "replace").removeprefix("\ufeff")

    def json(self, type: Any = Any) -> Any:  # noqa: A002 - msgspec's own word for it
        """The body as JSON, checked against and converted to `type` (a dataclass, a Struct, ...) if one is given.

        Raises DecodingError for what is no JSON or of another shape.
        """
        try:
            return msgspec.json.decode(self.content.removeprefix(codecs.BOM_UTF8), type=type)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise DecodingError(f"the body is not the JSON that was expected: {error}", rule="json") from None

    def take_whole(self) -> bool:
        """Whether the body is here: all of it came with the head, as most short ones do, or was read before."""
        if self._content is None and not self._head.is_coded:
            self._content = self._source.take_whole(self._max_body)
        return self._content is not None

    async def aread(self, max_body: int | None = None) -> bytes:
        """The body of a streamed response, read to its end.

        Raises ClientError, also for one of more than `max_body` bytes (default: the session's bound).
        """
        if self._content is None:
            source, read = self._source, self._reader()
            pieces = []
            longest = left = self._max_body if max_body is None else max_body
            while piece := await read():
                pieces.append(piece)
                left -= len(piece)
                if left < 0:
                    self.close()
                    message = f"the body is longer than the {longest} bytes that are kept: stream it"
                    raise DecodingError(message, rule="body-too-large")
                if source.is_over and self._decoder is None:
                    break
            self._content = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        return self._content

    # -- the body in pieces

    def chunks(self) -> Iterator[bytes]:
        """The body's pieces as they come, decoded. Raises ClientError."""
        if self._content is not None:
            yield from filter(None, [self._content])
            return
        self._check_is_sync()
        read = self._reader()
        while piece := run(read()):
            yield piece

    def lines(self) -> Iterator[str]:
        """The body's lines as they come, without their ends, as `text` would decode them. Raises ClientError."""
        lines = _Lines(self._charset(), self._max_body)
        for piece in self.chunks():
            yield from lines.feed(piece)
        yield from lines.end()

    def iter_raw(self) -> Iterator[bytes]:
        """The body's pieces as they were sent, under their Content-Encoding. Raises ClientError."""
        self._check_is_sync()
        while piece := run(self._source.read()):
            yield piece

    async def achunks(self) -> AsyncIterator[bytes]:
        """`chunks` in a loop."""
        if self._content is not None:
            if self._content:
                yield self._content
            return
        read = self._reader()
        while piece := await read():
            yield piece

    async def alines(self) -> AsyncIterator[str]:
        """`lines` in a loop."""
        lines = _Lines(self._charset(), self._max_body)
        async for piece in self.achunks():
            for line in lines.feed(piece):
                yield line
        for line in lines.end():
            yield line

    async def aiter_raw(self) -> AsyncIterator[bytes]:
        """`iter_raw` in a loop."""
        while piece := await self._source.read():
            yield piece

    def close(self) -> None:
        """Leaves what is not read; a connection in the middle of a body is closed with it. Twice is fine."""
        self._source.close()

    async def read_piece(self) -> bytes:
        """The next piece, decoded; none at the end. Raises ClientError."""
        return await self._reader()()

    def _reader(self) -> Callable[[], Coroutine[Any, Any, bytes]]:
        """What reads the next piece, decoded. Raises DecodingError."""
        if self._decoder is False:
            self._decoder = None
            if self._head.is_coded:
                try:
                    self._decoder = make_decoder(self.headers.get_joined("content-encoding"), max_size=None)
                except ClientError:
                    self.close()
                    raise
        return self._source.read if self._decoder is None else self._read_decoded

    async def _read_decoded(self) -> bytes:
        decoder = self._decoder
        assert decoder
        try:
            while True:
                for piece in self._pieces:
                    if piece:
                        return piece
                raw = await self._source.read()
                if not raw:
                    decoder.finish()
                    return raw
                self._pieces = decoder.decode(raw)
        except DecodingError:
            self.close()
            raise

    def _charset(self) -> str:
        media_type = self.media_type
        charset = "utf-8" if media_type is None else media_type.charset or "utf-8"
        try:
            return codec_of(charset)
        except LookupError:
            raise DecodingError(f"the body's charset {charset!r} is unknown", rule="charset") from None

    def _check_is_sync(self) -> None:
        if self._source.is_async:
            raise ClientError("in a loop, a stream is read with await response.aread(), achunks() and the like")

    def __repr__(self) -> str:
        return f"<ClientResponse {self.status} {self.reason}, {self.request.method} {self.url!r}>"


class _Lines:
    """Bytes into lines of text, by LF, CR LF and CR."""

    def __init__(self, charset: str, longest: int) -> None:
        self._decoder = codecs.getincrementaldecoder(charset)("replace")
        self._longest = longest
        self._rest = ""

    def feed(self, piece: bytes) -> list[str]:
        """The lines that end in `piece`."""
        text = self._rest + self._decoder.decode(piece)
        # A CR at the end may be the first half of a CR LF.
        body, held = (text[:-1], "\r") if text.endswith("\r") else (text, "")
        *lines, rest = _LINE_END.split(body)
        self._rest = rest + held
        if len(self._rest) > self._longest:
            raise DecodingError(f"a line is longer than {self._longest} characters", rule="line-too-long")
        return lines

    def end(self) -> list[str]:
        """What came behind the last line end, if anything did."""
        text = self._rest + self._decoder.decode(b"", final=True)
        return [text.removesuffix("\r")] if text else []


_NOTHING: Iterator[bytes] = iter(())
_LINE_END = re.compile(r"\r\n|\r|\n")

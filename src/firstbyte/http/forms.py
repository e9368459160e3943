"""Forms: fields and files of a body that is complete, or its parts one by one as they come."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from typing import TYPE_CHECKING, Final

from firstbyte.errors import HTTPError
from firstbyte.http.headers import Headers
from firstbyte.http.limits import FormLimits
from firstbyte.http.media import MediaType, media_type_of, text_of
from firstbyte.http.multipart import PartDecoder, PartHead
from firstbyte.http.percent import parse_query
from firstbyte.http.uploads import FormData, UploadedFile

if TYPE_CHECKING:
    from firstbyte.http.request import BodyPieces, Request

MULTIPART: Final = "multipart/form-data"
URLENCODED: Final = "application/x-www-form-urlencoded"
_DEFAULT = FormLimits()


def read_form(request: Request, limits: FormLimits | None) -> FormData:
    """The form that a body is; see `Request.form`."""
    limits = limits or _DEFAULT
    media_type = request.media_type
    essence = None if media_type is None else media_type.essence
    if media_type is not None and essence == MULTIPART:
        return _read_multipart(Parts(request.stream(), PartDecoder(media_type, limits)), limits)
    if essence == URLENCODED:
        return _read_urlencoded(request.stream(), limits)
    if request.headers.get("content-type") is None and request._stream is None and request._body == b"":
        return FormData()  # what sends nothing has nothing to name
    raise _no_form(request, f"{MULTIPART} or {URLENCODED}")


def stream_parts(request: Request, limits: FormLimits | None) -> Parts:
    """The parts that a body has; see `Request.stream_parts`."""
    media_type = request.media_type
    if media_type is None or media_type.essence != MULTIPART:
        raise _no_form(request, MULTIPART)
    return Parts(request.stream(), PartDecoder(media_type, limits or _DEFAULT))


class Parts:
    """The parts of a multipart body, each as soon as its head is here: `Part`s with `for`, `AsyncPart`s with `async
    for`; once. What is not read of one is skipped when the next is asked for.

    Raises HTTPError 400 and 413 as `Request.form` does, but only when it comes to the fault; ClientDisconnected if the
    client leaves before.
    """

    def __init__(self, pieces: BodyPieces, decoder: PartDecoder) -> None:
        self._body = pieces
        self._decoder = decoder

    def __iter__(self) -> Iterator[Part]:
        pieces = iter(self._body)
        walk = _Walk(self._decoder)
        while True:
            while (head := walk.next_head()) is not None:
                yield Part(head, walk, pieces)
            if walk.at_end:
                return
            walk.feed(next(pieces, b""))

    async def __aiter__(self) -> AsyncIterator[AsyncPart]:
        pieces = aiter(self._body)
        walk = _Walk(self._decoder)
        while True:
            while (head := walk.next_head()) is not None:
                yield AsyncPart(head, walk, pieces)
            if walk.at_end:
                return
            walk.feed(await anext(pieces, b""))


class _Walk:
    """Where among the events of a body its reader is; both colours of parts ask it, and feed it when it has no more."""

    def __init__(self, decoder: PartDecoder) -> None:
        self._decoder = decoder
        self._head: PartHead | None = None  # of the part that is being read
        self._is_over = False  # its content has been given to its end
        self.feed = decoder.feed

    @property
    def at_end(self) -> bool:
        return self._decoder.at_end

    def next_head(self) -> PartHead | None:
        """The head of the next part, what is left of this one skipped; None if it is not here, or there is none."""
        while (event := self._decoder.take()) is not None:
            if isinstance(event, PartHead):
                self._head = event
                self._is_over = False
                return event
        return None

    def next_piece(self, head: PartHead) -> bytes | None:
        """The next piece of a part, empty at its end; None if it is not here. RuntimeError for a part gone by."""
        if head is not self._head:
            raise RuntimeError(f"{head} has gone by: read a part before the next is asked for")
        if self._is_over:
            return b""
        event = self._decoder.take()
        assert not isinstance(event, PartHead)
        self._is_over = event == b""
        return event


class _AnyPart:
    """What both colours of parts have.

    `name` is that of the form's field, `filename` what the client calls the file, "" if nothing, None if it is a field
    and no file; any text at all, never a path (see `safe_name`). `headers` are the part's own.
    """

    def __init__(self, head: PartHead, walk: _Walk) -> None:
        self._head = head
        self._walk = walk
        self.name = head.name
        self.filename = head.filename
        self.headers: Headers = head.headers

    @property
    def media_type(self) -> MediaType | None:
        """What the client says that it is, which may be wrong; None where it says nothing or nonsense."""
        return media_type_of(self.headers)

    def _within(self, limit: int, so_far: int, piece: bytes) -> bytes:
        if so_far + len(piece) > limit:
            raise HTTPError(413, f"{self._head} has more than {limit} bytes")
        return piece

    def __str__(self) -> str:
        return str(self._head)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}, {self.filename!r}>"


class Part(_AnyPart):
    """A part that is being read: `for piece in part`, or `part.read(limit)`."""

    def __init__(self, head: PartHead, walk: _Walk, pieces: Iterator[bytes]) -> None:
        super().__init__(head, walk)
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        while True:
            while (piece := self._walk.next_piece(self._head)) is None:
                self._walk.feed(next(self._pieces, b""))
            if not piece:
                return
            yield piece

    def read(self, limit: int) -> bytes:
        """The rest of the content, in memory. Raises HTTPError 413 if it has more bytes than `limit`."""
        content = bytearray()
        for piece in self:
            content += self._within(limit, len(content), piece)
        return bytes(content)


class AsyncPart(_AnyPart):
    """A part that is being read by a coroutine: `async for piece in part`, or `await part.read(limit)`."""

    def __init__(self, head: PartHead, walk: _Walk, pieces: AsyncIterator[bytes]) -> None:
        super().__init__(head, walk)
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            while (piece := self._walk.next_piece(self._head)) is None:
                self._walk.feed(await anext(self._pieces, b""))
            if not piece:
                return
            yield piece

    async def read(self, limit: int) -> bytes:
        """`Part.read`."""
        content = bytearray()
        async for piece in self:
            content += self._within(limit, len(content), piece)
        return bytes(content)


def _read_multipart(parts: Parts, limits: FormLimits) -> FormData:
    fields: list[tuple[str, str]] = []
    files: list[UploadedFile] = []
    try:
        for part in parts:
            if part.filename is None:
                # All fields together are held to their limit as they come.
                fields.append((part.name, text_of(part.read(limits.field_bytes), part.media_type, str(part))))
                continue
            file = UploadedFile(part.name, part.filename, part.headers, limits.file_memory)
            files.append(file)
            for piece in part:
                file.add(piece)
            file.file.seek(0)
    except BaseException:
        for file in files:
            file.close()
        raise
    return FormData(fields, [file for file in files if file.filename or file.size])


def _read_urlencoded(pieces: Iterable[bytes], limits: FormLimits) -> FormData:
    """Always UTF-8, whatever its Content-Type says (the URL Standard's urlencoded parser)."""
    body = bytearray()
    for piece in pieces:
        body += piece
        if len(body) > limits.field_bytes:
            raise HTTPError(413, f"a form may have {limits.field_bytes} bytes")
    if body.count(b"&") >= limits.fields:
        raise HTTPError(413, f"a form may have {limits.fields} fields")
    text = text_of(bytes(body), None, "the form")
    return FormData(parse_query(text, limits.fields).items())


def _no_form(request: Request, wanted: str) -> HTTPError:
    given = request.headers.get("content-type")
    return HTTPError(415, f"the body is to be {wanted}, not {'of no type' if given is None else given}")

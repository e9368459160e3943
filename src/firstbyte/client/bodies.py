"""Request bodies: what the caller passed, as bytes that come piece by piece, with their type and length.

A body is made once and checked then; files are opened when they are sent, and are held to the length that was promised.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Generator,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from pathlib import Path, PurePath
from typing import Any, BinaryIO, TypeAlias, cast

import msgspec

from firstbyte.errors import InvalidRequest
from firstbyte.http.headers import Headers, check_field
from firstbyte.http.media import guess_type
from firstbyte.http.multidict import MultiDict
from firstbyte.http.percent import QueryInput, encode_query, form_pairs
from firstbyte.http.ranges import new_boundary

Content: TypeAlias = (
    "bytes | bytearray | memoryview | str | os.PathLike[str] | BinaryIO | Iterable[bytes] | AsyncIterable[bytes]"
)
"""Bytes; text, sent as UTF-8; a path or an open file, streamed; an iterable of bytes, sync or async, sent in chunks."""

FileInput: TypeAlias = "Content | tuple[str, Content] | tuple[str, Content, str]"
"""What a part of `files` may be: content, or (file name, content), or (file name, content, media type)."""

FilesInput: TypeAlias = "Mapping[str, FileInput] | Iterable[tuple[str, FileInput]]"

BLOCK = 64 * 1024  # bytes of a file that are read at once


class Body:
    """The body of one request.

    `content_type` is the Content-Type that says what it is, or None if nothing is known of it. `length` is its bytes,
    for Content-Length, or None where only its end will tell: it is then sent in chunks. `replayable` says whether it
    can be sent again, after a redirect or on another connection. `data` is the whole of it where it is held in memory,
    else None. `is_async` says that only `apieces` can give it. `trailers` are the fields behind a chunked one, to
    be set before its last piece is given.
    """

    __slots__ = ("_source", "content_type", "data", "is_async", "length", "replayable", "trailers")

    def __init__(
        self,
        source: bytes | Callable[[], Iterator[bytes]] | Callable[[], AsyncIterator[bytes]],
        content_type: str | None = None,
        length: int | None = None,
        *,
        replayable: bool = True,
        is_async: bool = False,
    ) -> None:
        self.data = source if isinstance(source, bytes) else None
        self._source = source
        self.content_type = content_type
        self.length = len(source) if isinstance(source, bytes) else length
        self.replayable = replayable
        self.is_async = is_async
        self.trailers: Headers | None = None

    def interrupt(self) -> None:
        """Has `apieces` give an empty piece if it waits for its source, and can: there is an answer already."""

    def pieces(self) -> Generator[bytes]:
        """The bytes from the first on, in pieces that are never empty: an empty chunk would end a chunked body.

        Where `length` is known the pieces are that long together. Call it once, or again if `replayable`; `close` it
        when the sending ends early. Raises InvalidRequest for a piece that is no bytes, for a source that is longer or
        shorter than promised or cannot be read, and for an async source.
        """
        if self.is_async:
            raise InvalidRequest("an async iterator is a body for an AsyncSession only")
        if self.data is not None:
            if self.data:
                yield self.data
            return
        sent = 0
        source = cast("Callable[[], Iterator[bytes]]", self._source)()
        try:
            for item in source:
                piece = self._checked(item, sent)
                sent += len(piece)
                if piece:
                    yield piece
        finally:
            if isinstance(source, Generator):
                source.close()
        self._check_end(sent)

    async def apieces(self) -> AsyncIterator[bytes]:
        """`pieces`, from a source of either kind; one that is not async is read without a pause. See `interrupt`."""
        if not self.is_async:
            pieces = self.pieces()
            try:
                for piece in pieces:
                    yield piece
            finally:
                pieces.close()
            return
        sent = 0
        source = cast("Callable[[], AsyncIterator[bytes]]", self._source)()
        try:
            async for item in source:
                piece = self._checked(item, sent)
                sent += len(piece)
                if piece:
                    yield piece
        finally:
            if isinstance(source, AsyncGenerator):
                await source.aclose()
        self._check_end(sent)

    def _checked(self, item: object, sent: int) -> bytes:
        """What an iterator gave, after the bytes `sent`. Raises InvalidRequest."""
        if not isinstance(item, bytes | bytearray | memoryview):
            raise InvalidRequest(f"the iterator of the body gave {type(item).__name__} instead of bytes")
        piece = bytes(item)
        if self.length is not None and sent + len(piece) > self.length:
            raise InvalidRequest(f"the body has more than the {self.length} bytes that were promised")
        return piece

    def _check_end(self, sent: int) -> None:
        if self.length is not None and sent < self.length:
            raise InvalidRequest(f"the body has {sent} bytes instead of the {self.length} that were promised")

    def __repr__(self) -> str:
        return f"<Body {self.content_type or 'of no known type'}, {'?' if self.length is None else self.length} bytes>"


def make_body(
    *,
    content: Content | None = None,
    data: Content | QueryInput | None = None,
    json: Any = None,
    files: FilesInput | None = None,
) -> Body | None:
    """The body that the arguments of a request call for, or None if it has none.

    `json` is encoded by `encode_json`, `content` by `encode_content`; `data` is a form if it is a mapping or a list of
    pairs, else content; `files`, with the fields of `data` before them, is multipart. To send null give it as content.
    Raises InvalidRequest for two bodies at once, and for what the encoders refuse.
    """
    given = [
        name
        for name, value in (("content", content), ("data", data), ("json", json), ("files", files))
        if value is not None
    ]
    if len(given) > 1 and given != ["data", "files"]:
        raise InvalidRequest(f"a request has one body: give {' or '.join(given)}, not both")
    if json is not None:
        return encode_json(json)
    if content is not None:
        return encode_content(content)
    if files is not None:
        if data is not None and not _is_fields(data):
            raise InvalidRequest("with files, data holds the fields of the form: a mapping or a list of pairs")
        return encode_multipart(files, cast("QueryInput", data or ()))
    if data is not None:
        return encode_form(cast("QueryInput", data)) if _is_fields(data) else encode_content(cast("Content", data))
    return None


def encode_json(value: Any) -> Body:
    """`value` as JSON: what msgspec encodes (dict, list, dataclass, Struct, datetime, ...). Raises InvalidRequest."""
    try:
        return Body(msgspec.json.encode(value), "application/json")
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
        raise InvalidRequest(f"json: {error}") from error


def encode_form(fields: QueryInput) -> Body:
    """The fields as application/x-www-form-urlencoded, by the rules of `encode_query`. Raises InvalidRequest."""
    try:
        return Body(encode_query(fields).encode("ascii"), "application/x-www-form-urlencoded")
    except (TypeError, ValueError) as error:
        raise InvalidRequest(f"data: these are no fields of a form: {error}") from error


def encode_content(content: Content, content_type: str | None = None, length: int | None = None) -> Body:
    """A body of content as it is; see `Content`.

    Without `content_type` text is text/plain, a file is told by its name, and of anything else nothing is said (RFC
    9110 section 8.3). A file is sent from where it stands; its length is the rest of it. `length` is a promise about an
    iterable, which it is held to. An iterator and a file that cannot seek can be sent once only. Raises InvalidRequest
    for anything else, and for a file that is not there or opened as text.
    """
    if isinstance(content, bytes):
        return Body(content, content_type)
    if isinstance(content, bytearray | memoryview):
        return Body(bytes(content), content_type)
    if isinstance(content, str):
        return Body(_utf8(content, "the body"), content_type or "text/plain; charset=utf-8")
    if isinstance(content, os.PathLike):
        return _path_body(Path(content), content_type)
    if hasattr(content, "read"):
        return _file_body(cast("BinaryIO", content), content_type)
    if isinstance(content, AsyncIterable):
        again = not isinstance(content, AsyncIterator)
        return Body(content.__aiter__, content_type, length, replayable=again, is_async=True)
    if isinstance(content, Iterable) and not isinstance(content, Mapping | MultiDict):
        again = not isinstance(content, Iterator)
        return Body(lambda: iter(content), content_type, length, replayable=again)
    raise InvalidRequest(f"a body cannot be {type(content).__name__}: give bytes, str, a path, a file or an iterable")


def encode_multipart(files: FilesInput, fields: QueryInput = ()) -> Body:
    """Fields, then files, as multipart/form-data (RFC 7578); files are streamed.

    A part's content is what `encode_content` takes; its media type is told from the file name unless it is given. A
    bare str is refused: it could be a path as well as content. Names are UTF-8 with quotes and line ends escaped as
    browsers do it (HTML Standard, "multipart/form-data encoding algorithm"); values are sent unchanged. The length is
    known if every part's is. Raises InvalidRequest, also for a name with another control character.
    """
    boundary = new_boundary()
    try:
        parts = [
            _part(boundary, _text(name), None, Body(value if isinstance(value, bytes) else _utf8(value, "data")))
            for name, value in form_pairs(fields)
        ]
        named = list(files.items() if isinstance(files, Mapping) else files)
        parts += [_file_part(boundary, name, value) for name, value in named]
    except (TypeError, ValueError) as error:
        if isinstance(error, InvalidRequest):
            raise
        raise InvalidRequest(f"these are no fields and files of a form: {error}") from error
    closing = f"--{boundary}--\r\n".encode("ascii")

    def pieces() -> Generator[bytes]:
        for head, body in parts:
            yield head
            yield from body.pieces()
            yield b"\r\n"
        yield closing

    content_type = f"multipart/form-data; boundary={boundary}"
    known = [body.length for _, body in parts if body.length is not None]
    length = sum(known) + sum(len(head) + 2 for head, _ in parts) + len(closing)
    if length <= BLOCK and all(body.data is not None for _, body in parts):
        return Body(b"".join(pieces()), content_type)  # what is small is sent at once
    is_replayable = all(body.replayable for _, body in parts)
    return Body(pieces, content_type, length if len(known) == len(parts) else None, replayable=is_replayable)


_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")  # of those that browsers do not escape
_ESCAPES = str.maketrans({"\r": "%0D", "\n": "%0A", '"': "%22"})


def _is_fields(data: object) -> bool:
    """Whether data are the fields of a form: a mapping, or a sequence of pairs."""
    if isinstance(data, Mapping | MultiDict):
        return True
    is_sequence = isinstance(data, Sequence) and not isinstance(data, str | bytes | bytearray | memoryview)
    return is_sequence and all(isinstance(item, tuple | list) for item in cast("Sequence[object]", data))


def _part(boundary: str, name: str, filename: str | None, body: Body) -> tuple[bytes, Body]:
    """The delimiter and head of a part, and its body."""
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="{_escaped(name)}"'
    if filename is not None:
        head += f'; filename="{_escaped(filename)}"'
    if body.content_type is not None:
        check_field("Content-Type", body.content_type)
        head += f"\r\nContent-Type: {body.content_type}"
    return _utf8(head + "\r\n\r\n", f"the name {name!r}"), body


def _file_part(boundary: str, name: str, value: FileInput) -> tuple[bytes, Body]:
    filename, content, content_type = None, value, None
    if isinstance(value, tuple):
        if not 2 <= len(value) <= 3 or not isinstance(value[0], str):
            raise InvalidRequest(f"files: {name!r} must be (file name, content) or (file name, content, media type)")
        filename, content, content_type = value if len(value) == 3 else (*value, None)
    elif isinstance(value, str):
        raise InvalidRequest(f"files: {name!r} is a str: give a pathlib.Path, or (file name, content)")
    filename = filename or _name_of(content) or name
    body = encode_content(cast("Content", content), content_type or guess_type(filename))
    if body.is_async:
        raise InvalidRequest(f"files: {name!r} is an async iterator: a part can only be a sync one")
    return _part(boundary, name, filename, body)


def _name_of(content: object) -> str | None:
    """The last part of the name of a path or an open file, or None."""
    name = os.fspath(content) if isinstance(content, os.PathLike) else getattr(content, "name", None)
    return PurePath(name).name if isinstance(name, str) else None  # an unnamed file's is its descriptor


def _path_body(path: Path, content_type: str | None) -> Body:
    def pieces() -> Generator[bytes]:
        with _open(path) as file:
            yield from _blocks(file, length)

    try:
        facts = path.stat()
    except (OSError, ValueError) as error:
        raise InvalidRequest(f"the file {str(path)!r} cannot be read: {error}") from error
    if not stat.S_ISFIFO(facts.st_mode):  # opening one would wait for its writer
        _open(path).close()  # what cannot be read is found out before a connection is made
    length = facts.st_size if stat.S_ISREG(facts.st_mode) else None
    return Body(pieces, content_type or guess_type(path.name), length, replayable=length is not None)


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except (OSError, ValueError) as error:
        raise InvalidRequest(f"the file {str(path)!r} cannot be read: {error}") from error


def _file_body(file: BinaryIO, content_type: str | None) -> Body:
    if hasattr(file, "encoding"):
        raise InvalidRequest('the file of the body is opened as text: open it with "rb"')
    try:
        start = file.tell()
        length = max(0, file.seek(0, os.SEEK_END) - start)
        file.seek(start)
    except (OSError, AttributeError, ValueError):  # a pipe, or what looks like one
        return Body(lambda: _blocks(file, None), content_type or _type_by_name(file), replayable=False)

    return Body(lambda: _blocks(file, length, start), content_type or _type_by_name(file), length)


def _type_by_name(file: BinaryIO) -> str | None:
    name = _name_of(file)
    return None if name is None else guess_type(name)


def _blocks(file: BinaryIO, length: int | None, start: int | None = None) -> Generator[bytes]:
    """What is read from a file, up to `length`: one that grows meanwhile is cut where it was to end."""
    left = sys.maxsize if length is None else length
    try:
        if start is not None:
            file.seek(start)
        while left and (block := file.read(min(BLOCK, left))):
            yield block
            left -= len(block)
    except (OSError, ValueError) as error:
        raise InvalidRequest(f"the file of the body cannot be read: {error}") from error


def _escaped(name: str) -> str:
    """A name for within quotes in Content-Disposition. Raises InvalidRequest."""
    bad = _CONTROL.search(name)
    if bad is not None:
        raise InvalidRequest(f"the name {name!r} has the control character {bad.group()!r} at {bad.start()}")
    return name.translate(_ESCAPES)


def _text(name: str | bytes) -> str:
    return name if isinstance(name, str) else name.decode("utf-8")


def _utf8(text: str, what: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidRequest(f"{what} has a lone surrogate at {error.start}, which has no UTF-8") from None

"""Shows a response: formatted for people on a terminal, as it came for programs in a pipe."""

from __future__ import annotations

import codecs
import io
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Protocol, TextIO

from firstbyte.cli.http_output import format_head, format_json, paint, visible
from firstbyte.client import views
from firstbyte.client.progress import format_size
from firstbyte.http.headers import Headers
from firstbyte.http.media import MediaType, codec_of

_FORMATTED = 8 * 1024 * 1024  # bytes of JSON that are formatted; what is longer is shown as it came
_TEXTUAL = {"javascript", "xml", "yaml", "www-form-urlencoded", "graphql", "ndjson", "sql", "toml"}


class Answer(views.Answer, Protocol):
    """What is shown of a response."""

    @property
    def reason(self) -> str: ...
    @property
    def http_version(self) -> str: ...
    def chunks(self) -> Iterator[bytes]:
        """The pieces of the body, its compression undone."""
        ...


@dataclass(frozen=True)
class Show:
    """What is shown, and how: `pretty` formats for people, `colour` adds colours."""

    head: bool
    body: bool
    pretty: bool
    colour: bool

    @classmethod
    def choose(cls, out: TextIO, *, head: bool, body: bool, pretty: bool | None, verbose: bool) -> Show:
        """What fits the stream: a terminal gets all of it, formatted; a pipe the body alone, as it came.

        `head` and `body` ask for that part alone, `pretty` overrides; `verbose` shows the head in its own way. NO_COLOR
        takes colours away (no-color.org).
        """
        terminal = out.isatty()
        formatted = terminal if pretty is None else pretty
        return cls(
            head=head or (terminal and not body and not verbose),
            body=body or not head,
            pretty=formatted,
            colour=formatted and not os.environ.get("NO_COLOR"),
        )


def show_response(response: Answer, show: Show, out: TextIO) -> None:
    """Writes what `show` says to a text stream; bytes that are not formatted go to its buffer as they are."""
    if show.head:
        start_line = f"HTTP/{response.http_version} {response.status} {response.reason}".rstrip(" ")
        out.write(format_head(start_line, response.headers.items(), show.colour) + "\n\n")
        out.flush()
    if not show.body:
        return
    if show.pretty:
        last = "\n"
        for text in filter(None, formatted(response.headers, response.chunks(), show.colour)):
            out.write(text)
            out.flush()
            last = text[-1]
        out.write("" if last == "\n" else "\n")
        out.flush()
        return
    for piece in response.chunks():
        out.buffer.write(piece)
        out.buffer.flush()


def formatted(headers: Headers, pieces: Iterable[bytes], colour: bool = False) -> Iterator[str]:
    """A body for people: JSON formatted, other text without what a terminal would obey, of binary data a remark."""
    pieces = iter(pieces)
    media_type = _media_type(headers)
    held = next(pieces, b"")
    if media_type is not None and (media_type.subtype == "json" or media_type.subtype.endswith("+json")):
        held = b"".join([held, *_until(pieces, _FORMATTED - len(held))])
        try:
            if len(held) <= _FORMATTED:
                yield format_json(held, colour) + "\n"
                return
        except ValueError:
            pass  # it says that it is JSON and is not: it is shown as the text that it is
    elif not _is_text(media_type, held):
        length = headers.get("content-length")
        size = f", {format_size(int(length))}" if length is not None and length.isdigit() else ""
        kind = media_type.essence if media_type else "unknown type"
        remark = f"[binary data, {kind}{size}: --download saves it, a pipe takes it]"
        yield paint(remark, None, colour, dim=True) + "\n"
        return
    decoder = io.IncrementalNewlineDecoder(_decoder(media_type), translate=True)
    for piece in chain([held], pieces):
        yield visible(decoder.decode(piece))
    yield visible(decoder.decode(b"", final=True))


def _media_type(headers: Headers) -> MediaType | None:
    try:
        return MediaType.parse(headers.get("content-type") or "")
    except ValueError:
        return None


def _until(pieces: Iterator[bytes], size: int) -> Iterator[bytes]:
    """The pieces until there are more than `size` bytes of them."""
    while size >= 0 and (piece := next(pieces, None)) is not None:
        size -= len(piece)
        yield piece


def _is_text(media_type: MediaType | None, first: bytes) -> bool:
    """Whether a body is text: by its type, and where that says nothing by its first bytes."""
    if media_type is not None and media_type.essence != "application/octet-stream":
        return media_type.type == "text" or media_type.subtype.rpartition("+")[2].removeprefix("x-") in _TEXTUAL
    try:
        return "\0" not in codecs.getincrementaldecoder("utf-8")().decode(first)
    except UnicodeDecodeError:
        return False


def _decoder(media_type: MediaType | None) -> codecs.IncrementalDecoder:
    """Decodes by the charset, UTF-8 if there is none or one that nobody knows."""
    try:
        codec = codec_of((media_type and media_type.charset) or "utf-8")
    except LookupError:
        codec = "utf-8"
    return codecs.getincrementaldecoder(codec)("replace")

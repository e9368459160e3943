"""From what a handler returns to a response."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Generator, Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin

import msgspec

from firstbyte.http.request import Request
from firstbyte.http.response import HTML, JSON, Response
from firstbyte.http.send_file import send_file


def to_response(value: Any, request: Request) -> Response:
    """The response that a handler's return value stands for.

    str is a page (text/html), bytes are application/octet-stream, None is 204; dict, list, dataclass, Struct, numbers
    are JSON; a generator or other iterator, asynchronous or not, is streamed; a `Path` is sent as a file; `(value,
    status)` and `(value, status, headers)` add those; a `Response` stays as it is. Raises TypeError for anything else.
    """
    kind = type(value)
    if kind is dict or kind is list:
        return Response(msgspec.json.encode(value), 200, None, JSON)
    if isinstance(value, Response):
        return value
    if isinstance(value, str):
        return Response(value, 200, None, HTML)
    if isinstance(value, dict | list | int | float | msgspec.Struct) or dataclasses.is_dataclass(value):
        return Response(msgspec.json.encode(value), 200, None, JSON)
    if isinstance(value, tuple):
        return _with_status(value, request)
    if value is None:
        return Response(b"", 204)
    if isinstance(value, bytes | bytearray | memoryview):
        return Response(bytes(value))
    if isinstance(value, Path):
        return send_file(value, request)
    if isinstance(value, Iterator | AsyncIterator):
        return Response(value, 200, None, HTML)
    raise TypeError(
        f"a handler returned {type(value).__name__}: return str, bytes, None, a dict, list, dataclass or Struct, an "
        "iterator, a Path, (value, status) or a Response"
    )


class Answer(NamedTuple):
    """One answer that a return annotation promises. `media` is "" for one without a body, or of an unknown type."""

    status: int | None
    """None where the annotation leaves it open, as `tuple[Task, int]` does."""
    kind: Any
    media: str


def answers(hint: Any) -> list[Answer]:
    """What a handler with this return annotation answers; nothing for one that does not say."""
    if get_origin(hint) in (Union, types.UnionType):
        return [answer for each in get_args(hint) for answer in answers(each)]
    if hint is Any:
        return []
    if get_origin(hint) is tuple and len(get_args(hint)) in (2, 3):
        value, status, *_ = get_args(hint)
        if status is int:
            return [each._replace(status=None) for each in answers(value)]
        if get_origin(status) is Literal and all(isinstance(each, int) for each in get_args(status)):
            return [each._replace(status=number) for number in get_args(status) for each in answers(value)]
    return [_answer(hint)]


def _answer(hint: Any) -> Answer:
    if hint is None or hint is type(None):
        return Answer(204, None, "")
    kind = get_origin(hint) or hint
    if not isinstance(kind, type):
        return Answer(200, hint, JSON)
    if issubclass(kind, Response):
        return Answer(None, Response, "")
    if issubclass(kind, str) or kind in _STREAMS:
        return Answer(200, hint, HTML)
    if issubclass(kind, bytes | bytearray | memoryview):
        return Answer(200, bytes, "application/octet-stream")
    if issubclass(kind, Path):
        return Answer(200, bytes, "*/*")
    return Answer(200, hint, JSON)


_STREAMS = (Iterator, Iterable, Generator, AsyncIterator, AsyncIterable, AsyncGenerator)


def _with_status(value: tuple[Any, ...], request: Request) -> Response:
    if len(value) not in (2, 3) or not isinstance(value[1], int):
        raise TypeError(
            f"a handler returned a tuple of {len(value)}: it must be (value, status) or (value, status, headers)"
        )
    if value[0] is None and value[1] != 204:
        response = Response(b"", value[1])
    else:
        response = to_response(value[0], request)
        if not 200 <= value[1] <= 599:
            raise ValueError(f"a response's status is from 200 to 599, not {value[1]}")
        response.status = value[1]
    if len(value) == 3:
        response.headers.update(value[2])
    return response

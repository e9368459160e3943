"""From what a handler returns to a response."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec

from firstbyte.http.request import Request
from firstbyte.http.response import HTML, JSON, Response
from firstbyte.http.send_file import send_file


def to_response(value: Any, request: Request, as_json: bool = False) -> Response:
    """The response that a handler's return value stands for.

    str is a page (text/html), bytes are application/octet-stream, None is 204; dict, list, numbers and structures (of
    dataclass, msgspec, attrs, pydantic) are JSON; a generator or other iterator, asynchronous or not, is streamed; a
    `Path` is sent as a file; `(value, status)` and `(value, status, headers)` add those; a `Response` stays as it is.
    With `as_json` anything else is JSON too; without it that raises TypeError.
    """
    kind = type(value)
    if isinstance(value, Response):
        return value
    if kind is dict or kind is list:
        return Response(_encode(value), 200, None, JSON)
    if isinstance(value, str):
        return Response(value, 200, None, HTML)
    if isinstance(value, dict | list | int | float | msgspec.Struct) or dataclasses.is_dataclass(value):
        return Response(_encode(value), 200, None, JSON)
    if isinstance(value, tuple):
        return _with_status(value, request, as_json)
    if value is None:
        return Response(b"", 204)
    if isinstance(value, bytes | bytearray | memoryview):
        return Response(bytes(value))
    if isinstance(value, Path):
        return send_file(value, request)
    if isinstance(value, Iterator | AsyncIterator):
        return Response(value, 200, None, HTML)
    if hasattr(value, "model_dump_json"):  # a model of pydantic
        return Response(value.model_dump_json(by_alias=True), 200, None, JSON)
    if as_json or hasattr(value, "__attrs_attrs__"):
        return Response(_encode(value), 200, None, JSON)
    raise TypeError(
        f"a handler returned {type(value).__name__}: return str, bytes, None, a dict, list, dataclass or Struct, an "
        "iterator, a Path, (value, status) or a Response, or annotate what it returns, and that is sent as JSON"
    )


_encode = msgspec.json.encode


def _with_status(value: tuple[Any, ...], request: Request, as_json: bool) -> Response:
    if len(value) not in (2, 3) or not isinstance(value[1], int):
        raise TypeError(
            f"a handler returned a tuple of {len(value)}: it must be (value, status) or (value, status, headers)"
        )
    if value[0] is None and value[1] != 204:
        response = Response(b"", value[1])
    else:
        response = to_response(value[0], request, as_json)
        if not 200 <= value[1] <= 599:
            raise ValueError(f"a response's status is from 200 to 599, not {value[1]}")
        response.status = value[1]
    if len(value) == 3:
        response.headers.update(value[2])
    return response

"""What return annotations promise: how values are sent by them, and the check in development."""

from __future__ import annotations

import enum
import logging
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypedDict
from uuid import UUID

import attrs
import msgspec
import pytest
from pydantic import BaseModel, Field

from app.support import ask
from firstbyte import App, Response


class Task(msgspec.Struct):
    title: str
    done: bool = False


class Named(Task):
    owner: str = "nobody"


class Cat(msgspec.Struct, tag=True):
    name: str


class Dog(msgspec.Struct, tag=True):
    name: str


@dataclass
class Plain:
    n: int


@attrs.define
class Attrs:
    n: int


class Typed(TypedDict):
    n: int


class Pair(NamedTuple):
    a: int
    b: int


class Model(BaseModel):
    n: int = Field(alias="N")


class Colour(str, enum.Enum):  # noqa: UP042 - one that is text as well
    RED = "red"


class Aliased(msgspec.Struct, rename="camel", omit_defaults=True):
    long_name: int = 0


Positive = Annotated[int, msgspec.Meta(gt=0)]
JSON, HTML = "application/json", "text/html; charset=utf-8"


def answer(value: Any, annotation: Any = Any, debug: bool = True) -> Response:
    """What a handler with that annotation answers by returning `value`."""

    def handler() -> Any:
        return value

    handler.__annotations__["return"] = annotation
    app = App(debug=debug)
    app.get("/")(handler)
    return ask(app, "GET", "/")


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize(
    ("annotation", "value", "status", "media_type", "body"),
    [
        (Task, Task("a"), 200, JSON, b'{"title":"a","done":false}'),
        (Task, {"title": "a"}, 200, JSON, b'{"title":"a"}'),
        (list[Task], [Task("a", True)], 200, JSON, b'[{"title":"a","done":true}]'),
        (Plain, Plain(1), 200, JSON, b'{"n":1}'),
        (Attrs, Attrs(1), 200, JSON, b'{"n":1}'),
        (Typed, {"n": 1}, 200, JSON, b'{"n":1}'),
        (Pair, Pair(1, 2), 200, JSON, b"[1,2]"),
        (Model, Model(N=1), 200, JSON, b'{"N":1}'),
        (list[Model], [Model(N=1)], 200, JSON, b'[{"N":1}]'),
        (Model | Task, Task("a"), 200, JSON, b'{"title":"a","done":false}'),
        (tuple[Model, int], (Model(N=1), 202), 202, JSON, b'{"N":1}'),
        (Cat | Dog, Dog("a"), 200, JSON, b'{"type":"Dog","name":"a"}'),
        (Aliased, Aliased(1), 200, JSON, b'{"longName":1}'),
        (Aliased, {"longName": 0}, 200, JSON, b'{"longName":0}'),
        (dict[str, Any], {"a": {"b": 1}}, 200, JSON, b'{"a":{"b":1}}'),
        (dict[int, date], {1: date(2026, 11, 21)}, 200, JSON, b'{"1":"2026-11-21"}'),
        (Colour, Colour.RED, 200, JSON, b'"red"'),
        (UUID, UUID(int=1), 200, JSON, b'"00000000-0000-0000-0000-000000000001"'),
        (Decimal, Decimal("1.10"), 200, JSON, b'"1.10"'),
        (set[int], {1}, 200, JSON, b"[1]"),
        (int, 5, 200, JSON, b"5"),
        (bool | None, None, 204, None, b""),
        (tuple[Task, Literal[201]], (Task("a"), 201), 201, JSON, b'{"title":"a","done":false}'),
        (Task | tuple[Typed, Literal[409]], ({"n": 1}, 409), 409, JSON, b'{"n":1}'),
        (tuple[None, Literal[404]], (None, 404), 404, None, b""),
        (str, "a", 200, HTML, b"a"),
        (bytes, b"a", 200, "application/octet-stream", b"a"),
        (Response, Response("a"), 200, "text/plain; charset=utf-8", b"a"),
        (Any, Attrs(1), 200, JSON, b'{"n":1}'),
        (Any, Model(N=1), 200, JSON, b'{"N":1}'),
        ("Unknown", {"n": 1}, 200, JSON, b'{"n":1}'),
    ],
)
def test_values_are_sent_as_their_annotation_says(
    annotation: Any, value: Any, status: int, media_type: str | None, body: bytes, debug: bool
) -> None:
    response = answer(value, annotation, debug)
    assert (response.status, response.headers.get("content-type"), response.body) == (status, media_type, body)


@pytest.mark.parametrize("kind", [Path, Iterator[str]])
def test_files_and_streams(kind: Any, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    value = tmp_path / "a.txt" if kind is Path else iter(["a"])
    assert answer(value, kind).status == 200


def test_a_stream_of_a_coroutine() -> None:
    app = App(debug=True)

    @app.get("/")
    async def pieces() -> AsyncIterator[str]:
        yield "a"

    assert app.resolve(request := _get()).call(request).response.status == 200  # type: ignore[attr-defined]


def _get() -> Any:
    from firstbyte import Request

    return Request.build("GET", "/")


@pytest.mark.parametrize(
    ("annotation", "value", "message"),
    [
        (Task, {"title": 1}, "to return Task and returned dict: it.title: Expected str, got int (1)"),
        (Task, {}, "to return Task and returned dict: it.title: Object missing required field title"),
        (Task, Named("a"), "to return Task and returned Named: it.owner is sent and not in the annotation"),
        (Task, None, "to return Task and returned None: that is a 204"),
        (Task, "text", "to return Task and returned str: that is no JSON"),
        (Task, Response("a"), "to return Task and returned Response: that is no JSON"),
        (Task, (Task("a"), 201), "to return Task and returned Task: that is a 201"),
        (list[Task], [Named("a")], "returned list: it[0].owner is sent"),
        (dict[str, Task], {"k": Named("a")}, "returned dict: it.k.owner is sent"),
        (Cat | Dog, {"type": "Dog", "name": "a", "age": 1}, "it.age is sent"),
        (Model, {"n": "x"}, "to return Model and returned dict: 1 validation error for Model"),
        (Positive, 0, "Expected int >= 1 (0)"),
        (tuple[Task, Literal[201]], Task("a"), "that is a 200"),
        (float, float("nan"), "it: Expected float, got null (null)"),
        (None, {}, "to return None and returned dict: that is a 200"),
        (str, {}, "to return str and returned dict: that is no str"),
        (bytes, "", "that is no bytes"),
        (Iterator[str], "", "that is no Iterator"),
        (Path, "", "that is no Path"),
        (Response, "", "that is no Response"),
        (Task | None, 5, "it: Expected object, got int (5) or that is a 200"),
    ],
)
def test_what_the_annotation_does_not_say_is_a_500_in_development(
    annotation: Any, value: Any, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, "firstbyte.app"):
        assert answer(value, annotation).status == 500
    (record,) = caplog.records
    assert record.exc_info is not None
    told = str(record.exc_info[1])
    assert message in told
    assert f"handler ({__file__}:{answer.__code__.co_firstlineno + 3}) is annotated" in told.replace(
        "answer.<locals>.", ""
    )
    assert answer(value, annotation, debug=False).status in (200, 201, 204)


def test_no_annotation_promises_nothing() -> None:
    assert [answer(value).status for value in ("a", {"a": 1}, None)] == [200, 200, 204]


def test_what_is_mounted_is_in_debug_with_its_app() -> None:
    inner, middle, outer = App(), App(), App(debug=True)

    @inner.get("/")
    def lie() -> Task:
        return {"title": 1}  # type: ignore[return-value]

    middle.mount("/inner", inner)
    outer.mount("/middle", middle)
    response = ask(outer, "GET", "/middle/inner/")
    assert response.status == 500
    assert b"it.title: Expected str, got int (1)" in response.body


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, 200),
        ({"Range": "bytes=0-0"}, 206),
        ({"Range": "bytes=9-"}, 416),
        ({"If_Modified_Since": "Fri, 01 Jan 2100 00:00:00 GMT"}, 304),
        ({"If_Match": '"other"'}, 412),
    ],
)
def test_the_request_decides_the_status_of_a_file(fields: dict[str, str], status: int, tmp_path: Path) -> None:
    app = App(debug=True)
    (tmp_path / "a.txt").write_text("a")

    @app.get("/")
    def file() -> Path:
        return tmp_path / "a.txt"

    response = ask(app, "GET", "/", **fields)
    response.close()
    assert response.status == status

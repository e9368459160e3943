"""A structure from the whole query: one that may be missing, and what is none."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import pytest

from app.support import get
from firstbyte import App
from firstbyte.app.params import Query
from firstbyte.errors import RouteError


class Page(msgspec.Struct):
    number: int
    tags: list[str] = []


class Other(msgspec.Struct, tag=True):
    x: int


class Another(msgspec.Struct, tag=True):
    y: int


@pytest.mark.parametrize(
    ("target", "status", "body"),
    [
        ("/", 200, b"none"),
        ("/?unknown=1", 200, b"none"),
        ("/?number=2&tags=a&tags=b", 200, b"2 a b"),
        ("/?number=x", 422, None),
        ("/?tags=a", 422, None),
    ],
)
def test_a_structure_that_may_be_missing(target: str, status: int, body: bytes | None) -> None:
    app = App()

    @app.get("/")
    def show(page: Annotated[Page | None, Query] = None) -> str:
        return "none" if page is None else " ".join([str(page.number), *page.tags])

    came, text = get(app, target)
    assert came == status
    assert body is None or text == body


@pytest.mark.parametrize("kind", [Other | Another, dict[str, int], list[Page]])
def test_what_is_not_one_structure_is_refused_with_its_route(kind: Any) -> None:
    def show(page: Any) -> str:
        return ""

    show.__annotations__["page"] = Annotated[kind, Query]
    with pytest.raises(RouteError, match="the annotation of page cannot be read from a request"):
        App().add_route("/", show)

"""Values from texts, where msgspec alone would take what nobody means."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any

import msgspec
import pytest

from firstbyte.app.problems import Problem
from firstbyte.app.texts import Fields, Texts
from firstbyte.errors import ValidationError


class Colour(enum.Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (int | None, "null"),
        (Colour | None, "null"),
        (Annotated[int | None, msgspec.Meta(ge=1)], "null"),
        (float, "nan"),
        (float, "-inf"),
        (float | None, "Infinity"),
        (Annotated[float, msgspec.Meta(ge=0)], "inf"),
        (Decimal, "NaN"),
        (Decimal, "sNaN"),
        (Decimal, "1_0"),
        (Decimal, " 1"),
        (list[float], ["1", "nan"]),
        (datetime, "1600000000"),
        (datetime | None, "1.5e9"),
        (timedelta, "-5"),
    ],
)
def test_what_nobody_means_does_not_fit(kind: Any, text: Any) -> None:
    with pytest.raises(ValidationError):
        Texts(kind).read(text, "query.x")


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (str | None, "null", "null"),
        (float | str, "nan", "nan"),
        (float, "-1.5e3", -1500.0),
        (Decimal, "-0.10", Decimal("-0.10")),
        (Any, "inf", "inf"),
        (timedelta, "PT5S", timedelta(seconds=5)),
        (datetime, "2026-11-21T10:00:00", datetime(2026, 11, 21, 10)),
        (datetime | int, "5", 5),
        (list[int] | None, ["1", "2"], [1, 2]),
        (tuple[int, str], ["1", "2"], (1, "2")),
    ],
)
def test_what_somebody_means_does(kind: Any, text: Any, value: Any) -> None:
    assert Texts(kind).read(text, "query.x") == value


@pytest.mark.parametrize("kind", [complex, list[complex], complex | None, msgspec.Raw])
def test_a_type_that_no_text_is(kind: Any) -> None:
    with pytest.raises(TypeError, match="no text is a"):
        Texts(kind)


@dataclass
class Base:
    tags: list[str] = field(default_factory=list)


@dataclass
class Search(Base):
    page: int = 1
    colour: Colour | None = None
    price: float = 0.0


def test_every_field_that_does_not_fit_is_told() -> None:
    fields = Fields(Search)
    given = {"page": "x", "colour": "null", "price": "nan", "tags": ["a"]}
    with pytest.raises(ValidationError) as caught:
        fields.read(given, "query")
    assert list(caught.value.problems) == [
        Problem("query.page", "Expected int, got str", "int", '"x"'),
        Problem("query.colour", "Invalid enum value", "one of red", '"null"'),
        Problem("query.price", "Expected float, got str", "float", '"nan"'),
    ]
    assert fields.read({"page": "2", "tags": ["a"]}, "query") == Search(["a"], 2)

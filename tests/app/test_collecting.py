"""All that is wrong with a body, and where: not only the first of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from enum import Enum
from typing import Annotated, Any, Generic, Literal, NamedTuple, NotRequired, TypedDict, TypeVar
from uuid import UUID

import msgspec
import pytest
from msgspec import Meta

from app.support import ask
from firstbyte import App
from firstbyte.app.collecting import MOST
from firstbyte.app.params import Body, Form

T = TypeVar("T")


class Address(msgspec.Struct, rename="camel"):
    street: str
    zip_code: Annotated[str, Meta(pattern="^[0-9]{5}$")]


class Point(NamedTuple):
    x: int
    y: int


class Note(TypedDict):
    text: str
    on: NotRequired[date]


@dataclass
class Page(Generic[T]):
    items: list[T]
    number: int


class Order(msgspec.Struct, tag=True, kw_only=True):
    name: Annotated[str, Meta(min_length=1)]
    to: Address
    tags: list[Annotated[str, Meta(max_length=3)]] = []
    price: Annotated[float, Meta(gt=0)] | None = None
    amounts: dict[str, int] = {}
    corners: tuple[Point, Point] | None = None
    notes: list[Note] = []
    raw: msgspec.Raw = msgspec.Raw(b"")
    either: int | bool | None = None


class Other(msgspec.Struct, tag=True):
    pass


def wrong(kind: Any, given: Any, encode: Any = msgspec.json.encode, media: str = "application/json") -> list[str]:
    """Where a body has problems, with the first words of what is said of it."""
    app = App()

    def take(body: Any) -> None:
        pass

    take.__annotations__ = {"body": Annotated[kind, Body()], "return": None}
    app.post("/")(take)
    answer = ask(app, "POST", "/", encode(given), content_type=media)
    assert answer.status == 422
    problems = msgspec.json.decode(answer.body)["problems"]
    return [f"{each['where']}: {' '.join(each['message'].split()[:2])}" for each in problems]


FITS = {"type": "Order", "name": "a", "to": {"street": "b", "zipCode": "12345"}}


@pytest.mark.parametrize(
    ("given", "problems"),
    [
        ({"name": "", "price": -1}, ["name: Expected str", "price: Expected float"]),
        ({"to": {}}, ["to.street: Object missing", "to.zipCode: Object missing"]),
        ({"to": {"street": 1, "zipCode": "x"}}, ["to.street: Expected str,", "to.zipCode: Expected str"]),
        ({"tags": ["abc", "abcd", 5]}, ["tags[1]: Expected str", "tags[2]: Expected str,"]),
        ({"tags": "abc", "amounts": []}, ["tags: Expected array,", "amounts: Expected object,"]),
        ({"amounts": {"a": "b", "c": 1, "d": None}}, ["amounts[...]: Expected int,"] * 2),
        ({"corners": [[1, "x"], [1]]}, ["corners[0][1]: Expected int,", "corners[1]: Expected array"]),
        ({"corners": [[1, 2]]}, ["corners: Expected array"]),
        (
            {"notes": [{}, {"text": "a", "on": "now"}]},
            ["notes[0].text: Object missing", "notes[1].on: Invalid RFC3339"],
        ),
        ({"raw": {"a": 1}, "name": 5}, ["name: Expected str,"]),
        ({"either": "x", "name": 5}, ["name: Expected str,", "either: Expected bool"]),
        ({"type": "Other", "name": 5}, ["type: Invalid value", "name: Expected str,"]),
    ],
)
def test_every_problem_has_its_place(given: dict[str, Any], problems: list[str]) -> None:
    expected = [f"body.{each}" for each in problems]
    assert wrong(Order, {**FITS, **given})[-len(expected) :] == expected
    assert wrong(Order | None, {**FITS, **given})[-len(expected) :] == expected
    assert wrong(list[Order], [FITS, {**FITS, **given}])[-1] == expected[-1].replace("body", "body[1]")


def test_a_body_that_is_no_json() -> None:
    found = wrong(Order, {**FITS, "name": 5, "price": "x"}, msgspec.msgpack.encode, "application/msgpack")
    assert found == ["body.name: Expected str,", "body.price: Expected float"]


def test_what_is_not_looked_into() -> None:
    found = wrong(Page[int], {"items": ["x", "y"], "number": "z"})
    assert found == ["body.items[0]: Expected int,", "body.number: Expected int,"]
    assert wrong(Order | Other, FITS | {"name": 5, "tags": 5}) == ["body.name: Expected str,"]


class Person(msgspec.Struct):
    name: str
    born: date
    age: int


def test_fields_of_a_form_that_are_missing() -> None:
    app = App()

    @app.post("/")
    def take(person: Annotated[Person, Form()]) -> None:
        pass

    for body, places in ((b"x=1", ["name", "born", "age"]), (b"age=x", ["age", "name", "born"])):
        answer = ask(app, "POST", "/", body, content_type="application/x-www-form-urlencoded")
        assert [each["where"] for each in msgspec.json.decode(answer.body)["problems"]] == [
            f"form.{each}" for each in places
        ]


class Nested(msgspec.Struct):
    more: list[Nested] = []
    number: int = 0


def test_the_search_has_an_end() -> None:
    assert len(wrong(list[int], ["x"] * 1000)) == MOST
    assert wrong(list[int], [1] * 100_000 + ["x"]) == ["body[100000]: Expected int,"]
    nested: dict[str, Any] = {"number": "x"}
    for _ in range(100):
        nested = {"more": [nested, {"number": "x"}]}
    assert 1 < len(wrong(Nested, nested)) <= MOST


def test_checks_of_ones_own() -> None:
    @dataclass
    class Range:
        low: int
        high: int
        names: list[str] = field(default_factory=list)

        def __post_init__(self) -> None:
            if self.low > self.high:
                raise ValueError("low is above high")

    assert wrong(Range, {"low": 2, "high": 1}) == ["body: low is"]
    assert wrong(Range, {"low": "2", "high": "1"}) == ["body.low: Expected int,", "body.high: Expected int,"]


class Size(Enum):
    SMALL = "s"
    LARGE = "l"


class Parcel(msgspec.Struct):
    size: Size | None
    by: Literal["air", "sea"]
    on: date
    id: UUID
    weight: Annotated[int, Meta(ge=1)]


def test_every_problem_says_what_was_expected() -> None:
    app = App()

    @app.post("/")
    def post(body: Parcel) -> None: ...

    sent = {"size": "m", "by": "land", "on": "2024-02-30", "id": "7"}
    answer = ask(app, "POST", "/", msgspec.json.encode(sent))
    problems = msgspec.json.decode(answer.body)["problems"]
    assert {each["where"]: each["expected"] for each in problems} == {
        "body.size": "one of s, l",
        "body.by": "one of air, sea",
        "body.on": "RFC3339 encoded date",
        "body.id": "UUID",
        "body.weight": "int",
    }

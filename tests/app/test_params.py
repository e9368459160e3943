"""What fills a handler's parameters, and what is said when it cannot."""

from __future__ import annotations

import enum
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple, TypedDict

import attrs
import msgspec
import pydantic
import pytest

from firstbyte import App, Request, Response
from firstbyte.app.params import Body, Cookie, Form, Header, Query
from firstbyte.errors import RouteError
from firstbyte.http.headers import HeadersInput

Meta = msgspec.Meta


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Item:
    title: str
    tags: list[int] = field(default_factory=list)
    price: Decimal = Decimal(0)


class Filters(msgspec.Struct):
    page: Annotated[int, Meta(ge=1)] = 1
    tag: list[str] = []


class Typed(TypedDict):
    title: str


@attrs.define
class Attrs:
    title: str


class Pydantic(pydantic.BaseModel):
    title: str
    count: Annotated[int, pydantic.Field(ge=1)] = 1


def answer(
    function: Callable[..., Any],
    path: str = "/",
    method: str = "GET",
    headers: HeadersInput = (),
    body: bytes = b"",
    *,
    at: str = "/",
) -> Response:
    app = App()
    app.add_route(at, function, [method])
    request = Request.build(method, path, headers, body)
    response = app.resolve(request).call(request)
    assert isinstance(response, Response)
    return response


def text(value: Any) -> str:
    return repr(value)


# -- the query


@pytest.mark.parametrize(
    ("annotation", "query", "expected"),
    [
        (int, "x=5", "5"),
        (int, "x=-5", "-5"),
        (float, "x=1.5", "1.5"),
        (bool, "x=true", "True"),
        (bool, "x=0", "False"),
        (str, "x=a+b%C3%A4", "'a bä'"),
        (str, "x=", "''"),
        (date, "x=2026-11-21", "datetime.date(2026, 11, 21)"),
        (uuid.UUID, "x=00000000-0000-0000-0000-000000000001", "UUID('00000000-0000-0000-0000-000000000001')"),
        (Decimal, "x=1.10", "Decimal('1.10')"),
        (Colour, "x=red", "<Colour.RED: 'red'>"),
        (Literal["a", "b"], "x=b", "'b'"),
        (int | None, "x=5", "5"),
        (list[int], "x=1&x=2", "[1, 2]"),
        (list[int], "x=1", "[1]"),
        (set[str], "x=a&x=a", "{'a'}"),
        (Annotated[int, Meta(ge=1)], "x=1", "1"),
        (Annotated[int, Query("page")], "page=3", "3"),
        (Annotated[list[Annotated[int, Meta(ge=1)]], Query("n")], "n=3&n=4", "[3, 4]"),
    ],
)
def test_a_value_comes_from_the_query(annotation: Any, query: str, expected: str) -> None:
    def handler(x: Any) -> str:
        return text(x)

    handler.__annotations__["x"] = annotation
    response = answer(handler, f"/?{query}")
    assert (response.status, response.body.decode()) == (200, expected)


@pytest.mark.parametrize(
    ("annotation", "query", "problem"),
    [
        (int, "x=five", {"where": "query.x", "message": "Expected int, got str", "expected": "int", "came": '"five"'}),
        (int, "", {"where": "query.x", "message": "the query must have x", "expected": "int"}),
        (list[int], "", {"where": "query.x", "message": "the query must have x", "expected": "list"}),
        (
            list[int],
            "x=1&x=b",
            {"where": "query.x[1]", "message": "Expected int, got str", "expected": "int", "came": '"b"'},
        ),
        (
            Annotated[int, Meta(ge=1)],
            "x=0",
            {"where": "query.x", "message": "Expected int >= 1", "expected": "int >= 1", "came": '"0"'},
        ),
        (
            Colour,
            "x=green",
            {
                "where": "query.x",
                "message": "Invalid enum value",
                "expected": "one of red, blue",
                "came": '"green"',
            },
        ),
    ],
)
def test_a_value_that_does_not_fit_is_a_422_that_says_so(annotation: Any, query: str, problem: dict[str, str]) -> None:
    def handler(x: Any) -> str:
        raise AssertionError

    handler.__annotations__["x"] = annotation
    response = answer(handler, f"/?{query}")
    assert response.status == 422
    assert msgspec.json.decode(response.body)["problems"] == [problem]


def test_defaults() -> None:
    def handler(page: int = 1, tag: list[str] | None = None, q: str | None = None) -> str:
        return text((page, tag, q))

    assert answer(handler).body == b"(1, None, None)"
    assert answer(handler, "/?page=2&tag=a&tag=b&q=").body == b"(2, ['a', 'b'], '')"


def test_every_problem_is_told_at_once() -> None:
    def handler(page: int, size: int, token: Annotated[int, Header("X-Token")], q: str = "") -> str:
        raise AssertionError

    response = answer(handler, "/?size=big", "GET", {"X-Token": "hidden123"})
    problems = msgspec.json.decode(response.body)["problems"]
    assert [problem["where"] for problem in problems] == ["query.page", "query.size", "header.X-Token"]
    assert b"hidden123" not in response.body


def test_a_structure_may_be_the_whole_query() -> None:
    def handler(filters: Annotated[Filters, Query()]) -> str:
        return text(filters)

    assert answer(handler, "/?page=2&tag=a&tag=b&other=1").body == b"Filters(page=2, tag=['a', 'b'])"
    problem = msgspec.json.decode(answer(handler, "/?page=0").body)["problems"][0]
    assert (problem["where"], problem["came"]) == ("query.page", '"0"')


# -- headers, cookies, the path


def test_headers_and_cookies() -> None:
    def handler(
        x_token: Annotated[str, Header()],
        accept: Annotated[list[str], Header("Accept")],
        sid: Annotated[uuid.UUID | None, Cookie()] = None,
    ) -> str:
        return text((x_token, accept, sid))

    fields = [("X-Token", "abc"), ("Accept", "a/b"), ("Accept", "c/d"), ("Cookie", "sid=" + str(uuid.UUID(int=1)))]
    assert answer(handler, "/", "GET", fields).body.startswith(b"('abc', ['a/b', 'c/d'], UUID(")
    refused = answer(handler, "/", "GET", {"X-Token": "abc", "Accept": "a/b", "Cookie": "sid=none"})
    assert msgspec.json.decode(refused.body)["problems"][0]["where"] == "cookie.sid"


def test_a_path_parameter_of_any_type() -> None:
    def handler(day: date, colour: Colour, n: int = 1) -> str:
        return text((day, colour, n))

    good = answer(handler, "/2026-01-02/red?n=2", at="/{day}/{colour}")
    assert good.body == b"(datetime.date(2026, 1, 2), <Colour.RED: 'red'>, 2)"
    assert answer(handler, "/2026-13-02/red", at="/{day}/{colour}").status == 404


def test_the_request_beside_others() -> None:
    def handler(request: Request, id: int, q: str = "-") -> str:
        return f"{request.method} {id} {q}"

    assert answer(handler, "/5?q=x", at="/{id:int}").body == b"GET 5 x"


# -- the body


@pytest.mark.parametrize("kind", [Item, Typed, Attrs, Pydantic, dict[str, Any]])
def test_a_body_of_json(kind: Any) -> None:
    def handler(item: Any) -> str:
        return str(item["title"] if isinstance(item, dict) else item.title)

    handler.__annotations__["item"] = kind
    response = answer(handler, "/", "POST", {"Content-Type": "application/json; charset=utf-8"}, b'{"title":"milk"}')
    assert (response.status, response.body) == (200, b"milk")
    for broken in (b'{"title":', b'{"title":"milk","count":NaN}', b"[-Infinity]"):
        assert answer(handler, "/", "POST", {"Content-Type": "application/json"}, broken).status == 400
    assert answer(handler, "/", "POST", {"Content-Type": "text/csv"}, b"title").status == 415


@pytest.mark.parametrize("kind", [Item, Typed, Attrs, Pydantic])
def test_a_body_of_another_shape(kind: Any) -> None:
    def handler(item: Any) -> str:
        raise AssertionError

    handler.__annotations__["item"] = kind
    response = answer(handler, "/", "POST", {"Content-Type": "application/json"}, b'{"name":"milk"}')
    assert response.status == 422
    assert msgspec.json.decode(response.body)["problems"][0]["where"].startswith("body")


def test_where_in_the_body() -> None:
    def handler(items: list[Item]) -> str:
        raise AssertionError

    response = answer(handler, "/", "POST", {}, b'[{"title":"a","tags":[1]},{"title":"b","tags":[1,"x"]}]')
    problem = msgspec.json.decode(response.body)["problems"][0]
    assert problem == {
        "where": "body[1].tags[1]",
        "message": "Expected int, got str",
        "expected": "int",
        "came": '"x"',
    }


def test_a_body_of_a_form_and_of_messagepack() -> None:
    def handler(item: Item) -> str:
        return text(item)

    form = answer(handler, "/", "POST", {"Content-Type": "application/x-www-form-urlencoded"}, b"title=a&tags=1&tags=2")
    assert form.body == b"Item(title='a', tags=[1, 2], price=Decimal('0'))"
    packed = msgspec.msgpack.encode({"title": "a", "price": "1.5"})
    assert b"Decimal('1.5')" in answer(handler, "/", "POST", {"Content-Type": "application/msgpack"}, packed).body
    assert answer(handler, "/", "POST", {"Content-Type": "application/msgpack"}, b"\xc1").status == 400


def test_a_body_as_it_came() -> None:
    def handler(data: Annotated[bytes, Body()]) -> str:
        return str(len(data))

    assert answer(handler, "/", "POST", {"Content-Type": "image/png"}, b"12345").body == b"5"


def test_a_body_that_may_be_missing() -> None:
    def handler(item: Item | None = None) -> str:
        return text(item)

    assert answer(handler, "/", "POST").body == b"None"
    assert answer(handler, "/", "POST", {}, b'{"title":"a"}').body.startswith(b"Item(")
    assert answer(handler, "/", "POST", {}, b'{"title":1}').status == 422


def test_coroutines_take_the_same() -> None:
    async def handler(item: Item, page: int = 1) -> str:
        return f"{item.title} {page}"

    app = App()
    app.add_route("/", handler, ["POST"])
    request = Request.build("POST", "/?page=2", {}, b'{"title":"a"}')
    assert app.resolve(request).call(request).response.body == b"a 2"


def test_people_get_a_page() -> None:
    def handler(page: int) -> str:
        raise AssertionError

    response = answer(handler, "/?page=<b>", "GET", {"Accept": "text/html"})
    assert response.status == 422
    assert b"<code>query.page</code> Expected int, got str" in response.body


# -- what cannot be, at start-up


def two_bodies(a: Item, b: Typed) -> str:
    return ""


def unreadable(a: Annotated[int | float, Query()] | complex) -> str:
    return ""


def unknown(a: threading.Thread) -> str:  # type: ignore[name-defined]  # noqa: F821
    return ""


def marked(id: Annotated[int, Header()]) -> str:
    return ""


@pytest.mark.parametrize(
    ("function", "method", "path", "message"),
    [
        (two_bodies, "POST", "/", r"two_bodies .*test_params.py:\d+\): a and b would both be the body"),
        (lambda a: "", "GET", "/", "nothing provides its parameter 'a'"),
        (unreadable, "GET", "/", "the annotation of a cannot be read from a request"),
        (unknown, "GET", "/", "the annotation 'threading.Thread' of a cannot be evaluated"),
        (marked, "GET", "/{id}", "id is in the path and cannot be Header"),
        (lambda a: "", "GET", "/{a:colour}", r"<lambda> \(.*test_params.py:\d+\): no converter 'colour'"),
    ],
)
def test_signatures_that_cannot_be_filled(function: Any, method: str, path: str, message: str) -> None:
    with pytest.raises(RouteError, match=message):
        App().add_route(path, function, [method])


def test_a_get_has_no_body() -> None:
    def handler(item: Item) -> str:
        return ""

    with pytest.raises(RouteError, match="item would be the body, which a GET has none of"):
        App().add_route("/", handler)
    App().add_route("/", handler, ["GET", "POST"])


# -- what a hostile client or a hasty author tries


class Opaque:
    pass


class Holder(msgspec.Struct):
    thing: Opaque | None = None


class Pair(NamedTuple):
    a: int
    b: str = ""


NO_MODEL = r"the whole query is one structure with fields"


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        (Holder, r"no body has a Opaque, which Holder\.thing is"),
        (dict[str, list[Holder]], r"no body has a Opaque, which Holder\.thing is"),
        (Opaque, "no text is a Opaque"),
        (bytes, r"a text has no bytes: say str, or Annotated\[bytes, Body\(\)\]"),
        (Annotated[int, Query(), Header()], r"marked Query\(name=''\) and Header\(name=''\), of which only one can be"),
        (Annotated[Item, Header()], "x would be the structure Item from one header, which is text"),
        (Annotated[Item, Cookie()], "x would be the structure Item from one cookie, which is text"),
        (Annotated[Pair, Query()], NO_MODEL),
        (Annotated[dict[str, int], Query()], NO_MODEL),
        (Annotated[list[Pydantic], Query()], NO_MODEL),
        ("Nowhere", "the annotation 'Nowhere' of x cannot be evaluated: import or define what it names above"),
        (Item | Typed, "Type unions may not contain more than one dict-like type"),
    ],
)
def test_annotations_that_nothing_can_fill(annotation: Any, message: str) -> None:
    def handler(x: Any) -> str:
        return ""

    handler.__annotations__["x"] = annotation
    with pytest.raises(RouteError, match=rf"handler .*test_params.py:\d+\): .*{message}"):
        App().add_route("/", handler, ["POST"])


def test_one_annotation_that_cannot_be_evaluated_leaves_the_others() -> None:
    def handler(n: int, x: Nowhere) -> str:  # type: ignore[name-defined]  # noqa: F821
        return ""

    with pytest.raises(RouteError, match="the annotation 'Nowhere' of x cannot be evaluated"):
        App().add_route("/", handler)

    def fine(n: int) -> Nowhere:  # type: ignore[name-defined]  # noqa: F821
        return n + 1

    assert answer(fine, "/?n=1").body == b"2"


@pytest.mark.parametrize("kind", [list[Pydantic], Pydantic | None, dict[str, Pydantic], list[Item]])
def test_structures_of_structures(kind: Any) -> None:
    def handler(x: Any) -> str:
        return text(x)

    handler.__annotations__["x"] = kind
    body = {"title": "milk"} if kind == Pydantic | None else {"k": {"title": "milk"}}
    body = body if "dict" in str(kind) or "None" in str(kind) else [{"title": "milk"}]  # type: ignore[assignment]
    for media, encode in (("application/json", msgspec.json.encode), ("application/msgpack", msgspec.msgpack.encode)):
        response = answer(handler, "/", "POST", {"Content-Type": media}, encode(body))
        assert (response.status, b"title='milk'" in response.body) == (200, True)
    broken = answer(handler, "/", "POST", {"Content-Type": "application/msgpack"}, b"\xc1")
    assert broken.status == 400
    assert answer(handler, "/", "POST", {"Content-Type": "application/json"}, b"").status == 400


def test_a_model_may_be_the_whole_query_or_form() -> None:
    def asked(x: Annotated[Pydantic, Query()]) -> str:
        return text(x)

    def sent(x: Annotated[Pydantic, Form()]) -> str:
        return text(x)

    assert (
        answer(asked, "/?title=a&other=1").body
        == answer(sent, "/", "POST", {"Content-Type": "application/x-www-form-urlencoded"}, b"title=a&other=1").body
    )
    problems = msgspec.json.decode(answer(asked, "/").body)["problems"]
    assert problems == [{"where": "query.title", "message": "Field required"}]


def test_a_list_is_in_no_form_and_a_constraint_of_the_body_holds() -> None:
    def handler(x: Annotated[list[Item], Meta(max_length=1)]) -> str:
        return text(x)

    form = answer(handler, "/", "POST", {"Content-Type": "application/x-www-form-urlencoded"}, b"title=a")
    assert form.status == 415
    assert b"JSON and MessagePack are" in form.body
    assert answer(handler, "/", "POST", {}, b'[{"title":"a"},{"title":"b"}]').status == 422


def test_a_field_that_is_missing_is_named_with_its_place() -> None:
    def handler(x: list[Item]) -> str:
        return text(x)

    problems = msgspec.json.decode(answer(handler, "/", "POST", {}, b'[{"title":"a"},{}]').body)["problems"]
    assert problems == [{"where": "body[1].title", "message": "Object missing required field title", "expected": "str"}]


# -- in the path


@pytest.mark.parametrize(
    ("annotation", "path", "message"),
    [
        (str, "/{x:int}", "x is int in the path, and str here"),
        (date, "/{x:path}", "x is path in the path, and date here"),
        (Item, "/{x}", "x is in the path, and no part of it is a Item"),
        (list[int], "/{x}", "x is in the path, and no part of it is a list"),
        (Opaque, "/{x}", "the annotation of x cannot be read from a request.*no text is a Opaque"),
    ],
)
def test_what_no_path_can_fill(annotation: Any, path: str, message: str) -> None:
    def handler(x: Any) -> str:
        return ""

    handler.__annotations__["x"] = annotation
    with pytest.raises(RouteError, match=rf"handler .*test_params.py:\d+\): {message}"):
        App().add_route(path, handler)


@pytest.mark.parametrize(
    ("annotation", "at", "path", "status"),
    [
        (Annotated[int, Meta(ge=1)], "/{x:int}", "/1", 200),
        (Annotated[int, Meta(ge=1)], "/{x:int}", "/0", 404),
        (Annotated[int, Meta(ge=1)], "/{x}", "/0", 404),
        (Annotated[str, Meta(max_length=3)], "/{x:path}", "/a/b", 200),
        (Annotated[str, Meta(max_length=3)], "/{x:path}", "/a/bc", 404),
        (Decimal, "/{x}", "/nan", 404),
        (int | None, "/{x}", "/null", 404),
        (Any, "/{x:int}", "/5", 200),
    ],
)
def test_constraints_hold_in_the_path(annotation: Any, at: str, path: str, status: int) -> None:
    def handler(x: Any) -> str:
        return text(x)

    handler.__annotations__["x"] = annotation
    assert answer(handler, path, at=at).status == status

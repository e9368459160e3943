"""Bodies that no value can be read from are the client's fault, whatever msgspec calls it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec
import pytest

from app.support import ask
from firstbyte import App
from firstbyte.app.params import Query

JSON, MSGPACK = "application/json", "application/msgpack"


@dataclass
class Thing:
    number: int
    more: dict[str, Any] | None = None


@pytest.fixture
def app() -> App:
    app = App()

    @app.post("/")
    def take(thing: Thing) -> int:
        return thing.number

    return app


@pytest.mark.parametrize(
    ("media_type", "body"),
    [
        (JSON, b'{"number": 1e999}'),
        (JSON, b'{"number": ' + b"9" * 5000 + b"}"),
        (JSON, b'{"number": "x", "more": {"a": 1e999}}'),
        (JSON, b'{"number": "x", "more": ["\\ud800"]}'),
        (JSON, b'{"number": "x", "more": ' + b'{"a":' * 3000 + b"1" + b"}" * 3001),
        (JSON, b"[" * 100_000),
        (JSON, b'{"\xff": 1}'),
        (JSON, b""),
        (MSGPACK, b"\x91" * 100_000),
        (MSGPACK, b"\x82\xa6number\xa1x\xa4more\x81\x80\x02"),  # a map as a key
        (MSGPACK, b"\x82\xa6number\xa1x\xa4more\xa1\xff"),  # a text that is no UTF-8
        (MSGPACK, b"\xc1"),
    ],
)
def test_what_can_be_no_value_is_400(app: App, media_type: str, body: bytes) -> None:
    assert ask(app, "POST", "/", body, Content_Type=media_type).status == 400


@pytest.mark.parametrize(
    ("media_type", "body"),
    [(JSON, b'{"number": "x"}'), (JSON, b"{}"), (JSON, b"null"), (MSGPACK, b"\x81\xa6number\xa1x")],
)
def test_what_is_another_value_is_422(app: App, media_type: str, body: bytes) -> None:
    response = ask(app, "POST", "/", body, Content_Type=media_type)
    assert response.status == 422
    assert b"body" in response.body  # type: ignore[operator]


class Strict(msgspec.Struct, forbid_unknown_fields=True):
    name: str


def test_a_form_may_have_no_more_than_a_structure_allows() -> None:
    app = App()

    @app.post("/")
    def take(thing: Strict) -> str:
        return thing.name

    form = "application/x-www-form-urlencoded"
    assert ask(app, "POST", "/", b"name=a", content_type=form).status == 200
    assert ask(app, "POST", "/", b"name=a&admin=1", content_type=form).status == 422


@dataclass
class Inner:
    unit: str = "kg"


@dataclass(frozen=True)
class Whole:
    name: str
    page: int = 1
    inner: list[Inner] = field(default_factory=list)


class Around(msgspec.Struct):
    whole: Whole


def test_a_dataclass_has_its_defaults_when_it_is_sent_back() -> None:
    app = App()

    @app.post("/")
    def post(body: Around) -> Around:
        return body

    @app.get("/")
    def get(whole: Annotated[Whole, Query()]) -> Whole:
        return whole

    def sent(method: str, target: str, body: bytes = b"") -> Any:
        answer = ask(app, method, target, body, content_type=JSON).body
        assert isinstance(answer, bytes)
        return msgspec.json.decode(answer)

    whole = {"name": "a", "page": 1, "inner": [{"unit": "kg"}]}
    assert sent("POST", "/", b'{"whole":{"name":"a","inner":[{}]}}') == {"whole": whole}
    assert sent("GET", "/?name=a") == {**whole, "inner": []}

"""What is told of bad input: to the client, and in development in the log, where no secret and no second line gets."""

from __future__ import annotations

import logging
from typing import Any

import msgspec
import pytest
from pydantic import BaseModel

from app.support import ask
from firstbyte import App
from firstbyte.app.problems import shown
from firstbyte.http.uploads import FormData, UploadedFile

JSON, FORM = "application/json", "application/x-www-form-urlencoded"


class Account(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    password: str = ""
    age: int = 0


class Model(BaseModel):
    name: str
    password: int = 0


def app(debug: bool = True) -> App:
    app = App(debug=debug)

    @app.post("/struct")
    def struct(account: Account, page: int = 1) -> None:
        pass

    @app.post("/model")
    def model(account: Model) -> None:
        pass

    @app.post("/form")
    def form(form: FormData, photo: UploadedFile) -> None:
        pass

    return app


def log_of(caplog: pytest.LogCaptureFixture, target: str, body: bytes, media: str = JSON, debug: bool = True) -> str:
    """The line that a refused request leaves in the log."""
    with caplog.at_level(logging.WARNING, "firstbyte.app"):
        assert ask(app(debug), "POST", target, body, content_type=media).status in (400, 422)
    return "\n".join(record.getMessage() for record in caplog.records)


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (
            b'{"name": 5, "password": "hunter2"}',
            'body.name: Expected str, got int (5); the body: {"name":5,"password":"(hidden)"}',
        ),
        (
            b'{"Password": "hunter2"}',
            'body: Object contains unknown field Password ({"Password":"(hidden)"}), body.name: ',
        ),
        (b'{"name": "a", "password": 5}', 'body.password: Expected str, got int ((hidden)); the body: {"name":"a",'),
        (b"", "body: the body is empty; the body: "),
        (b'{"name": "a", "api_key": "hunter2", ', '; the body: {"name": "a", "api_key": (hidden), '),
        (b"password=hunter2&name=a", "; the body: password=(hidden)&name=a"),
        (b'{"name": "a\r\nERROR forged"', r"; the body: {\"name\": \"a\r\nERROR forged\"".replace('\\"', '"')),
        (b'{"a\\nb": 1, "name": ""}', r"Object contains unknown field a\nb"),
        (b"[" * 100_000, "; the body: [[[["),
        (b"\xff\xfe", r"; the body: \xff\xfe"),
    ],
)
def test_the_log_of_a_body(body: bytes, line: str, caplog: pytest.LogCaptureFixture) -> None:
    told = log_of(caplog, "/struct", body)
    assert line in told
    assert "hunter2" not in told
    assert "\n" not in told
    assert len(told) < 700


def test_the_log_of_a_query_does_not_have_all_of_it(caplog: pytest.LogCaptureFixture) -> None:
    told = log_of(caplog, "/struct?page=x&token=hunter2", b'{"name": ""}')
    assert told == 'POST /struct refused with 422: query.page: Expected int, got str ("x")'


def test_the_log_of_a_form(caplog: pytest.LogCaptureFixture) -> None:
    told = log_of(caplog, "/struct", b"name=a&name=b&password=hunter2&age=x", FORM)
    assert told.endswith(
        'body.age: Expected int, got str ("x"); the body: {"name":["a","b"],"password":"(hidden)","age":["x"]}'
    )


def test_the_log_of_a_model(caplog: pytest.LogCaptureFixture) -> None:
    told = log_of(caplog, "/model", b'{"name": "a", "password": "hunter2"}')
    assert "body.password: Input should be a valid integer" in told
    assert "hunter2" not in told


def test_nothing_is_logged_but_in_development(caplog: pytest.LogCaptureFixture) -> None:
    assert log_of(caplog, "/struct", b"{}", debug=False) == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": [{"my_token": 1, "b": 2}]}, '{"a":[{"my_token":"(hidden)","b":2}]}'),
        ("x" * 100, '"' + "x" * 79 + "…"),
        (object, "<class 'object'>"),
    ],
)
def test_values_are_shown(value: Any, text: str) -> None:
    assert shown("body", value) == text
    assert shown("body.api_key", value) == "(hidden)"


class Cat(msgspec.Struct, tag=True):
    name: str


class Dog(msgspec.Struct, tag=True):
    name: str


class Home(msgspec.Struct, forbid_unknown_fields=True):
    pet: Cat | Dog | None = None
    rooms: dict[int, str] = {}


@pytest.mark.parametrize(
    ("body", "where", "message"),
    [
        ({"pet": {"type": "x" * 9000, "name": "a"}}, "body.pet.type", "Invalid value"),
        ({"y" * 9000: 1}, "body", "Object contains unknown field " + "y" * 80),
        ({"rooms": {"kitchen": "a"}}, "body.rooms", "a key: Expected int, got str"),
    ],
)
def test_a_problem_is_told_shortly_and_in_its_place(body: Any, where: str, message: str) -> None:
    app = App()

    @app.post("/")
    def post(home: Home) -> None:
        pass

    answer = ask(app, "POST", "/", msgspec.json.encode(body), content_type=JSON)
    assert isinstance(answer.body, bytes)
    (problem,) = msgspec.json.decode(answer.body)["problems"]
    assert (problem["where"], problem["message"]) == (where, message)
    assert len(answer.body) < 1000

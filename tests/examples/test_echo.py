"""examples/echo.py on a real server: everything that is sent comes back, parsed."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from engine.support import Running, Serve
from examples.support import example
from firstbyte.client import Session


@pytest.fixture
def server(serve: Serve) -> Running:
    return serve(example("echo"))


@pytest.fixture
def session(server: Running) -> Iterator[Session]:
    with Session(base_url=f"http://127.0.0.1:{server.server.port}") as session:
        yield session


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_the_head(session: Session, method: str) -> None:
    headers = [("Cookie", "sid=1"), ("X-Twice", "a"), ("X-Twice", "b")]
    echo = session.request(method, "/a%20b/%C3%A4//c?x=1&x=2&y=%26", headers=headers).json()
    assert (echo["method"], echo["path"], echo["query"]) == (method, "/a b/ä//c", {"x": ["1", "2"], "y": ["&"]})
    assert echo["url"].endswith("/a%20b/%C3%A4//c?x=1&x=2&y=%26")
    assert [value for name, value in echo["headers"] if name == "X-Twice"] == ["a", "b"]
    assert (echo["cookies"], echo["client"], echo["type"]) == ({"sid": "1"}, "127.0.0.1", None)
    assert not echo.keys() & {"json", "form", "text", "base64"}


@pytest.mark.parametrize(
    ("media_type", "body", "expected"),
    [
        ("application/json", b'{"a": [1, null]}', {"json": {"a": [1, None]}}),
        ("application/problem+json; charset=utf-8", b"5", {"json": 5}),
        (
            "application/x-www-form-urlencoded",
            b"a=1&a=2&b=%C3%A4+",
            {"form": {"a": ["1", "2"], "b": ["ä "]}, "files": []},
        ),
        ("text/plain", "ä".encode(), {"text": "ä"}),
        ("image/png", b"\x89PNG", {"base64": base64.b64encode(b"\x89PNG").decode()}),
        ("nonsense", b"a", {"text": "a"}),
    ],
)
def test_bodies(session: Session, media_type: str, body: bytes, expected: dict[str, Any]) -> None:
    echo = session.post("/", content=body, headers={"Content-Type": media_type}).json()
    assert expected.items() <= echo.items()


def test_files(session: Session) -> None:
    echo = session.post("/", data={"title": "Alps"}, files={"photo": ("a.png", b"12345")}).json()
    assert echo["form"] == {"title": ["Alps"]}
    assert echo["files"] == [{"name": "photo", "filename": "a.png", "type": "image/png", "bytes": 5}]


@pytest.mark.parametrize(
    ("media_type", "body"),
    [("application/json", b"{"), ("application/json", b"\xff"), ("multipart/form-data; boundary=x", b"--x\r\n")],
)
def test_a_body_that_is_not_what_it_says(session: Session, media_type: str, body: bytes) -> None:
    refused = session.post("/", content=body, headers={"Content-Type": media_type})
    assert refused.status == 400
    assert json.loads(refused.content)["status"] == 400

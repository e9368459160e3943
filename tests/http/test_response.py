"""Responses, and files as responses."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from firstbyte.errors import HTTPError
from firstbyte.http.request import Request
from firstbyte.http.response import FileBody, Response
from firstbyte.http.send_file import send_file


@pytest.mark.parametrize(
    ("body", "media_type", "sent", "content_type"),
    [
        ("é", None, "é".encode(), "text/plain; charset=utf-8"),
        ("x", "text/html", b"x", "text/html; charset=utf-8"),
        ("x", "text/html; charset=latin-1", b"x", "text/html; charset=latin-1"),
        ("{}", "application/json", b"{}", "application/json"),
        (b"x", None, b"x", "application/octet-stream"),
        (bytearray(b"x"), None, b"x", "application/octet-stream"),
        (b"", None, b"", None),
    ],
)
def test_bodies_and_types(body: Any, media_type: str | None, sent: bytes, content_type: str | None) -> None:
    response = Response(body, media_type=media_type)
    assert (response.body, response.content_type) == (sent, content_type)
    assert response.headers.get("content-type") == content_type


def test_a_stream_is_encoded_and_closed() -> None:
    closed = []

    def pieces() -> Iterator[str | bytes]:
        try:
            yield "é"
            yield b"x"
        finally:
            closed.append(True)

    response = Response(pieces())
    assert next(iter(response.body)) == "é".encode()  # type: ignore[call-overload]
    response.close()
    assert closed == [True]


@pytest.mark.parametrize("status", [0, 99, 100, 199, 600])
def test_a_status_that_is_none(status: int) -> None:
    with pytest.raises(ValueError, match="from 200 to 599"):
        Response("x", status)


def test_what_is_no_body() -> None:
    with pytest.raises(TypeError, match="not int"):
        Response(5)  # type: ignore[arg-type]


def test_a_media_type_cannot_smuggle_a_header() -> None:
    with pytest.raises(ValueError, match="control character"):
        Response("x", media_type="text/html\r\nX: y")


def test_constructors() -> None:
    assert Response.html("<p>").content_type == "text/html; charset=utf-8"
    assert Response.json({"a": datetime(2026, 1, 1, tzinfo=UTC)}, 201).body == b'{"a":"2026-01-01T00:00:00Z"}'
    redirect = Response.redirect("/é?a=b%20c")
    assert (redirect.status, redirect.headers["Location"]) == (303, "/%C3%A9?a=b%20c")
    with pytest.raises(ValueError, match="301, 302"):
        Response.redirect("/", 200)


def test_cookies() -> None:
    response = Response("x")
    response.set_cookie("a", "1", max_age=5)
    response.delete_cookie("b")
    first, second = response.headers.get_all("set-cookie")
    assert first == "a=1; Max-Age=5; Path=/; HttpOnly; SameSite=Lax"
    assert second.startswith("b=; Max-Age=0; Expires=Thu, 01 Jan 1970")
    assert repr(response) == "<Response 200 text/plain; charset=utf-8, 1 bytes>"


def test_a_cookie_is_deleted_as_it_was_set() -> None:
    response = Response("x")
    response.delete_cookie("a", path="/x", domain="example.org", secure=True, samesite="None", partitioned=True)
    (cookie,) = response.headers.get_all("set-cookie")
    assert set(cookie.split("; ")) >= {"Domain=example.org", "Path=/x", "Secure", "SameSite=None", "Partitioned"}
    with pytest.raises(ValueError, match="must be secure"):
        response.delete_cookie("a", samesite="None")


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "page.html"
    path.write_bytes(b"0123456789")
    os.utime(path, (1_000_000_000, 1_000_000_000))
    return path


def get(**fields: str) -> Request:
    return Request.build("GET", "/", {name.replace("_", "-"): value for name, value in fields.items()})


def test_a_file(page: Path) -> None:
    response = send_file(page, get())
    assert (response.status, response.body, response.content_type) == (200, b"0123456789", "text/html; charset=utf-8")
    assert response.headers["Last-Modified"] == "Sun, 09 Sep 2001 01:46:40 GMT"
    assert response.headers["ETag"].startswith('"')


def test_conditions(page: Path) -> None:
    etag = send_file(page, get()).headers["ETag"]
    assert send_file(page, get(If_None_Match=etag)).status == 304
    assert send_file(page, get(If_None_Match='"other"')).status == 200
    assert send_file(page, get(If_Modified_Since="Sun, 09 Sep 2001 01:46:40 GMT")).status == 304
    with pytest.raises(HTTPError, match="412"):
        send_file(page, get(If_Match='"other"'))


@pytest.mark.parametrize(
    ("asked", "status", "body", "content_range"),
    [
        ("bytes=2-4", 206, b"234", "bytes 2-4/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=8-", 206, b"89", "bytes 8-9/10"),
        ("bytes=0-0,0-5,3-4", 206, b"012345", "bytes 0-5/10"),
        ("lines=1-2", 200, b"0123456789", None),
        ("bytes=4-2", 200, b"0123456789", None),
    ],
)
def test_ranges(page: Path, asked: str, status: int, body: bytes, content_range: str | None) -> None:
    response = send_file(page, get(Range=asked))
    assert (response.status, response.body, response.headers.get("content-range")) == (status, body, content_range)


def test_a_range_that_is_not_there(page: Path) -> None:
    with pytest.raises(HTTPError) as caught:
        send_file(page, get(Range="bytes=10-"))
    assert (caught.value.status, caught.value.headers["Content-Range"]) == (416, "bytes */10")


def test_if_range(page: Path) -> None:
    etag = send_file(page, get()).headers["ETag"]
    assert send_file(page, get(Range="bytes=0-1", If_Range=etag)).status == 206
    assert send_file(page, get(Range="bytes=0-1", If_Range='"other"')).status == 200


def test_a_large_file_is_sent_from_the_file(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(b"x" * 100_000)
    response = send_file(path, get(Range="bytes=10-50000"))
    assert isinstance(response.body, FileBody)
    assert response.body.read(5) == b"xxxxx"
    assert (response.body.offset, response.body.count) == (15, 49_986)
    response.close()


@pytest.mark.parametrize("name", ["missing", "", "page.html/x", "nul\0"])
def test_what_is_no_file(page: Path, name: str) -> None:
    with pytest.raises(HTTPError, match="404"):
        send_file(f"{page.parent}/{name}", get())

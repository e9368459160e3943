"""The request and its views."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import pytest

from firstbyte.errors import HTTPError
from firstbyte.http.request import Address, Ends, Request


def test_what_it_is_made_of() -> None:
    request = Request.build("GET", "/a%20b?x=1&x=2", {"Host": "example.org", "Cookie": "a=1; b=2"})
    assert (request.method, request.raw_path, request.raw_query) == ("GET", "/a%20b", "x=1&x=2")
    assert (request.path, request.target, request.http_version) == ("/a b", "/a%20b?x=1&x=2", "1.1")
    assert request.query.get_all("x") == ["1", "2"]
    assert request.cookies == {"a": "1", "b": "2"}
    assert str(request.url) == "http://example.org/a%20b?x=1&x=2"
    assert repr(request) == "<Request GET /a%20b?x=1&x=2>"


def test_views_are_made_once() -> None:
    request = Request.build("GET", "/%41?a=1", {"Cookie": "a=1"})
    assert request.query is request.query
    assert request.headers is request.headers
    assert request.cookies is request.cookies
    request.state.user = "ada"
    assert request.state.user == "ada"


def test_the_url_without_a_host() -> None:
    server = Address("127.0.0.1", 8000)
    assert str(Request.build("GET", "/", server=server).url) == "http://127.0.0.1:8000/"
    assert str(Request.build("GET", "/", server=Address("/run/socket", 0), scheme="https").url) == "https://localhost/"
    assert str(Request.build("OPTIONS", "*", {"Host": "x"}).url) == "http://x/"


@pytest.mark.parametrize("host", ["a!b", "h:0", "a[::]b"])
def test_a_host_that_makes_no_url(host: str) -> None:
    with pytest.raises(HTTPError, match="400"):
        Request.build("GET", "/", {"Host": host}).url  # noqa: B018


@pytest.mark.parametrize("path", ["/%", "/%zz", "/%ff", "/%00"])
def test_a_path_that_cannot_be_decoded(path: str) -> None:
    with pytest.raises(HTTPError, match="400"):
        Request.build("GET", path).path  # noqa: B018


def test_too_many_query_fields() -> None:
    with pytest.raises(HTTPError, match="more than 1000"):
        Request.build("GET", "/?" + "a&" * 1001).query  # noqa: B018


def test_moving_to_a_mount_keeps_the_target() -> None:
    request = Request.build("GET", "/blog/a%20b?c", {"Host": "x"})
    request.move_to_mount("/blog")
    assert (request.path, request.root_path, request.target) == ("/a b", "/blog", "/blog/a%20b?c")
    request.move_to_mount("/a%20b")
    assert (request.path, str(request.url)) == ("/", "http://x/blog/a%20b/?c")


@dataclass
class Task:
    title: str
    done: bool = False


def test_json() -> None:
    request = Request.build("POST", "/", body=b'{"title": "x"}')
    assert request.json() == {"title": "x"}
    assert request.json(Task) == Task("x")


@pytest.mark.parametrize(
    ("body", "kind", "status", "message"),
    [
        (b"", Any, 400, "not valid JSON"),
        (b"{", Any, 400, "not valid JSON"),
        (b'"\xff"', Any, 400, "not valid JSON"),
        (b"{}", Task, 422, "title"),
        (b'{"title": 1}', Task, 422, "title"),
    ],
)
def test_json_that_is_none_or_another(body: bytes, kind: Any, status: int, message: str) -> None:
    with pytest.raises(HTTPError, match=message) as caught:
        Request.build("POST", "/", body=body).json(kind)
    assert caught.value.status == status


def test_text() -> None:
    assert Request.build("POST", "/", body="é".encode()).text == "é"
    latin = {"Content-Type": "text/plain; charset=latin-1"}
    assert Request.build("POST", "/", latin, b"\xe9").text == "é"
    with pytest.raises(HTTPError, match="400"):
        Request.build("POST", "/", body=b"\xff").text  # noqa: B018
    with pytest.raises(HTTPError, match="415"):
        Request.build("POST", "/", {"Content-Type": "text/plain; charset=klingon"}, b"x").text  # noqa: B018


@pytest.mark.parametrize(
    "charset", ["punycode", "idna", "undefined", "unicode_escape", "RAW-unicode-escape", "rot13", "hex", '""']
)
def test_a_codec_that_is_no_charset_is_unknown(charset: str) -> None:
    """Some raise what no charset does, and punycode takes minutes for a megabyte."""
    request = Request.build("POST", "/", {"Content-Type": f"text/plain; charset={charset}"}, b"-\\x\xff")
    with pytest.raises(HTTPError) as caught:
        request.text  # noqa: B018
    assert caught.value.status == (400 if charset == '""' else 415)


@pytest.mark.parametrize(
    "fields",
    [
        b"",
        b"Host: a\r\n",
        b"Content-Type: text/html\r\n",
        b"Host: a\r\nCONTENT-type:\t a/B; c=\xe9 \t\r\nX: y\r\n",
        b"content-type: a/b\r\nContent-Type: c/d\r\n",
        b"Content-Type:\r\n",
        b"X-Content-Type: a/b\r\nContent-Type-X: c/d\r\nX: content-type: e/f\r\n",
    ],
)
def test_the_content_type_as_it_came_is_that_of_the_headers(fields: bytes) -> None:
    line = b"POST /content-type:x HTTP/1.1\r\n"
    request = Request("POST", "/content-type:x", "", 1, line + fields + b"\r\n", len(line), Ends())
    as_it_came = request.content_type
    assert as_it_came == request.headers.get("content-type")
    request.headers["Content-Type"] = "of/somebody"
    assert request.content_type == "of/somebody"


def test_the_media_type() -> None:
    assert (
        str(Request.build("POST", "/", {"Content-Type": "Text/HTML; Charset=x"}).media_type) == "text/html; charset=x"
    )
    assert Request.build("POST", "/", {"Content-Type": "nonsense"}).media_type is None
    assert Request.build("POST", "/").media_type is None


@pytest.mark.parametrize("body", [b"hello", io.BytesIO(b"hello")], ids=["bytes", "file"])
def test_a_body_read_in_every_way(body: Any) -> None:
    request = Request.build("POST", "/", body=body)
    assert b"".join(request.stream()) == b"hello"
    assert request.body_file.read() == b"hello"
    assert request.body == request.body == b"hello"
    request.close_body()


def test_addresses_as_text() -> None:
    assert [str(Address(*ends)) for ends in (("1.2.3.4", 5), ("::1", 5), ("/run/x", 0))] == [
        "1.2.3.4:5",
        "[::1]:5",
        "/run/x",
    ]

"""Response heads, byte for byte."""

from __future__ import annotations

from typing import Any

import pytest

from firstbyte.errors import ResponseError
from firstbyte.http.response import FileBody, Response
from firstbyte.wire import writer
from firstbyte.wire.writer import Tails, encode_chunk, encode_head, encode_plain

DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
TAILS = Tails(DATE)
PIECES = iter([b"a"])


def test_a_plain_response() -> None:
    data = encode_plain(Response("hi", media_type="text/plain"), b"hi", TAILS.of(True, 1))
    assert data == (
        b"HTTP/1.1 200 OK\r\nServer: firstbyte\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 2\r\n"
        b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\nhi"
    )


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_without_a_body_is_not_plain(status: int) -> None:
    assert encode_plain(Response(b"", status), b"", TAILS.keep) is None


@pytest.mark.parametrize(
    ("response", "method", "minor", "ending", "keep_alive", "has", "has_not"),
    [
        (Response("hi"), "GET", 1, writer.LENGTH, True, "Content-Length: 2", "Connection"),
        (Response("hi"), "GET", 0, writer.LENGTH, True, "Connection: keep-alive", "Transfer-Encoding"),
        (Response("hi"), "HEAD", 1, writer.NONE, True, "Content-Length: 2", "Connection"),
        (Response(PIECES), "GET", 1, writer.CHUNKED, True, "Transfer-Encoding: chunked", "Content-Length"),
        (Response(PIECES), "GET", 0, writer.CLOSE, False, "Connection: close", "Transfer-Encoding"),
        (
            Response(PIECES, headers={"Content-Length": "1"}),
            "GET",
            1,
            writer.LENGTH,
            True,
            "Content-Length: 1",
            "chunked",
        ),
        (Response(b"", 204), "GET", 1, writer.NONE, True, "204 No Content", "Content-Length"),
        (Response(b"", 304, {"ETag": '"a"'}), "GET", 1, writer.NONE, True, 'ETag: "a"', "Content-Length"),
        (Response(b"", 304, {"Content-Length": "9"}), "GET", 1, writer.NONE, True, "Content-Length: 9", "chunked"),
        (Response("hi", headers={"Connection": "close"}), "GET", 1, writer.LENGTH, False, "Connection: close", "keep"),
        (Response("hi", headers={"Server": "mine"}), "GET", 1, writer.LENGTH, True, "Server: mine", "firstbyte"),
        (Response("hi", headers={"Date": "now"}), "GET", 1, writer.LENGTH, True, "Date: now", DATE),
        (Response("hi", 299), "GET", 1, writer.LENGTH, True, "HTTP/1.1 299 \r\n", "None"),
    ],
)
def test_heads(
    response: Response, method: str, minor: int, ending: int, keep_alive: bool, has: str, has_not: str
) -> None:
    head = encode_head(response, method, minor, True, TAILS)
    assert (head.ending, head.keep_alive) == (ending, keep_alive)
    text = head.data.decode("latin-1")
    assert has in text
    assert has_not not in text
    assert text.endswith("\r\n\r\n")


def test_a_file_has_its_length(tmp_path: Any) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    with path.open("rb") as file:
        head = encode_head(Response(FileBody(file, 2, 5)), "GET", 1, True, TAILS)
    assert (head.ending, head.length) == (writer.LENGTH, 5)


@pytest.mark.parametrize(
    ("response", "message"),
    [
        (Response("hi", headers={"Transfer-Encoding": "chunked"}), "Transfer-Encoding is the server's"),
        (Response("hi", headers={"Keep-Alive": "timeout=5"}), "Keep-Alive is the server's"),
        (Response("hi", headers={"Connection": "upgrade"}), "only close"),
        (Response("hi", headers={"Content-Length": "3"}), "says 3 bytes, but the body has 2"),
        (Response("hi", headers={"Content-Length": "+2"}), "plain decimal"),
        (Response("hi", 204), "has no body"),
    ],
)
def test_what_cannot_be_sent(response: Response, message: str) -> None:
    with pytest.raises(ResponseError, match=message):
        encode_head(response, "GET", 1, True, TAILS)


def test_a_chunk() -> None:
    assert encode_chunk(b"0123456789abcdef") == b"10\r\n0123456789abcdef\r\n"


@pytest.mark.parametrize(
    ("attribute", "value", "message"),
    [
        ("body", "text", "a body is bytes.* not str"),
        ("body", None, "not NoneType"),
        ("body", [b"a"], "not list"),
        ("status", 0, "0 is no status"),
        ("status", "200", "'200' is no status"),
        ("content_type", "text/html\r\nX-Evil: 1", "control character"),
    ],
)
def test_what_a_handler_made_of_a_response_cannot_be_sent(attribute: str, value: Any, message: str) -> None:
    response = Response(b"hi", media_type="text/x-hi")
    setattr(response, attribute, value)
    if attribute != "body":
        assert encode_plain(response, b"hi", TAILS.keep) is None
    with pytest.raises(ResponseError, match=message):
        encode_head(response, "GET", 1, True, TAILS)


@pytest.mark.parametrize("body", [b"hi", iter([b"hi"])])
def test_a_205_has_no_body(body: Any) -> None:
    assert encode_plain(Response(b"", 205), b"", TAILS.keep) is None
    with pytest.raises(ResponseError, match="a 205 response has no body"):
        encode_head(Response(body, 205), "GET", 1, True, TAILS)
    assert b"Content-Length: 0\r\n" in encode_head(Response(b"", 205), "GET", 1, True, TAILS).data


def test_a_date_of_ones_own_need_not_be_ascii() -> None:
    assert b"Date: caf\xe9\r\n" in encode_head(Response("", headers={"Date": "caf\xe9"}), "GET", 1, True, TAILS).data

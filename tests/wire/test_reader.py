"""What a reader gives of a body that came with its head; the rest of it is in the cases."""

from __future__ import annotations

import pytest

from firstbyte.wire.head import HeadScanner
from firstbyte.wire.limits import Limits
from firstbyte.wire.reader import RequestReader

SAID = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


def reader_of(data: bytes) -> RequestReader:
    reader = RequestReader(HeadScanner(Limits()))
    reader.feed(data)
    assert reader.read_head() is not None
    return reader


@pytest.mark.parametrize("behind", [b"", b"GET / HTTP/1.1\r\nHost: b\r\n\r\n"])
def test_a_body_that_is_here_is_taken_as_one(behind: bytes) -> None:
    reader = reader_of(SAID + b"12345" + behind)
    reader.limit_body(5)
    assert reader.take_whole_body(5) == b"12345"
    assert (reader.in_body, reader.body_size, reader.trailers, reader.pending) == (False, 5, None, bool(behind))
    assert (reader.read_head() is not None) == bool(behind)


@pytest.mark.parametrize(
    ("head", "sent", "at_most", "body"),
    [
        (SAID, b"1234", 5, b"1234"),
        (SAID, b"12345", 4, b"12345"),
        (SAID, b"", 5, b""),
        (CHUNKED, b"1\r\nx\r\n0\r\n\r\n", 5, b"x"),
    ],
)
def test_another_is_left_to_be_read_in_pieces(head: bytes, sent: bytes, at_most: int, body: bytes) -> None:
    reader = reader_of(head + sent)
    reader.limit_body(1000)
    assert reader.take_whole_body(at_most) is None
    assert reader.in_body
    assert reader.body_size == 0
    assert reader.read_body() == body

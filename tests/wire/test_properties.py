"""What must hold for any bytes."""

from __future__ import annotations

import http.client
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firstbyte.errors import ProtocolError, ResponseError
from firstbyte.http.response import Response
from firstbyte.wire import grammar
from firstbyte.wire.body import ChunkedBody
from firstbyte.wire.head import Head, HeadScanner, check_lines
from firstbyte.wire.limits import Limits
from firstbyte.wire.reader import RequestReader
from firstbyte.wire.writer import LAST_CHUNK, Tails, encode_chunk, encode_head, encode_plain
from wire.documents import LIMITS, cases, run, tell

SETTINGS = settings(derandomize=True, max_examples=300, deadline=None)
HEADS = [case.data for case in cases()]
TAILS = Tails("Sun, 06 Nov 1994 08:49:37 GMT")


@st.composite
def split(draw: st.DrawFn, data: bytes) -> list[bytes]:
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=6)))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True) if a < b]


@st.composite
def near_requests(draw: st.DrawFn) -> bytes:
    """A case with a few bytes changed."""
    data = bytearray(draw(st.sampled_from(HEADS)))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data) - 1))
        data[at : at + draw(st.integers(0, 2))] = draw(
            st.sampled_from([b"\r", b"\n", b" ", b":", b"\0", b"\xff", b"a", b"\r\n"])
        )
    return bytes(data)


@given(near_requests().flatmap(lambda data: st.tuples(st.just(data), split(data))))
@SETTINGS
def test_it_does_not_matter_how_the_bytes_are_cut(given: tuple[bytes, list[bytes]]) -> None:
    whole, pieces = given
    assert tell(run(pieces), "") == tell(run([whole]), "")


@given(st.binary(min_size=1, max_size=300))
@SETTINGS
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    outcome = run([data])
    assert outcome.error is None or 400 <= outcome.error.status <= 505


def facts(head: Head) -> tuple[object, ...]:
    """All that a head says."""
    line = head.method, head.path, head.query, head.version
    return *line, head.data, head.fields_at, head.size, head.length, head.keep_alive, head.expects_continue


@given(near_requests())
@SETTINGS
def test_the_fast_scan_and_the_line_check_agree(data: bytes) -> None:
    """A head that the scan takes has nothing against it line by line; one that ends and is not taken has something."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return
    try:
        scanned = HeadScanner(LIMITS).scan(data, 0)
    except ProtocolError:
        return  # well-formed fields that break a rule together: the line check knows nothing of those
    try:
        check_lines(data[: end + 4], 0, 0, LIMITS)
    except ProtocolError:
        assert scanned is None
    else:
        assert scanned is not None


_LINES = [
    b"Host: a", b"Content-Length: 3", b"content-length: 12", b"Content-Length: 0", b"CONTENT-LENGTH: 4",
    b"Content-length: 7",
    b"Content-Length: 3, 3", b"Content-Length: +3", b"Content-Length:  3", b"Content-Length: 0000003",
    b"Content-Length: 1234567890123456789", b"Transfer-Encoding: chunked", b"Connection: close",
    b"X: Content-Length: 5", b"Expect: 100-continue", b" folded", b"X: a\nContent-Length: 6", b"X: a\r",
]  # fmt: skip


@given(
    st.lists(st.lists(st.sampled_from(_LINES), min_size=1, max_size=5), min_size=2, max_size=6),
    st.sampled_from(["0", "1"]),
)
@SETTINGS
def test_remembered_blocks_without_their_length_change_nothing(heads: list[list[bytes]], minor: str) -> None:
    def scanned(scanner: HeadScanner, data: bytes) -> object:
        try:
            found = scanner.scan(data, 0)
        except ProtocolError as error:
            return error.status, error.rule, error.offset
        return found and facts(found)

    remembering = HeadScanner(LIMITS)
    for lines in [*heads, *heads]:
        data = b"\r\n".join([f"POST / HTTP/1.{minor}".encode(), *lines, b"", b""])
        assert scanned(remembering, data) == scanned(HeadScanner(LIMITS), data)


def test_fields_with_another_length_are_not_checked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    scanner = HeadScanner(LIMITS)
    heads = [f"POST /{n} HTTP/1.1\r\nHost: a\r\nContent-Length: {n}\r\nX: b\r\n\r\n".encode() for n in (3, 500)]
    first = scanner.scan(heads[0], 0)
    monkeypatch.setattr("firstbyte.wire.head._framing", None)
    second = scanner.scan(heads[1], 0)
    assert first is not None
    assert second is not None
    assert (first.length, first.keep_alive, first.expects_continue) == (3, True, False)
    assert (second.length, second.keep_alive, second.expects_continue) == (500, True, False)


def test_a_head_with_a_body_is_known_again_whatever_follows_it() -> None:
    scanner = HeadScanner(LIMITS)
    plain = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    heads = [
        f"POST / HTTP/1.1\r\nHost: a\r\n{line}\r\n\r\n".encode()
        for line in ("Content-Length: 3", "content-length:4", "Transfer-Encoding: chunked")
    ]
    for head in [*heads, *heads, plain, plain]:
        for rest in (b"", b"abc", b"abc" + plain):
            found, anew = (each.scan(head + rest, 0) for each in (scanner, HeadScanner(LIMITS)))
            assert found is not None
            assert anew is not None
            assert facts(found) == facts(anew)
            assert found.data == head


@given(st.lists(near_requests(), min_size=2, max_size=4))
@SETTINGS
def test_the_last_head_of_a_connection_changes_nothing(heads: list[bytes]) -> None:
    """Each head comes twice, and what one reader makes of both is what readers that know nothing make of each."""

    def told(reader: RequestReader) -> object:
        try:
            request = reader.read_head()
        except ProtocolError as error:
            return error.status, error.rule, error.offset
        return request and (repr(request), request.head, reader.length, reader.keep_alive, reader.expects_continue)

    for first in heads:
        for second in (first, *heads):
            reader = RequestReader(HeadScanner(LIMITS))
            reader.feed(first)
            if not isinstance(told(reader), tuple) or reader.pending or reader.in_body:
                continue
            anew = RequestReader(HeadScanner(LIMITS))
            for each in (reader, anew):
                each.feed(second)
            assert told(reader) == told(anew)
            assert reader.take_rest() == anew.take_rest()


@given(near_requests())
@SETTINGS
def test_remembered_lines_and_blocks_change_nothing(data: bytes) -> None:
    scanner = HeadScanner(LIMITS)

    def told() -> str:
        try:
            head = scanner.scan(data, 0)
        except ProtocolError as error:
            return f"{error.rule} {error.offset}"
        return "" if head is None else repr(facts(head))

    assert told() == told()


@given(st.lists(st.binary(max_size=200), max_size=6))
@SETTINGS
def test_chunks_come_back(pieces: list[bytes]) -> None:
    wire = b"".join(encode_chunk(piece) for piece in pieces if piece) + LAST_CHUNK
    body = ChunkedBody(Limits(), 10_000)
    data, at = body.decode(wire, 0)
    assert (data, at, body.done) == (b"".join(pieces), len(wire), True)


_NAME = st.text("abcXYZ-_09", min_size=1, max_size=12).map("X-".__add__)
_VALUE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_categories=["Cc"]), max_size=30)


@given(
    st.sampled_from([200, 201, 400, 404, 503]),
    st.binary(max_size=2000),
    st.lists(st.tuples(_NAME, _VALUE), max_size=5),
    st.booleans(),
    st.booleans(),
)
@SETTINGS
def test_what_is_written_can_be_read(
    status: int, body: bytes, fields: list[tuple[str, str]], streamed: bool, keep_alive: bool
) -> None:
    response = Response(iter([body]) if streamed else body, status, fields)
    head = encode_head(response, "GET", 1, keep_alive, TAILS)
    wire = head.data + ((encode_chunk(body) if body else b"") + LAST_CHUNK if streamed else body)

    class Socket:
        def makefile(self, mode: str) -> io.BytesIO:
            return io.BytesIO(wire)

    read = http.client.HTTPResponse(Socket())  # type: ignore[arg-type]  # all it wants of a socket
    read.begin()
    assert (read.status, read.read()) == (status, body)
    assert read.headers["Date"] == TAILS.date
    for name, value in fields:
        assert value.strip(" \t") in [text.strip(" \t") for text in read.headers.get_all(name) or []]


@given(st.text(max_size=20), st.text(max_size=20))
@SETTINGS
def test_no_header_can_end_the_head_early(name: str, value: str) -> None:
    response = Response("x")
    try:
        response.headers.add(name, value)
        data = encode_head(response, "GET", 1, True, TAILS).data
    except (ValueError, ResponseError):
        return
    assert data.count(b"\r\n\r\n") == 1
    assert data.endswith(b"\r\n\r\n")
    lines = data.split(b"\r\n")[1:-2]
    assert all(grammar.field_line.fullmatch(line + b"\r\n") for line in lines)


def test_plain_and_long_way_say_the_same() -> None:
    for response in (Response("hello"), Response(b"", 404), Response.json({"a": 1}, 201), Response(b"")):
        assert isinstance(response.body, bytes)
        plain = encode_plain(response, response.body, TAILS.keep)
        head = encode_head(response, "GET", 1, True, TAILS)
        assert plain is not None
        assert sorted(plain.split(b"\r\n")) == sorted((head.data + response.body).split(b"\r\n"))

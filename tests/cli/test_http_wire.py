"""The bytes of an exchange, explained."""

from __future__ import annotations

import click
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from firstbyte.cli.http_wire import Transcript, explain_request, explain_response, render

POST = (
    b"POST /tasks HTTP/1.1\r\nHost: localhost:8000\r\nContent-Type: application/json\r\nContent-Length: 16\r\n"
    b'X-Own: 1\r\n\r\n{"title":"milk"}'
)
CHUNKED = (
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 Fine\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n3;x=y\r\n\x00\x01A\r\n0\r\nX-T: 1\r\n\r\n"
)


def test_a_request() -> None:
    assert render(explain_request(POST), ">").splitlines() == [
        ">      0  POST /tasks HTTP/1.1␍␊                        request line: method, target in origin-form, version",
        ">     22  Host: localhost:8000␍␊                        the site that is meant",
        ">     44  Content-Type: application/json␍␊              media type of the body",
        ">     76  Content-Length: 16␍␊                          bytes of the body",
        ">     96  X-Own: 1␍␊",
        ">    106  ␍␊                                            end of the head; a body of 16 bytes follows",
        '>    108  {"title":"milk"}                              body',
    ]


def test_a_response_in_chunks_behind_an_interim_one() -> None:
    assert render(explain_response(CHUNKED), "<").splitlines() == [
        "<      0  HTTP/1.1 103 Early Hints␍␊                    status line: version, status (interim), reason",
        "<     26  Link: </a>␍␊                                  related resources",
        "<     38  ␍␊                                            end of the head; an interim response, another follows",
        "<     40  HTTP/1.1 200 Fine␍␊                           status line: version, status (200 is OK), reason",
        "<     59  Transfer-Encoding: chunked␍␊                  how the body is framed",
        "<     87  ␍␊                                            end of the head; chunks follow, until one of 0 bytes",
        "<     89  5␍␊                                           a chunk of 5 bytes",
        "<     92  hello",
        "<     97  ␍␊                                            end of the chunk",
        "<     99  3;x=y␍␊                                       a chunk of 3 bytes",
        "<    106  00 01 41                                         ··A",
        "<    109  ␍␊                                            end of the chunk",
        "<    111  0␍␊                                           the last chunk",
        "<    114  X-T: 1␍␊                                      trailer field",
        "<    122  ␍␊                                            end of the message",
    ]


@pytest.mark.parametrize(
    ("head", "method", "note"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", "GET", "the body ends where the connection is closed"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HEAD", "no body: the answer to HEAD has none"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "GET", "no body: 204 has none"),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "GET", "no body: 304 has none"),
        (b"HTTP/1.1 200 OK\r\ncontent-length:0\r\n\r\n", "GET", "no body: its length is 0"),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "GET", "the protocol changes here"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n", "GET", "chunks follow"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n", "GET", "chunks follow"),
    ],
)
def test_how_a_response_is_framed(head: bytes, method: str, note: str) -> None:
    assert note in list(explain_response(head, method=method))[-1].note


@pytest.mark.parametrize(
    ("line", "note"),
    [
        (b"GET http://x/ HTTP/1.1", "absolute-form"),
        (b"CONNECT x:443 HTTP/1.1", "authority-form"),
        (b"OPTIONS * HTTP/1.1", "asterisk-form"),
        (b"nonsense", "request line"),
    ],
)
def test_request_lines(line: bytes, note: str) -> None:
    first, last = explain_request(line + b"\r\n\r\n")
    assert note in first.note
    assert last.note == "end of the head; no body: a request without a length has none"


def test_what_was_not_kept_is_counted() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n"
    rows = list(explain_response(head + b"abc\n" * 100, len(head) + 2_000_000))
    assert [row.note for row in rows[-3:]] == ["", "", "… 2.0 MB more"]
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\nabc"
    assert [row.note for row in explain_response(chunked, len(chunked) + 5000)][-3:] == [
        "a chunk of 65535 bytes",
        "",
        "… 5.0 kB more",
    ]


def test_a_head_that_does_not_end() -> None:
    rows = list(explain_response(b"HTTP/1.1 200 OK\r\nSer"))
    assert rows[0].note == "the head does not end"
    assert list(explain_response(b"")) == []


def test_lines_of_text_do_not_cut_characters() -> None:
    rows = list(explain_response(b"HTTP/1.1 200 OK\r\n\r\n" + "é".encode() * 150 + b"x" + "é".encode() * 60))
    assert "\ufffd" not in render(rows, "<")
    assert "·" not in render(rows, "<")


def test_nothing_that_a_terminal_obeys_is_printed() -> None:
    text = render(explain_response(b"HTTP/1.1 200 \x1b[31m\r\nA: \x1b]0;x\x07\r\n\r\n\x1b[2J"), "<")
    assert "\x1b" not in text
    assert "\x07" not in text


def test_colour_changes_no_text() -> None:
    rows = list(explain_response(CHUNKED))
    coloured = render(rows, "<", colour=True)
    assert "\x1b[33m" in coloured
    assert [line.rstrip() for line in click.unstyle(coloured).splitlines()] == render(rows, "<").splitlines()


HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@given(st.binary() | st.binary().map(lambda tail: HEAD + tail) | st.integers(0, 134).map(lambda end: CHUNKED[:end]))
@example(HEAD + b"-5\r\nabc")
@example(HEAD + b"\r\n\r\n")
@example(HEAD + b"f" * 40 + b"\r\nabc")
def test_every_byte_is_in_its_place(data: bytes) -> None:
    for explained in (explain_response(data), explain_request(data)):
        at = 0
        for row in explained:
            if row.data:
                assert row.offset >= at  # what is left out is not shown, nothing is shown twice
                assert data[row.offset : row.offset + len(row.data)] == row.data
                at = row.offset + len(row.data)
            else:
                assert row.note.endswith("more")
        assert at <= len(data)


def test_a_transcript_of_two_exchanges() -> None:
    transcript = Transcript()
    transcript.begin("GET")
    transcript.sent(b"GET /a HTTP/1.1\r\n\r\n")
    transcript.received(b"HTTP/1.1 302 Found\r\n")
    transcript.received(b"Content-Length: 0\r\n\r\n")
    transcript.begin("HEAD")
    transcript.sent(b"HEAD /b HTTP/1.1\r\n\r\n")
    transcript.received(b"HTTP/1.1 200 OK\r\n\r\n")
    messages = [text.splitlines() for text in transcript.render().split("\n\n")]
    assert len(messages) == 4
    assert "GET /a" in messages[0][0]
    assert "302 Found" in messages[1][0]
    assert "its length is 0" in messages[1][2]
    assert "the answer to HEAD has none" in messages[3][1]


def test_a_transcript_keeps_the_beginning_alone() -> None:
    transcript = Transcript()
    transcript.begin("GET")
    transcript.received(b"HTTP/1.1 200 OK\r\n\r\n")
    for _ in range(100):
        transcript.received(b"x" * 100_000)
    assert len(transcript._exchanges[0].received.data) == 64 * 1024
    assert transcript.render().endswith("… 10.0 MB more")


def test_an_exchange_that_did_not_begin() -> None:
    transcript = Transcript()
    transcript.begin("GET")
    assert transcript.render() == ""

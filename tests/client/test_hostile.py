"""A server that does wrong: each case with the error it must give, over both drivers, and no slot lost by any."""

from __future__ import annotations

import gzip
import select
import socket
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from client.support import WAIT, MakeFace, MakeRaw, read_request
from firstbyte.client import Timeout
from firstbyte.errors import (
    BadResponse,
    ClientError,
    DecodingError,
    IncompleteBody,
    ReadTimeout,
    ServerClosed,
    TooManyRedirects,
    TotalTimeout,
    TransportError,
    WriteTimeout,
)

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
GZIP = OK + b"Content-Encoding: gzip\r\n"


def with_length(head: bytes, body: bytes) -> bytes:
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def hang(sock: socket.socket) -> None:
    """Until the client leaves."""
    while sock.recv(65536):
        pass


def drip(data: bytes) -> Callable[[socket.socket], None]:
    """Sends without an end, as fast as the client takes it."""

    def send(sock: socket.socket) -> None:
        while True:
            sock.sendall(data)

    return send


def slowly(data: bytes, seconds: float) -> Callable[[socket.socket], None]:
    """Sends a byte now and then: each wait is short, and there is no end to them."""

    def send(sock: socket.socket) -> None:
        sock.settimeout(seconds)
        while True:
            sock.sendall(data)
            try:
                if not sock.recv(1):
                    return
            except TimeoutError:
                pass

    return send


def deaf(sock: socket.socket) -> None:
    """Reads nothing until the client leaves."""
    poll = select.poll()
    poll.register(sock, select.POLLRDHUP)
    poll.poll(WAIT * 1000)


def again(sock: socket.socket) -> None:
    """Redirects every further request too."""
    while True:
        read_request(sock)
        sock.sendall(b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n")


@dataclass
class Case:
    name: str
    sends: bytes
    error: type[ClientError]
    detail: str  # the rule of a BadResponse, else a part of the message
    then: Callable[[socket.socket], None] | None = None  # None: it closes
    settings: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    method: str = "GET"


SHORT = {"timeout": Timeout(read=0.2, write=0.2)}
BRIEF = {"timeout": Timeout(total=0.3)}

CASES = [
    # -- the connection
    Case("closes at once", b"", ServerClosed, "without an answer"),
    Case("closes at once after a POST", b"", ServerClosed, "without an answer", method="POST"),
    Case("resets at once", b"", ServerClosed, "broke", reset),
    Case("says nothing", b"", ReadTimeout, "sends nothing", hang, SHORT),
    Case("says nothing to a POST", b"", ReadTimeout, "sends nothing", hang, SHORT, method="POST"),
    Case("says nothing, and all is over", b"", TotalTimeout, "longer than 0.3 s", hang, BRIEF),
    Case("closes within the status line", b"HTTP/1.1 2", ServerClosed, "within the head"),
    Case("closes within a field", OK + b"Content-Le", ServerClosed, "within the head"),
    Case("closes before the empty line", OK + b"A: b\r\n", ServerClosed, "within the head"),
    Case("resets within the head", OK + b"A: b\r\n", ServerClosed, "head", reset),
    Case("stops within the head", OK + b"A:", ReadTimeout, "sends nothing", hang, SHORT),
    Case("a head a byte at a time", OK + b"A: ", TotalTimeout, "longer than", slowly(b"a", 0.02), BRIEF),
    Case("closes after 100", b"HTTP/1.1 100 Continue\r\n\r\n", ServerClosed, "head"),
    Case("takes no body", b"", WriteTimeout, "does not take", deaf, SHORT,
         {"content": [b"x" * 65536] * 1000}, "POST"),
    # -- the status line
    Case("speaks SSH", b"SSH-2.0-OpenSSH_9.6\r\n", BadResponse, "not-http"),
    Case("speaks SMTP", b"220 mail.example.org ESMTP\r\n", BadResponse, "not-http"),
    Case("speaks TLS", b"\x15\x03\x01\x00\x02\x02\x46", BadResponse, "not-http"),
    Case("speaks HTTP/0.9", b"<html>", BadResponse, "not-http"),
    Case("speaks HTTP/2", b"\x00\x00\x12\x04\x00\x00\x00\x00\x00", BadResponse, "not-http"),
    Case("says HTTP/2", b"HTTP/2 200\r\n\r\n", BadResponse, "version"),
    Case("says HTTP/3.0", b"HTTP/3.0 200 OK\r\n\r\n", BadResponse, "version-unsupported"),
    Case("an empty line first", b"\r\n" + OK + b"\r\n", BadResponse, "not-http"),
    Case("zeros", b"\0" * 100, BadResponse, "not-http"),
    Case("zeros without end", b"", BadResponse, "not-http", drip(b"\0" * 1000)),
    Case("a status of letters", b"HTTP/1.1 abc\r\n\r\n", BadResponse, "status"),
    Case("a status of two digits", b"HTTP/1.1 99 No\r\n\r\n", BadResponse, "status"),
    Case("a status of four digits", b"HTTP/1.1 2000 OK\r\n\r\n", BadResponse, "status"),
    Case("a status below zero", b"HTTP/1.1 -200 OK\r\n\r\n", BadResponse, "status"),
    Case("a reason with a bell", b"HTTP/1.1 200 \a\r\n\r\n", BadResponse, "reason"),
    Case("lines that end with LF", b"HTTP/1.1 200 OK\nContent-Length: 0\n\n", BadResponse, "bare-lf"),
    Case("lines that end with CR", b"HTTP/1.1 200 OK\rContent-Length: 0\r\r\n", BadResponse, "bare-cr"),
    Case("a reason without end", OK[:-2], BadResponse, "status-line-too-long", drip(b"a" * 1000)),
    # -- fields
    Case("endless fields", OK, BadResponse, "head-too-large", drip(b"A: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\r\n" * 100)),
    Case("an endless field", OK + b"A: ", BadResponse, "head-too-large", drip(b"a" * 10_000)),
    Case("too many fields", OK + b"A: b\r\n" * 300 + b"\r\n", BadResponse, "too-many-fields"),
    Case("a field without a colon", OK + b"whatever\r\n\r\n", BadResponse, "field-no-colon"),
    Case("a field without a name", OK + b": b\r\n\r\n", BadResponse, "field-name-empty"),
    Case("a space before the colon", OK + b"Content-Length : 0\r\n\r\n", BadResponse, "field-space-before-colon"),
    Case("a folded field", OK + b"A: b\r\n c\r\n\r\n", BadResponse, "obs-fold"),
    Case("NUL in a field", OK + b"A: b\0c\r\n\r\n", BadResponse, "field-control"),
    Case("a CR in a field", OK + b"A: b\rSet-Cookie: c\r\n\r\n", BadResponse, "bare-cr"),
    # -- framing
    Case("both lengths", OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", BadResponse,
         "length-and-coding"),
    Case("two lengths", OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", BadResponse,
         "content-length-repeated"),
    Case("a list of lengths", OK + b"Content-Length: 5, 6\r\n\r\nhello", BadResponse, "content-length-invalid"),
    Case("a length below zero", OK + b"Content-Length: -1\r\n\r\n", BadResponse, "content-length-invalid"),
    Case("a length with a sign", OK + b"Content-Length: +5\r\n\r\nhello", BadResponse, "content-length-invalid"),
    Case("a length in words", OK + b"Content-Length: five\r\n\r\nhello", BadResponse, "content-length-invalid"),
    Case("a length with a point", OK + b"Content-Length: 5.0\r\n\r\nhello", BadResponse, "content-length-invalid"),
    Case("a length of many digits", OK + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", BadResponse,
         "content-length-invalid"),
    Case("chunked twice", OK + b"Transfer-Encoding: chunked, chunked\r\n\r\n", BadResponse, "coding-repeated"),
    Case("chunked not last", OK + b"Transfer-Encoding: chunked, gzip\r\n\r\n", BadResponse, "coding-order"),
    Case("an unknown coding", OK + b"Transfer-Encoding: xyz\r\n\r\n", BadResponse, "coding-order"),
    Case("chunked in HTTP/1.0", b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", BadResponse, "coding-in-1.0"),
    # -- bodies
    Case("a body cut short", OK + b"Content-Length: 10\r\n\r\nhello", IncompleteBody, "5 of the 10 bytes"),
    Case("a body that does not begin", OK + b"Content-Length: 10\r\n\r\n", IncompleteBody, "0 of the 10 bytes"),
    Case("a body cut by a reset", OK + b"Content-Length: 10\r\n\r\nhello", ServerClosed, "body", reset),
    Case("a body that stops", OK + b"Content-Length: 10\r\n\r\nhello", ReadTimeout, "sends nothing", hang, SHORT),
    Case("a body a byte at a time", OK + b"Content-Length: 100000\r\n\r\n", TotalTimeout, "longer than",
         slowly(b"a", 0.02), BRIEF),
    Case("a body without end", OK + b"\r\n", DecodingError, "body-too-large", drip(b"a" * 10_000),
         {"max_body": 100_000}),
    Case("chunks without end", CHUNKED, DecodingError, "body-too-large", drip(b"400\r\n" + b"a" * 1024 + b"\r\n"),
         {"max_body": 100_000}),
    Case("no last chunk", CHUNKED + b"5\r\nhello\r\n", IncompleteBody, "without the last chunk"),
    Case("half a chunk", CHUNKED + b"a\r\nhello", IncompleteBody, "without the last chunk"),
    Case("half a chunk size", CHUNKED + b"5", IncompleteBody, "without the last chunk"),
    Case("no empty line behind the last chunk", CHUNKED + b"0\r\n", IncompleteBody, "without the last chunk"),
    Case("a chunk size of letters", CHUNKED + b"xyz\r\n", BadResponse, "chunk-size"),
    Case("a chunk size with 0x", CHUNKED + b"0x5\r\nhello\r\n", BadResponse, "chunk-size"),
    Case("a chunk size below zero", CHUNKED + b"-5\r\nhello\r\n", BadResponse, "chunk-size"),
    Case("an empty chunk size", CHUNKED + b"\r\nhello\r\n", BadResponse, "chunk-size"),
    Case("a chunk size beyond any", CHUNKED + b"f" * 16 + b"\r\n", BadResponse, "chunk-size"),
    Case("a chunk longer than it says", CHUNKED + b"4\r\nhello\r\n0\r\n\r\n", BadResponse, "chunk-end"),
    Case("a chunk line that ends with LF", CHUNKED + b"5\nhello\r\n0\r\n\r\n", BadResponse, "chunk-size"),
    Case("a chunk size without end", CHUNKED, BadResponse, "chunk-line-too-long", drip(b"0" * 1000)),
    Case("chunk extensions without end", CHUNKED, BadResponse, "chunk-extensions",
         drip(b"1;" + b"e" * 2000 + b"\r\na\r\n")),
    Case("trailers without end", CHUNKED + b"0\r\n", BadResponse, "trailers-too-large",
         drip(b"A: " + b"b" * 2000 + b"\r\n")),
    Case("a trailer that frames", CHUNKED + b"0\r\nContent-Length: 5\r\n\r\n", BadResponse, "trailer-forbidden"),
    Case("a trailer that is none", CHUNKED + b"0\r\nwhatever\r\n\r\n", BadResponse, "field-no-colon"),
    # -- what the body says it is
    Case("no gzip", with_length(GZIP, b"hello"), DecodingError, "gzip"),
    Case("gzip cut short", with_length(GZIP, gzip.compress(b"hello" * 100)[:-10]), DecodingError, "gzip"),
    Case("gzip with a wrong checksum", with_length(GZIP, gzip.compress(b"hello")[:-8] + b"\0" * 8), DecodingError,
         "gzip"),
    Case("a gzip bomb", with_length(GZIP, gzip.compress(b"\0" * (40 << 20))), DecodingError, "ratio"),
    Case("a gzip bomb in a gzip bomb", with_length(OK + b"Content-Encoding: gzip, gzip\r\n",
         gzip.compress(gzip.compress(b"\0" * (40 << 20)))), DecodingError, "ratio"),
    Case("a gzip bomb that is small enough", with_length(GZIP, gzip.compress(b"\0" * (1 << 20))), DecodingError,
         "body-too-large", settings={"max_body": 100_000}),
    Case("no deflate", with_length(OK + b"Content-Encoding: deflate\r\n", b"\xff" * 10), DecodingError, "deflate"),
    Case("deflate cut short", with_length(OK + b"Content-Encoding: deflate\r\n", zlib.compress(b"hello" * 9)[:-5]),
         DecodingError, "deflate"),
    Case("a coding nobody asked for", with_length(OK + b"Content-Encoding: compress\r\n", b"hello"), DecodingError, ""),
    Case("codings without end", with_length(OK + b"Content-Encoding: " + b"gzip, " * 50 + b"gzip\r\n", b"hello"),
         DecodingError, "codings"),
    # -- storms and loops
    Case("1xx without end", b"", BadResponse, "too-many-interim", drip(b"HTTP/1.1 100 Continue\r\n\r\n")),
    Case("hints without end", b"", BadResponse, "too-many-interim", drip(b"HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n")),
    Case("1xx now and then", b"", TotalTimeout, "longer than", slowly(b"HTTP/1.1 102 Processing\r\n\r\n", 0.05), BRIEF),
    Case("changes the protocol unasked", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", BadResponse,
         "unasked-upgrade"),
    Case("redirects to itself", b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", TooManyRedirects,
         "more than 5", again, {"max_redirects": 5}),
    Case("redirects ever deeper", b"HTTP/1.1 307 On\r\nLocation: a/b\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
         TooManyRedirects, "more than 20"),
    Case("redirects to a file", with_length(b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\n", b""),
         ClientError, ""),
    Case("redirects to no URL", with_length(b"HTTP/1.1 302 Found\r\nLocation: http://[/\r\n", b""), BadResponse,
         "location"),
    Case("redirects to two places", with_length(b"HTTP/1.1 302 Found\r\nLocation: /a\r\nLocation: /b\r\n", b""),
         BadResponse, "location"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_wrong_has_its_error(face: MakeFace, raw: MakeRaw, case: Case) -> None:
    def answer(sock: socket.socket) -> None:
        if case.then is not deaf:
            read_request(sock)
        sock.sendall(case.sends)
        if case.then is not None:
            case.then(sock)

    server = raw(answer)
    session = face(base_url=server.url, **case.settings)
    with pytest.raises(case.error) as raised:
        session.request(case.method, "/", **case.options)
    error = raised.value
    if isinstance(error, BadResponse) and not isinstance(error, TransportError):
        assert case.detail in ("", error.rule)
    else:
        assert case.detail in str(error)
    assert type(error) is case.error or not case.detail
    assert error.address == f"127.0.0.1:{server.port}"
    assert error.seconds is not None
    pool = session.session.pool
    assert pool.open_connections == pool.idle_connections, "a slot was lost"


def test_there_are_enough_cases() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 60


def test_the_network_and_the_sender_are_told_apart() -> None:
    assert not issubclass(BadResponse, TransportError)
    assert not issubclass(IncompleteBody, BadResponse)

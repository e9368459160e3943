"""What a WSGI application may do, and what becomes of what it must not do (PEP 3333)."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from firstbyte.errors import ResponseError
from firstbyte.hosts.wsgi import WSGI
from firstbyte.http.response import FileBody
from firstbyte.wire.writer import NONE, Tails, encode_head
from hosts.support import ask, body_of, scanned

TEXT = ("Content-Type", "text/plain")


class Closing:
    """An iterable that counts its closings, and raises where it is told to."""

    def __init__(self, *pieces: Any, fault: Exception | None = None) -> None:
        self.pieces = pieces
        self.fault = fault
        self.closed = 0

    def __iter__(self) -> Iterator[Any]:
        yield from self.pieces
        if self.fault is not None:
            raise self.fault

    def close(self) -> None:
        self.closed += 1


def answering(result: Any, status: str = "200 OK", headers: Any = (TEXT,)) -> Callable[..., Any]:
    """An application that returns `result`."""

    def app(environ: Any, start_response: Any) -> Any:
        start_response(status, list(headers))
        return result

    return app


HEAD = "HEAD / HTTP/1.1\nHost: a\n\n"


def test_a_list_of_one_piece_is_sent_as_bytes() -> None:
    response = ask(answering([b"hello"]))
    assert (response.status, response.body, response.content_type) == (200, b"hello", "text/plain")
    assert response._headers is None  # so that the writer takes its short way


def test_headers_go_out_as_they_came() -> None:
    fields = [("X-A", "1"), ("Set-Cookie", "a=1"), TEXT, ("Set-Cookie", "b=2"), ("Content-Length", "2")]
    response = ask(answering([b"hi"], "404 Nothing Here", fields))
    assert response.status == 404
    assert sorted(response.headers.items()) == sorted(fields)


def test_without_a_type_there_is_none() -> None:
    assert "Content-Type" not in ask(answering([b"hi"], headers=())).headers


@pytest.mark.parametrize(
    ("result", "body"),
    [
        ([], b""),
        ([b""], b""),
        ((b"a", b"b"), b"ab"),
        ([b"a", b"", b"b"], b"ab"),
        (iter([b"", b"a", b"b"]), b"ab"),
        ([b"x" * 10_000] * 3, b"x" * 30_000),  # streamed
        (io.BytesIO(b"one\ntwo\n"), b"one\ntwo\n"),
    ],
)
def test_results_of_every_kind(result: Any, body: bytes) -> None:
    assert body_of(ask(answering(result))) == body


def test_the_length_of_pieces_at_hand_is_said() -> None:
    assert ask(answering([b"x" * 10_000] * 3)).headers["Content-Length"] == "30000"


def test_a_generator_may_start_late_and_is_streamed() -> None:
    steps: list[str] = []

    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("201 Created", [("X-Late", "yes")])
        yield b""
        steps.append("first")
        yield b"first"
        steps.append("second")
        yield b"second"

    response = ask(app)
    assert response.status == 201
    assert response.headers["X-Late"] == "yes"
    assert steps == ["first"]
    assert body_of(response) == b"firstsecond"


@pytest.mark.parametrize("length", [None, "6"])
def test_close_is_called_once(length: str | None) -> None:
    closing = Closing(b"abc", b"def")
    fields = [TEXT] + ([("Content-Length", length)] if length else [])
    response = ask(answering(closing, headers=fields))
    assert not closing.closed
    assert body_of(response) == b"abcdef"
    response.close()
    assert closing.closed == 1


def test_close_is_called_where_the_answer_is_not_sent_to_its_end() -> None:
    closing = Closing(b"abc", b"def")
    ask(answering(closing)).close()
    assert closing.closed == 1


def test_a_body_that_its_length_says_is_complete_is_sent_as_bytes() -> None:
    closing = Closing(b"abc", b"")
    response = ask(answering(closing, headers=[("Content-Length", "3")]))
    assert response.body == b"abc"
    assert closing.closed == 1


def test_what_takes_its_time_behind_its_last_byte_is_sent_before(monkeypatch: pytest.MonkeyPatch) -> None:
    now, took, closed = 0.0, 0.0, 0

    class Slow(Closing):
        def close(self) -> None:
            nonlocal now, closed
            now += took
            closed += 1

    monkeypatch.setattr("firstbyte.hosts.wsgi.perf_counter", lambda: now)
    host = WSGI(lambda environ, start_response: start_response("200 OK", [("Content-Length", "3")]) and Slow(b"abc"))
    request = scanned("GET / HTTP/1.1\nHost: a\n\n")
    endpoint = host.resolve(request)

    def is_sent_before() -> bool:
        count = closed
        response = endpoint.call(request)
        is_first = closed == count
        assert body_of(response) == b"abc"
        assert closed == count + 1
        return is_first

    assert not is_sent_before()
    took = 0.02
    assert [is_sent_before() for _ in range(3)] == [False, True, True]  # it takes one to know
    took = 0.0
    answers = [is_sent_before() for _ in range(30)]
    assert answers[0]  # it takes some to know that it was a pause of something else
    assert not answers[-1]


def test_write_goes_before_what_is_returned() -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        write = start_response("200 OK", [])
        for _ in range(3):
            write(b"x" * 50_000)
        return [b"end"]

    assert body_of(ask(app)) == b"x" * 150_000 + b"end"


def test_an_error_replaces_the_head_until_something_is_sent() -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("X-A", "1")])
        try:
            raise ValueError("late")
        except ValueError:
            start_response("500 Oh", [("X-B", "2")], sys.exc_info())
        return [b"sorry"]

    response = ask(app)
    assert (response.status, response.headers.items(), response.body) == (500, [("X-B", "2")], b"sorry")


@pytest.mark.parametrize("by_write", [True, False])
def test_an_error_after_something_was_sent_comes_back(by_write: bool) -> None:
    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        write = start_response("200 OK", [])
        if by_write:
            write(b"sent")
        else:
            yield b"sent"
        try:
            raise ValueError("late")
        except ValueError:
            start_response("500 Oh", [], sys.exc_info())
        yield b"never"

    if by_write:
        with pytest.raises(ValueError, match="late"):
            ask(app)
        return
    response = ask(app)
    with pytest.raises(ValueError, match="late"):
        body_of(response)


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified", "205 Reset Content"])
@pytest.mark.parametrize("result", [[b""], [b"unwanted"], Closing(b"unwanted", b"more")])
def test_no_body_where_none_can_be(status: str, result: Any) -> None:
    response = ask(answering(result, status, [("Content-Length", "8"), ("X-A", "1")]))
    assert response.body == b""
    assert response.headers["X-A"] == "1"
    assert ("content-length" in response.headers) is status.startswith("304")


@pytest.mark.parametrize(
    ("result", "length", "told"),
    [([], "5", "5"), ([b"hello"], "5", "5"), (Closing(b"he", b"llo"), "5", "5"), (Closing(), "5", "5")],
)
def test_head_says_what_get_would(result: Any, length: str, told: str) -> None:
    response = ask(answering(result, headers=[("Content-Length", length)]), scanned(HEAD))
    head = encode_head(response, "HEAD", 1, True, Tails("today"))
    assert f"\r\nContent-Length: {told}\r\n".encode() in head.data
    assert head.ending == NONE


# -- files


def test_a_large_file_goes_out_as_a_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789" * 10_000)
    opened = []

    def app(environ: Any, start_response: Any) -> Any:
        opened.append(path.open("rb"))
        opened[-1].seek(5)
        start_response("200 OK", list(headers))
        return environ["wsgi.file_wrapper"](opened[-1], 4096)

    headers: list[tuple[str, str]] = []
    response = ask(app)
    assert isinstance(response.body, FileBody)
    assert body_of(response) == path.read_bytes()[5:]
    assert opened[-1].closed
    headers = [("Content-Length", "50000")]
    assert body_of(ask(app)) == path.read_bytes()[5:50_005]
    headers = [("Content-Length", "100000")]
    with pytest.raises(ResponseError, match="99995 bytes left"):
        ask(app)
    assert opened[-1].closed
    headers = [("Content-Length", "50000")]
    assert ask(app, scanned(HEAD)).headers["Content-Length"] == "50000"
    assert opened[-1].closed


def test_a_small_file_is_sent_as_bytes(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"small")
    file = (tmp_path / "file").open("rb")
    response = ask(lambda environ, start: start("200 OK", []) and environ["wsgi.file_wrapper"](file))
    assert response.body == b"small"
    assert file.closed


class Upper(io.BytesIO):
    """Looks like a file, and gives other bytes than the file below it."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(size).upper()


def test_what_only_looks_like_a_file_is_read() -> None:
    file = Upper(b"abc" * 10)
    response = ask(lambda environ, start: start("200 OK", []) and environ["wsgi.file_wrapper"](file, 4))
    assert body_of(response) == b"ABC" * 10
    assert file.closed


# -- what an application must not do


@pytest.mark.parametrize(
    ("app", "message"),
    [
        (answering("text"), "returned str"),
        (answering(b"bytes"), "returned bytes"),
        (answering(None), "returned NoneType"),
        (answering(3), "returned int, which is no iterable"),
        (answering(["text"]), "str in it"),
        (answering([b"a", "text"]), "str in it"),
        (answering(Closing("text")), "str in it"),
        (lambda environ, start_response: [b"x"], "did not call start_response"),
        (lambda environ, start_response: [], "did not call start_response"),
        (answering([b"abc"], headers=[("Content-Length", "2")]), "Content-Length: 2, but gave 3"),
        (answering([b"abc"], headers=[("Content-Length", "4")]), "Content-Length: 4, but gave 3"),
        (answering([b"x" * 10_000] * 3, headers=[("Content-Length", "4")]), "Content-Length: 4, but gave 30000"),
        (answering([], headers=[("Content-Length", "4")]), "Content-Length: 4, but gave 0"),
        (answering(Closing(b"abc", b"d"), headers=[("Content-Length", "3")]), "longer body"),
        (answering([b""], headers=[("Content-Length", "-1")]), "no plain decimal number"),
        (lambda environ, start_response: start_response("200 OK", {"Content-Type": "a/b"}), "headers are dict"),
        (answering([b""], headers=[("Content-Length", "0")] * 2), "Content-Length twice"),
        (answering([b""], headers=[("X-A", "1\r\nX-B: 2")]), "control character"),
        (answering([b""], headers=[("Content-Type", "a/b\n")]), "control character"),
        (answering([b""], headers=[("X A", "1")]), "not a token"),
        (answering([b""], headers=[("X-A", b"1")]), "must be str"),
        (answering([b""], headers=[(b"X-A", "1")]), "must be str"),
        (answering([b""], headers=[("Transfer-Encoding", "chunked")]), "Transfer-Encoding"),
        (answering([b""], headers=[("connection", "close")]), "connection"),
        (answering([b""], "OK"), "must be like '200 OK'"),
        (answering([b""], "200OK"), "must be like '200 OK'"),
        (answering([b""], "100 Continue"), "from 200 to 599"),
        (answering([b""], "200 OK\r\nX: y"), "control character"),
        (answering([b""], 200), "must be str"),  # type: ignore[arg-type]
        (lambda environ, start: start("200 OK", []) and answering([])(environ, start), "again without exc_info"),
        (lambda environ, start: start("200 OK", [])("text"), "write\\(\\) takes bytes"),
    ],
)
def test_what_is_wrong_is_said(app: Any, message: str) -> None:
    for _ in range(2):  # what is remembered of good words must not let bad ones pass
        with pytest.raises((ResponseError, TypeError), match=message):
            ask(app)


@pytest.mark.parametrize("result", [Closing("text"), Closing(fault=ValueError("broken")), Closing(b"abc", b"d")])
def test_close_is_called_after_a_fault(result: Any) -> None:
    with pytest.raises((ResponseError, TypeError, ValueError)):
        ask(answering(result, headers=[("Content-Length", "3")]))
    assert result.closed == 1


def test_a_fault_behind_the_first_piece_ends_the_stream() -> None:
    closing = Closing(b"abc", fault=ValueError("late"))
    response = ask(answering(closing))
    with pytest.raises(ValueError, match="late"):
        body_of(response)
    response.close()
    assert closing.closed == 1
    response = ask(answering(Closing(b"abc", "text")))
    with pytest.raises(TypeError, match="str in it"):
        body_of(response)


def test_each_place_has_a_pace() -> None:
    host = WSGI(answering([b""]))
    fast, slow = (host.resolve(scanned(f"GET /{path} HTTP/1.1\nHost: a\n\n")) for path in ("fast", "slow"))
    assert fast.pace is not slow.pace
    assert fast.name == slow.name
    assert host.resolve(scanned("GET /fast HTTP/1.1\nHost: a\n\n")) is fast


def test_endpoints_are_found_by_heads_as_they_were_sent_and_by_paths_otherwise() -> None:
    host = WSGI(answering([b""]))
    head = "GET /a/b HTTP/1.1\nHost: a\n\n"
    found = host.resolve(scanned(head))
    assert host.resolve(scanned(head)) is found
    mounted = scanned(head)
    mounted.root_path, mounted.raw_path = "/a", "/b"
    assert host.resolve(mounted) is not found
    changed = scanned(head)
    changed.headers.update({"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"})
    changed.headers["Sec-WebSocket-Key"] = "dGhlIHNhbXBsZSBub25jZQ=="
    assert host.resolve(changed) is host.resolve(scanned(head))  # `head` is what came, and it asks for no WebSocket


def test_heads_whose_endpoint_is_remembered_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firstbyte.hosts.wsgi._REMEMBERED", 4)
    host = WSGI(answering([b""]))
    for number in range(20):
        host.resolve(scanned(f"GET /{number} HTTP/1.1\nHost: a\n\n"))
    host.resolve(scanned(f"GET / HTTP/1.1\nHost: a\nX-Long: {'x' * 2000}\n\n"))
    assert 0 < len(host._known) <= 4
    assert max(map(len, host._known)) < 2000

"""What a terminal and a pipe are shown of a response."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest

from firstbyte.cli.http_show import Show, formatted, show_response
from firstbyte.http.headers import Headers

ADVICE = ": --download saves it, a pipe takes it]\n"


class Terminal(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


class Answer:
    """A response of these pieces."""

    status = 404
    reason = "Not Found"
    http_version = "1.1"

    def __init__(self, pieces: list[bytes], content_type: str = "application/json") -> None:
        self.headers = Headers({"Content-Type": content_type})
        self._pieces = pieces

    def chunks(self) -> Iterator[bytes]:
        return iter(self._pieces)


def shown(answer: Answer, show: Show) -> bytes:
    buffer = io.BytesIO()
    out = io.TextIOWrapper(buffer, encoding="utf-8", newline="")
    show_response(answer, show, out)
    return buffer.getvalue()


def text_of(content_type: str, *pieces: bytes) -> str:
    return "".join(formatted(Headers({"Content-Type": content_type} if content_type else {}), pieces))


@pytest.mark.parametrize(
    ("terminal", "options", "expected"),
    [
        (True, {}, Show(head=True, body=True, pretty=True, colour=True)),
        (False, {}, Show(head=False, body=True, pretty=False, colour=False)),
        (True, {"head": True}, Show(head=True, body=False, pretty=True, colour=True)),
        (False, {"head": True}, Show(head=True, body=False, pretty=False, colour=False)),
        (True, {"body": True}, Show(head=False, body=True, pretty=True, colour=True)),
        (False, {"head": True, "body": True}, Show(head=True, body=True, pretty=False, colour=False)),
        (True, {"verbose": True}, Show(head=False, body=True, pretty=True, colour=True)),
        (True, {"pretty": False}, Show(head=True, body=True, pretty=False, colour=False)),
        (False, {"pretty": True}, Show(head=False, body=True, pretty=True, colour=True)),
    ],
)
def test_what_is_shown_where(
    terminal: bool, options: dict[str, bool], expected: Show, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    out = (Terminal if terminal else io.TextIOWrapper)(io.BytesIO())
    assert Show.choose(out, **{"head": False, "body": False, "pretty": None, "verbose": False, **options}) == expected


@pytest.mark.parametrize(("value", "colour"), [("1", False), ("", True)])
def test_no_color(value: str, colour: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", value)
    show = Show.choose(Terminal(io.BytesIO()), head=False, body=False, pretty=None, verbose=False)
    assert (show.pretty, show.colour) == (True, colour)


def test_all_of_it_for_people() -> None:
    assert shown(Answer([b'{"a":', b"1}"]), Show(True, True, True, False)).decode() == (
        'HTTP/1.1 404 Not Found\nContent-Type: application/json\n\n{\n  "a": 1\n}\n'
    )


def test_a_pipe_gets_the_bytes_as_they_are() -> None:
    assert shown(Answer([b'{"a":', b"1}\xff\r\n"]), Show(False, True, False, False)) == b'{"a":1}\xff\r\n'
    assert shown(Answer([]), Show(False, True, False, False)) == b""


def test_the_head_alone() -> None:
    assert shown(Answer([b"body"]), Show(True, False, False, False)) == (
        b"HTTP/1.1 404 Not Found\nContent-Type: application/json\n\n"
    )


def test_the_prompt_begins_a_line() -> None:
    show = Show(False, True, True, False)
    assert shown(Answer([b"a", b"b"], "text/plain"), show) == b"ab\n"
    assert shown(Answer([b"a\n"], "text/plain"), show) == b"a\n"
    assert shown(Answer([], "text/plain"), show) == b""


@pytest.mark.parametrize(
    ("content_type", "pieces", "text"),
    [
        ("application/problem+json; charset=utf-8", [b'{"a', b'":1}'], '{\n  "a": 1\n}\n'),
        ("application/json", [b"{nope"], "{nope"),
        ("application/json", [b'{"a": "', b"x" * 5_000_000, b"x" * 5_000_000], '{"a": "' + "x" * 10_000_000),
        ("text/plain", [b"caf\xc3", b"\xa9\r", b"\n\x1b[2J"], "café\n\\x1b[2J"),
        ("text/plain; charset=latin-1", [b"caf\xe9"], "café"),
        ("text/plain; charset=unheard-of", [b"caf\xc3\xa9\xff"], "café\ufffd"),
        ("text/plain; charset=zlib", [b"caf\xc3\xa9"], "café"),
        ("text/event-stream", [b"data: 1\n\n"], "data: 1\n\n"),
        ("application/xhtml+xml", [b"<a/>"], "<a/>"),
        ("", [b"words"], "words"),
        ("application/octet-stream", [b"words \xc3"], "words \ufffd"),
        ("", [b"\x00\x01"], "[binary data, unknown type" + ADVICE),
        ("application/octet-stream", [b"\xff"], "[binary data, application/octet-stream" + ADVICE),
        ("application/vnd.openxmlformats", [b"PK"], "[binary data, application/vnd.openxmlformats" + ADVICE),
        ("image/png", [b"words"], "[binary data, image/png" + ADVICE),
    ],
)
def test_a_body_for_people(content_type: str, pieces: list[bytes], text: str) -> None:
    assert text_of(content_type, *pieces) == text


def test_text_comes_as_soon_as_it_is_here() -> None:
    taken: list[int] = []

    def pieces() -> Iterator[bytes]:
        for number in range(3):
            taken.append(number)
            yield b"data: %d\n\n" % number

    texts = formatted(Headers({"Content-Type": "text/event-stream"}), pieces())
    assert next(texts) == "data: 0\n\n"
    assert taken == [0]

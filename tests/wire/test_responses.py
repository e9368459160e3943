"""Every case of the documents about responses, whole, byte by byte, and what must be true of any bytes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstbyte.errors import ProtocolError
from firstbyte.wire.response import ResponseHead, ResponseReader
from wire.documents import LIMITS, Case, cases

CASES = list(cases(Path(__file__).parent / "responses"))


class Message:
    def __init__(self, head: ResponseHead) -> None:
        self.head = head
        self.body = b""
        self.reader: ResponseReader | None = None
        self.keep_alive = False
        self.trailers = None


def run(case: Case, pieces: Iterable[bytes]) -> tuple[list[Message], str]:
    """The messages that the pieces hold, and how it ended: "", incomplete, cut or refused."""
    named = re.search(r"Answers ([A-Z, ]+)\.", case.prose)
    methods = named[1].split(", ") if named else []
    reader = ResponseReader(LIMITS)
    reader.expect(methods.pop(0) if methods else "GET")
    messages: list[Message] = []

    def finish(message: Message) -> None:
        message.trailers = reader.trailers
        reader.expect(methods.pop(0) if methods else "GET")

    try:
        for piece in pieces:
            reader.feed(piece)
            while True:
                if reader.in_body:
                    messages[-1].body += reader.read_body()
                    if reader.in_body:
                        break
                    finish(messages[-1])
                head = reader.read_head()
                if head is None:
                    break
                messages.append(Message(head))
                messages[-1].keep_alive = reader.keep_alive
                if head.status >= 200 and not reader.in_body:
                    finish(messages[-1])
    except ProtocolError as error:
        return messages, f"refused {error.rule} {error.offset}"
    if "the connection ends" in case.prose:
        return messages, "" if reader.end() else "cut"
    return messages, "incomplete" if reader.pending or reader.in_body else ""


def tell(messages: list[Message], ending: str, like: str) -> str:
    """The outcome in the words of a case's second block; of fields only those that `like` speaks of."""
    if ending.startswith("refused"):
        return ending
    told = []
    blocks = like.split("\n\n")
    for index, message in enumerate(messages):
        head = message.head
        words = [str(head.status), head.reason.encode("unicode_escape").decode(), f"HTTP/1.{head.minor}"]
        if head.status >= 200 or head.status == 101:
            words.append("keep-alive" if message.keep_alive else "close")
        lines = [" ".join(filter(None, words))]
        wanted = blocks[index].split("\n")[1:] if index < len(blocks) else []
        if message.body:
            lines.append(f"  body: {message.body.decode('latin-1')}")
        for line in wanted:
            name = line.strip().split(":")[0]
            if name.startswith("trailer "):
                lines.append(f"  {name}: {message.trailers.get(name[8:]) if message.trailers else None}")
            elif name != "body":
                values = " | ".join(head.headers.get_all(name))
                lines.append(f"  {name}: {values.encode('unicode_escape').decode()}")
        told.append("\n".join(lines))
    return "\n\n".join([*told, *filter(None, [ending])])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_whole(case: Case) -> None:
    assert tell(*run(case, [case.data]), case.expected) == case.expected


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_byte_by_byte(case: Case) -> None:
    pieces = [case.data[at : at + 1] for at in range(len(case.data))]
    assert tell(*run(case, pieces), case.expected) == case.expected


def test_there_are_enough_cases_and_their_names_are_unique() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 70


def test_what_follows_a_tunnel_is_handed_over() -> None:
    reader = ResponseReader()
    reader.expect("CONNECT")
    reader.feed(b"HTTP/1.1 200 OK\r\n\r\n\x16\x03")
    head = reader.read_head()
    assert head is not None and head.status == 200
    assert reader.take_rest() == b"\x16\x03"
    assert not reader.pending


@pytest.mark.parametrize(
    ("framing", "body", "at_most", "expected"),
    [
        (b"Content-Length: 5", b"hello", 5, b"hello"),
        (b"Content-Length: 5", b"hellomore", 5, b"hello"),
        (b"Content-Length: 5", b"hello", 4, None),
        (b"Content-Length: 5", b"hell", 5, None),
        (b"Transfer-Encoding: chunked", b"5\r\nhello\r\n0\r\n\r\n", 99, None),
        (b"X: until close", b"hello", 99, None),
    ],
)
def test_a_body_that_is_here_is_taken_whole(framing: bytes, body: bytes, at_most: int, expected: bytes | None) -> None:
    reader = ResponseReader(LIMITS)
    reader.feed(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n" + body)
    reader.read_head()
    assert reader.take_whole_body(at_most) == expected
    assert reader.in_body == (expected is None)
    assert reader.take_rest() == body[len(expected or b"") :]


def test_equal_heads_are_scanned_once() -> None:
    data = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    heads = []
    for reader in (ResponseReader(), ResponseReader()):
        reader.feed(data)
        heads.append(reader.read_head())
    assert heads[0] is heads[1]


_PIECES = st.sampled_from(
    [b"HTTP/1.1 200 OK", b"HTTP/1.0 ", b"204", b"\r\n", b"\r\n\r\n", b"\n", b"\r", b" ", b"A: b", b"Content-Length: ",
     b"3", b"Transfer-Encoding: chunked", b"abc", b"0\r\n\r\n", b"\x00", b":", b"HTTP/1.1 100 Continue\r\n\r\n"]
)  # fmt: skip


@given(st.lists(_PIECES, max_size=12).map(b"".join), st.randoms(use_true_random=False))
def test_any_bytes_give_the_same_outcome_however_they_are_cut(data: bytes, random: object) -> None:
    case = Case("any", data, "")
    whole = tell(*run(case, [data]), "") if data else ""
    cuts = sorted(random.randrange(len(data)) for _ in range(4)) if data else []  # type: ignore[attr-defined]
    pieces = [piece for piece in (data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)) if piece]
    assert tell(*run(case, pieces), "") == whole

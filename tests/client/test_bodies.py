import asyncio
import io
import os
from dataclasses import dataclass

import multipart
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstbyte.client.bodies import (
    BLOCK,
    Body,
    encode_content,
    encode_form,
    encode_json,
    encode_multipart,
    make_body,
)
from firstbyte.errors import InvalidRequest
from firstbyte.http.media import MediaType


def sent(body: Body) -> bytes:
    """What is sent, in pieces that must not be empty."""
    pieces = list(body.pieces())
    assert all(pieces)
    if body.length is not None:
        assert sum(map(len, pieces)) == body.length
    return b"".join(pieces)


def sent_async(body: Body) -> bytes:
    async def collect():
        return b"".join([piece async for piece in body.apieces()])

    return asyncio.run(collect())


def parts_of(body: Body) -> list[tuple[str, str | None, str, bytes]]:
    """(name, file name, media type, content) of each part, by a parser that is not ours."""
    boundary = MediaType.parse(body.content_type).parameters["boundary"]
    return [
        (part.name, part.filename, part.content_type, part.raw)
        for part in multipart.MultipartParser(io.BytesIO(sent(body)), boundary, strict=True)
    ]


@dataclass
class Point:
    x: int


class AsyncPieces:
    def __init__(self, *pieces):
        self.pieces = pieces

    async def __aiter__(self):
        for piece in self.pieces:
            yield piece


@pytest.mark.parametrize(
    ("value", "text"), [({"a": [1, None, "é"]}, '{"a":[1,null,"é"]}'), (Point(3), '{"x":3}'), (0, "0"), ("", '""')]
)
def test_json(value, text):
    body = encode_json(value)
    assert (body.content_type, body.data, body.length) == ("application/json", text.encode(), len(text.encode()))
    assert body.replayable


@pytest.mark.parametrize("value", [object(), {"a": {1j}}, "\ud800", {(1, 2): 3}])
def test_what_is_no_json_is_refused(value):
    with pytest.raises(InvalidRequest, match="json: "):
        encode_json(value)


def test_json_that_never_ends_is_refused():
    endless: list = []
    endless.append(endless)
    with pytest.raises(InvalidRequest, match="json: "):
        encode_json(endless)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, b""),
        ({"a": "1 2&", "é": "ü"}, b"a=1+2%26&%C3%A9=%C3%BC"),
        ([("a", 1), ("a", [2, None, True])], b"a=1&a=2&a=true"),
        ({"a": b"\xff\r\n"}, b"a=%FF%0D%0A"),
    ],
)
def test_form(fields, text):
    body = encode_form(fields)
    assert (body.content_type, sent(body)) == ("application/x-www-form-urlencoded", text)


@pytest.mark.parametrize("fields", [{"a": "\ud800"}, [1], [("a", 1, 2)]])
def test_what_is_no_form_is_refused(fields):
    with pytest.raises(InvalidRequest, match="fields of a form"):
        encode_form(fields)


@pytest.mark.parametrize(
    ("content", "data", "kind"),
    [
        (b"", b"", None),
        (b"abc", b"abc", None),
        (bytearray(b"abc"), b"abc", None),
        (memoryview(b"abc"), b"abc", None),
        ("é", "é".encode(), "text/plain; charset=utf-8"),
    ],
)
def test_content_in_memory(content, data, kind):
    body = encode_content(content)
    assert (body.data, body.length, body.content_type, body.replayable) == (data, len(data), kind, True)
    assert sent(body) == sent(body) == sent_async(body) == data


def test_a_given_type_goes_before_the_one_that_is_told():
    assert encode_content("{}", "application/json").content_type == "application/json"


@pytest.mark.parametrize(
    ("content", "replayable"), [([b"ab", b"", b"c"], True), (iter([b"ab", bytearray(b"c")]), False)]
)
def test_an_iterable_is_sent_in_chunks(content, replayable):
    body = encode_content(content)
    assert (body.length, body.data, body.content_type, body.replayable) == (None, None, None, replayable)
    assert sent(body) == b"abc"
    if replayable:
        assert sent(body) == b"abc"


def test_a_generator_is_closed_when_the_sending_ends_early():
    closed = []

    def generate():
        try:
            yield b"a"
            yield b"b"
        finally:
            closed.append(True)

    pieces = encode_content(generate()).pieces()
    assert next(pieces) == b"a"
    pieces.close()
    assert closed


@pytest.mark.parametrize("replayable", [True, False])
def test_an_async_iterable_is_sent_by_an_async_session_only(replayable):
    content = AsyncPieces(b"ab", b"", b"c")
    body = encode_content(content if replayable else content.__aiter__())
    assert (body.length, body.is_async, body.replayable) == (None, True, replayable)
    assert sent_async(body) == b"abc"
    with pytest.raises(InvalidRequest, match="AsyncSession"):
        next(body.pieces())


@pytest.mark.parametrize(
    ("pieces", "length", "why"),
    [
        (["a"], None, "gave str"),
        ([b"a", None], None, "gave NoneType"),
        ([b"ab", b"cd"], 3, "more than the 3 bytes"),
        ([b"ab"], 3, "2 bytes instead of the 3"),
        ([b"a"], 0, "more than the 0 bytes"),
    ],
)
def test_an_iterable_is_held_to_what_it_must_give(pieces, length, why):
    with pytest.raises(InvalidRequest, match=why):
        sent(encode_content(pieces, length=length))
    with pytest.raises(InvalidRequest, match=why):
        sent_async(encode_content(AsyncPieces(*pieces), length=length))


@pytest.mark.parametrize("content", [1, {"a": 1}, object()])
def test_other_content_is_refused(content):
    with pytest.raises(InvalidRequest, match=f"cannot be {type(content).__name__}"):
        encode_content(content)


def test_a_path_is_streamed_and_its_type_told_by_its_name(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(b"x" * (BLOCK + 1))
    body = encode_content(path)
    assert (body.content_type, body.length, body.data, body.replayable) == ("application/json", BLOCK + 1, None, True)
    assert [len(piece) for piece in body.pieces()] == [BLOCK, 1]
    assert len(sent(body)) == BLOCK + 1


@pytest.mark.parametrize("name", ["missing", "."])
def test_a_path_that_cannot_be_read_is_found_out_at_once(tmp_path, name):
    with pytest.raises(InvalidRequest, match="cannot be read"):
        encode_content(tmp_path / name)


@pytest.mark.parametrize(("now", "why"), [(b"ab", "2 bytes instead of the 3"), (None, "cannot be read")])
def test_a_file_that_changed_since_cannot_be_sent(tmp_path, now, why):
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    body = encode_content(path)
    if now is None:
        path.unlink()
    else:
        path.write_bytes(now)
    with pytest.raises(InvalidRequest, match=why):
        sent(body)


def test_a_file_that_grew_is_sent_to_the_length_that_was_promised(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    body = encode_content(path)
    path.write_bytes(b"abcdef")
    assert sent(body) == b"abc"


def test_an_open_file_is_sent_from_where_it_stands(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"abcdef")
    with path.open("rb") as file:
        file.seek(2)
        body = encode_content(file)
        assert (body.content_type, body.length, body.replayable) == ("text/plain; charset=utf-8", 4, True)
        assert sent(body) == sent(body) == b"cdef"


def test_a_file_in_memory_has_a_length_and_no_type():
    body = encode_content(io.BytesIO(b"abc"))
    assert (body.content_type, body.length, sent(body)) == (None, 3, b"abc")


def test_a_pipe_is_sent_in_chunks_and_once():
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as file:
        os.write(writer, b"abc")
        os.close(writer)
        body = encode_content(file)
        assert (body.content_type, body.length, body.replayable) == (None, None, False)
        assert sent(body) == b"abc"


def test_a_file_without_a_position_is_sent_in_chunks():
    class Source:
        def __init__(self):
            self.left = [b"ab", b"c"]

        def read(self, size):
            return self.left.pop(0) if self.left else b""

    body = encode_content(Source())
    assert (body.length, body.replayable, sent(body)) == (None, False, b"abc")


def test_a_named_pipe_is_not_waited_for_before_it_is_sent(tmp_path):
    path = tmp_path / "fifo"
    os.mkfifo(path)
    body = encode_content(path)
    assert (body.length, body.replayable) == (None, False)


def test_a_file_opened_as_text_is_refused(tmp_path):
    with (tmp_path / "a").open("w") as file, pytest.raises(InvalidRequest, match='"rb"'):
        encode_content(file)


def test_a_file_that_was_closed_is_refused(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    with path.open("rb") as file:
        body = encode_content(file)
    with pytest.raises(InvalidRequest, match="cannot be read"):
        sent(body)


def test_multipart(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"\x89PNG")
    body = encode_multipart(
        {
            "path": path,
            "memory": ("b.txt", "é"),
            "typed": ("c", b"{}", "application/json"),
            "list": [b"x", b"y"],
            "bytes": b"z",
        },
        {"title": "milk & honey", "n": [1, None, True], "é": b"\xff"},
    )
    plain = "text/plain"
    assert parts_of(body)[:4] == [
        ("title", None, plain, b"milk & honey"),
        ("n", None, plain, b"1"),
        ("n", None, plain, b"true"),
        ("é", None, plain, b"\xff"),
    ]
    assert parts_of(body)[4:] == [
        ("path", "a.png", "image/png", b"\x89PNG"),
        ("memory", "b.txt", "text/plain", "é".encode()),
        ("typed", "c", "application/json", b"{}"),
        ("list", "list", "application/octet-stream", b"xy"),
        ("bytes", "bytes", "application/octet-stream", b"z"),
    ]
    assert body.length is None  # of the list


@pytest.mark.parametrize(
    ("content", "length_is_known", "replayable"),
    [(b"abc", True, True), (io.BytesIO(b"abc"), True, True), (iter([b"abc"]), False, False), ([b"abc"], False, True)],
)
def test_multipart_is_as_long_and_replayable_as_its_parts(content, length_is_known, replayable):
    body = encode_multipart({"f": ("a", content)})
    assert (body.length is not None) is length_is_known
    assert body.replayable is replayable
    assert b"\r\nabc\r\n" in sent(body)


@pytest.mark.parametrize(("size", "is_held"), [(10, True), (BLOCK, False)])
def test_multipart_that_is_small_is_held_in_memory(size, is_held):
    body = encode_multipart({"f": ("a", bytes(size))}, {"b": "c"})
    assert (body.data is not None) is is_held
    assert [raw for *_, raw in parts_of(body)] == [b"c", bytes(size)]


def test_an_open_file_gives_its_part_its_name(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"1,2")
    with path.open("rb") as file:
        assert parts_of(encode_multipart({"f": file})) == [("f", "a.csv", "text/csv", b"1,2")]


def test_names_are_escaped_as_browsers_do_it():
    body = encode_multipart([('a"\r\nX: y', ('b"\r\n.txt', b""))])
    assert b'; name="a%22%0D%0AX: y"; filename="b%22%0D%0A.txt"\r\nContent-Type: text/plain' in sent(body)


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(blacklist_categories=["Cc", "Cs"], blacklist_characters='"\\%'), min_size=1),
            st.binary(max_size=40),
        ),
        max_size=5,
    )
)
def test_what_is_sent_is_read_again(fields):
    read = parts_of(encode_multipart({}, fields)) if fields else []
    assert [(name, raw) for name, _, _, raw in read] == fields


@pytest.mark.parametrize(
    ("files", "fields", "why"),
    [
        ({"f": "a.txt"}, {}, "is a str"),
        ({"f": ("a",)}, {}, "file name, content"),
        ({"f": (b"a", b"")}, {}, "file name, content"),
        ({"f": ("a", b"", "text/plain", {})}, {}, "file name, content"),
        ({"f": ("a", b"", "text/plain\r\nX: y")}, {}, "Content-Type"),
        ({"f\0": b""}, {}, "control character"),
        ({"f": ("a\x1b", b"")}, {}, "control character"),
        ({}, {"a\x7f": "1"}, "control character"),
        ({"\ud800": b""}, {}, "surrogate"),
        ({}, {"a": "\ud800"}, "surrogate"),
        ({1: b""}, {}, "fields and files"),
        ([1], {}, "fields and files"),
        ({}, {b"\xff": "a"}, "fields and files"),
        ({"f": AsyncPieces(b"a")}, {}, "async"),
        ({"f": 1}, {}, "cannot be int"),
    ],
)
def test_what_cannot_be_a_part_is_refused(files, fields, why):
    with pytest.raises(InvalidRequest, match=why):
        encode_multipart(files, fields)


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        ({"json": {"a": 1}}, "application/json"),
        ({"json": 0}, "application/json"),
        ({"content": b"a"}, None),
        ({"data": {"a": 1}}, "application/x-www-form-urlencoded"),
        ({"data": {}}, "application/x-www-form-urlencoded"),
        ({"data": [("a", 1)]}, "application/x-www-form-urlencoded"),
        ({"data": b"a"}, None),
        ({"data": "a"}, "text/plain; charset=utf-8"),
        ({"data": [b"a", b"b"]}, None),
        ({"data": iter([b"a"])}, None),
        ({"files": {"f": b"a"}}, "multipart/form-data"),
        ({"files": {"f": b"a"}, "data": {"a": 1}}, "multipart/form-data"),
    ],
)
def test_the_arguments_choose_the_body(arguments, kind):
    body = make_body(**arguments)
    assert body is not None
    assert body.content_type == kind or body.content_type.startswith(f"{kind};")


def test_no_argument_is_no_body():
    assert make_body() is None
    assert make_body(json=None) is None


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"json": 1, "data": {}}, "data or json"),
        ({"content": b"", "files": {}}, "content or files"),
        ({"content": b"", "data": b"", "json": 0}, "content or data or json"),
        ({"files": {"f": b"a"}, "data": b"a"}, "fields of the form"),
    ],
)
def test_two_bodies_at_once_are_refused(arguments, why):
    with pytest.raises(InvalidRequest, match=why):
        make_body(**arguments)

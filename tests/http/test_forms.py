"""Forms from bodies that are complete, and part by part; what is said of bodies that are none."""

from __future__ import annotations

import asyncio
import io
import re
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstbyte.client.bodies import encode_multipart
from firstbyte.errors import HTTPError
from firstbyte.http import uploads
from firstbyte.http.forms import AsyncPart, Part
from firstbyte.http.headers import Headers
from firstbyte.http.limits import FormLimits
from firstbyte.http.request import Request
from firstbyte.http.uploads import FormData, UploadedFile

BOUNDARY = "----WebKitFormBoundaryAbC123"
MULTIPART = f"multipart/form-data; boundary={BOUNDARY}"


class Pieces:
    """A body that arrives in pieces of one size, for both colours."""

    def __init__(self, body: bytes, size: int) -> None:
        self._pieces = iter([body[at : at + size] for at in range(0, len(body), size)])

    def read(self) -> bytes:
        return next(self._pieces, b"")

    async def aread(self) -> bytes:
        await asyncio.sleep(0)
        return self.read()


def part(disposition: str, content: bytes = b"", *lines: str) -> bytes:
    """One part as it stands in a body, its boundary before it."""
    head = "\r\n".join([f"--{BOUNDARY}", f"Content-Disposition: {disposition}", *lines])
    return head.encode() + b"\r\n\r\n" + content + b"\r\n"


def body_of(*parts: bytes) -> bytes:
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def field(name: str, value: str = "") -> bytes:
    return part(f'form-data; name="{name}"', value.encode())


def file(name: str, filename: str, content: bytes, media_type: str = "application/octet-stream") -> bytes:
    return part(f'form-data; name="{name}"; filename="{filename}"', content, f"Content-Type: {media_type}")


def post(body: bytes | io.BytesIO, content_type: str = MULTIPART, pieces: int = 0) -> Request:
    """A request with that body, complete or in pieces of that many bytes."""
    request = Request.build("POST", "/", {"Content-Type": content_type}, b"" if pieces else body)
    if pieces:
        assert isinstance(body, bytes)
        request._stream = Pieces(body, pieces)
    return request


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the temporary files of the test are, so that what is left of them is seen."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


BROWSER = body_of(
    field("title", "Ferien à Zürich"),
    field("tag", "a"),
    field("tag", "b\r\nc"),
    file("photo", "Grüße%22 1.png", b"\x89PNG\r\n--\r\n" + BOUNDARY.encode(), "image/png"),
    file("photo", "2.png", b"", "image/png"),
    file("nothing", "", b""),
)


@pytest.mark.parametrize("pieces", [0, 1, 7, 64, 4096])
def test_a_form_as_a_browser_sends_it(pieces: int) -> None:
    request = post(BROWSER, pieces=pieces)
    form = request.form()
    assert form.items() == [("title", "Ferien à Zürich"), ("tag", "a"), ("tag", "b\r\nc")]
    first, second = form.files.get_all("photo")
    assert (first.name, first.filename, str(first.media_type)) == ("photo", 'Grüße" 1.png', "image/png")
    assert first.headers["content-type"] == "image/png"
    assert first.read() == b"\x89PNG\r\n--\r\n" + BOUNDARY.encode() == first.read()
    assert first.size == len(first.read())
    assert (second.filename, second.size, second.read()) == ("2.png", 0, b"")
    assert "nothing" not in form.files
    assert request.form() is form
    request.close_body()
    assert first.file.closed


def test_a_body_in_a_file_is_read_from_it() -> None:
    stored = io.BytesIO(BROWSER)
    request = post(stored)
    assert request.form()["title"] == "Ferien à Zürich"
    assert request.body == BROWSER


@pytest.mark.parametrize("pieces", [0, 1, 100])
def test_a_form_that_is_urlencoded(pieces: int) -> None:
    request = post("a=1&b=x+y%C3%A4&a=2&ä".encode(), "application/x-www-form-urlencoded; charset=utf-8", pieces)
    form = request.form()
    assert form.items() == [("a", "1"), ("b", "x yä"), ("a", "2"), ("ä", "")]
    assert len(form.files) == 0


def test_no_body_at_all_is_an_empty_form() -> None:
    assert Request.build("POST", "/").form().items() == []


def test_long_files_go_to_the_disk_and_are_gone_when_the_request_ends(folder: Path) -> None:
    body = body_of(file("a", "a.bin", b"x" * 1000), file("b", "b.bin", b"y" * 1001))
    request = post(body)
    form = request.form(FormLimits(file_memory=1000))
    a, b = form.files["a"].file, form.files["b"].file
    assert isinstance(a, io.BytesIO)
    assert not isinstance(b, io.BytesIO)
    assert b.read() == b"y" * 1001
    request.close_body()
    assert a.closed
    assert b.closed
    assert list(folder.iterdir()) == []


def test_files_are_closed_when_a_later_part_is_at_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[UploadedFile] = []
    start = UploadedFile.__init__

    def note(self: UploadedFile, *arguments: Any) -> None:
        start(self, *arguments)
        made.append(self)

    monkeypatch.setattr(uploads.UploadedFile, "__init__", note)
    with pytest.raises(HTTPError):
        post(body_of(file("a", "a", b"1"), part("form-data", b"no name"))).form()
    assert [each.file.closed for each in made] == [True]


# -- what a part's head may say


@pytest.mark.parametrize(
    ("disposition", "name", "filename"),
    [
        ('form-data; name="a"', "a", None),
        ("form-data;name=a", "a", None),
        ('FORM-DATA; Name="a"; FileName="b"', "a", "b"),
        ('form-data; filename="b" ; name="a";', "a", "b"),
        ('form-data; name=""; filename="x"', "", "x"),
        ('form-data; name="a%22%0D%0Ab%20"; filename="100%.txt"', 'a"\r\nb%20', "100%.txt"),
        ('form-data; name="a"; filename="C:\\fakepath\\b.txt"', "a", "C:\\fakepath\\b.txt"),
        ('form-data; name="a"; filename="../../etc/passwd"', "a", "../../etc/passwd"),
        ('form-data; name="a"; filename="b\\"c\\\\.txt"', "a", 'b"c\\.txt'),
        ('form-data; name="a\\"; filename="b"', "a\\", "b"),
        ('form-data; name="a; filename=b"', "a; filename=b", None),
        ('form-data; name="日本"; filename="🙂.png"', "日本", "🙂.png"),
    ],
)
def test_names_and_file_names(disposition: str, name: str, filename: str | None) -> None:
    (found,) = post(body_of(part(disposition))).stream_parts()
    assert (found.name, found.filename) == (name, filename)


def test_a_field_may_name_its_charset() -> None:
    body = body_of(part('form-data; name="a"', "ä".encode("latin-1"), "Content-Type: text/plain; charset=iso-8859-1"))
    assert post(body).form()["a"] == "ä"


# -- what is refused


def many(count: int, one: Callable[[str], bytes]) -> bytes:
    return body_of(*(one(str(number)) for number in range(count)))


@pytest.mark.parametrize("pieces", [0, 1, 13])
@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"", 400, "the body has no part"),
        (b"nothing of the kind", 400, "the body has no part"),
        (body_of(field("a", "1")).replace(BOUNDARY.encode(), b"another"), 400, "the body has no part"),
        (BROWSER[:-10], 400, "part 6 ('nothing')"),
        (field("a", "1"), 400, "the body ends within part 1 ('a')"),
        (field("a", "1") + f"--{BOUNDARY}\r\n".encode(), 400, "the body ends behind part 1"),
        (body_of(field("a", "1"))[:-4], 400, "part 1"),
        (field("a", "1") + f"--{BOUNDARY}\r\nContent-Disp".encode(), 400, "the body ends behind part 1"),
        (body_of(part("form-data")), 400, "part 1: its Content-Disposition has no name"),
        (body_of(part('attachment; name="a"')), 400, "part 1: Invalid Content-Disposition"),
        (f"--{BOUNDARY}\r\nContent-Type: a/b\r\n\r\n\r\n--{BOUNDARY}--".encode(), 400, "part 1: Missing Content-Dispo"),
        (f"--{BOUNDARY}\r\n\r\n\r\n--{BOUNDARY}--".encode(), 400, "part 1: Missing Content-Dispo"),
        (f"--{BOUNDARY}\nContent-Type: a/b\n\n\n--{BOUNDARY}--".encode(), 400, "part 1: Invalid line break"),
        (body_of(part('form-data; name="a"; name="b"')), 400, "part 1: its Content-Disposition has name twice"),
        (body_of(part('form-data; name="a"; filename="b"; FILENAME=c')), 400, "has FILENAME twice"),
        (body_of(part("form-data; name=\"a\"; filename*=utf-8''b")), 400, "part 1 has filename*"),
        (body_of(part('form-data; name="a')), 400, "part 1 has a malformed Content-Disposition"),
        (body_of(part('form-data; name="a" x')), 400, "part 1 has a malformed Content-Disposition"),
        (body_of(part('form-data; name="a"', b"", 'Content-Disposition: form-data; name="b"')), 400, "twice"),
        (
            body_of(part('form-data; name="a"', b"", "Content-Type: a/b", "Content-Type: c/d")),
            400,
            "Content-Type twice",
        ),
        (body_of(part('form-data; name="a"', b"", "Content-Transfer-Encoding: base64")), 415, "Transfer-Encoding"),
        (body_of(part('form-data; name="a"', b"", "X-A: \x00")), 400, "control character"),
        (body_of(part('form-data; name="a"', b"", "no colon")), 400, "part 1: Malformed segment header"),
        (body_of(part('form-data; name="\xff"')).replace("\xff".encode(), b"\xff"), 400, "part 1: name in its"),
        (body_of(part('form-data; name="a"', b"\xff")), 400, "part 1 ('a') is not valid utf-8: invalid start byte"),
        (body_of(part('form-data; name="a"', b"", "Content-Type: a/b; charset=x")), 415, "part 1 ('a') is in the"),
        (body_of(part('form-data; name="a"', b"", *["X-A: 1"] * 8)), 413, "part 1: Maximum segment header count"),
        (body_of(part('form-data; name="a"', b"", "X-A: " + "1" * 5000)), 413, "part 1: Maximum segment header length"),
        (
            f"--{BOUNDARY}\r\nX-A: ".encode() + b"1" * 9000,
            413,
            "part 1: Maximum segment header length exceeded; a part",
        ),
        (many(10_000, field), 413, "part 1001 ('1000'): a form may have 1000 fields"),
        (many(101, lambda n: file(n, "", b"")), 413, "part 101 ('100'): a form may have 100 files"),
        (body_of(field("a", "x" * 2_621_441)), 413, "part 1 ('a'): the fields of a form may have 2621440 bytes"),
    ],
    ids=lambda value: None if isinstance(value, bytes) else str(value),
)
def test_hostile_bodies(body: bytes, status: int, message: str, pieces: int) -> None:
    if len(body) > 10_000:
        pieces *= 1009
    with pytest.raises(HTTPError, match=re.escape(message)) as caught:
        post(body, pieces=pieces).form()
    assert caught.value.status == status


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("multipart/form-data", 400),
        ('multipart/form-data; boundary=""', 400),
        ("multipart/form-data; boundary=" + "x" * 71, 400),
        ('multipart/form-data; boundary="a\tb"', 400),
        ("multipart/form-data; boundary=a; boundary=b", 415),
        ("multipart/mixed; boundary=a", 415),
        ("application/json", 415),
        ("nonsense", 415),
    ],
)
def test_bodies_of_another_type(content_type: str, status: int) -> None:
    for read in (Request.form, Request.stream_parts):
        with pytest.raises(HTTPError) as caught:
            read(post(body_of(field("a", "1")), content_type))
        assert caught.value.status == status
        assert "boundary" in caught.value.detail or content_type in caught.value.detail


def test_a_multipart_within_a_multipart_is_content() -> None:
    """RFC 7578 section 4.3 has done away with them: no parser here looks into a part."""
    inner = b'--x\r\nContent-Disposition: form-data; name="b"\r\n\r\n1\r\n--x--'
    body = body_of(part('form-data; name="a"', inner, "Content-Type: multipart/mixed; boundary=x"))
    assert post(body).form().items() == [("a", inner.decode())]


@pytest.mark.parametrize("pieces", [0, 1, 5])
def test_what_stands_around_the_parts_is_ignored(pieces: int) -> None:
    body = b"a preamble\r\n" + body_of(field("a", "1")) + b"an epilogue\r\n--" + BOUNDARY.encode()
    assert post(body, pieces=pieces).form().items() == [("a", "1")]


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (FormLimits(fields=1), "part 2 ('b'): a form may have 1 fields"),
        (FormLimits(field_bytes=5), "part 2 ('b'): the fields of a form may have 5 bytes together"),
        (FormLimits(files=0), "part 3 ('c'): a form may have 0 files"),
        (FormLimits(file_bytes=2), "part 3 ('c'): a file may have 2 bytes"),
        (FormLimits(header_bytes=10), "part 1: Maximum segment header length"),
        (FormLimits(headers=1), "part 3: Maximum segment header count"),
    ],
)
def test_each_limit(limits: FormLimits, message: str) -> None:
    body = body_of(field("a", "123"), field("b", "123"), file("c", "c", b"123"))
    with pytest.raises(HTTPError, match=re.escape(message)) as caught:
        post(body).form(limits)
    assert caught.value.status == 413


@pytest.mark.parametrize(
    ("limits", "body", "status"),
    [
        (FormLimits(fields=2), b"a=1&b=2&c=3", 413),
        (FormLimits(field_bytes=10), b"a=1&b=2&c=3", 413),
        (FormLimits(), b"a=\xff", 400),
    ],
)
def test_limits_of_a_form_that_is_urlencoded(limits: FormLimits, body: bytes, status: int) -> None:
    with pytest.raises(HTTPError) as caught:
        post(body, "application/x-www-form-urlencoded").form(limits)
    assert caught.value.status == status


def test_a_limit_below_zero() -> None:
    with pytest.raises(ValueError, match="limit files is -1: it cannot be below 0"):
        FormLimits(files=-1)


# -- part by part


def walk(request: Request, choose: Callable[[str], bool]) -> Iterator[tuple[str, str | None, bytes]]:
    for each in request.stream_parts():
        assert isinstance(each, Part)
        yield each.name, each.filename, b"".join(each) if choose(each.name) else b"(skipped)"


async def awalk(request: Request, choose: Callable[[str], bool]) -> AsyncIterator[tuple[str, str | None, bytes]]:
    async for each in request.stream_parts():
        assert isinstance(each, AsyncPart)
        content = [piece async for piece in each] if choose(each.name) else [b"(skipped)"]
        yield each.name, each.filename, b"".join(content)


@pytest.mark.parametrize("pieces", [0, 1, 9, 1000])
@pytest.mark.parametrize("wanted", ["", "title", "photo", "title tag photo nothing"])
def test_both_colours_see_the_same(pieces: int, wanted: str) -> None:
    async def collect() -> list[tuple[str, str | None, bytes]]:
        return [each async for each in awalk(post(BROWSER, pieces=pieces), wanted.split().__contains__)]

    seen = list(walk(post(BROWSER, pieces=pieces), wanted.split().__contains__))
    assert seen == asyncio.run(collect())
    assert [name for name, _, _ in seen] == ["title", "tag", "tag", "photo", "photo", "nothing"]
    assert seen[0][2] == ("Ferien à Zürich".encode() if "title" in wanted else b"(skipped)")


def test_a_part_is_read_whole_within_a_limit() -> None:
    parts = iter(post(body_of(field("a", "123"), field("b", "1234")), pieces=1).stream_parts())
    first = next(parts)
    assert first.read(3) == b"123"
    assert first.read(3) == b""
    second = next(parts)
    with pytest.raises(HTTPError, match=re.escape("part 2 ('b') has more than 3 bytes")) as caught:
        second.read(3)
    assert caught.value.status == 413
    with pytest.raises(RuntimeError, match="has gone by"):
        first.read(3)


def test_a_part_is_read_whole_within_a_limit_by_a_coroutine() -> None:
    async def read() -> list[bytes]:
        return [await each.read(3) async for each in post(body_of(field("a", "123")), pieces=1).stream_parts()]

    assert asyncio.run(read()) == [b"123"]


def test_parts_come_before_a_later_fault() -> None:
    parts = iter(post(body_of(field("a", "1"), part("form-data")), pieces=1).stream_parts())
    assert next(parts).read(10) == b"1"
    with pytest.raises(HTTPError, match="part 2"):
        next(parts)


def test_a_coroutine_reads_a_form_that_has_not_come() -> None:
    async def read() -> list[tuple[str, str]]:
        request = post(body_of(field("a", "1")), pieces=3)
        await request.read()
        return request.form().items()

    assert asyncio.run(read()) == [("a", "1")]


# -- against another writer

TEXT = st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=20)
NAMES = TEXT.filter(lambda name: "%" not in name and "\\" not in name)


@given(
    fields=st.lists(st.tuples(NAMES, st.text(st.characters(blacklist_categories=("Cs",)), max_size=50)), max_size=5),
    files=st.lists(st.tuples(NAMES, NAMES.filter(bool), st.binary(max_size=200)), max_size=5),
    size=st.integers(1, 300),
)
def test_what_the_client_writes_is_read(
    fields: list[tuple[str, str]], files: list[tuple[str, str, bytes]], size: int
) -> None:
    encoded = encode_multipart([(name, (filename, content)) for name, filename, content in files], fields)
    assert encoded.content_type is not None
    form = post(b"".join(encoded.pieces()), encoded.content_type, size).form()
    assert form.items() == fields
    assert [(name, each.filename, each.read()) for name, each in form.files.items()] == files


@given(st.binary(max_size=300), st.integers(1, 100))
def test_no_bytes_are_more_than_refused(noise: bytes, size: int) -> None:
    try:
        post(b"--x\r\n" + noise, "multipart/form-data; boundary=x", size).form()
    except HTTPError as error:
        assert error.status in (400, 413, 415)


@given(st.text(alphabet='"\\;= abfilenamform-data*%20\t', max_size=40))
def test_a_disposition_is_read_or_refused(text: str) -> None:
    try:
        post(body_of(part(f"form-data; {text}"))).form()
    except HTTPError as error:
        assert error.status == 400


# -- files


def uploaded(filename: str, content: bytes = b"content") -> UploadedFile:
    each = UploadedFile("file", filename, Headers(), 100)
    each.add(content)
    return each


@pytest.mark.parametrize(
    ("filename", "saved"),
    [
        ("a.txt", "a.txt"),
        ("../../etc/passwd", "passwd"),
        ("C:\\fakepath\\b.txt", "b.txt"),
        ("/etc/passwd", "passwd"),
        ("..", "upload"),
        (".htaccess", "htaccess"),
        ("", "upload"),
        ("a\x00b\n.txt", "a_b_.txt"),
        ("con.txt", "_con.txt"),
        ("日本.png", "日本.png"),
        ("x" * 300 + ".png", "x" * 196 + ".png"),
    ],
)
def test_saved_in_a_folder_the_name_is_safe(filename: str, saved: str, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    path = uploaded(filename).save(folder)
    assert path == folder / saved
    assert path.read_bytes() == b"content"
    assert sorted(tmp_path.rglob("*")) == [folder, path]


def test_saved_in_a_folder_nothing_is_replaced(tmp_path: Path) -> None:
    file = uploaded("a.txt")
    names = [file.save(tmp_path).name for _ in range(60)]
    assert len(set(names)) == 60
    assert names[:3] == ["a.txt", "a-1.txt", "a-2.txt"]
    assert len(list(tmp_path.iterdir())) == 60


def test_saved_at_a_path_that_is_replaced(tmp_path: Path) -> None:
    target = tmp_path / "here.bin"
    target.write_bytes(b"old")
    assert uploaded("../a.txt").save(str(target)) == target
    assert target.read_bytes() == b"content"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("target", ["", "here.bin"])
def test_what_cannot_be_copied_leaves_nothing(target: str, tmp_path: Path) -> None:
    file = uploaded("a.txt")
    file.close()
    with pytest.raises(ValueError, match="closed"):
        file.save(tmp_path / target)
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_cannot_be_taken_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("no")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="no"):
        uploaded("a.txt").save(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        uploaded("a.txt").save(f"{tmp_path}/none/")


def test_they_say_what_they_are() -> None:
    form = FormData([("a", "1")], [uploaded("b.txt")])
    assert repr(form) == "FormData([('a', '1')], files=[<UploadedFile 'file', 'b.txt', 7 bytes>])"
    assert form.files["file"].media_type is None
    (only,) = post(body_of(field("a", "1"))).stream_parts()
    assert (repr(only), str(only), only.media_type) == ("<Part 'a', None>", "part 1 ('a')", None)

"""A file as a response: what is no file, and what the clock has to do with it."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from time import time

import pytest

from firstbyte.errors import HTTPError
from firstbyte.http.dates import format_date, parse_date
from firstbyte.http.request import Request
from firstbyte.http.response import FileBody, Response
from firstbyte.http.send_file import send_file


def ask(path: Path, headers: dict[str, str] | None = None) -> Response:
    return send_file(path, Request.build("GET", "/", headers or {}))


def refusal(path: Path) -> int:
    with pytest.raises(HTTPError) as caught:
        ask(path)
    return caught.value.status


def test_what_is_no_file_is_404_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to("loop")
    monkeypatch.chdir(tmp_path)  # the name of a Unix socket must be short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        for name in ("fifo", "loop", "socket", ".", "missing", "missing/below", "a" * 300, "a\0b"):
            assert refusal(tmp_path / name) == 404, name


def test_what_the_system_cannot_do_is_no_404(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: object, flags: int) -> int:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "open", fail)
    with pytest.raises(OSError, match="Too many"):
        ask(tmp_path / "a")


def test_last_modified_is_never_later_than_now(tmp_path: Path) -> None:
    """RFC 9110 section 8.8.2.1."""
    path = tmp_path / "a"
    path.write_text("text")
    future = time() + 86_400
    os.utime(path, (future, future))
    answer = ask(path)
    given = parse_date(answer.headers["Last-Modified"])
    assert given is not None
    assert given <= time()
    # What is said to have changed just now is not what a client has had for an hour.
    assert ask(path, {"If-Modified-Since": format_date(time() - 3600)}).status == 200
    assert ask(path, {"Range": "bytes=0-1", "If-Range": format_date(future)}).status == 200
    assert ask(path, {"If-None-Match": answer.headers["ETag"]}).status == 304


LETTERS = bytes(range(65, 91))


@pytest.fixture(params=[1, 2000], ids=["in memory", "from the file"])
def letters(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "letters.txt"
    path.write_bytes(LETTERS * request.param)
    return path


def body_of(response: Response) -> bytes:
    if isinstance(response.body, FileBody):
        piece = response.body.read(1 << 20)
        response.close()
        return piece
    return response.body if isinstance(response.body, bytes) else b"".join(response.body)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("asked", "spans"),
    [
        ("bytes=0-0,-1", [(0, 1), (-1, None)]),
        ("bytes=5-6, 2-3", [(2, 4), (5, 7)]),  # in the order of their places
        ("bytes=0-3,2-5,10-11", [(0, 6), (10, 12)]),  # those that overlap are one
        ("bytes=0-1,99999999-", [(0, 2)]),  # one of them cannot be had: the other alone, without parts
    ],
)
def test_several_ranges(letters: Path, asked: str, spans: list[tuple[int, int | None]]) -> None:
    data = letters.read_bytes()
    answer = ask(letters, {"Range": asked})
    body = body_of(answer)
    assert answer.status == 206
    wanted = [data[start:stop] for start, stop in spans]
    if len(wanted) == 1:
        assert body == wanted[0]
        assert answer.headers["Content-Range"] == f"bytes 0-1/{len(data)}"
        return
    assert len(body) == int(answer.headers["Content-Length"])
    kind, _, boundary = answer.headers["Content-Type"].partition("; boundary=")
    assert kind == "multipart/byteranges"
    _, *parts, end = body.split(f"\r\n--{boundary}".encode())
    assert end == b"--\r\n"
    heads, bodies = zip(*(part.split(b"\r\n\r\n", 1) for part in parts), strict=True)
    assert list(bodies) == wanted
    assert all(b"Content-Type: text/plain; charset=utf-8\r\nContent-Range: bytes " in head for head in heads)


@pytest.mark.parametrize(
    "asked", ["bytes=" + ",".join(f"{at}-{at}" for at in range(0, 40, 2)), "bytes=3-1", "lines=1-2"]
)
def test_ranges_that_are_not_obeyed(letters: Path, asked: str) -> None:
    answer = ask(letters, {"Range": asked})
    assert (answer.status, len(body_of(answer))) == (200, letters.stat().st_size)


def test_a_range_behind_the_end(letters: Path) -> None:
    with pytest.raises(HTTPError) as caught:
        ask(letters, {"Range": "bytes=9999999-"})
    assert (caught.value.status, caught.value.headers) == (416, {"Content-Range": f"bytes */{letters.stat().st_size}"})


def test_a_multipart_answer_that_is_not_sent_closes_its_file(letters: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for taken in (0, 1, 2):
        answer = ask(letters, {"Range": "bytes=0-1,5-6"})
        for _ in range(0 if isinstance(answer.body, bytes) else taken):
            next(answer.body)  # type: ignore[call-overload]
        answer.close()
    ask(letters, {"Range": "bytes=0-1,5-6"}).close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_file_that_shrinks_breaks_its_answer_off(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes(100_000))
    answer = ask(path, {"Range": "bytes=0-1,50000-"})
    os.truncate(path, 10)
    with pytest.raises(EOFError, match="are missing"):
        body_of(answer)


# RFC 9110 section 13.2.2: each row has the conditions of a request, by what they name, and what comes of them.
CONDITIONS = [
    ({"If-Match": "same"}, 200),
    ({"If-Match": "*"}, 200),
    ({"If-Match": "other"}, 412),
    ({"If-Match": "weak"}, 412),
    ({"If-Match": "same", "If-Unmodified-Since": "before"}, 200),  # the date is not looked at
    ({"If-Unmodified-Since": "before"}, 412),
    ({"If-Unmodified-Since": "then"}, 200),
    ({"If-None-Match": "same"}, 304),
    ({"If-None-Match": "weak"}, 304),
    ({"If-None-Match": "*"}, 304),
    ({"If-None-Match": "other", "If-Modified-Since": "after"}, 200),  # the date is not looked at
    ({"If-Modified-Since": "then"}, 304),
    ({"If-Modified-Since": "before"}, 200),
    ({"If-Modified-Since": "no date"}, 200),
    ({"If-Match": "other", "If-None-Match": "same"}, 412),  # the first in their order decides
    ({"If-Match": "same", "If-None-Match": "same"}, 304),
    ({"If-None-Match": "same", "Range": "bytes=0-1"}, 304),
    ({"Range": "bytes=0-1"}, 206),
    ({"Range": "bytes=0-1", "If-Range": "same"}, 206),
    ({"Range": "bytes=0-1", "If-Range": "then"}, 206),
    ({"Range": "bytes=0-1", "If-Range": "other"}, 200),
    ({"Range": "bytes=0-1", "If-Range": "weak"}, 200),
    ({"Range": "bytes=0-1", "If-Range": "after"}, 200),
]


@pytest.mark.parametrize(("conditions", "status"), CONDITIONS)
def test_conditions_in_their_order(letters: Path, conditions: dict[str, str], status: int) -> None:
    then = 1_500_000_000
    os.utime(letters, (then, then))
    whole = ask(letters)
    whole.close()
    tag = whole.headers["ETag"]
    values = {
        "same": tag,
        "weak": f"W/{tag}",
        "other": '"other"',
        "before": format_date(then - 1),
        "then": format_date(then),
        "after": format_date(then + 1),
    }
    fields = {name: values.get(value, value) for name, value in conditions.items()}
    try:
        answer = ask(letters, fields)
    except HTTPError as error:
        assert error.status == status
    else:
        assert answer.status == status
        assert answer.headers["ETag"] == tag
        answer.close()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a b.txt", 'filename="a b.txt"'),
        ("../../etc/pass\r\nwd", 'filename="pass__wd"'),
        ('a"b;c.txt', 'filename="a_b;c.txt"'),
        ("100%.txt", "filename=\"100_.txt\"; filename*=UTF-8''100%25.txt"),
        ("日本.pdf", "filename=\"__.pdf\"; filename*=UTF-8''%E6%97%A5%E6%9C%AC.pdf"),
        ("\ud800", 'filename="_"'),
        ("..", 'filename="download"'),
    ],
)
def test_a_name_for_a_download(name: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"ab")
    for fields, status in (({}, 200), ({"Range": "bytes=1-1"}, 206)):
        response = send_file(path, Request.build("GET", "/", fields), download_name=name)
        assert (response.status, response.headers["Content-Disposition"]) == (status, f"attachment; {said}")

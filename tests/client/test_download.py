import hashlib
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstbyte.client.download import (
    Action,
    Checksum,
    Partial,
    disposition_name,
    interpret,
    name_for,
    note_path,
    part_path,
    resume_headers,
)
from firstbyte.errors import BadResponse, IncompleteBody, InvalidRequest, StatusError
from firstbyte.http.filenames import MAX_NAME, names_from, safe_name
from firstbyte.http.headers import Headers
from firstbyte.http.url import URL

HERE = URL.parse("https://user:secret@example.org/a.zip?token=secret#x")
TAG = '"v1"'
CHANGED = "Sun, 06 Nov 1994 08:49:37 GMT"


@dataclass
class Response:
    status: int
    headers: Headers


def answer(status, **fields):
    return Response(status, Headers({name.replace("_", "-"): value for name, value in fields.items()}))


def begun(**fields):
    """The note of a download that began with an answer with these fields."""
    step = interpret(HERE, None, 0, answer(200, **fields))
    assert step.action is Action.WRITE
    return step.partial


NOTED = begun(etag=TAG, content_length="100")


def test_where_the_bytes_are():
    assert part_path(Path("x/a.zip")) == Path("x/a.zip.part")
    assert note_path(Path("x/a.zip")) == Path("x/a.zip.part.json")


@pytest.mark.parametrize(
    ("fields", "validator"),
    [
        ({"etag": TAG}, TAG),
        ({"etag": TAG, "last_modified": CHANGED, "date": CHANGED}, TAG),
        ({"etag": 'W/"v1"'}, None),
        ({"etag": "v1"}, None),
        ({"last_modified": CHANGED, "date": "Sun, 06 Nov 1994 08:50:37 GMT"}, CHANGED),
        ({"etag": 'W/"v1"', "last_modified": CHANGED, "date": "Mon, 07 Nov 1994 08:49:37 GMT"}, CHANGED),
        ({"last_modified": CHANGED, "date": "Sun, 06 Nov 1994 08:50:36 GMT"}, None),
        ({"last_modified": CHANGED}, None),
        ({"last_modified": "yesterday", "date": CHANGED}, None),
        ({"etag": TAG, "accept_ranges": "none"}, None),
        ({"etag": TAG, "accept_ranges": "bytes"}, TAG),
        ({"etag": TAG, "content_encoding": "gzip"}, None),
        ({"etag": TAG, "content_encoding": "Identity"}, TAG),
        ({}, None),
    ],
)
def test_only_what_has_a_strong_validator_can_be_resumed(fields, validator):
    partial = begun(**fields)
    assert (None if partial is None else partial.validator) == validator


def test_the_next_part_is_asked_for_if_the_file_is_still_the_same():
    assert resume_headers(None, 10).items() == [("Accept-Encoding", "identity")]
    assert resume_headers(NOTED, 0).items() == [("Accept-Encoding", "identity")]
    assert resume_headers(NOTED, 10).items() == [
        ("Accept-Encoding", "identity"),
        ("Range", "bytes=10-"),
        ("If-Range", TAG),
    ]


def test_a_note_is_kept_without_secrets():
    data = NOTED.dump()
    assert b"secret" not in data
    assert Partial.parse(data, HERE) == NOTED
    assert Partial.parse(data, URL.parse("https://example.org/a.zip?token=secret")) == NOTED
    assert Partial.parse(data, URL.parse("https://example.org/b.zip")) is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"{}",
        b"[" * 5000,
        NOTED.dump().replace(b"v1", b"v\\r\\nX: y"),
        NOTED.dump().replace(b'\\"v1\\"', b"v1"),
        NOTED.dump().replace(b"100", b'"100"'),
    ],
)
def test_a_note_that_is_none_is_not_believed(data):
    assert Partial.parse(data, HERE) is None


@pytest.mark.parametrize(
    ("fields", "total"),
    [
        ({"content_length": "5"}, 5),
        ({}, None),
        ({"content_length": "5", "content_encoding": "gzip"}, None),
    ],
)
@pytest.mark.parametrize(("partial", "have"), [(None, 0), (None, 5), (NOTED, 10)])
def test_a_whole_file_is_written_from_the_start(fields, total, partial, have):
    step = interpret(HERE, partial, have, answer(200, **fields))
    assert (step.action, step.total) == (Action.WRITE, total)


@pytest.mark.parametrize(
    ("fields", "action"),
    [
        ({"content_range": "bytes 10-99/100"}, Action.APPEND),
        ({"content_range": "Bytes 10-50/100", "etag": TAG}, Action.APPEND),
        ({"content_range": "bytes 10-99/*"}, Action.APPEND),
        ({"content_range": "bytes 10-99/100", "etag": '"v2"'}, Action.RESTART),
        ({"content_range": "bytes 10-99/101"}, Action.RESTART),
        ({"content_range": "bytes 9-99/100"}, Action.RESTART),
        ({"content_range": "bytes 0-99/100"}, Action.RESTART),
        ({"content_range": "bytes 10-9/100"}, Action.RESTART),
        ({"content_range": "bytes 10-100/100"}, Action.RESTART),
        ({"content_range": "bytes 10-100/*"}, Action.RESTART),
        ({"content_range": "bytes 10-99/100", "content_encoding": "gzip"}, Action.RESTART),
        ({"content_range": "lines 10-99/100"}, Action.RESTART),
        ({"content_range": "bytes */100"}, Action.RESTART),
        ({"content_type": "multipart/byteranges; boundary=x"}, Action.RESTART),
    ],
)
def test_a_part_is_taken_only_if_it_is_the_one_that_is_missing(fields, action):
    step = interpret(HERE, NOTED, 10, answer(206, **fields))
    assert step.action is action
    if action is Action.APPEND:
        assert (step.total, step.partial) == (100, NOTED)


def test_a_size_that_was_unknown_is_learned():
    noted = begun(etag=TAG)
    assert noted.size is None
    step = interpret(HERE, noted, 10, answer(206, content_range="bytes 10-99/100"))
    assert (step.action, step.total, step.partial) == (Action.APPEND, 100, NOTED)
    assert interpret(HERE, noted, 10, answer(206, content_range="bytes 10-99/*")).total is None


@pytest.mark.parametrize(("partial", "have"), [(None, 0), (NOTED, 0), (None, 10)])
def test_a_part_that_nobody_asked_for_is_the_servers_fault(partial, have):
    with pytest.raises(BadResponse, match="without being asked") as caught:
        interpret(HERE, partial, have, answer(206, content_range="bytes 10-99/100"))
    assert caught.value.rule == "content-range"


@pytest.mark.parametrize(
    ("content_range", "have", "action"),
    [
        ("bytes */100", 100, Action.DONE),
        ("bytes */100", 101, Action.RESTART),
        ("bytes */99", 99, Action.RESTART),
        ("bytes 0-1/100", 100, Action.RESTART),
        ("", 100, Action.RESTART),
    ],
)
def test_there_may_be_nothing_left_to_get(content_range, have, action):
    assert interpret(HERE, NOTED, have, answer(416, content_range=content_range)).action is action


@pytest.mark.parametrize("status", [204, 304, 404, 416, 500])
def test_what_is_no_file_is_an_error(status):
    response = answer(status)
    with pytest.raises(StatusError, match=str(status)) as caught:
        interpret(HERE, None, 0, response)
    assert caught.value.response is response


def test_what_was_written_must_be_all():
    step = interpret(HERE, NOTED, 10, answer(206, content_range="bytes 10-99/100"))
    step.check(100)
    with pytest.raises(IncompleteBody, match="99 of 100 bytes") as caught:
        step.check(99)
    assert (caught.value.received, caught.value.expected) == (99, 100)
    interpret(HERE, None, 0, answer(200)).check(7)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("", None),
        ("attachment", None),
        ("inline; filename=a.txt", "a.txt"),
        ('attachment; filename="a b;c.txt"', "a b;c.txt"),
        ('attachment; FileName = "a.txt" ; x=y', "a.txt"),
        (r'attachment; filename="a\"b\\c"', 'a"b\\c'),
        ("attachment; filename=a b.txt", "a b.txt"),
        ("attachment; filename=first; filename=second", "first"),
        ('attachment; x="; filename=evil"; filename=good', "good"),
        ("attachment; filename*=UTF-8''%e2%82%ac%20rates.txt", "€ rates.txt"),
        ("attachment; filename=EURO; filename*=utf-8'en'%e2%82%ac", "€"),
        ("attachment; filename*=iso-8859-1''%A3", "£"),
        ("attachment; filename=a; filename*=UTF-8''%ff", "a"),
        ("attachment; filename=a; filename*=koi8-r''%ff", "a"),
        ("attachment; filename=a; filename*=b", "a"),
        ("attachment; filename*=UTF-8''%ff", None),
        ("attachment; filename=" + "é".encode().decode("latin-1"), "é"),
        ("attachment; filename=\xe9", "é"),
        ('attachment; filename="', ""),
        ("attachment; filename=", ""),
    ],
)
def test_the_name_that_the_server_says(value, name):
    assert disposition_name(value) == name


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("a.txt", "a.txt"),
        ("", ""),
        (".", ""),
        ("..", ""),
        ("../../etc/passwd", "passwd"),
        ("/etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("C:\\a.txt", "a.txt"),
        ("C:a.txt", "C_a.txt"),
        (".bashrc", "bashrc"),
        ("...", ""),
        (" . a .", "a"),
        ("a\0b\nc", "a_b_c"),
        ('a<b>:"|?*', "a_b______"),
        ("a\u202etxt.exe", "a_txt.exe"),
        ("a\ud800", "a_"),
        ("con", "_con"),
        ("NUL.txt", "_NUL.txt"),
        ("console.txt", "console.txt"),
        ("a/", ""),
        ("日本.pdf", "日本.pdf"),
        ("x" * 300 + ".tar", "x" * (MAX_NAME - 4) + ".tar"),
        ("x." + "y" * 300, "x." + "y" * (MAX_NAME - 2)),
    ],
)
def test_names_are_made_safe(name, safe):
    assert safe_name(name) == safe


@given(st.one_of(st.text(max_size=400), st.text(alphabet="./\\ :con\0é", max_size=300)))
def test_whatever_the_name_it_stays_in_its_folder(name):
    safe = safe_name(name)
    assert not set(safe) & set('/\\\0:<>"|?*')
    assert not safe.startswith(".")
    assert len(safe.encode()) <= MAX_NAME + 1
    assert safe_name(safe) == safe


@pytest.mark.parametrize(
    ("url", "disposition", "name"),
    [
        ("https://a.org/x/b%20c.zip?y", None, "b c.zip"),
        ("https://a.org/x/", None, "download"),
        ("https://a.org", None, "download"),
        ("https://a.org/%2e%2e%2fpasswd", None, "passwd"),
        ("https://a.org/%ff", None, "\ufffd"),
        ("https://a.org/b", 'attachment; filename="../c"', "c"),
        ("https://a.org/b", 'attachment; filename=".."', "b"),
        ("https://a.org/b", "attachment", "b"),
    ],
)
def test_what_a_download_is_called(url, disposition, name):
    headers = Headers({"Content-Disposition": disposition} if disposition else {})
    assert name_for(URL.parse(url), headers) == name


def test_a_name_that_is_taken_is_numbered():
    assert list(islice(names_from("a.txt"), 3)) == ["a.txt", "a-1.txt", "a-2.txt"]
    assert list(islice(names_from("a"), 2)) == ["a", "a-1"]


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256", "SHA-256", "sha512", "blake2b", "sha3_256"])
def test_checksums(algorithm):
    name = algorithm.lower().replace("sha-", "sha")
    value = hashlib.new(name, b"abc").hexdigest()
    checksum = Checksum(f" {algorithm}:{value.upper()} ")
    checksum.update(b"a")
    checksum.update(b"bc")
    checksum.check()
    checksum.update(b"d")
    with pytest.raises(BadResponse, match="instead of") as caught:
        checksum.check()
    assert caught.value.rule == "checksum"


@pytest.mark.parametrize("text", ["", "abc", "sha256:", "sha256:12", "sha257:12", "shake_128:12", "sha256:" + "x" * 64])
def test_what_is_no_checksum_is_refused(text):
    with pytest.raises(InvalidRequest, match="the checksum"):
        Checksum(text)

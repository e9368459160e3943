"""The grammar of request items and of URLs on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstbyte.cli.http_items import InvalidItem, parse_items, parse_url, split_item

FILES = {"title.txt": b"milk\n", "tags.json": b'["a", "b"]', "latin": b"\xe9"}


def read(path: str) -> bytes:
    try:
        return FILES[path]
    except KeyError:
        raise FileNotFoundError(2, "No such file or directory") from None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("title=milk", ("title", "=", "milk")),
        ("title=", ("title", "=", "")),
        ("title=a=b", ("title", "=", "a=b")),
        ("done:=false", ("done", ":=", "false")),
        ("q==term", ("q", "==", "term")),
        ("q===", ("q", "==", "=")),
        ("X-Token:abc", ("X-Token", ":", "abc")),
        ("X-Time:12:30", ("X-Time", ":", "12:30")),
        ("X-Empty;", ("X-Empty", ";", "")),
        ("a;b=c", ("a;b", "=", "c")),
        ("f@~/x.txt", ("f", "@", "~/x.txt")),
        ("mail=a@b", ("mail", "=", "a@b")),
        ("t=@f", ("t", "=@", "f")),
        ("t:=@f", ("t", ":=@", "f")),
        ("t==@f", ("t", "==@", "f")),
        ("H:@f", ("H", ":@", "f")),
        (r"a\=b=c", ("a=b", "=", "c")),
        (r"a\:b:=1", ("a:b", ":=", "1")),
        (r"a\\=c", ("a\\", "=", "c")),
        (r"a\b=c", (r"a\b", "=", "c")),
        (r"a=c\=d", ("a", "=", r"c\=d")),
    ],
)
def test_an_item_in_its_parts(text: str, expected: tuple[str, str, str]) -> None:
    assert split_item(text) == expected


@pytest.mark.parametrize("text", ["", "milk", r"a\=b", "=x", ":=1", "@file", "a\\"])
def test_what_is_no_item(text: str) -> None:
    with pytest.raises(InvalidItem, match=r"is no request item|has no name"):
        split_item(text)


@given(st.text(), st.sampled_from([":", "=", ":=", "==", "@"]), st.text())
def test_an_escaped_name_comes_back(name: str, separator: str, value: str) -> None:
    if not name or value[:1] in "=@":
        return  # these would make another separator
    escaped = "".join("\\" + c if c in ":=@;\\" else c for c in name)
    assert split_item(escaped + separator + value) == (name, separator, value)


def test_all_kinds_together() -> None:
    items = parse_items(
        ["title=milk", "done:=false", "X-Token:abc", "q==a b", "q==", "up@a/b.txt", "Accept:", "X-Empty;"], read
    )
    assert items.headers == [("X-Token", "abc"), ("Accept", None), ("X-Empty", "")]
    assert items.query == [("q", "a b"), ("q", "")]
    assert items.data == [("title", "milk"), ("done", False)]
    assert items.files == [("up", Path("a/b.txt"))]


def test_values_from_files() -> None:
    items = parse_items(["title=@title.txt", "tags:=@tags.json", "q==@title.txt", "X:@title.txt"], read)
    assert items.json() == {"title": "milk", "tags": ["a", "b"]}
    assert (items.query, items.headers) == ([("q", "milk")], [("X", "milk")])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("n:=milk", "'n:=milk': what follows := is no JSON"),
        ("n:=", "no JSON"),
        ("n:=" + "[" * 100_000, "no JSON"),
        ("n=@none", "cannot read none: No such file or directory"),
        ("n=@latin", "latin is no UTF-8"),
    ],
)
def test_items_that_say_nothing(text: str, message: str) -> None:
    with pytest.raises(InvalidItem) as raised:
        parse_items([text], read)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([], {}),
        (["a=1", "a=2"], {"a": "2"}),
        (["n:=1", "n2:=1.5", "z:=null", "o:={}"], {"n": 1, "n2": 1.5, "z": None, "o": {}}),
        (["owner[name]=Ann", "owner[age]:=7"], {"owner": {"name": "Ann", "age": 7}}),
        (["tags[]=a", "tags[]=b"], {"tags": ["a", "b"]}),
        (["a[b][]=1", "a[b][]=2"], {"a": {"b": ["1", "2"]}}),
        (["rows[][id]:=1", "rows[][id]:=2"], {"rows": [{"id": 1}, {"id": 2}]}),
        (["a]=1", "[b=2", "c[d=3"], {"a]": "1", "[b": "2", "c[d": "3"}),
    ],
)
def test_data_as_json(texts: list[str], expected: dict[str, Any]) -> None:
    assert parse_items(texts, read).json() == expected


@pytest.mark.parametrize("texts", [["a=1", "a[b]=2"], ["a[]=1", "a[b]=2"], ["a[b]=1", "a[]=2"]])
def test_data_that_clashes(texts: list[str]) -> None:
    with pytest.raises(InvalidItem, match="does not fit"):
        parse_items(texts, read).json()


def test_data_as_a_form() -> None:
    items = parse_items(["a=x", "b:=true", "c:=[1,2]", "a=y"], read)
    assert items.form() == [("a", "x"), ("b", "true"), ("c", "[1,2]"), ("a", "y")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (":8000/tasks", "http://localhost:8000/tasks"),
        (":8000", "http://localhost:8000/"),
        (":/tasks", "http://localhost/tasks"),
        (":", "http://localhost/"),
        (":8000?a=b", "http://localhost:8000/?a=b"),
        ("example.com/a?b=c#d", "http://example.com/a?b=c#d"),
        ("localhost:8000", "http://localhost:8000/"),
        ("[::1]:8000/x", "http://[::1]:8000/x"),
        ("https://example.com", "https://example.com/"),
        ("HTTP://EXAMPLE.com:80/", "http://example.com/"),
    ],
)
def test_urls(text: str, expected: str) -> None:
    assert str(parse_url(text)) == expected


def test_a_default_scheme() -> None:
    assert str(parse_url("example.com", "https")) == "https://example.com/"


@pytest.mark.parametrize("text", ["", "/tasks", ":99999", "a b", "http://", ":x", "::1"])
def test_urls_that_are_none(text: str) -> None:
    with pytest.raises(InvalidItem, match="the URL"):
        parse_url(text)

"""The request that a command line means."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from firstbyte.cli.http_call import make_call
from firstbyte.cli.http_items import InvalidItem

JSON_ACCEPT = ("Accept", "application/json, */*;q=0.5")


@pytest.mark.parametrize(
    ("items", "options", "headers", "body"),
    [
        ([], {}, [], {}),
        (["a=b", "n:=1"], {}, [JSON_ACCEPT], {"json": {"a": "b", "n": 1}}),
        ([], {"kind": "json"}, [JSON_ACCEPT], {}),
        (["a=b", "Accept:text/html"], {}, [("Accept", "text/html")], {"json": {"a": "b"}}),
        (["a=b", "accept:"], {}, [("accept", None)], {"json": {"a": "b"}}),
        (["X:1", "X:2"], {}, [("X", "1"), ("X", "2")], {}),
        (["a=b", "n:=true"], {"kind": "form"}, [], {"data": [("a", "b"), ("n", "true")]}),
        ([], {"kind": "form"}, [], {}),
        (["a=b", "f@x.txt"], {}, [], {"data": [("a", "b")], "files": [("f", Path("x.txt"))]}),
        (["f@x.txt"], {"kind": "form"}, [], {"data": [], "files": [("f", Path("x.txt"))]}),
        ([], {"raw": "{}"}, [("Content-Type", "application/json")], {"content": b"{}"}),
        (["content-type:text/csv"], {"raw": "a,b"}, [("content-type", "text/csv")], {"content": b"a,b"}),
        (
            [],
            {"raw": "a=b", "kind": "form"},
            [("Content-Type", "application/x-www-form-urlencoded")],
            {"content": b"a=b"},
        ),
        ([], {"raw": "@dir/x.csv"}, [], {"content": Path("dir/x.csv")}),
    ],
)
def test_what_items_and_options_make(
    items: list[str], options: dict[str, Any], headers: list[tuple[str, str | None]], body: dict[str, Any]
) -> None:
    call = make_call("POST", ":8000/x", items, **options)
    assert (str(call.url), call.headers, call.body) == ("http://localhost:8000/x", headers, body)


def test_the_query_is_added_to_that_of_the_url() -> None:
    assert str(make_call("GET", ":8000/x?a=1", ["b==2 3", "b==ä"]).url) == "http://localhost:8000/x?a=1&b=2+3&b=%C3%A4"


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = SimpleNamespace(buffer=io.BytesIO(b"x"))
    monkeypatch.setattr("sys.stdin", stdin)
    call = make_call("POST", ":", [], raw="@-")
    assert (call.body, call.headers) == ({"content": stdin.buffer}, [("Content-Type", "application/json")])


@pytest.mark.parametrize(
    ("method", "items", "options", "message"),
    [
        ("GET", ["q=x"], {}, "write q==x"),
        ("HEAD", ["f@x"], {}, "write f==x"),
        ("GET", [], {"raw": "{}"}, "GET has no body"),
        ("POST", ["a=b"], {"raw": "{}"}, "--raw is the whole body"),
        ("POST", ["f@x"], {"kind": "json"}, "--json cannot carry the file of f@"),
        ("GE T", [], {}, "'GE T' is no method"),
        ("POST", ["a=@/nowhere/x"], {}, "cannot read /nowhere/x"),
        ("POST", ["nothing"], {}, "is no request item"),
    ],
)
def test_what_makes_no_sense(method: str, items: list[str], options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidItem) as raised:
        make_call(method, ":8000", items, **options)
    assert message in str(raised.value)


def test_any_method_has_a_body_where_it_is_meant() -> None:
    assert make_call("GET", ":8000", ["a=b"], strict=False).body == {"json": {"a": "b"}}

"""Paths and where they lead."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firstbyte.app.routing import CONVERTERS, Pattern, Router, allow, slash_toggled
from firstbyte.errors import RouteError


def router(*patterns: str) -> Router[str]:
    made: Router[str] = Router()
    for pattern in patterns:
        made.at(Pattern(pattern), lambda pattern=pattern: pattern)  # type: ignore[misc]
    return made


UUID = "12345678-1234-5678-1234-567812345678"


@pytest.mark.parametrize(
    ("pattern", "path", "values"),
    [
        ("/", "/", {}),
        ("/a/b", "/a/b", {}),
        ("/a b", "/a%20b", {}),
        ("/{x}", "/abc", {"x": "abc"}),
        ("/{x}", "/a%2Fb", {"x": "a/b"}),
        ("/{x}", "/caf%C3%A9", {"x": "café"}),
        ("/{x:int}", "/-5", {"x": -5}),
        ("/{x:float}", "/1.5", {"x": 1.5}),
        ("/{x:uuid}", f"/{UUID}", {"x": uuid.UUID(UUID)}),
        ("/{x:path}", "/a/b/c", {"x": "a/b/c"}),
        ("/{x:path}", "/", {"x": ""}),
        ("/a/{x:path}", "/a/b%2Fc/", {"x": "b/c/"}),
        ("/v{x:int}.json", "/v12.json", {"x": 12}),
        ("/{a}/{b:int}/c", "/x/1/c", {"a": "x", "b": 1}),
    ],
)
def test_what_matches(pattern: str, path: str, values: dict[str, Any]) -> None:
    assert router(pattern).find(path) == (pattern, values)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("/a", "/a/"),
        ("/a", "/A"),
        ("/{x}", "/"),
        ("/{x}", "/a/b"),
        ("/{x:int}", "/1_000"),
        ("/{x:int}", "/+1"),
        ("/{x:int}", "/%201"),
        ("/{x:int}", "/1234567890123456789"),
        ("/{x:int}", "/%D9%A1"),
        ("/{x:float}", "/nan"),
        ("/{x:float}", "/1e5"),
        ("/{x:uuid}", "/{12345678123456781234567812345678}"),
        ("/a/{x:path}", "/a"),
        ("/ab{x}ba", "/aba"),
        ("/v{x}.json", "/v.json"),
    ],
)
def test_what_does_not_match(pattern: str, path: str) -> None:
    assert router(pattern).find(path) is None


@pytest.mark.parametrize(
    ("path", "pattern"),
    [
        ("/x/new", "/x/new"),
        ("/x/5", "/x/{a:int}"),
        ("/x/5.5", "/x/{a:float}"),
        ("/x/y.txt", "/x/{a}.txt"),
        ("/x/y", "/x/{a}"),
        ("/x/new/edit", "/x/{a}/edit"),
        ("/x/5/other", "/x/{rest:path}"),
        ("/x/", "/x/{rest:path}"),
    ],
)
def test_the_more_definite_one_wins_and_others_are_tried_after_it(path: str, pattern: str) -> None:
    routes = ("/x/{rest:path}", "/x/{a}", "/x/{a}.txt", "/x/{a:float}", "/x/{a:int}", "/x/new", "/x/{a}/edit")
    for made in (router(*routes), router(*reversed(routes))):
        found = made.find(path)
        assert found is not None
        assert found[0] == pattern


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("a", "must begin with /"),
        ("/{", "no parameter"),
        ("/{a}{b}", "no parameter"),
        ("/{a:}", "no parameter"),
        ("/{1a}", "no parameter"),
        ("/{a:colour}", "no converter 'colour'"),
        ("/{a}/{a}", "twice"),
        ("/{a:path}/b", "goes on after"),
    ],
)
def test_patterns_that_are_none(pattern: str, message: str) -> None:
    with pytest.raises(RouteError, match=message):
        Pattern(pattern)


def test_annotations_give_the_converter() -> None:
    pattern = Pattern("/{a}/{b}/{c:int}", {"a": int, "b": list})
    assert [parameter.converter.name for parameter in pattern.parameters] == ["int", "str", "int"]


def test_one_place_has_one_set_of_names() -> None:
    made = router("/{a}")
    with pytest.raises(RouteError, match="other parameter names: a"):
        made.at(Pattern("/{b}"), str)


def test_a_search_takes_steps_by_the_path_not_by_the_routes(monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    counting = CONVERTERS["str"]._replace(read=lambda text: read.append(text) or text)
    monkeypatch.setitem(CONVERTERS, "str", counting)
    made = router(*(f"/{n}/{{a}}/x{n}" for n in range(10_000)))
    assert made.find("/9999/b/x9999") is not None
    assert made.find("/9999/b/x9998") is None
    assert read == ["b", "b"]


@given(st.text(min_size=1, max_size=20), st.integers(-(10**17), 10**17), st.text(max_size=20))
@settings(derandomize=True, max_examples=200, deadline=None)
def test_a_url_leads_back_to_its_values(text: str, number: int, rest: str) -> None:
    if "\0" in text + rest or not (text + rest).isprintable():
        return
    pattern = Pattern("/a b/{text}/n{number:int}.x/{rest:path}")
    values = {"text": text, "number": number, "rest": rest}
    made: Router[str] = Router()
    made.at(pattern, lambda: "here")
    assert made.find(pattern.url(values)) == ("here", values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "needs a value for x"),
        ({"x": 1, "y": 2}, "has no parameter y"),
        ({"x": "one"}, "is no int"),
    ],
)
def test_values_that_make_no_url(values: dict[str, Any], message: str) -> None:
    with pytest.raises(LookupError, match=message):
        Pattern("/{x:int}").url(values)


def test_helpers() -> None:
    assert (slash_toggled("/a"), slash_toggled("/a/")) == ("/a/", "/a")
    assert allow(["PUT", "GET"]) == "GET, OPTIONS, PUT"

"""Header fields."""

from __future__ import annotations

import pytest

from firstbyte.http.headers import Headers, check_field


def test_names_have_no_case_and_keep_theirs() -> None:
    headers = Headers({"Content-Type": "text/plain"})
    assert headers["content-type"] == headers.get("CONTENT-TYPE") == "text/plain"
    assert headers.items() == [("Content-Type", "text/plain")]
    assert "content-Type" in headers
    assert 1 not in headers
    assert list(headers) == headers.keys() == ["content-type"]


def test_several_values_keep_their_order() -> None:
    headers = Headers([("A", "1"), ("B", "2"), ("a", "3")])
    assert headers["A"] == "1"
    assert headers.get_all("a") == ["1", "3"]
    assert headers.get_joined("a") == "1, 3"
    assert headers.get_joined("c") is None
    assert len(headers) == 3


def test_setting_takes_the_place_of_all() -> None:
    headers = Headers([("A", "1"), ("a", "2"), ("B", "3")])
    headers["A"] = "4"
    assert headers.items() == [("B", "3"), ("A", "4")]
    headers.update([("b", "5"), ("B", "6")])
    assert headers.get_all("b") == ["5", "6"]
    del headers["b"]
    del headers["missing"]
    assert headers.items() == [("A", "4")]


def test_adding_and_defaults() -> None:
    headers = Headers()
    headers.add("Set-Cookie", "a=1")
    headers.add("Set-Cookie", "b=2")
    assert headers.get_all("set-cookie") == ["a=1", "b=2"]
    assert headers.setdefault("X", "1") == "1"
    assert headers.setdefault("x", "2") == "1"
    with pytest.raises(KeyError, match="missing"):
        headers["missing"]


def test_vary_is_added_to_once() -> None:
    headers = Headers()
    for name in ("Accept", "Origin", "accept"):
        headers.vary_on(name)
    assert headers["Vary"] == "Accept, Origin"
    headers["Vary"] = "*"
    headers.vary_on("Accept")
    assert headers["Vary"] == "*"


def test_equality_and_copies() -> None:
    headers = Headers({"A": "1"})
    copy = Headers(headers)
    copy.add("B", "2")
    assert headers == Headers([("a", "1")])
    assert headers != copy
    assert headers != {"A": "1"}
    assert repr(headers) == "Headers([('A', '1')])"


@pytest.mark.parametrize("name", ["", "a b", "a:", "é", "a\n", "a\x00"])
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(ValueError, match="token"):
        Headers({name: "x"})


@pytest.mark.parametrize("value", ["a\r\nb: c", "a\n", "a\x00", "a\x7f", "\u2603"])
def test_what_is_no_value(value: str) -> None:
    with pytest.raises(ValueError, match="control character"):
        Headers({"a": value})


def test_a_value_is_text() -> None:
    with pytest.raises(TypeError, match="must be str, not int"):
        Headers({"a": 1})  # type: ignore[dict-item]


def test_fields_have_their_names_in_both_spellings() -> None:
    assert Headers([("A-b", "1"), ("C", "2")]).fields() == [("a-b", "A-b", "1"), ("c", "C", "2")]


def test_names_that_are_remembered_are_few_and_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firstbyte.http.headers._tokens", tokens := set[str]())
    for number in range(2000):
        check_field(f"X-{number}", "")
    check_field("x" * 65, "")
    with pytest.raises(ValueError, match="token"):
        check_field("a b", "")
    assert len(tokens) == 1024
    assert not tokens & {"x" * 65, "a b"}

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstbyte.http.multidict import MultiDict

D = MultiDict([("a", "1"), ("b", "2"), ("a", "3")])
PAIRS = st.lists(st.tuples(st.sampled_from("abc"), st.integers()))


def test_indexing_gives_the_first_value():
    assert D["a"] == "1"
    with pytest.raises(KeyError, match="missing"):
        D["missing"]


def test_get_gives_the_first_value_or_the_default():
    assert D.get("a") == "1"
    assert D.get("missing") is None
    assert D.get("missing", 7) == 7


def test_a_value_of_none_is_not_the_default():
    assert MultiDict([("a", None)]).get("a", "default") is None


def test_get_all_gives_every_value_in_order():
    assert D.get_all("a") == ["1", "3"]
    assert D.get_all("missing") == []


def test_keys_are_counted_once_and_pairs_each_time():
    assert len(D) == 2
    assert list(D) == D.keys() == ["a", "b"]
    assert "a" in D
    assert "missing" not in D
    assert D.items() == [("a", "1"), ("b", "2"), ("a", "3")]


def test_as_a_dict():
    assert D.to_dict() == {"a": ["1", "3"], "b": ["2"]}
    assert dict(D) == {"a": "1", "b": "2"}


def test_what_it_gives_away_is_not_its_own():
    D.get_all("a").append("x")
    D.items().append(("x", "x"))
    D.to_dict()["a"].append("x")
    D.keys().append("x")
    assert MultiDict([("a", "1"), ("b", "2"), ("a", "3")]) == D


def test_equality_looks_at_the_order():
    assert MultiDict([("a", 1), ("a", 2)]) != MultiDict([("a", 2), ("a", 1)])
    assert MultiDict() != []
    with pytest.raises(TypeError, match="unhashable"):
        hash(D)


def test_an_empty_one_is_false():
    assert not MultiDict()
    assert MultiDict().items() == []


def test_repr_builds_it_again():
    assert eval(repr(D)) == D


@given(PAIRS)
def test_pairs_come_out_as_they_went_in(pairs):
    fields = MultiDict(iter(pairs))
    assert fields.items() == pairs
    assert sum(len(fields.get_all(key)) for key in fields) == len(pairs)
    assert all(fields[key] == fields.get_all(key)[0] for key in fields)

"""Which requests share a pace."""

from __future__ import annotations

import pytest

from firstbyte.hosts.places import Places


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("/", "/", True),
        ("/fast", "/slow", False),
        ("/api/v1/fast", "/api/v1/slow", False),
        ("/items/1", "/items/2", True),
        ("/items/1/photos", "/items/2/sound", True),
        ("/items/1", "/items", True),
        ("/files/3f2b9c1e-aaaa-bbbb-cccc-0123456789ab", "/files/af2b9c1e-aaaa-bbbb-cccc-0123456789ab", True),
        ("/a/b/c/d/e", "/a/b/c/d/f", True),
        ("/a/%20/x", "/a/%21/y", True),
        ("*", "*", True),
    ],
)
def test_paths_that_share_a_place(one: str, other: str, same: bool) -> None:
    places = Places(object)
    assert (places.find("GET", one) is places.find("GET", other)) is same
    assert places.find("GET", one) is not places.find("POST", one)


def test_places_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firstbyte.hosts.places._PLACES", 8)
    made: list[object] = []

    def make() -> object:
        made.append(object())
        return made[-1]

    places = Places(make)
    for number in range(100):
        places.find("GET", "/" + "a" * (number % 20) + "/x")
        places.find("GET", f"/items/{number}")
        assert len(places._by_path) <= 8
        assert len(places._by_prefix) <= 8
    places.find("GET", "/long/" + "x" * 5000)
    assert all(len(path) < 300 for _, path in places._by_path)

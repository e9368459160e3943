"""Settings are what dataclasses would be: frozen, equal by value, shown by name."""

from __future__ import annotations

import copy
import sys

import pytest

from firstbyte.http.settings import Settings, TimeoutSettings, setting


class Numbers(Settings):
    one: int = setting(1, "The first.", 1)
    two: float = setting(2.0, "The second.")

    def check(self, name: str, value: float, least: float) -> None:
        if value < least:
            raise ValueError(f"{name} is {value}")


class Waits(TimeoutSettings):
    read: float = setting(3.0, "For something to read.")


def test_defaults_and_what_is_given() -> None:
    numbers = Numbers(two=3)
    assert (numbers.one, numbers.two) == (1, 3)
    assert repr(numbers) == "Numbers(one=1, two=3)"
    assert [(name, each.default, each.doc, each.least) for name, each in Numbers.settings.items()] == [
        ("one", 1, "The first.", 1),
        ("two", 2.0, "The second.", 0),
    ]


def test_equal_by_value() -> None:
    assert Numbers(two=3) == Numbers(one=1, two=3)
    assert hash(Numbers(two=3)) == hash(Numbers(one=1, two=3))
    assert Numbers() != Numbers(two=3)
    assert Numbers() != Waits()


def test_frozen() -> None:
    numbers = Numbers()
    with pytest.raises(AttributeError, match="Numbers is frozen: one cannot be set"):
        numbers.one = 2  # type: ignore[misc]
    assert numbers.one == 1


def test_what_is_refused() -> None:
    with pytest.raises(TypeError, match="Numbers has no 'three': there are one, two"):
        Numbers(three=3)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="one is 0"):
        Numbers(one=0)
    for wrong in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match=r"timeout read is .* s: it must be above zero"):
            Waits(read=wrong)


def test_copies() -> None:
    assert copy.copy(Numbers(two=3)) == Numbers(two=3)
    changed = copy.replace(Numbers(two=3), one=5) if sys.version_info >= (3, 13) else Numbers(two=3).__replace__(one=5)
    assert changed == Numbers(one=5, two=3)

"""Limits that would hold nothing are refused where they are made."""

from __future__ import annotations

import pytest

from firstbyte.wire.limits import Limits


@pytest.mark.parametrize("name", Limits.settings)
def test_no_limit_is_below_zero(name: str) -> None:
    with pytest.raises(ValueError, match=f"limit {name} is -1: it cannot be below"):
        Limits(**{name: -1})


@pytest.mark.parametrize("name", ["request_line", "head", "connections"])
def test_a_limit_that_lets_no_request_through_is_none(name: str) -> None:
    """A server without connections would listen, and leave every client waiting without a word."""
    with pytest.raises(ValueError, match="cannot be below 1"):
        Limits(**{name: 0})


@pytest.mark.parametrize("name", ["body", "body_memory", "chunk_extensions", "output", "discard"])
def test_other_limits_may_be_nothing(name: str) -> None:
    assert getattr(Limits(**{name: 0}), name) == 0

"""Which limit ends a wait, and what it is called then."""

from __future__ import annotations

import pytest

from firstbyte.client.timeouts import Budget, Timeout
from firstbyte.errors import ReadTimeout, TotalTimeout


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Timeout(read=1), Timeout(connect=5, read=1, write=30, pool=5, total=None)),
        (2, Timeout(2, 2, 2, 2, None)),
        (None, Timeout(None, None, None, None, None)),
    ],
)
def test_what_a_timeout_may_be(value: Timeout | float | None, expected: Timeout) -> None:
    assert Timeout.of(value) == expected


@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_what_it_may_not_be(value: float) -> None:
    with pytest.raises(ValueError, match="above zero"):
        Timeout(read=value)


@pytest.mark.parametrize(
    ("total", "wait", "error"),
    [(None, 5.0, ReadTimeout), (100.0, 5.0, ReadTimeout), (4.0, 5.0, TotalTimeout), (4.0, None, TotalTimeout)],
)
def test_the_error_is_of_the_limit_that_came_first(
    total: float | None, wait: float | None, error: type[Exception]
) -> None:
    budget = Budget(Timeout(total=total))
    left = budget.left(wait)
    assert left is not None and left <= min(limit for limit in (total, wait) if limit is not None)
    assert type(budget.over(ReadTimeout, "nothing")) is error


def test_no_wait_begins_when_the_time_is_over() -> None:
    budget = Budget(Timeout(total=1e-9))
    with pytest.raises(TimeoutError):
        budget.left(5.0)
    assert type(budget.over(ReadTimeout, "nothing")) is TotalTimeout
    with pytest.raises(TimeoutError):
        Budget(Timeout()).left(5.0, until=0.0)

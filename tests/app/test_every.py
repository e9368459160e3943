"""What an app does again and again: what may be said, and what its server is told."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from firstbyte import App
from firstbyte.app.front import Front
from firstbyte.app.https import RedirectToHTTPS
from firstbyte.errors import ConfigurationError
from firstbyte.http.services import periodic_of


@pytest.mark.parametrize(
    ("period", "seconds"),
    [
        ("30s", 30), ("5m", 300), ("1.5 h", 5400), ("1d", 86400), ("20ms", 0.02), (0.5, 0.5), (7, 7),
        (timedelta(minutes=1), 60),
    ],
)  # fmt: skip
def test_periods(period: Any, seconds: float) -> None:
    app = App()

    @app.every(period)
    def job() -> None:
        """Does nothing."""

    (found,) = periodic_of(app)
    assert found.seconds == pytest.approx(seconds)
    assert found.function is job


@pytest.mark.parametrize("period", ["5", "m", "5 weeks", "", 0, -1, "1ms", timedelta(0)])
def test_what_is_no_period_is_refused(period: Any) -> None:
    with pytest.raises(ConfigurationError, match="write seconds, or a number with ms, s, m, h, d"):
        App().every(period)(lambda: None)


def test_functions_that_cannot_be_run_so_are_refused() -> None:
    def generator() -> Iterator[None]:
        yield

    with pytest.raises(ConfigurationError, match=r"generator .*test_every.py:\d+.* is a generator"):
        App().every("1m")(generator)
    with pytest.raises(ConfigurationError, match="is called with nothing: missing a required argument: 'request'"):
        App().every("1m")(lambda request: None)  # type: ignore[misc, arg-type]


def test_those_of_mounted_apps_and_inner_handlers_are_told() -> None:
    app, blog = App(), App()
    app.every("1m")(lambda: None)
    blog.every("2m")(lambda: None)
    app.mount("/blog", blog)
    handler = Front(RedirectToHTTPS(app, 80, 443))
    assert [each.seconds for each in periodic_of(handler)] == [60, 120]
    assert periodic_of(object()) == ()

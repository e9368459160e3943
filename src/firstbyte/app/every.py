"""What an app does again and again: its periods, and which functions may be done so."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from firstbyte.app.middleware import called, place
from firstbyte.errors import ConfigurationError
from firstbyte.http.services import Periodic

SHORTEST = 0.01  # seconds
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PERIOD = re.compile(rf"(\d+(?:\.\d+)?)\s*({'|'.join(_UNITS)})")


def periodic(function: Callable[..., Any], period: str | float | timedelta) -> Periodic:
    """The job of calling `function` once in every `period`: seconds, a timedelta, or text such as "30s", "5m", "1.5h".

    Raises ConfigurationError for another period, or a function that takes something or is a generator.
    """
    seconds = _seconds(period)
    if seconds is None or seconds < SHORTEST:
        raise ConfigurationError(
            f"{place(function)} is to run every {period!r}: write seconds, or a number with "
            f"{', '.join(_UNITS)} behind it, at least {SHORTEST:g} s"
        )
    inner = called(function)
    if inspect.isgeneratorfunction(inner) or inspect.isasyncgenfunction(inner):
        raise ConfigurationError(f"{place(function)} is a generator and cannot be run every {period}")
    try:
        inspect.signature(function).bind()
    except TypeError as error:
        raise ConfigurationError(f"{place(function)} is called with nothing: {error}") from None
    return Periodic(function, seconds, f"{function.__module__}.{getattr(function, '__qualname__', repr(function))}")


def _seconds(period: str | float | timedelta) -> float | None:
    if isinstance(period, timedelta):
        return period.total_seconds()
    if isinstance(period, str):
        match = _PERIOD.fullmatch(period.strip())
        return None if match is None else float(match[1]) * _UNITS[match[2]]
    return float(period)

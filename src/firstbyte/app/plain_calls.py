"""How plain functions are called in the simplest cases: what most requests go through, compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from firstbyte.http.handler import Call
from firstbyte.http.request import Request
from firstbyte.http.response import Response


def call_alone(
    function: Callable[..., Any], answer: Callable[[Any, Request], Response], failed: Callable[..., Response]
) -> Call:
    """Calls a `function` that takes nothing. What it returns goes to `answer`, what it raises to `failed`."""

    def call(request: Request) -> Response:
        try:
            return answer(function(), request)
        except Exception as error:
            return failed(request, error)

    return call


def call_with_path(
    function: Callable[..., Any],
    request_name: str | None,
    answer: Callable[[Any, Request], Response],
    failed: Callable[..., Response],
) -> Call:
    """`call_alone` for one that takes what is read from the path, and the request by a name, if it has one for it."""

    def call(request: Request) -> Response:
        try:
            if request_name is None:
                return answer(function(**request.path_params), request)
            return answer(function(**request.path_params, **{request_name: request}), request)
        except Exception as error:
            return failed(request, error)

    return call

"""How plain functions are called in the simplest cases: what most requests go through, compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from firstbyte.app.results import to_response
from firstbyte.http.handler import Call
from firstbyte.http.request import Request
from firstbyte.http.response import Response


def call_alone(
    function: Callable[..., Any], answer: Callable[[Any, Request], Response] | None, failed: Callable[..., Response]
) -> Call:
    """Calls a `function` that takes nothing.

    What it returns goes to `answer`, to `to_response` if that is None, and what it raises to `failed`.
    """

    def call(request: Request) -> Response:
        try:
            value = function()
            return to_response(value, request) if answer is None else answer(value, request)
        except Exception as error:
            return failed(request, error)

    return call


def call_with_path(
    function: Callable[..., Any],
    request_name: str | None,
    answer: Callable[[Any, Request], Response] | None,
    failed: Callable[..., Response],
) -> Call:
    """`call_alone` for one that takes what is read from the path, and the request by a name, if it has one for it."""

    def call(request: Request) -> Response:
        try:
            if request_name is None:
                value = function(**request.path_params)
            else:
                value = function(**request.path_params, **{request_name: request})
            return to_response(value, request) if answer is None else answer(value, request)
        except Exception as error:
            return failed(request, error)

    return call

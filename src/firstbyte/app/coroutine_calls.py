"""How coroutine functions are called: up to where they first wait, which mostly is their end."""

from __future__ import annotations

from collections.abc import Callable
from types import CoroutineType
from typing import Any

from firstbyte.http.handler import Answered
from firstbyte.http.request import Request
from firstbyte.http.response import Response
from firstbyte.waiting import Begun


def call_coroutine(
    function: Callable[..., Any],
    values: Callable[[Request], dict[str, Any]] | None,
    answer: Callable[[Any, Request], Response],
    failed: Callable[..., Response],
) -> Callable[[Request], Any]:
    """Calls `function` with its `values` of the request, None for one that takes nothing.

    What it gives goes to `answer`, what it raises to `failed`. The call gives `Answered`, or what is to be awaited.
    """

    def call(request: Request) -> Answered | Begun:
        try:
            made = function() if values is None else function(**values(request))
            # a function that is only marked as one of coroutines may give anything
            begun = Begun(made if type(made) is CoroutineType else _awaited(made))
            if begun.is_over:
                return Answered(answer(begun.value, request))
        except Exception as error:
            return Answered(failed(request, error))
        return begun.then(answer, failed, request)

    return call


async def _awaited(made: Any) -> Any:
    return await made

"""A function that is called after the endpoints of a handler, for handlers that go around others."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from firstbyte.http.around import Changed
from firstbyte.http.handler import Endpoint
from firstbyte.http.request import Request
from firstbyte.http.response import Response

Change: TypeAlias = Callable[[Request, Response], Response]


class After:
    """Has `change` called with each response, and sends what that returns."""

    def __init__(self, change: Change) -> None:
        self._change = change
        self._changed = Changed(self._with_change)

    def around(self, inner: Endpoint) -> Endpoint:
        """The endpoint with the change behind it, the same one each time."""
        return self._changed[inner]

    def _with_change(self, inner: Endpoint) -> Endpoint:
        call = self._awaiting(inner) if inner.is_async else self._calling(inner)
        return inner.with_call(call, sends=False)  # an answer that is sent while the call runs could not be changed

    def _calling(self, inner: Endpoint) -> Callable[[Request], Response]:
        def call(request: Request) -> Response:
            return self._change(request, inner.call(request))

        return call

    def _awaiting(self, inner: Endpoint) -> Callable[[Request], object]:
        async def call(request: Request) -> Response:
            return self._change(request, await inner.call(request))

        return call

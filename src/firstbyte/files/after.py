"""A function that is called after the endpoints of a handler, for handlers that go around others."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from firstbyte.http.handler import Endpoint
from firstbyte.http.request import Request
from firstbyte.http.response import Response

Change: TypeAlias = Callable[[Request, Response], Response]
_REMEMBERED = 10_000  # endpoints whose changed form is kept


class After:
    """Has `change` called with each response, and sends what that returns."""

    def __init__(self, change: Change) -> None:
        self._change = change
        self._changed: dict[Endpoint, Endpoint] = {}

    def around(self, inner: Endpoint) -> Endpoint:
        """The endpoint with the change behind it, the same one each time."""
        changed = self._changed.get(inner)
        if changed is None:
            changed = Endpoint(
                self._awaiting(inner) if inner.is_async else self._calling(inner),
                name=inner.name,
                is_async=inner.is_async,
                cancel_on_disconnect=inner.cancel_on_disconnect,
                streams_body=inner.streams_body,
                max_body=inner.max_body,
                pace=inner.pace,
            )  # it does not send its answer itself, while it runs (`sends`): then there would be nothing to change
            if len(self._changed) >= _REMEMBERED:
                self._changed.clear()
            self._changed[inner] = changed
        return changed

    def _calling(self, inner: Endpoint) -> Callable[[Request], Response]:
        def call(request: Request) -> Response:
            return self._change(request, inner.call(request))

        return call

    def _awaiting(self, inner: Endpoint) -> Callable[[Request], object]:
        async def call(request: Request) -> Response:
            return self._change(request, await inner.call(request))

        return call

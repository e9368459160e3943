"""Error pages for a handler that stands alone: what an app has around what is mounted in it, and no more of that."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from firstbyte.app.pages import error_response
from firstbyte.errors import HTTPError
from firstbyte.http.handler import Endpoint, Handler, lifespan_of
from firstbyte.http.request import Request
from firstbyte.http.response import Response

_REMEMBERED = 10_000  # endpoints whose form with pages is kept


class ErrorPages:
    """A handler whose HTTPErrors are pages, or JSON for who prefers it. A folder is served by it faster than by an App,
    which looks for a route of its own first."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._with_pages: dict[Endpoint, Endpoint] = {}

    @property
    def is_async(self) -> bool:
        """Whether the inner handler has coroutines (see `Handler`)."""
        return bool(getattr(self._handler, "is_async", False))

    def lifespan(self) -> AbstractAsyncContextManager[Any]:
        """The inner handler's (see `Handler`)."""
        return lifespan_of(self._handler)

    def resolve(self, request: Request) -> Endpoint:
        """See `Handler.resolve`."""
        inner = self._handler.resolve(request)
        endpoint = self._with_pages.get(inner)
        if endpoint is None:
            endpoint = Endpoint(
                _awaiting(inner.call) if inner.is_async else _calling(inner.call),
                name=inner.name,
                is_async=inner.is_async,
                cancel_on_disconnect=inner.cancel_on_disconnect,
                streams_body=inner.streams_body,
                sends=inner.sends,
                max_body=inner.max_body,
                pace=inner.pace,
            )
            if len(self._with_pages) >= _REMEMBERED:
                self._with_pages.clear()
            self._with_pages[inner] = endpoint
        return endpoint


def _calling(call: Callable[[Request], Response]) -> Callable[[Request], Response]:
    def run(request: Request) -> Response:
        try:
            return call(request)
        except HTTPError as error:
            return _page(request, error)

    return run


def _awaiting(call: Callable[[Request], Any]) -> Callable[[Request], Any]:
    async def run(request: Request) -> Response:
        try:
            response: Response = await call(request)
        except HTTPError as error:
            return _page(request, error)
        return response

    return run


def _page(request: Request, error: HTTPError) -> Response:
    response = error_response(request, error.status, error.detail)
    response.headers.update(error.headers)
    return response


_: type[Handler] = ErrorPages

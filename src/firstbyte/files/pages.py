"""Error pages for a handler that stands alone: what an app has around what is mounted in it, and no more of that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from firstbyte.errors import HTTPError
from firstbyte.http.around import Around, Changed
from firstbyte.http.handler import Endpoint, Handler
from firstbyte.http.request import Request
from firstbyte.http.response import Response


class ErrorPages(Around):
    """A handler whose HTTPErrors are pages, or JSON for who prefers it. A folder is served by it faster than by an App,
    which looks for a route of its own first."""

    def __init__(self, handler: Handler) -> None:
        super().__init__(handler)
        self._handler = handler
        self._with_pages = Changed(_with_pages)

    def resolve(self, request: Request) -> Endpoint:
        """See `Handler.resolve`."""
        return self._with_pages[self._handler.resolve(request)]


def _with_pages(endpoint: Endpoint) -> Endpoint:
    around = _awaiting if endpoint.is_async else _calling
    return endpoint.with_call(around(endpoint.call))


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
    from firstbyte.app.pages import error_response  # here, since msgspec takes long to import

    response = error_response(request, error.status, error.detail)
    response.headers.update(error.headers)
    return response


_: type[Handler] = ErrorPages

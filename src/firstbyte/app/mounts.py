"""Other handlers below a prefix of an app's paths."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from firstbyte.errors import RouteError
from firstbyte.http.around import Around, Changed
from firstbyte.http.forwarded import Networks
from firstbyte.http.handler import Endpoint, Handler
from firstbyte.http.percent import encode_path
from firstbyte.http.request import Request


class Mount(Around):
    """A handler that answers below `prefix` ("/blog", or "/" for everything), for clients of `networks` if those are
    given. Raises RouteError for a bad prefix."""

    def __init__(self, prefix: str, handler: Handler, networks: Networks | None = None) -> None:
        if not prefix.startswith("/") or "{" in prefix or (prefix != "/" and prefix.endswith("/")):
            raise RouteError(
                f"the prefix {prefix!r} of a mount must begin with / and not end with it, without parameters"
            )
        if not callable(getattr(handler, "resolve", None)):
            raise RouteError(f"what is mounted at {prefix} must be a Handler, with resolve(request), not {handler!r}")
        self.prefix = "" if prefix == "/" else encode_path(prefix)  # as it is written in a request
        super().__init__(handler)
        self.handler = handler
        self.networks = networks
        self._compose: Callable[[Any, bool], tuple[Any, bool]]  # given by the app when it is built
        self._composed = Changed(self._compose_endpoint)

    def compose_with(self, compose: Callable[[Any, bool], tuple[Any, bool]]) -> None:
        """From now on, what `compose` puts around a call is around every call of the mounted handler."""
        self._compose = compose
        self._composed.clear()

    def matches(self, request: Request) -> bool:
        """True for a path below the prefix, of a client that it is for."""
        path, client = request.raw_path, request.client
        if not path.startswith(self.prefix) or path[len(self.prefix) :][:1] not in ("", "/"):
            return False
        return self.networks is None or (client is not None and client.host in self.networks)

    def resolve(self, request: Request) -> Endpoint:
        """The mounted handler's endpoint with the app's middleware and error handling around it."""
        request.move_to_mount(self.prefix)
        return self._composed[self.handler.resolve(request)]

    def _compose_endpoint(self, inner: Endpoint) -> Endpoint:
        call, is_async = self._compose(inner.call, inner.is_async)
        return inner.with_call(call, is_async=is_async)

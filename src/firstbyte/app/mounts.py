"""Other handlers below a prefix of an app's paths."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from firstbyte.errors import RouteError
from firstbyte.http.forwarded import Networks
from firstbyte.http.handler import Endpoint, Handler, lifespan_of
from firstbyte.http.request import Request
from firstbyte.http.url import encode_path

_REMEMBERED = 10_000  # endpoints of the mounted handler whose composed form is kept


class Mount:
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
        self.handler = handler
        self.networks = networks
        self._compose: Callable[[Any, bool], tuple[Any, bool]]  # given by the app when it is built
        self._composed: dict[Endpoint, Endpoint] = {}

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

    @property
    def is_async(self) -> bool:
        """Whether the mounted handler has coroutines (see `Handler`)."""
        return bool(getattr(self.handler, "is_async", False))

    def lifespan(self) -> AbstractAsyncContextManager[Any]:
        """The mounted handler's (see `Handler`)."""
        return lifespan_of(self.handler)

    def resolve(self, request: Request) -> Endpoint:
        """The mounted handler's endpoint with the app's middleware and error handling around it."""
        request.move_to_mount(self.prefix)
        inner = self.handler.resolve(request)
        endpoint = self._composed.get(inner)
        if endpoint is None:
            call, is_async = self._compose(inner.call, inner.is_async)
            endpoint = Endpoint(
                call,
                name=inner.name,
                is_async=is_async,
                cancel_on_disconnect=inner.cancel_on_disconnect if inner.is_async else None,
                streams_body=inner.streams_body,
                sends=inner.sends,
                max_body=inner.max_body,
                pace=inner.pace,
            )
            if len(self._composed) >= _REMEMBERED:
                self._composed.clear()
            self._composed[inner] = endpoint
        return endpoint

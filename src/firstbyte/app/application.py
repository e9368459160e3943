"""The App: from a request to the endpoint that answers it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any, Literal

from firstbyte.app.compose import Built, Surroundings, build
from firstbyte.app.failures import Failures
from firstbyte.app.foreign_wsgi import answer_wsgi
from firstbyte.app.registration import Registrar, Route, RouteTable
from firstbyte.app.routing import slash_toggled
from firstbyte.errors import ConfigurationError
from firstbyte.http.handler import Endpoint
from firstbyte.http.request import Request


class App(Registrar):
    """Routes requests to functions.

    `debug` shows tracebacks to the client. `trailing_slash` is what becomes of a path that only a slash at its end
    keeps from a route: "redirect" (308) sends the client to the route, "ignore" answers there, "strict" is a 404.
    Routes, middleware and error handlers can be added until the first request; it is a `Handler`, and a WSGI
    application for other servers.
    """

    def __init__(
        self, *, debug: bool = False, trailing_slash: Literal["redirect", "ignore", "strict"] = "redirect"
    ) -> None:
        if trailing_slash not in ("redirect", "ignore", "strict"):
            raise ConfigurationError(f"trailing_slash is redirect, ignore or strict, not {trailing_slash!r}")
        super().__init__(RouteTable())
        self.debug = debug
        self.trailing_slash = trailing_slash
        self._built: Built | None = None

    @property
    def routes(self) -> list[Route]:
        """Every route, in the order of adding."""
        return self._table.routes

    def url_for(self, name: str, /, **values: Any) -> str:
        """The path of the route of that name with these parameters. Raises LookupError."""
        return self._table.named(name).pattern.url(values)

    # -- answering

    @property
    def is_async(self) -> bool:
        """Whether a handler or a middleware is `async def`, here or in what is mounted (see `Handler`)."""
        return (self._built or self._build()).is_async

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Those of all that is mounted, the last one left first (see `Handler`)."""
        async with AsyncExitStack() as stack:
            for mount in self._mounts:
                await stack.enter_async_context(mount.lifespan())
            yield

    def resolve(self, request: Request) -> Endpoint:
        """See `Handler.resolve`."""
        built = self._built or self._build()
        methods = built.static.get(request.raw_path)
        if methods is None:
            return self._resolve_path(built, request)
        return methods[request.method]

    def __call__(self, *arguments: Any) -> Any:
        """Answers for another server, as the application that it calls: WSGI's (environ, start_response), ASGI 3's
        (scope, receive, send) or ASGI 2's (scope), which uvicorn tries first."""
        if len(arguments) == 2:
            return answer_wsgi(self, *arguments)
        from firstbyte.app.foreign_asgi import answer_asgi  # here, since asyncio takes long to import

        if len(arguments) == 3:
            return answer_asgi(self, *arguments)
        if len(arguments) == 1:
            return partial(answer_asgi, self, *arguments)
        raise TypeError(f"an App is called with 2 arguments by WSGI servers, with 3 by ASGI's, not {len(arguments)}")

    def _resolve_path(self, built: Built, request: Request) -> Endpoint:
        path = request.raw_path
        if path == "*":
            return built.asterisk
        try:
            found = built.router.find(path)
        except ValueError:
            return built.bad_path
        if found is not None:
            methods, request.path_params = found
            return methods[request.method]
        mount = next((mount for mount in self._mounts if mount.matches(path)), None)
        if self.trailing_slash != "strict" and path != "/" and not (mount and path == f"{mount.prefix}/"):
            found = built.router.find(slash_toggled(path))
            if found is not None:
                if self.trailing_slash == "redirect":
                    return built.redirect
                methods, request.path_params = found
                return methods[request.method]
        if mount is not None:
            if path == mount.prefix and self.trailing_slash == "redirect":
                return built.redirect  # from there, relative links of what is mounted would lead beside it
            return mount.resolve(request)
        return built.not_found

    def _build(self) -> Built:
        """Composes every endpoint; again after something was added."""
        failures = Failures(self._error_handlers, lambda: self.debug)
        self._built = build(self.routes, self._mounts, Surroundings(self._middleware, failures))
        return self._built

    def _changed(self) -> None:
        self._built = None

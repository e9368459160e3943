"""The App: from a request to the endpoint that answers it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from functools import partial
from typing import Any, Literal, TypeVar, Unpack, overload

from firstbyte.app.compose import build
from firstbyte.app.every import periodic
from firstbyte.app.lifespans import LifespanT, entered_in_order
from firstbyte.app.registration import Group, GroupOptions, Parts, Route
from firstbyte.app.resolving import Built, Resolver
from firstbyte.app.signals import Signals
from firstbyte.errors import ConfigurationError
from firstbyte.http.services import Periodic, periodic_of

EveryT = TypeVar("EveryT", bound=Callable[[], Any])


class App(Resolver, Group):
    """Routes requests to functions.

    `debug` shows tracebacks to the client. `trailing_slash` is what becomes of a path that only a slash at its end
    keeps from a route: "redirect" (308) sends the client to the route, "ignore" answers there, "strict" is a 404. The
    other options are those of groups. Whatever it consists of can be added until the first request; it is a `Handler`,
    and a WSGI or ASGI application for other servers.
    """

    def __init__(
        self,
        *,
        debug: bool = False,
        trailing_slash: Literal["redirect", "ignore", "strict"] = "redirect",
        **options: Unpack[GroupOptions],
    ) -> None:
        if trailing_slash not in ("redirect", "ignore", "strict"):
            raise ConfigurationError(f"trailing_slash is redirect, ignore or strict, not {trailing_slash!r}")
        self.debug = debug
        Resolver.__init__(self, trailing_slash)
        self._periodic: list[Periodic] = []
        self._signals = Signals(self._changed)
        self.request_started = self._signals.started
        self.request_finished = self._signals.finished
        self.request_failed = self._signals.failed
        Group.__init__(self, Parts(self._changed), None, "", None, options)

    @property
    def routes(self) -> list[Route]:
        """Every route, in the order of adding."""
        return self.parts.routes

    def url_for(self, name: str, /, **values: Any) -> str:
        """The path of the route of that name with these parameters; of a route of a host, //host/path.

        Raises LookupError.
        """
        route = self.parts.named(name)
        host = route.group.host_pattern
        if host is None:
            return route.pattern.url(values)
        rest = dict(values)
        return f"//{host.url(rest)}{route.pattern.url(rest)}"

    # -- answering

    @property
    def is_async(self) -> bool:
        """Whether a handler, a middleware or a lifespan is `async def`, here or in what is mounted (see `Handler`)."""
        return (self._built or self._build()).is_async

    @overload
    def lifespan(self, function: LifespanT) -> LifespanT: ...

    @overload
    def lifespan(self) -> AbstractAsyncContextManager[None]: ...

    def lifespan(self, function: Any = None) -> Any:
        """See `Group.lifespan`; without a function it is that of a `Handler`, all of them as one context."""
        if function is None:
            return entered_in_order(self.parts.contexts)
        return super().lifespan(function)

    def every(self, period: str | float | timedelta) -> Callable[[EveryT], EveryT]:
        """Decorator: the function is called again and again, once in each `period` ("30s", "5m", "1h", or seconds).

        In one process of those that serve the app, in a thread, or in the loop if it is `async def`; not while it still
        runs, nor when the server stops. What it raises is logged. Raises ConfigurationError for another period, or a
        function that takes something.
        """

        def decorate(function: EveryT) -> EveryT:
            self._periodic.append(periodic(function, period))
            return function

        return decorate

    @property
    def periodic(self) -> list[Periodic]:
        """What is to be done again and again, here and in what is mounted (see `Handler`)."""
        mounted = [each for _, mount in self.parts.mounts for each in periodic_of(mount.handler)]
        return [*self._periodic, *mounted]

    def __call__(self, *arguments: Any) -> Any:
        """Answers for another server, as the application that it calls: WSGI's (environ, start_response), ASGI 3's
        (scope, receive, send) or ASGI 2's (scope), which uvicorn tries first."""
        if len(arguments) == 2:
            from firstbyte.app.foreign_wsgi import answer_wsgi  # here, since most apps need neither

            return answer_wsgi(self, *arguments)
        from firstbyte.app.foreign_asgi import answer_asgi  # here, since asyncio takes long to import

        if len(arguments) == 3:
            return answer_asgi(self, *arguments)
        if len(arguments) == 1:
            return partial(answer_asgi, self, *arguments)
        raise TypeError(f"an App is called with 2 arguments by WSGI servers, with 3 by ASGI's, not {len(arguments)}")

    def _build(self) -> Built:
        """Composes every endpoint; again after something was added. What is mounted in an app in debug is, too."""
        for _, mount in self.parts.mounts if self.debug else ():
            if hasattr(mount.handler, "debug"):
                mount.handler.debug = True
        self._built = build(self.parts, self._signals, lambda: self.debug)
        return self._built

    def _changed(self) -> None:
        self._built = None

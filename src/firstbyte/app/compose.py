"""From what an app consists of to endpoints: the chain of each route is composed once, when the app is built."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from firstbyte.app.calls import bind, is_coroutine
from firstbyte.app.failures import Failures
from firstbyte.app.middleware import Failed, Middleware, guard, wrap
from firstbyte.app.mounts import Mount
from firstbyte.app.registration import Route
from firstbyte.app.routing import Router, allow, slash_toggled
from firstbyte.errors import HTTPError
from firstbyte.http.handler import Call, Endpoint
from firstbyte.http.request import Request
from firstbyte.http.response import Response


class Methods(dict[str, Endpoint]):
    """The endpoints of one path by method, and `other` for every method that has none."""

    other: Endpoint

    def __missing__(self, method: str) -> Endpoint:
        return self.other


class Built(NamedTuple):
    """The endpoints of an app. `static` is the router's, for the first look-up of all."""

    is_async: bool
    static: dict[str, Methods]
    router: Router[Methods]
    not_found: Endpoint
    bad_path: Endpoint
    redirect: Endpoint
    asterisk: Endpoint


class Surroundings(NamedTuple):
    """What goes around the calls of an app: its middleware, and the answers to errors."""

    middleware: Sequence[Middleware]
    failures: Failures

    def compose(
        self, inner: Callable[[Failed], Any], is_async: bool, middleware: Sequence[Middleware] = ()
    ) -> tuple[Any, bool]:
        """What `inner` makes, with these and the given middleware around it and error handling in and outside.

        The inner one answers the errors that have an answer, so that middleware sees those as responses. `is_async` is
        given and returned: whether it is a coroutine function.
        """
        around = [*self.middleware, *middleware]
        if not around:
            return inner(self.failures.unhandled), is_async
        call, is_async = wrap(inner(self.failures.handled_or_raised), is_async, around)
        return guard(call, is_async, self.failures.unhandled), is_async

    def guarded(self, call: Any, is_async: bool) -> tuple[Any, bool]:
        """A call that is no route's with middleware and error handling around it."""
        return self.compose(partial(guard, call, is_async), is_async)

    def fixed(self, call: Call, name: str) -> Endpoint:
        """An endpoint for an answer that needs no body."""
        composed, is_async = self.guarded(call, False)
        return Endpoint(composed, name=name, is_async=is_async, streams_body=True)

    def endpoint(self, route: Route) -> Endpoint:
        """The endpoint of a route."""
        inner = partial(bind, route.function, route.plan)
        awaits = is_coroutine(route.function) or route.plan.awaits
        call, is_async = self.compose(inner, awaits, route.middleware)
        return Endpoint(
            call,
            name=getattr(route.function, "__qualname__", route.name),
            is_async=is_async,
            streams_body=route.streams_body,
            max_body=route.max_body,
            cancel_on_disconnect=route.cancel_on_disconnect,
        )


def build(routes: Sequence[Route], mounts: Sequence[Mount], around: Surroundings) -> Built:
    """Composes every endpoint, and has the mounts composed like them."""
    router: Router[Methods] = Router()
    for route in routes:
        endpoint = around.endpoint(route)
        methods = router.at(route.pattern, Methods)
        for method in route.methods:
            methods[method] = endpoint
    for methods in router.values():
        if "GET" in methods:
            methods.setdefault("HEAD", methods["GET"])
        allowed = allow(methods)
        methods.setdefault("OPTIONS", around.fixed(_options(allowed), "OPTIONS"))
        methods.other = around.fixed(_method_not_allowed(allowed), "405")
    for mount in mounts:
        mount.compose_with(around.guarded)
    endpoints = [endpoint for methods in router.values() for endpoint in methods.values()]
    not_found = around.fixed(_not_found, "404")  # asynchronous where any middleware is, whatever routes there are
    is_async = any(endpoint.is_async for endpoint in (not_found, *endpoints)) or any(mount.is_async for mount in mounts)
    everywhere = allow(method for methods in router.values() for method in methods)
    return Built(
        is_async,
        router.static,
        router,
        not_found,
        around.fixed(_bad_path, "400"),
        around.fixed(_redirect, "308"),
        around.fixed(_options(everywhere), "*"),
    )


# -- answers that are no route's


def _not_found(request: Request) -> Response:
    raise HTTPError(404, f"nothing is at {request.path}")


def _bad_path(request: Request) -> Response:
    return Response(request.path)  # raises HTTPError 400 that says what is wrong with it


def _redirect(request: Request) -> Response:
    path = slash_toggled(request.root_path + request.raw_path)
    if path.startswith("//"):
        raise HTTPError(404)  # as a Location it would be another host's
    return Response.redirect(f"{path}?{request.raw_query}" if request.raw_query else path, 308)


def _options(allowed: str) -> Call:
    return lambda request: Response(b"", 204, {"Allow": allowed})


def _method_not_allowed(allowed: str) -> Call:
    def call(request: Request) -> Response:
        raise HTTPError(405, f"{request.method} is not allowed here: {allowed} are", {"Allow": allowed})

    return call

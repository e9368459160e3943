"""From what an app consists of to endpoints: the chain of each route is composed once, when the app is built."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from firstbyte.app.calls import bind, is_coroutine
from firstbyte.app.failures import Failures
from firstbyte.app.host_routing import ByHost, HostPattern
from firstbyte.app.lifespans import awaits
from firstbyte.app.middleware import Failed, Middleware, guard, wrap
from firstbyte.app.registration import Group, Parts, Route
from firstbyte.app.resolving import Area, Built, Gate, Methods, Mounted, Site
from firstbyte.app.routing import Router, allow, slash_toggled
from firstbyte.app.rules import Rule, name_of
from firstbyte.app.signals import Signals
from firstbyte.errors import HTTPError
from firstbyte.http.handler import Call, Endpoint
from firstbyte.http.request import Request
from firstbyte.http.response import Response


class Surroundings(NamedTuple):
    """What goes around the calls of a group: middleware from the app's on, answers to errors, signals, rules."""

    middleware: Sequence[Middleware]
    failures: Failures
    signals: Signals
    rules: Sequence[Rule]

    @classmethod
    def of(cls, group: Group, signals: Signals, debug: Callable[[], bool]) -> Surroundings:
        """Those of a group and all that it is in."""
        chain = group.chain
        handlers = [each.error_handlers for each in reversed(chain)]
        return cls(
            [each for outer in chain for each in outer.middlewares],
            Failures(handlers, debug, signals.failed.send),
            signals,
            [rule for outer in chain for rule in outer.rules],
        )

    def compose(
        self, inner: Callable[[Failed], Any], is_async: bool, middleware: Sequence[Middleware] = ()
    ) -> tuple[Any, bool]:
        """What `inner` makes, with these and the given middleware around it and error handling in and outside.

        The inner one answers the errors that have an answer, so that middleware sees those as responses. `is_async` is
        given and returned: whether it is a coroutine function.
        """
        around = [*self.middleware, *middleware]
        if around:
            call, is_async = wrap(inner(self.failures.handled_or_raised), is_async, around)
            call = guard(call, is_async, self.failures.unhandled)
        else:
            call = inner(self.failures.unhandled)
        return self.signals.around(call, is_async), is_async

    def guarded(self, call: Any, is_async: bool) -> tuple[Any, bool]:
        """A call that is no route's with middleware and error handling around it."""
        return self.compose(partial(guard, call, is_async), is_async)

    def fixed(self, call: Call, name: str, rule: str = "") -> Endpoint:
        """An endpoint for an answer that needs no body."""
        composed, is_async = self.guarded(call, False)
        return Endpoint(composed, name=name, is_async=is_async, streams_body=True, rule=rule)

    def endpoint(self, route: Route) -> Endpoint:
        """The endpoint of a route."""
        inner: Callable[[Failed], Any] = partial(bind, route.function, route.plan, check=self.failures.debug())
        is_async = is_coroutine(route.function) or route.plan.awaits
        if is_async and route.time_limit is not None:
            inner = partial(_limited, inner, route.time_limit)
        call, is_async = self.compose(inner, is_async, route.middleware)
        return Endpoint(
            call,
            name=getattr(route.function, "__qualname__", route.name),
            is_async=is_async,
            streams_body=route.streams_body,
            max_body=route.max_body,
            cancel_on_disconnect=route.cancel_on_disconnect,
        )

    def gate(self, rules: Sequence[Rule] = ()) -> Gate:
        """These and the given rules."""
        return tuple((rule, self._refusal(rule)) for rule in (*self.rules, *rules))

    def area(self, group: Group) -> Area:
        """What is answered where no route of the group is."""
        return Area(
            group,
            self.gate(),
            self.fixed(_not_found, "404"),
            self.fixed(_bad_path, "400"),
            self.fixed(_redirect, "308"),
        )

    def _refusal(self, rule: Rule) -> Endpoint:
        name = name_of(rule)
        return self.fixed(_refused, f"refused: {name}", name)


def build(parts: Parts, signals: Signals, debug: Callable[[], bool]) -> Built:
    """Composes every endpoint, and has the mounts composed like them."""
    around = {group: Surroundings.of(group, signals, debug) for group in parts.groups}
    areas = [around[group].area(group) for group in parts.groups]
    mounted = []
    for group, mount in parts.mounts:
        mount.compose_with(around[group].guarded)
        mounted.append((group, Mounted(mount, around[group].gate())))
    everywhere = _router([route for route in parts.routes if route.group.host_pattern is None], around)
    hosts: list[tuple[HostPattern, Site]] = []
    for pattern in {
        group.host_pattern.text: group.host_pattern for group in parts.groups if group.host_pattern
    }.values():
        own = [route for route in parts.routes if _is_for(route.group, pattern)]
        site = Site(_router(own, around), *_of_host(pattern, areas, mounted))
        for route in parts.routes:
            if route.group.host_pattern is None and not site.router.holds(route.pattern):
                methods = everywhere.at(route.pattern, Methods)
                site.router.at(route.pattern, lambda methods=methods: methods)  # type: ignore[misc]
        hosts.append((pattern, site))
    site = Site(everywhere, *_of_host(None, areas, mounted))
    root = around[parts.groups[0]]
    sites = [site, *(each for _, each in hosts)]
    endpoints = [each for a_site in sites for methods in a_site.router.values() for each in methods.endpoints.values()]
    allowed = allow(method for methods in everywhere.values() for method in methods.endpoints)
    return Built(
        # The 404s are asynchronous where any middleware is, whatever routes there are.
        any(endpoint.is_async for endpoint in (*(area.not_found for area in areas), *endpoints))
        or any(mount.is_async for _, mount in parts.mounts)
        or any(map(awaits, parts.lifespans)),
        {} if hosts else {path: methods for path, methods in everywhere.static.items() if not methods.gates},
        site,
        ByHost(hosts, site) if hosts else None,
        root.fixed(_options(allowed), "*"),
        root.gate(),
    )


def _router(routes: Sequence[Route], around: dict[Group, Surroundings]) -> Router[Methods]:
    """The endpoints of these routes, and for every path of theirs OPTIONS and what other methods get."""
    router: Router[Methods] = Router()
    rules: dict[Endpoint, Gate] = {}
    first: dict[int, Route] = {}  # of each path
    for route in routes:
        endpoint = around[route.group].endpoint(route)
        rules[endpoint] = around[route.group].gate(route.rules)
        methods = router.at(route.pattern, Methods)
        first.setdefault(id(methods), route)
        for method in route.methods:
            methods.endpoints[method] = endpoint
    for methods in router.values():
        group = first[id(methods)].group
        endpoints = methods.endpoints
        if "GET" in endpoints:
            endpoints.setdefault("HEAD", endpoints["GET"])
        allowed = allow(endpoints)
        endpoints.setdefault("OPTIONS", around[group].fixed(_options(allowed), "OPTIONS"))
        methods.other = around[group].fixed(_method_not_allowed(allowed), "405")
        gates = {each: rules.get(each) or around[group].gate() for each in (methods.other, *endpoints.values())}
        methods.gates = gates if any(gates.values()) else {}
        methods.in_host = group.host_pattern is not None
    return router


def _of_host(
    pattern: HostPattern | None, areas: Sequence[Area], mounted: Sequence[tuple[Group, Mounted]]
) -> tuple[list[Mounted], list[Area]]:
    """The mounts and areas for a host, its own before those for all; the longer prefix first."""

    def is_here(group: Group) -> bool:
        return group.host_pattern is None or (pattern is not None and _is_for(group, pattern))

    mounts = [(group, each) for group, each in mounted if is_here(group)]
    mounts.sort(key=lambda pair: (pair[0].host_pattern is None, -len(pair[1].mount.prefix), not pair[1].mount.networks))
    here = [area for area in areas if is_here(area.group)]
    here.sort(key=lambda area: (area.group.host_pattern is None, -len(area.group.prefix), len(area.group.chain)))
    return [each for _, each in mounts], here


def _is_for(group: Group, pattern: HostPattern) -> bool:
    return group.host_pattern is not None and group.host_pattern.text == pattern.text


def _limited(inner: Callable[[Failed], Any], seconds: float, failed: Failed) -> Any:
    """The coroutine function that `inner` makes, cancelled after so many seconds and answered with 503."""
    from asyncio import timeout  # here, since it takes long to import

    call = inner(failed)

    async def run(request: Request) -> Response:
        limit = timeout(seconds)
        try:
            async with limit:
                response: Response = await call(request)
        except TimeoutError:
            if not limit.expired():
                raise
            return failed(request, HTTPError(503, f"this took longer than the {seconds:g} s that it may"))
        return response

    return run


# -- answers that are no route's


def _refused(request: Request) -> Response:
    assert request.refusal is not None
    raise request.refusal


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

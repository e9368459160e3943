"""What an app consists of, as it was added: routes, and what goes around them, in groups within groups."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple, TypedDict, TypeVar, Unpack, overload

from firstbyte.app.calls import annotations_of, is_coroutine
from firstbyte.app.failures import ErrorHandlers
from firstbyte.app.host_routing import HostPattern
from firstbyte.app.lifespans import Lifespan, LifespanT, Opens, check_lifespan, entered
from firstbyte.app.middleware import Middleware, check_middleware, place
from firstbyte.app.mounts import Mount
from firstbyte.app.params import Plan, make_plan
from firstbyte.app.plugins import install
from firstbyte.app.providers import Provider, check_cycles, provided_by
from firstbyte.app.routing import Pattern, Router
from firstbyte.app.rules import Rule, check_rule, max_body
from firstbyte.errors import ConfigurationError, RouteError
from firstbyte.http.forwarded import Networks
from firstbyte.http.handler import Handler
from firstbyte.http.headers import TOKEN

Function = TypeVar("Function", bound=Callable[..., Any])


class GroupOptions(TypedDict, total=False):
    """What can be said of all that a group has.

    `name` goes before the names of its routes, with a dot; `middleware` and `rules` are as those that are added later;
    `max_body` (bytes) and `time_limit` (seconds, for coroutines) hold for routes that do not say otherwise.
    """

    name: str
    middleware: Sequence[Middleware]
    rules: Sequence[Rule]
    max_body: int | None
    time_limit: float | None


class RouteOptions(TypedDict, total=False):
    """What can be said of a route besides its path, methods and function: see `Group.add_route`."""

    name: str | None
    middleware: Sequence[Middleware]
    rules: Sequence[Rule]
    max_body: int | None
    time_limit: float | None
    streams_body: bool
    cancel_on_disconnect: bool | None


class Route(NamedTuple):
    """One route as it was added; `name` has those of its groups before it, the other options are `RouteOptions`."""

    group: Group
    pattern: Pattern
    methods: tuple[str, ...]
    function: Callable[..., Any]
    plan: Plan
    name: str = ""
    middleware: tuple[Middleware, ...] = ()
    rules: tuple[Rule, ...] = ()
    max_body: int | None = None
    time_limit: float | None = None
    streams_body: bool = False
    cancel_on_disconnect: bool | None = None


class Parts:
    """All that an app and its groups have, each kind in the order of adding.

    `changed` is called when what was composed of them is out of date.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self.changed = changed
        self.groups: list[Group] = []
        self.routes: list[Route] = []
        self.mounts: list[tuple[Group, Mount]] = []
        self.lifespans: list[Lifespan] = []
        self.contexts: list[Opens] = []  # of the lifespans and the mounts
        self._by_name: dict[str, Route] = {}
        self._by_host: dict[str, Router[dict[str, Route]]] = {}

    def add_route(self, route: Route, is_named: bool) -> None:
        """Adds a route; a name that was not given (`is_named`) is the first route's that has it.

        Raises RouteError if another route of the host has the path and a method, or any has the name that was given.
        """
        host = "" if route.group.host_pattern is None else route.group.host_pattern.text
        with _naming(route.function):
            taken = self._by_host.setdefault(host, Router()).at(route.pattern, dict)
        for method in route.methods:
            if method in taken:
                raise RouteError(f"{method} {host}{route.pattern.text} is the route of {_both(taken[method], route)}")
        if is_named and route.name in self._by_name:
            raise RouteError(f"the name {route.name!r} is that of {_both(self._by_name[route.name], route)}")
        for method in route.methods:
            taken[method] = route
        if route.name:
            self._by_name.setdefault(route.name, route)
        self.routes.append(route)
        self.changed()

    def named(self, name: str) -> Route:
        """The route of that name. Raises LookupError."""
        route = self._by_name.get(name)
        if route is None:
            raise LookupError(f"no route has the name {name!r}: there are {', '.join(sorted(self._by_name)) or 'none'}")
        return route


class Group:
    """Routes below one prefix, or of one host, and what goes around them; an App is the outermost one.

    What is added to a group holds for its routes and for every path below its prefix that is nobody's, so that its
    error handlers answer the 404 there, too. `App.group` and `App.host` make one.
    """

    def __init__(
        self, parts: Parts, parent: Group | None, prefix: str, host: HostPattern | None, options: GroupOptions
    ) -> None:
        if prefix and (not prefix.startswith("/") or prefix.endswith("/") or ":path}" in prefix):
            raise RouteError(f'the prefix {prefix!r} of a group must begin with / and not end with it: "/api"')
        self.parts = parts
        self.parent = parent
        self.prefix: str = prefix if parent is None else parent.prefix + prefix
        self.host_pattern = host
        names: list[str] = [
            name for name in (parent.name if parent is not None else "", options.get("name", "")) if name
        ]
        self.name: str = ".".join(names)
        self.max_body: int | None = options.get("max_body", None if parent is None else parent.max_body)
        self.time_limit: float | None = options.get("time_limit", None if parent is None else parent.time_limit)
        self.middlewares: list[Middleware] = []
        self.rules: list[Rule] = []
        self.error_handlers = ErrorHandlers()
        own: MutableMapping[Any, Provider] = {}
        self._providers: ChainMap[Any, Provider] = (
            ChainMap(own) if parent is None else ChainMap(own, *parent._providers.maps)
        )
        for middleware in options.get("middleware", ()):
            self.middleware(middleware)
        for rule in options.get("rules", ()):
            self.rule(rule)
        self.pattern = Pattern(self.prefix or "/")
        parts.groups.append(self)
        parts.changed()

    @property
    def chain(self) -> list[Group]:
        """The groups that this one is in and itself, the app first."""
        return [self] if self.parent is None else [*self.parent.chain, self]

    # -- groups

    def group(self, prefix: str = "", **options: Unpack[GroupOptions]) -> Group:
        """A group of the routes below `prefix` ("/api", with parameters where wanted); without one, of some routes.

        Its middleware goes around inside this one's, its rules come after, its error handlers are asked first. Raises
        RouteError for a bad prefix.
        """
        return Group(self.parts, self, prefix, self.host_pattern, options)

    def host(self, pattern: str, **options: Unpack[GroupOptions]) -> Group:
        """A group of routes for the requests of one host: "api.example.org", or "{tenant}.example.org", whose handlers
        take `tenant` as they take what is in the path.

        A path that the host's routes have is theirs, whatever the method; on others, the app's routes for every host
        answer there, too. Raises RouteError for what is no host, or within a group that has one.
        """
        if self.host_pattern is not None:
            raise RouteError(f"the host {pattern!r} would be within the host {self.host_pattern.text!r}")
        return Group(self.parts, self, "", HostPattern(pattern), options)

    # -- routes

    def route(
        self, path: str, methods: Sequence[str] = ("GET",), **options: Unpack[RouteOptions]
    ) -> Callable[[Function], Function]:
        """Decorator: the function answers requests of these methods to this path. See `add_route`."""

        def decorate(function: Function) -> Function:
            self.add_route(path, function, methods, **options)
            return function

        return decorate

    def get(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[Function], Function]:
        """Decorator: `route` for GET; HEAD is answered with it too."""
        return self.route(path, ("GET",), **options)

    def post(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[Function], Function]:
        """Decorator: `route` for POST."""
        return self.route(path, ("POST",), **options)

    def put(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[Function], Function]:
        """Decorator: `route` for PUT."""
        return self.route(path, ("PUT",), **options)

    def patch(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[Function], Function]:
        """Decorator: `route` for PATCH."""
        return self.route(path, ("PATCH",), **options)

    def delete(self, path: str, **options: Unpack[RouteOptions]) -> Callable[[Function], Function]:
        """Decorator: `route` for DELETE."""
        return self.route(path, ("DELETE",), **options)

    def add_route(
        self,
        path: str,
        function: Callable[..., Any],
        methods: Sequence[str] = ("GET",),
        **options: Unpack[RouteOptions],
    ) -> None:
        """Has `function` answer requests of these methods to this path, which goes on behind the group's prefix.

        `name` (default: the function's) is what `url_for` takes; `middleware` goes around this route alone, inside the
        group's, and `rules` come after the group's; `max_body` is in bytes; a coroutine that takes longer than
        `time_limit` seconds is cancelled and answered with 503. With `streams_body` the function is called before the
        body has come and reads it with `request.stream()`. `cancel_on_disconnect` is that of `Endpoint`. Raises
        RouteError if another route has the path and a method, or the name, and if the function does not take what the
        path gives.
        """
        _check_methods(function, methods)
        for around in options.get("middleware", ()):
            check_middleware(around)
        for rule in options.get("rules", ()):
            check_rule(rule)
        if options.get("time_limit") is not None and not is_coroutine(function):
            raise RouteError(f"{place(function)} has a time_limit, but runs in a thread, which cannot be stopped")
        hosted = () if self.host_pattern is None else self.host_pattern.parameters
        with _naming(function):
            pattern = Pattern(self.prefix + path, annotations_of(function), hosted)
        # To refuse here, where the traceback shows the route, what cannot be called.
        plan = make_plan(function, annotations_of(function), pattern, methods, self._providers)
        if options.get("streams_body") and is_coroutine(function) and plan.reads_body:
            raise RouteError(
                f"{place(function)}: a coroutine with streams_body reads the body itself, and cannot have "
                f"{' and '.join(plan.reads_body)} from it as well"
            )
        given: dict[str, Any] = {"max_body": self.max_body, "time_limit": self.time_limit, **options}
        own_name = str(getattr(function, "__name__", ""))
        name = given.get("name") or (own_name if own_name.isidentifier() else "")
        given["name"] = f"{self.name}.{name}" if self.name and name else name
        given["middleware"] = tuple(given.get("middleware", ()))
        limit = given["max_body"]
        given["rules"] = (*given.get("rules", ()), *(() if limit is None else (max_body(limit),)))
        self.parts.add_route(
            Route(self, pattern, tuple(methods), function, plan, **given), options.get("name") is not None
        )

    def websocket(
        self,
        path: str,
        *,
        name: str | None = None,
        middleware: Sequence[Middleware] = (),
        rules: Sequence[Rule] = (),
        **options: Any,
    ) -> Callable[[Function], Function]:
        """Decorator: the function has the WebSockets of this path; `options` are those of `websocket.Options`.

        It takes what handlers take, and a `WebSocket` (async def) or `SyncWebSocket` (def), which is open when the
        function is called and closed when it returns. Who is refused by a rule, a provider, a middleware or the
        handshake gets an answer of HTTP. Raises RouteError as `add_route`.
        """
        from firstbyte.app.websocket import upgrading  # here, since most apps have none
        from firstbyte.websocket import Options

        chosen = Options(**options)

        def decorate(function: Function) -> Function:
            self.add_route(path, upgrading(function, chosen), name=name, middleware=middleware, rules=rules)
            return function

        return decorate

    def mount(self, prefix: str, handler: Handler, *, host: str | None = None, networks: str | None = None) -> None:
        """Gives every path below `prefix` that no route of the app takes to another handler; the longest prefix wins.

        The handler sees the path without the prefix. The middleware, rules and error handlers of this group go around
        it. With `host` ("{tenant}.example.org") it is for requests to that alone, with `networks`
        ("10.0.0.0/8,::1") for clients there: to others nothing is mounted. Raises RouteError.
        """
        if host is not None:
            self.host(host).mount(prefix, handler, networks=networks)
            return
        below = self.prefix + prefix if prefix != "/" or not self.prefix else self.prefix
        mount = Mount(below, handler, None if networks is None else Networks.parse(networks))
        self.parts.mounts.append((self, mount))
        self.parts.contexts.append(mount.lifespan)
        self.parts.changed()

    # -- what goes around them

    def middleware(self, function: Middleware) -> Middleware:
        """Decorator: a generator function of the request goes around everything; the first one added is outermost.

        It sees the request before its one `yield` and the response as the value of it; what it returns is sent instead.
        An HTTPError, and an error that has a handler, has become a response by then; any other is thrown in there.
        """
        check_middleware(function)
        self.middlewares.append(function)
        self.parts.changed()
        return function

    def rule(self, rule: Rule) -> Rule:
        """Adds a rule (also a decorator): a function of the request that returns None, or the HTTPError that refuses
        it. It is asked as soon as the head is there, the first one added first, and must not wait."""
        self.rules.append(check_rule(rule))
        self.parts.changed()
        return rule

    @overload
    def provide(self, function: Function) -> Function: ...

    @overload
    def provide(self, *, after_response: bool = False) -> Callable[[Function], Function]: ...

    def provide(self, function: Any = None, *, after_response: bool = False) -> Any:
        """Decorator: the function provides what its return annotation names to handlers that ask for it by type.

        One with a yield is ended after the handler, with the handler's exception thrown in; with `after_response`, when
        the answer is sent, and then what it raises is logged. It is called once a request, and takes what handlers
        take, of other providers what those before it give. Add it above what asks for it. One of a group stands there
        in the place of the app's. Raises ConfigurationError if it does not say what it provides, or another one
        provides that.
        """
        if function is None:
            return partial(self._provide, after_response)
        return self._provide(after_response, function)

    def _provide(self, after_response: bool, function: Function) -> Function:
        hints = annotations_of(function)
        kind = provided_by(function, hints)
        own = self._providers.maps[0]
        if kind in own:
            raise ConfigurationError(f"{place(own[kind].function)} and {place(function)} both provide {kind!r}")
        plan = make_plan(function, hints, providers=self._providers)
        own[kind] = Provider(kind, function, plan, after_response)
        return function

    @contextmanager
    def override(self, kind: Any, function: Callable[..., Any]) -> Iterator[None]:
        """For tests: `with app.override(Session, fake_session):` another function provides `kind` meanwhile.

        Raises LookupError if nothing provides that, and ConfigurationError where the function asks for what itself is
        asked for by.
        """
        provider = self._providers[kind]
        before = provider.function, provider.plan
        provider.use(function, make_plan(function, annotations_of(function), providers=self._providers))
        try:
            check_cycles(provider)
            self.parts.changed()
            yield
        finally:
            provider.use(*before)
            self.parts.changed()

    def error(self, kind: int | type[Exception]) -> Callable[[Function], Function]:
        """Decorator: the function of the request and the error answers a status (404) or a type of exception.

        The most specific type wins; the handler of a status also answers the app's own 404, 405 and 500.
        """

        def decorate(function: Function) -> Function:
            self.error_handlers.add(kind, function)
            return function

        return decorate

    def lifespan(self, function: LifespanT) -> LifespanT:
        """Decorator: a generator function of the app opens something before its yield, and closes it after.

        It runs before the first request is accepted, and goes on when the last is answered; several, and those of what
        is mounted, in the order of adding, and back in reverse. What it raises ends the start. A plain generator runs
        where nothing is `async def`, too. Raises ConfigurationError for what is no generator of one thing.
        """
        check_lifespan(function)
        self.parts.lifespans.append(function)
        self.parts.contexts.append(partial(entered, function, self.chain[0]))
        self.parts.changed()
        return function

    def install(self, plugin: Any, **options: Any) -> Any:
        """Has a plugin add what it adds: a function, called with this and the options; an object with
        `install(app, **options)`; or the name of one that an installed package offers. Returns what it returns.

        Raises ConfigurationError for what is no plugin, or does not take these options.
        """
        return install(plugin, self, options)


@contextmanager
def _naming(function: Callable[..., Any]) -> Iterator[None]:
    """Has a RouteError of the block say whose path it is about."""
    try:
        yield
    except RouteError as error:
        raise RouteError(f"{place(function)}: {error}") from None


def _check_methods(function: Callable[..., Any], methods: Sequence[str]) -> None:
    if isinstance(methods, str) or not methods:
        raise RouteError(f"{place(function)}: methods is a list of names such as ['GET'], not {methods!r}")
    for method in methods:
        if TOKEN.fullmatch(method) is None or method != method.upper() or method == "*":
            raise RouteError(f"{place(function)}: {method!r} is no method: write its name, in capitals")


def _both(one: Route, other: Route) -> str:
    return f"both {place(one.function)} and {place(other.function)}"

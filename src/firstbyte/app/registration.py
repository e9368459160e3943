"""What an app consists of, as it was added: routes, middleware, providers, error handlers and mounts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, TypedDict, TypeVar, Unpack

from firstbyte.app.calls import annotations_of, is_coroutine
from firstbyte.app.failures import ErrorHandlers
from firstbyte.app.middleware import Middleware, check_middleware, place
from firstbyte.app.mounts import Mount
from firstbyte.app.params import Plan, make_plan
from firstbyte.app.providers import Provider, provided_by
from firstbyte.app.routing import Pattern, Router
from firstbyte.app.websocket import upgrading
from firstbyte.errors import ConfigurationError, RouteError
from firstbyte.http.handler import Handler
from firstbyte.http.headers import TOKEN
from firstbyte.websocket import Options

Function = TypeVar("Function", bound=Callable[..., Any])


class RouteOptions(TypedDict, total=False):
    """What can be said of a route besides its path, methods and function: see `Registrar.add_route`."""

    name: str | None
    middleware: Sequence[Middleware]
    max_body: int | None
    streams_body: bool
    cancel_on_disconnect: bool | None


class Route(NamedTuple):
    """One route as it was added; the options are those of `RouteOptions`."""

    pattern: Pattern
    methods: tuple[str, ...]
    function: Callable[..., Any]
    plan: Plan
    name: str = ""
    middleware: tuple[Middleware, ...] = ()
    max_body: int | None = None
    streams_body: bool = False
    cancel_on_disconnect: bool | None = None


class RouteTable:
    """Every route of an app: no two have a path and a method, or a name that was given, in common."""

    def __init__(self) -> None:
        self.routes: list[Route] = []
        self._methods: Router[dict[str, Route]] = Router()
        self._by_name: dict[str, Route] = {}

    def add(self, route: Route, is_named: bool) -> None:
        """Adds a route; a name that was not given (`is_named`) is the first route's that has it. Raises RouteError."""
        taken = self._methods.at(route.pattern, dict)
        for method in route.methods:
            if method in taken:
                raise RouteError(f"{method} {route.pattern.text} is the route of {_both(taken[method], route)}")
        if is_named and route.name in self._by_name:
            raise RouteError(f"the name {route.name!r} is that of {_both(self._by_name[route.name], route)}")
        for method in route.methods:
            taken[method] = route
        if route.name:
            self._by_name.setdefault(route.name, route)
        self.routes.append(route)

    def named(self, name: str) -> Route:
        """The route of that name. Raises LookupError."""
        route = self._by_name.get(name)
        if route is None:
            raise LookupError(f"no route has the name {name!r}: there are {', '.join(sorted(self._by_name)) or 'none'}")
        return route


class Registrar:
    """What routes, and what goes around them, are added to. Each addition calls `_changed`."""

    def __init__(self, table: RouteTable) -> None:
        self._table = table
        self._middleware: list[Middleware] = []
        self._providers: dict[Any, Provider] = {}
        self._mounts: list[Mount] = []
        self._error_handlers = ErrorHandlers()

    def _changed(self) -> None:
        """What has been composed so far is out of date."""

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
        """Has `function` answer requests of these methods to this path.

        `name` (default: the function's) is what `url_for` takes; `middleware` goes around this route alone, inside the
        app's; `max_body` is in bytes. With `streams_body` the function is called before the body has come and reads it
        with `request.stream()`. `cancel_on_disconnect` is that of `Endpoint`. Raises RouteError if another route has
        the path and a method, or the name, and if the function does not take what the path gives.
        """
        _check_methods(function, methods)
        for around in options.get("middleware", ()):
            check_middleware(around)
        pattern = Pattern(path, annotations_of(function))
        # To refuse here, where the traceback shows the route, what cannot be called.
        plan = make_plan(function, annotations_of(function), pattern, methods, self._providers)
        if options.get("streams_body") and is_coroutine(function) and plan.reads_body:
            raise RouteError(
                f"{place(function)}: a coroutine with streams_body reads the body itself, and cannot have "
                f"{' and '.join(plan.reads_body)} from it as well"
            )
        given: dict[str, Any] = dict(options)
        is_named = given.get("name") is not None
        given["name"] = given.get("name") or str(getattr(function, "__name__", ""))
        given["middleware"] = tuple(given.get("middleware", ()))
        self._table.add(Route(pattern, tuple(methods), function, plan, **given), is_named)
        self._changed()

    def websocket(
        self, path: str, *, name: str | None = None, middleware: Sequence[Middleware] = (), **options: Any
    ) -> Callable[[Function], Function]:
        """Decorator: the function has the WebSockets of this path; `options` are those of `websocket.Options`.

        It takes what handlers take, and a `WebSocket` (async def) or `SyncWebSocket` (def), which is open when the
        function is called and closed when it returns. Who is refused by a provider, a middleware or the handshake gets
        an answer of HTTP. Raises RouteError as `add_route`.
        """
        chosen = Options(**options)

        def decorate(function: Function) -> Function:
            self.add_route(path, upgrading(function, chosen), name=name, middleware=middleware)
            return function

        return decorate

    def mount(self, prefix: str, handler: Handler) -> None:
        """Gives every path below `prefix` that no route of this app takes to another handler; the longest prefix wins.

        The handler sees the path without the prefix. This app's middleware and error handlers go around it.
        """
        self._mounts.append(Mount(prefix, handler))
        self._mounts.sort(key=lambda mount: -len(mount.prefix))
        self._changed()

    # -- what goes around them

    def middleware(self, function: Middleware) -> Middleware:
        """Decorator: a generator function of the request goes around everything; the first one added is outermost.

        It sees the request before its one `yield` and the response as the value of it; what it returns is sent instead.
        An HTTPError, and an error that has a handler, has become a response by then; any other is thrown in there.
        """
        check_middleware(function)
        self._middleware.append(function)
        self._changed()
        return function

    def provide(self, function: Function) -> Function:
        """Decorator: the function provides what its return annotation names to handlers that ask for it by type.

        One with a yield is ended after the handler, with the handler's exception thrown in. It is called once a
        request, and takes what handlers take, of other providers what those before it give. Add it above what asks for
        it. Raises ConfigurationError if it does not say what it provides, or another one provides that.
        """
        hints = annotations_of(function)
        kind = provided_by(function, hints)
        if kind in self._providers:
            other = self._providers[kind].function
            raise ConfigurationError(f"{place(other)} and {place(function)} both provide {kind!r}")
        self._providers[kind] = Provider(kind, function, make_plan(function, hints, providers=self._providers))
        return function

    @contextmanager
    def override(self, kind: Any, function: Callable[..., Any]) -> Iterator[None]:
        """For tests: `with app.override(Session, fake_session):` another function provides `kind` meanwhile.

        Raises LookupError if nothing provides that.
        """
        provider = self._providers[kind]
        before = provider.function, provider.plan
        provider.use(function, make_plan(function, annotations_of(function), providers=self._providers))
        self._changed()
        try:
            yield
        finally:
            provider.use(*before)
            self._changed()

    def error(self, kind: int | type[Exception]) -> Callable[[Function], Function]:
        """Decorator: the function of the request and the error answers a status (404) or a type of exception.

        The most specific type wins; the handler of a status also answers the app's own 404, 405 and 500.
        """

        def decorate(function: Function) -> Function:
            self._error_handlers.add(kind, function)
            return function

        return decorate


def _check_methods(function: Callable[..., Any], methods: Sequence[str]) -> None:
    if isinstance(methods, str) or not methods:
        raise RouteError(f"{place(function)}: methods is a list of names such as ['GET'], not {methods!r}")
    for method in methods:
        if TOKEN.fullmatch(method) is None or method != method.upper() or method == "*":
            raise RouteError(f"{place(function)}: {method!r} is no method: write its name, in capitals")


def _both(one: Route, other: Route) -> str:
    return f"both {place(one.function)} and {place(other.function)}"

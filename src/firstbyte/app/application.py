"""The App: routes, middleware and error handlers, composed into endpoints once, when the first request comes."""

from __future__ import annotations

import logging
import secrets
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from typing import Any, Literal, NamedTuple, TypeVar

from firstbyte.app.calls import annotations_of, bind, is_coroutine
from firstbyte.app.foreign_wsgi import answer_wsgi
from firstbyte.app.middleware import Failed, Middleware, check_middleware, guard, place, wrap
from firstbyte.app.mounts import Mount
from firstbyte.app.pages import debug_response, error_response
from firstbyte.app.params import Plan, make_plan
from firstbyte.app.providers import Provider, provided_by
from firstbyte.app.results import to_response
from firstbyte.app.routing import Pattern, Router, allow, slash_toggled
from firstbyte.app.websocket import upgrading
from firstbyte.errors import ClientDisconnected, ConfigurationError, HTTPError, RouteError, ValidationError
from firstbyte.http.handler import Call, Endpoint, Handler
from firstbyte.http.headers import TOKEN
from firstbyte.http.request import Request
from firstbyte.http.response import Response
from firstbyte.websocket import Options

logger = logging.getLogger("firstbyte.app")

Function = TypeVar("Function", bound=Callable[..., Any])
ErrorHandler = Callable[[Request, Exception], Any]


class Route(NamedTuple):
    """One route as it was added."""

    pattern: Pattern
    methods: tuple[str, ...]
    function: Callable[..., Any]
    name: str
    middleware: tuple[Middleware, ...]
    max_body: int | None
    streams_body: bool
    cancel_on_disconnect: bool | None
    plan: Plan


class App:
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
        self.debug = debug
        self.trailing_slash = trailing_slash
        self.routes: list[Route] = []
        self._methods: Router[dict[str, Route]] = Router()
        self._by_name: dict[str, Route] = {}
        self._middleware: list[Middleware] = []
        self._providers: dict[Any, Provider] = {}
        self._mounts: list[Mount] = []
        self._on_status: dict[int, ErrorHandler] = {}
        self._on_type: dict[type[Exception], ErrorHandler] = {}
        self._built: _Built | None = None

    # -- what it consists of

    def route(
        self,
        path: str,
        methods: Sequence[str] = ("GET",),
        *,
        name: str | None = None,
        middleware: Sequence[Middleware] = (),
        max_body: int | None = None,
        streams_body: bool = False,
        cancel_on_disconnect: bool | None = None,
    ) -> Callable[[Function], Function]:
        """Decorator: the function answers requests of these methods to this path. See `add_route`."""

        def decorate(function: Function) -> Function:
            self.add_route(
                path, function, methods, name=name, middleware=middleware, max_body=max_body, streams_body=streams_body,
                cancel_on_disconnect=cancel_on_disconnect,
            )  # fmt: skip
            return function

        return decorate

    def get(self, path: str, **options: Any) -> Callable[[Function], Function]:
        """Decorator: `route` for GET; HEAD is answered with it too."""
        return self.route(path, ("GET",), **options)

    def post(self, path: str, **options: Any) -> Callable[[Function], Function]:
        """Decorator: `route` for POST."""
        return self.route(path, ("POST",), **options)

    def put(self, path: str, **options: Any) -> Callable[[Function], Function]:
        """Decorator: `route` for PUT."""
        return self.route(path, ("PUT",), **options)

    def patch(self, path: str, **options: Any) -> Callable[[Function], Function]:
        """Decorator: `route` for PATCH."""
        return self.route(path, ("PATCH",), **options)

    def delete(self, path: str, **options: Any) -> Callable[[Function], Function]:
        """Decorator: `route` for DELETE."""
        return self.route(path, ("DELETE",), **options)

    def add_route(
        self,
        path: str,
        function: Callable[..., Any],
        methods: Sequence[str] = ("GET",),
        *,
        name: str | None = None,
        middleware: Sequence[Middleware] = (),
        max_body: int | None = None,
        streams_body: bool = False,
        cancel_on_disconnect: bool | None = None,
    ) -> None:
        """Has `function` answer requests of these methods to this path.

        `name` (default: the function's) is what `url_for` takes; `middleware` goes around this route alone, inside the
        app's; `max_body` is in bytes. With `streams_body` the function is called before the body has come and reads it
        with `request.stream()`. `cancel_on_disconnect` is that of `Endpoint`. Raises RouteError if another route has
        the path and a method, or the name, and if the function does not take what the path gives.
        """
        if isinstance(methods, str) or not methods:
            raise RouteError(f"{place(function)}: methods is a list of names such as ['GET'], not {methods!r}")
        for method in methods:
            if TOKEN.fullmatch(method) is None or method != method.upper() or method == "*":
                raise RouteError(f"{place(function)}: {method!r} is no method: write its name, in capitals")
        for around in middleware:
            check_middleware(around)
        pattern = Pattern(path, annotations_of(function))
        # To refuse here, where the traceback shows the route, what cannot be called.
        plan = make_plan(function, annotations_of(function), pattern, methods, self._providers)
        if streams_body and is_coroutine(function) and plan.reads_body:
            raise RouteError(
                f"{place(function)}: a coroutine with streams_body reads the body itself, and cannot have "
                f"{' and '.join(plan.reads_body)} from it as well"
            )
        route_name = name or str(getattr(function, "__name__", ""))
        route = Route(
            pattern,
            tuple(methods),
            function,
            route_name,
            tuple(middleware),
            max_body,
            streams_body,
            cancel_on_disconnect,
            plan,
        )
        taken = self._methods.at(pattern, dict)
        for method in methods:
            if method in taken:
                other = taken[method].function
                raise RouteError(f"{method} {path} is the route of both {place(other)} and {place(function)}")
        if name is not None and name in self._by_name:
            other = self._by_name[name].function
            raise RouteError(f"the name {name!r} is that of both {place(other)} and {place(function)}")
        for method in methods:
            taken[method] = route
        if route_name:
            self._by_name.setdefault(route_name, route)
        self.routes.append(route)
        self._built = None

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

    def middleware(self, function: Middleware) -> Middleware:
        """Decorator: a generator function of the request goes around everything; the first one added is outermost.

        It sees the request before its one `yield` and the response as the value of it; what it returns is sent instead.
        An HTTPError, and an error that has a handler, has become a response by then; any other is thrown in there.
        """
        check_middleware(function)
        self._middleware.append(function)
        self._built = None
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
        self._built = None
        try:
            yield
        finally:
            provider.use(*before)
            self._built = None

    def error(self, kind: int | type[Exception]) -> Callable[[Function], Function]:
        """Decorator: the function of the request and the error answers a status (404) or a type of exception.

        The most specific type wins; the handler of a status also answers the app's own 404, 405 and 500.
        """

        def decorate(function: Function) -> Function:
            if is_coroutine(function):
                raise ConfigurationError(f"the error handler {place(function)} is async def: write def")
            if isinstance(kind, int):
                _once(self._on_status, kind, function)
            elif isinstance(kind, type) and issubclass(kind, Exception):
                _once(self._on_type, kind, function)
            else:
                raise ConfigurationError(
                    f"{place(function)}: an error handler is for a status or an exception, not {kind!r}"
                )
            return function

        return decorate

    def mount(self, prefix: str, handler: Handler) -> None:
        """Gives every path below `prefix` that no route of this app takes to another handler; the longest prefix wins.

        The handler sees the path without the prefix. This app's middleware and error handlers go around it.
        """
        self._mounts.append(Mount(prefix, handler))
        self._mounts.sort(key=lambda mount: -len(mount.prefix))
        self._built = None

    def url_for(self, name: str, /, **values: Any) -> str:
        """The path of the route of that name with these parameters. Raises LookupError."""
        route = self._by_name.get(name)
        if route is None:
            raise LookupError(f"no route has the name {name!r}: there are {', '.join(sorted(self._by_name)) or 'none'}")
        return route.pattern.url(values)

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

    def _resolve_path(self, built: _Built, request: Request) -> Endpoint:
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

    def _build(self) -> _Built:
        """Composes every endpoint; again after something was added."""
        router: Router[_Methods] = Router()
        for route in self.routes:
            inner = partial(bind, route.function, route.plan)
            awaits = is_coroutine(route.function) or route.plan.awaits
            call, is_async = self._composed(inner, awaits, route.middleware)
            endpoint = Endpoint(
                call,
                name=getattr(route.function, "__qualname__", route.name),
                is_async=is_async,
                streams_body=route.streams_body,
                max_body=route.max_body,
                cancel_on_disconnect=route.cancel_on_disconnect,
            )
            methods = router.at(route.pattern, _Methods)
            for method in route.methods:
                methods[method] = endpoint
        for methods in router.values():
            if "GET" in methods:
                methods.setdefault("HEAD", methods["GET"])
            allowed = allow(methods)
            methods.setdefault("OPTIONS", self._fixed(_options(allowed), "OPTIONS"))
            methods.other = self._fixed(_method_not_allowed(allowed), "405")
        for mount in self._mounts:
            mount.compose_with(self._guarded)
        endpoints = [endpoint for methods in router.values() for endpoint in methods.values()]
        not_found = self._fixed(_not_found, "404")  # asynchronous where any middleware is, whatever routes there are
        is_async = any(endpoint.is_async for endpoint in (not_found, *endpoints)) or any(
            mount.is_async for mount in self._mounts
        )
        everywhere = allow(method for methods in router.values() for method in methods)
        self._built = _Built(
            is_async,
            router.static,
            router,
            not_found,
            self._fixed(_bad_path, "400"),
            self._fixed(_redirect, "308"),
            self._fixed(_options(everywhere), "*"),
        )
        return self._built

    def _fixed(self, call: Call, name: str) -> Endpoint:
        """An endpoint for an answer that needs no body."""
        composed, is_async = self._guarded(call, False)
        return Endpoint(composed, name=name, is_async=is_async, streams_body=True)

    def _guarded(self, call: Any, is_async: bool) -> tuple[Any, bool]:
        """A call that is no route's with the app's middleware and error handling around it."""
        return self._composed(partial(guard, call, is_async), is_async, ())

    def _composed(
        self, inner: Callable[[Failed], Any], is_async: bool, middleware: Sequence[Middleware]
    ) -> tuple[Any, bool]:
        """What `inner` makes, with the app's and the given middleware around it and error handling in and outside.

        The inner one answers the errors that have an answer, so that middleware sees those as responses. `is_async` is
        given and returned: whether it is a coroutine function.
        """
        around = [*self._middleware, *middleware]
        if not around:
            return inner(self._unhandled), is_async
        call, is_async = wrap(inner(self._handled_or_raised), is_async, around)
        return guard(call, is_async, self._unhandled), is_async

    def _handled_or_raised(self, request: Request, error: Exception) -> Response:
        response = self._handled(request, error)
        if response is None:
            raise error
        return response

    def _handled(self, request: Request, error: Exception) -> Response | None:
        """The answer of the error's own handler, or of HTTPError itself; None if it has none."""
        handler: ErrorHandler | None = None
        if isinstance(error, HTTPError):
            handler = self._on_status.get(error.status)
        for kind in type(error).__mro__:
            if handler is None:
                handler = self._on_type.get(kind)
        response: Response | None = None
        if handler is not None:
            try:
                response = to_response(handler(request, error), request)
            except HTTPError as answer:
                error = answer  # for what it means, or to leave it to the page that all have
            else:
                if isinstance(error, HTTPError) and response.status == 200:
                    response.status = error.status  # a page for a 404 is a 404 unless it says otherwise
        if response is None:
            if not isinstance(error, HTTPError):
                return None
            problems = error.problems if isinstance(error, ValidationError) else ()
            if problems and self.debug:
                told = ", ".join(f"{each.where}: {each.message} ({each.came})" for each in problems)
                logger.warning("%s %s refused with %d: %s", request.method, request.target, error.status, told)
            response = error_response(request, error.status, error.detail, problems)
        if isinstance(error, HTTPError):
            for name, value in error.headers.items():
                if name.lower() == "vary":  # a list, which the page has begun
                    for part in value.split(","):
                        response.headers.vary_on(part.strip())
                else:
                    response.headers.setdefault(name, value)
        return response

    def _unhandled(self, request: Request, error: Exception) -> Response:
        """The last resort: what a middleware raised, or a fault of the program. Logged once, with its id."""
        identifier = secrets.token_hex(4)
        try:
            response = self._handled(request, error)
            if response is not None:
                return response
            if isinstance(error, ClientDisconnected):  # no fault of the program; nobody reads the answer
                logger.info("%s %s: %s", request.method, request.target, error)
                return error_response(request, 400, str(error))
            logger.error("500 id %s: %s %s failed", identifier, request.method, request.target, exc_info=error)
            if self.debug:
                return debug_response(request, error, identifier)
            handler = self._on_status.get(500)
            if handler is not None:
                response = to_response(handler(request, error), request)
                response.status = 500 if response.status == 200 else response.status
                return response
        except Exception:
            logger.exception("500 id %s: the error handler failed on %r", identifier, error)
        return error_response(request, 500, f"The server has logged what went wrong as {identifier}.")


class _Methods(dict[str, Endpoint]):
    """The endpoints of one path by method, and `other` for every method that has none."""

    other: Endpoint

    def __missing__(self, method: str) -> Endpoint:
        return self.other


class _Built(NamedTuple):
    """The endpoints of an app."""

    is_async: bool
    static: dict[str, _Methods]
    router: Router[_Methods]
    not_found: Endpoint
    bad_path: Endpoint
    redirect: Endpoint
    asterisk: Endpoint


def _once(table: dict[Any, ErrorHandler], kind: Any, function: ErrorHandler) -> None:
    if kind in table:
        raise ConfigurationError(f"{place(table[kind])} and {place(function)} both handle the error {kind!r}")
    table[kind] = function


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

"""The servers of `http.server`, on firstbyte's engine."""

from __future__ import annotations

import http.server
import os
import selectors
import socket
import socketserver
import ssl
import threading
from functools import partial
from typing import Any, cast

from firstbyte._lazy import lazy_logger
from firstbyte.engine.observer import Observer
from firstbyte.engine.server import THREADS, Server
from firstbyte.engine.timeouts import Timeouts
from firstbyte.engine.tls import Certificates, Context
from firstbyte.http.handler import Endpoint, Pace
from firstbyte.http.request import Request
from firstbyte.http.response import Response
from firstbyte.http.status import phrase
from firstbyte.httpserver.conversation import Conversation
from firstbyte.httpserver.handlers import BaseHTTPRequestHandler
from firstbyte.wire.limits import Limits

logger = lazy_logger("firstbyte.httpserver")

_ENDPOINTS = 32  # methods whose pace is kept apart; a client can make up any number of them
_NOT_CALLED = ("get_request", "process_request", "service_actions", "shutdown_request", "close_request")


class HTTPServer(http.server.HTTPServer):
    """Serves requests by `RequestHandlerClass`, one at a time; see `http.server.HTTPServer`.

    `limits`, `timeouts` and `threads` are the engine's; a subclass, or an instance before it serves, may have others.
    """

    request_queue_size = 1024
    limits = Limits()
    timeouts = Timeouts(drain=5.0, drain_idle=0.05)
    threads = THREADS

    def __init__(self, server_address: Any, RequestHandlerClass: Any, bind_and_activate: bool = True) -> None:  # noqa: N803 - the parent's name
        self._lock = threading.Lock()
        self._engine: Server | None = None  # while it serves
        self._stopping = False
        self._ended = threading.Event()
        self._handling = threading.local()
        self._endpoints: dict[str, Endpoint] = {}
        self._name: str | None = None
        super().__init__(server_address, RequestHandlerClass, bind_and_activate)
        for name in _NOT_CALLED:
            owner = next(kind for kind in type(self).__mro__ if name in vars(kind))
            if owner.__module__ != "socketserver":
                logger.warning("%s.%s is not called: the engine accepts and ends connections", owner.__qualname__, name)

    def server_bind(self) -> None:
        """Binds the socket; `server_port` is known from here on."""
        socketserver.TCPServer.server_bind(self)
        self.server_port = self.server_address[1]

    @property
    def server_name(self) -> str:
        """The full name of the host; looked up when it is first asked for, which may take a while."""
        if self._name is None:
            self._name = socket.getfqdn(str(self.server_address[0]))
        return self._name

    @server_name.setter
    def server_name(self, name: str) -> None:
        self._name = name

    # -- serving

    def serve_forever(self, poll_interval: float = 0.5) -> None:
        """Serves until `shutdown`; Ctrl+C ends it as an exception, as it does there."""
        with self._lock:
            if self._stopping:
                self._stopping = False
                return
            engine = self._engine = self._new_engine(_Handler(self), self.address_family == socket.AF_UNIX)
            self._ended.clear()
        try:
            engine.run(signals=False)
        finally:
            with self._lock:
                self._engine = None
                self._stopping = False
            self._ended.set()

    def shutdown(self) -> None:
        """Stops `serve_forever`, and waits until requests that run have ended, at most `timeouts.drain` seconds.

        A handler may call it: then it does not wait.
        """
        with self._lock:
            self._stopping = True
            engine = self._engine
        if engine is not None:
            engine.stop()
            if not getattr(self._handling, "now", False):
                self._ended.wait()

    def handle_request(self) -> None:
        """Serves until a request is answered; after `timeout` seconds without a client `handle_timeout` is called."""
        given = [seconds for seconds in (self.socket.gettimeout(), self.timeout) if seconds is not None]
        with selectors.DefaultSelector() as selector:
            selector.register(self.socket, selectors.EVENT_READ)
            if not selector.select(min(given) if given else None):
                self.handle_timeout()
                return
        self._serve_one()

    def _serve_one(self) -> None:
        """Serves until the first client has been answered, or has left."""
        first = _First()
        engine = self._new_engine(_Handler(self, closes=True), True, first)
        first.engine = engine
        engine.run(signals=False)

    def _listening(self) -> socket.socket:
        """The socket for an engine, which closes it when it ends."""
        return socket.socket(fileno=os.dup(self.socket.fileno()))

    def _new_engine(self, handler: _Handler, shared: bool, *observers: Observer) -> Server:
        """An engine at the server's socket; a `shared` one leaves clients that wait, and a path, to the next engine."""
        context = getattr(self.socket, "context", None)
        engine = Server(
            handler,
            sockets=[self._listening()],
            tls=None if context is None else cast(Certificates, _Given(context)),
            threads=self.threads if self._is_threading else 1,
            limits=self.limits,
            timeouts=self.timeouts,
            observers=observers,
            shared=shared,
        )
        engine.bind()
        return engine

    # -- requests

    @property
    def _is_threading(self) -> bool:
        kinds = [socketserver.ThreadingMixIn, getattr(socketserver, "ForkingMixIn", socketserver.ThreadingMixIn)]
        return isinstance(self, tuple(kinds))

    def _endpoint(self, method: str, closes: bool) -> Endpoint:
        call = partial(self._answer, closes)
        if not self._is_threading:
            # In the one thread there is for handlers, never in the reactor's: so there is no second at a time.
            pace = Pace()
            pace.seconds = 1.0
            return Endpoint(call, name=self._handler_name, sends=True, pace=pace)
        endpoint = self._endpoints.get(method)
        if endpoint is None:
            endpoint = Endpoint(call, name=f"{self._handler_name}.do_{method}", sends=True)
            if len(self._endpoints) < _ENDPOINTS:
                self._endpoints[method] = endpoint
        return endpoint

    @property
    def _handler_name(self) -> str:
        return getattr(self.RequestHandlerClass, "__qualname__", repr(self.RequestHandlerClass))

    def _answer(self, closes: bool, request: Request) -> Response:
        conversation = Conversation(request, closes)
        client = conversation.getpeername()
        self._handling.now = True
        try:
            if not self.verify_request(conversation, client):  # type: ignore[arg-type]
                return _plain(403)
            self.finish_request(conversation, client)  # type: ignore[arg-type]
            response = conversation.output.finish()
            if response is not None:
                return response
            logger.error("%s did not answer %s %s", self._handler_name, request.method, request.target)
        except ConnectionError as error:
            # The client has left, unless it is another peer of the handler's own: then it is a fault like any other.
            if not (isinstance(error, BrokenPipeError) and conversation.output.begun):
                self.handle_error(conversation, client)  # type: ignore[arg-type]
        except Exception:
            self.handle_error(conversation, client)  # type: ignore[arg-type]
        finally:
            self._handling.now = False
        conversation.output.discard()
        return _plain(500)  # which breaks an answer off that has begun


class ThreadingHTTPServer(socketserver.ThreadingMixIn, HTTPServer):
    """An HTTPServer that answers requests at once, each in a thread where it needs one."""

    daemon_threads = True


def test(
    HandlerClass: Any = BaseHTTPRequestHandler,  # noqa: N803 - the names of the standard library's
    ServerClass: Any = ThreadingHTTPServer,  # noqa: N803
    *arguments: Any,
    **options: Any,
) -> None:
    """Serves on port 8000, or the one that is named, until Ctrl+C; see the source of `http.server.test`."""
    http.server.test(HandlerClass, ServerClass, *arguments, **options)  # type: ignore[attr-defined]  # undocumented


test.__test__ = False  # type: ignore[attr-defined]  # pytest: it is none


class _Handler:
    """The engine's way to a server. Each request is the last of its connection if it `closes`."""

    def __init__(self, server: HTTPServer, closes: bool = False) -> None:
        self._server = server
        self._closes = closes

    def resolve(self, request: Request) -> Endpoint:
        return self._server._endpoint(request.method, self._closes)


class _First(Observer):
    """Stops an engine when the first client has been served or has left."""

    engine: Server

    def closed(self, connection: Any, reason: str) -> None:
        self.engine.stop()


class _Given:
    """Stands for `Certificates` where a program has made an SSLContext by itself and wrapped the server's socket."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self.context = cast(Context, context)

    def context_for(self, address: str) -> Context:
        return self.context

    def changed(self) -> bool:
        return False


def _plain(status: int) -> Response:
    return Response(f"{status} {phrase(status)}\n", status, {"Connection": "close"})

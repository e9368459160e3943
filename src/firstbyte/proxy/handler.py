"""The proxy as a handler: one request, the server that is asked, and its answer on the way back."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from functools import partial
from math import isinf
from typing import Literal

from firstbyte.client.aio import AsyncNetwork
from firstbyte.client.connect import Connector
from firstbyte.client.exchange import Exchange
from firstbyte.client.hooks import Hooks
from firstbyte.client.pool import Pool
from firstbyte.client.sending import Message, Sender
from firstbyte.client.timeouts import Budget, Timeout
from firstbyte.client.tls import Cert, Verify
from firstbyte.errors import (
    ClientDisconnected,
    ClientError,
    ConfigurationError,
    ConnectError,
    HTTPError,
    PoolTimeout,
    ServerClosed,
)
from firstbyte.http.handler import Endpoint
from firstbyte.http.headers import TOKEN, Headers
from firstbyte.http.request import Request
from firstbyte.http.response import Response
from firstbyte.http.status import has_body
from firstbyte.http.upgrade import Upgrade
from firstbyte.proxy.failures import what_failed
from firstbyte.proxy.fields import Passed, answered_fields, forwarded_lines, passed_fields
from firstbyte.proxy.health import watched
from firstbyte.proxy.relay import RelayedAnswer, RelayedRequest
from firstbyte.proxy.rewriting import rewrite
from firstbyte.proxy.settings import HealthCheck, ProxyTimeouts
from firstbyte.proxy.tunnel import Tunnel
from firstbyte.proxy.upstreams import Upstream, Upstreams, leaves_its_folder
from firstbyte.wire.response import ResponseHead

logger = logging.getLogger("firstbyte.proxy")

FORWARDED = ("x-forwarded", "forwarded")

_SAFE = frozenset(("GET", "HEAD", "OPTIONS"))  # RFC 9110 section 9.2.1, without TRACE
_NOT_PASSED_ON = frozenset(("TRACE", "CONNECT"))
_WEBSOCKET = "websocket"  # the one protocol that connections are given to: h2c, for one, would get past all rules here
_ALLOW = {"Allow": "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"}

ErrorPage = Callable[[Request, int, str], Response]


class Proxy:
    """Answers with what one of the `upstreams` answers: `http://host:port`, `https://...` or `unix:/path`.

    A URL that ends with its host, `http://127.0.0.1:9000`, is asked for the paths as they came. In one that goes on, if
    only by a slash, what follows the host stands in the place of the prefix at which the proxy is mounted. nginx has
    the same rule.

    `host` is the Host that is sent: "keep" for the client's, "upstream" for the server's own, "auto" for that where the
    server speaks TLS. `forwarded` says which fields tell of the client: "x-forwarded" (X-Forwarded-For,
    -Proto, -Host, -Prefix), "forwarded" (RFC 7239). With `via` each message has that name in its Via, and one that had
    it before is a loop: 508. `rewrite` changes redirects and cookies of the server into ours. `max_connections` are
    open to one server at most; `keep_alive` is how long, in seconds, an idle one is kept: Node and uvicorn close theirs
    after 5. `verify` and `cert` are as in `client.Session`. `max_body` is the longest body of a request, in bytes, by
    default the server's limit.

    What fails is an HTTPError, which an app turns into its error page; or the answer of `error_page`, if given. With
    `debug` it names the server and the error. Raises ConfigurationError.
    """

    is_async = True

    def __init__(
        self,
        *upstreams: str,
        host: Literal["auto", "keep", "upstream"] = "auto",
        forwarded: Iterable[str] = FORWARDED,
        via: str | None = None,
        rewrite: bool = False,
        timeouts: ProxyTimeouts | None = None,
        health: HealthCheck | None = None,
        max_connections: int = 512,
        keep_alive: float = 4.0,
        verify: Verify = True,
        cert: Cert | None = None,
        max_body: int | None = None,
        error_page: ErrorPage | None = None,
        debug: bool = False,
    ) -> None:
        if not upstreams:
            raise ConfigurationError("a proxy needs a server to ask: Proxy('http://127.0.0.1:3000')")
        if host not in ("auto", "keep", "upstream"):
            raise ConfigurationError(f"host is 'auto', 'keep' or 'upstream', not {host!r}")
        if via is not None and TOKEN.fullmatch(via) is None:
            raise ConfigurationError(f"{via!r} cannot be the name in Via: it is no token (RFC 9110 section 7.6.3)")
        self._forwarded = frozenset(forwarded)
        if not self._forwarded <= set(FORWARDED):
            raise ConfigurationError(f"forwarded is any of {', '.join(FORWARDED)}, not {', '.join(self._forwarded)}")
        self.upstreams = Upstreams([Upstream.parse(text) for text in upstreams])
        self._host = host
        self._via = via
        self._rewrite = rewrite
        self._timeouts = timeouts or ProxyTimeouts()
        self._waits = _waits(self._timeouts, self._timeouts.first_byte)
        self._later = _waits(self._timeouts, self._timeouts.between)
        self._idle = _waits(self._timeouts, self._timeouts.idle)
        self._health = health
        self._error_page = error_page
        self.debug = debug
        network = AsyncNetwork()
        count = len(upstreams)
        self._pool_of = partial(Pool, network, max_connections * count, max_connections, keep_alive)
        self._connector = Connector(network, verify, cert, None, None, False, Hooks())
        self._network = network
        self._open()
        name = f"proxy to {', '.join(each.url.origin for each in self.upstreams.members)}"
        self._endpoint = Endpoint(self._answer, name=name, is_async=True, streams_body=True, max_body=max_body)

    def resolve(self, request: Request) -> Endpoint:
        """See `Handler.resolve`."""
        return self._endpoint

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Looks after the servers' health; closes the kept connections when the server here stops."""
        try:
            async with watched(self.upstreams.members, self._health, self._sender):
                yield
        finally:
            self._pool.close()
            self._open()

    def _open(self) -> None:
        self._pool = self._pool_of()
        self._sender = Sender(self._network, self._pool, self._connector)

    # -- a request

    async def _answer(self, request: Request) -> Response:
        try:
            return await self._pass_on(request)
        except HTTPError as error:
            if self._error_page is None:
                raise
            response = self._error_page(request, error.status, error.detail)
            response.headers.update(error.headers)
            return response
        except ClientDisconnected as error:
            logger.info("%s %s: %s", request.method, request.target, error)
            return Response(str(error), 400)  # which nobody reads

    async def _pass_on(self, request: Request) -> Response:
        """The answer of a server. Raises HTTPError, ClientDisconnected."""
        passed = passed_fields(request)
        if passed.max_forwards == 0 and request.method == "OPTIONS":
            return Response(b"", 204, _ALLOW)  # RFC 9110 section 7.6.2: it is this server that is asked
        message = self._message(request, passed)
        received = _received_path(request)
        is_safe = message.can_be_repeated
        tried: list[Upstream] = []
        upstreams = self.upstreams
        failure: ClientError | None = None
        while (upstream := upstreams.choose(tried)) is not None:
            budget = Budget(self._waits)
            head = self._head(request, passed, upstream, received, message)
            upstream.active += 1
            try:
                answer, exchange = await self._sender.send(
                    message._replace(head=head), upstream.url, upstream.route, budget
                )
            except ClientError as error:
                upstream.active -= 1
                if not isinstance(error, PoolTimeout):
                    upstreams.failed(upstream, error)
                failure = error
                tried.append(upstream)
                if not (isinstance(error, ConnectError | PoolTimeout) or (is_safe and isinstance(error, ServerClosed))):
                    break  # it may have done something, or part of the body is gone
                continue
            except BaseException:
                upstream.active -= 1
                raise
            upstreams.answered(upstream)
            try:
                return self._respond(request, upstream, answer, exchange, budget)
            except ClientError as error:  # the beginning of its body is none
                failure = error
                break
        if failure is None:
            raise HTTPError(503, "No server behind this one is well.")
        status, text = what_failed(failure)
        logger.warning("%s %s: %d, %s", request.method, request.target, status, failure)
        raise HTTPError(status, f"{text} {failure}" if self.debug else text)

    def _message(self, request: Request, passed: Passed) -> Message:
        """What is to be sent, but for its head. Raises HTTPError for what is not passed on."""
        method = request.method
        if method in _NOT_PASSED_ON:
            raise HTTPError(405, f"{method} is not passed on.", _ALLOW)
        if self._via is not None and passed.via is not None and _names(passed.via, self._via):
            raise HTTPError(508, "The request has come through this proxy before.")
        body = None
        pieces = request.stream()
        if not pieces.ended:
            body = RelayedRequest(request, pieces, passed.length)
        return Message(
            method,
            b"",
            body,
            method in _SAFE and body is None,
            body is not None and passed.expects_continue and request.minor > 0,
            _WEBSOCKET in passed.upgrade and method == "GET" and body is None and request.minor > 0,
            partial(_pass_interim, request) if request.peer is not None and request.minor else None,
        )

    def _head(self, request: Request, passed: Passed, upstream: Upstream, received: str, message: Message) -> bytes:
        """The head of the request to one of the servers. Raises HTTPError 400."""
        mounted = request.root_path + request.raw_path
        prefix = ""
        if upstream.base is None:
            prefix = mounted.removesuffix(received) if mounted != received else ""
        elif request.root_path or upstream.base:
            prefix = request.root_path
            if leaves_its_folder(request.raw_path):
                raise HTTPError(400, "The path has dot segments, which are not passed on.")
        target = upstream.target(request.raw_path, received, request.raw_query)
        host = passed.host if self._keeps_host(upstream) else None
        lines = [f"{request.method} {target} HTTP/1.1\r\nHost: {upstream.name if host is None else host}\r\n"]
        body = message.body
        if body is not None:
            lines.append(
                "Transfer-Encoding: chunked\r\n" if body.length is None else f"Content-Length: {body.length}\r\n"
            )
            if message.expects_continue:
                lines.append("Expect: 100-continue\r\n")
        elif request.method not in _SAFE:
            lines.append("Content-Length: 0\r\n")
        if message.upgrades:
            lines.append(f"Connection: Upgrade\r\nUpgrade: {_WEBSOCKET}\r\n")
        elif passed.takes_trailers:
            lines.append("TE: trailers\r\nConnection: TE\r\n")
        if passed.max_forwards is not None and request.method == "OPTIONS":
            lines.append(f"Max-Forwards: {passed.max_forwards - 1}\r\n")
        if self._via is not None:
            lines.append(f"Via: 1.{request.minor} {self._via}\r\n")
        forwarded = forwarded_lines(request, prefix, self._forwarded)
        return b"%b%b%b\r\n" % ("".join(lines).encode("latin-1"), passed.lines, forwarded)

    def _keeps_host(self, upstream: Upstream) -> bool:
        return self._host == "keep" or (self._host == "auto" and not upstream.secure)

    # -- the answer

    def _respond(
        self, request: Request, upstream: Upstream, answer: ResponseHead, exchange: Exchange, budget: Budget
    ) -> Response:
        """The answer as it goes to the client; its end takes `upstream.active` back. Raises HTTPError, ClientError."""

        def done() -> None:
            upstream.active -= 1

        try:
            status = answer.status
            if status > 599:
                raise HTTPError(502, "The server behind this one gave an answer that is no valid HTTP.")
            headers = Headers(answered_fields(answer.block))
            if self._via is not None:
                headers.add("Via", f"1.{answer.minor} {self._via}")
            if self._rewrite:
                rewrite(headers, upstream, request.root_path)
            if status == 101:
                return self._switch(answer, headers, exchange, done)
            if not has_body(status) or status == 205:
                if status != 304:
                    del headers["content-length"]
                exchange.close()
            first = exchange.take()
        except BaseException:
            exchange.close()
            done()
            raise
        # The answer to HEAD has the length that the server gave or none: that of what is sent would be another.
        is_whole = exchange.is_over and exchange.trailers is None
        if is_whole and (request.method != "HEAD" or "content-length" in headers):
            done()
            return Response.passed_on(first, status, headers)
        is_events = (headers.get("content-type") or "").startswith("text/event-stream")
        budget.timeout = self._idle if is_events else self._later
        return Response.passed_on(RelayedAnswer(request, exchange, first, done), status, headers)

    def _switch(self, answer: ResponseHead, headers: Headers, exchange: Exchange, done: Callable[[], None]) -> Upgrade:
        """The answer behind which client and server talk WebSocket. Raises HTTPError 502 for another protocol."""
        chosen = answer.headers.get_joined("upgrade") or ""
        if chosen.lower() != _WEBSOCKET:
            raise HTTPError(502, "The server behind this one changed to a protocol that it was not asked for.")
        for name in ("server", "date"):
            del headers[name]
        headers.update({"Connection": "Upgrade", "Upgrade": chosen})
        return Upgrade(Tunnel(exchange, self._timeouts.idle, done), headers)


def _received_path(request: Request) -> str:
    """The path as it came, whatever mounts have made of it since."""
    if not request.root_path or not request.head:
        return request.root_path + request.raw_path
    target = request.head.split(b" ", 2)[1].decode("ascii").partition("?")[0]
    if target.startswith("/"):
        return target
    return "/" + target.partition("://")[2].partition("/")[2]  # absolute-form


def _pass_interim(request: Request, answer: ResponseHead) -> None:
    """Sends on a response of 1xx; a 100 is for this proxy, which has its own for the client."""
    if answer.status > 101:
        request.send_interim(answer.status, answered_fields(answer.block))


def _names(via: str, name: str) -> bool:
    """Whether `name` is among those that a request has come through (RFC 9110 section 7.6.3)."""
    return any(name.lower() == member.split()[1].lower() for member in via.split(",") if len(member.split()) > 1)


def _waits(timeouts: ProxyTimeouts, read: float) -> Timeout:
    waits = (None if isinf(each) else each for each in (timeouts.connect, read, timeouts.write, timeouts.pool))
    return Timeout(*waits)

"""The proxy as a handler: one request, the server that is asked, and its answer on the way back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from functools import partial
from math import isinf
from typing import Literal

from firstbyte._lazy import lazy_logger
from firstbyte.client.aio import AsyncNetwork
from firstbyte.client.bodies import Body
from firstbyte.client.connect import Connector
from firstbyte.client.exchange import TOGETHER, Exchange
from firstbyte.client.hooks import Hooks
from firstbyte.client.pool import Pool
from firstbyte.client.request import Message
from firstbyte.client.sending import Sender
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
from firstbyte.http.handler import Answered, Endpoint
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
from firstbyte.waiting import Attempt, Wait
from firstbyte.wire.response import ResponseHead

logger = lazy_logger("firstbyte.proxy")

FORWARDED = ("x-forwarded", "forwarded")

_SAFE = frozenset(("GET", "HEAD", "OPTIONS"))  # RFC 9110 section 9.2.1, without TRACE
_NOT_PASSED_ON = frozenset(("TRACE", "CONNECT"))
_WEBSOCKET = "websocket"  # the one protocol that connections are given to: h2c, for one, would get past all rules here
_REMEMBERED = 1024  # heads
_REMEMBERED_SIZE = 2048  # bytes of one
_ANY = 2**62  # bytes: how long a body may be is for those who read it
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
        self._changes_nothing = via is None and not rewrite  # of the answers' fields
        self._written: dict[tuple[object, ...], Message] = {}
        self._timeouts = timeouts or ProxyTimeouts()
        self._waits = _waits(self._timeouts, self._timeouts.first_byte)
        self._later = _waits(self._timeouts, self._timeouts.between)
        self._idle = _waits(self._timeouts, self._timeouts.idle)
        self._health = health
        self._error_page = error_page
        self.debug = debug
        network = AsyncNetwork(watched=True)
        count = len(upstreams)
        self._pool_of = partial(Pool, network, max_connections * count, max_connections, keep_alive)
        self._connector = Connector(network, verify, cert, None, None, False, Hooks())
        self._network = network
        self._open()
        name = f"proxy to {', '.join(each.url.origin for each in self.upstreams.members)}"
        self._endpoint = Endpoint(
            self._answer, name=name, is_async=True, streams_body=True, max_body=max_body, attempt=self._attempt
        )

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
        """The answer of a server, or an error page. Raises HTTPError."""
        return await Passage(self, request).finish()

    def _attempt(self, request: Request) -> Passage:
        """See `Endpoint.attempt`."""
        return Passage(self, request)

    def _body(self, request: Request, passed: Passed) -> Body | None:
        if request.head and not passed.length and not passed.is_chunked:
            return None  # its fields say so, and are as they came
        pieces = request.stream()
        if pieces.ended:
            return None
        whole = pieces.take_whole(TOGETHER)
        return RelayedRequest(request, pieces, passed.length) if whole is None else Body(whole, replayable=False)

    def _message(self, request: Request, upstream: Upstream, last: Message | None) -> Message | None:
        """What is sent to one of the servers, None for what goes no further; `last` is what another one was sent.

        Raises HTTPError.
        """
        key: tuple[object, ...] | None = None
        head = request.head
        if head and request._headers is None:  # its fields are as they came
            # Clients send the same head again and again, and each time it comes to the same.
            client = request.client
            host = None if client is None else client.host
            key = (head, host, request.scheme, request.forwarded_host, request.root_path, upstream)
            known = self._written.get(key)
            if known is not None:
                return known
        passed = passed_fields(request)
        body = self._body(request, passed) if last is None else last.body
        message = self._write(request, passed, upstream, body)
        if message is not None and body is None and key is not None and len(head) <= _REMEMBERED_SIZE:
            if len(self._written) >= _REMEMBERED:
                self._written.clear()
            self._written[key] = message
        return message

    def _write(self, request: Request, passed: Passed, upstream: Upstream, body: Body | None) -> Message | None:
        """See `_message`."""
        method = request.method
        if method in _NOT_PASSED_ON:
            raise HTTPError(405, f"{method} is not passed on.", _ALLOW)
        if self._via is not None and passed.via is not None and _names(passed.via, self._via):
            raise HTTPError(508, "The request has come through this proxy before.")
        hops = passed.max_forwards if method == "OPTIONS" else None
        if hops == 0:
            return None
        upgrades = _WEBSOCKET in passed.upgrade and method == "GET" and body is None and request.minor > 0
        expects = body is not None and passed.expects_continue and request.minor > 0
        target, prefix = _target(request, upstream)
        host = passed.host if self._keeps_host(upstream) else None
        lines = [f"{method} {target} HTTP/1.1", f"Host: {upstream.name if host is None else host}"]
        if body is not None:
            lines.append("Transfer-Encoding: chunked" if body.length is None else f"Content-Length: {body.length}")
        elif method not in _SAFE:
            lines.append("Content-Length: 0")
        if expects:
            lines.append("Expect: 100-continue")
        if upgrades:
            lines += ["Connection: Upgrade", f"Upgrade: {_WEBSOCKET}"]
        elif passed.takes_trailers:
            lines += ["TE: trailers", "Connection: TE"]
        if hops is not None:
            lines.append(f"Max-Forwards: {hops - 1}")
        if self._via is not None:
            lines.append(f"Via: 1.{request.minor} {self._via}")
        asked_for = request.forwarded_host or passed.host or ""
        forwarded = forwarded_lines(request, asked_for, prefix, self._forwarded)
        head = b"%b\r\n%b%b\r\n" % ("\r\n".join(lines).encode("latin-1"), passed.lines, forwarded)
        return Message(method, head, body, method in _SAFE and body is None, expects, upgrades)

    def _keeps_host(self, upstream: Upstream) -> bool:
        return self._host == "keep" or (self._host == "auto" and not upstream.secure)

    # -- the answer

    def _respond(self, request: Request, upstream: Upstream, exchange: Exchange, budget: Budget) -> Response:
        """The answer as it goes to the client; its end takes `upstream.active` back. Raises HTTPError, ClientError."""
        try:
            answer = exchange.head
            assert answer is not None
            status = answer.status
            if status > 599:
                raise HTTPError(502, "The server behind this one gave an answer that is no valid HTTP.")
            returned = answered_fields(answer)
            if status == 101:
                return self._switch(answer, Headers(returned.headers), exchange, upstream.done)
            has_content = has_body(status) and status != 205
            if not has_content:
                exchange.close()
            whole = exchange.take_whole(_ANY)
            first = exchange.take() if whole is None else whole
            is_whole = exchange.is_over and exchange.trailers is None
            if is_whole and has_content and self._changes_nothing and request.method != "HEAD":
                upstream.done()
                return returned.prepared.response(first)
            headers = Headers(returned.headers)
            if not has_content and status != 304:
                del headers["content-length"]
            if self._via is not None:
                headers.add("Via", f"1.{answer.minor} {self._via}")
            if self._rewrite:
                rewrite(headers, upstream, request.root_path)
        except BaseException:
            exchange.close()
            upstream.done()
            raise
        # The answer to HEAD has the length that the server gave or none: that of what is sent would be another.
        if is_whole and (request.method != "HEAD" or "content-length" in headers):
            upstream.done()
            return Response.passed_on(first, status, headers)
        is_events = (headers.get("content-type") or "").startswith("text/event-stream")
        budget.timeout = self._idle if is_events else self._later
        body = RelayedAnswer(request, exchange, first, upstream.done)
        if is_events and request.peer is not None and "content-length" not in headers:
            request.peer.when_draining(body.cut)
        return Response.passed_on(body, status, headers)

    def _switch(self, answer: ResponseHead, headers: Headers, exchange: Exchange, done: Callable[[], None]) -> Upgrade:
        """The answer behind which client and server talk WebSocket. Raises HTTPError 502 for another protocol."""
        chosen = answer.headers.get_joined("upgrade") or ""
        if chosen.lower() != _WEBSOCKET:
            raise HTTPError(502, "The server behind this one changed to a protocol that it was not asked for.")
        for name in ("server", "date"):
            del headers[name]
        headers.update({"Connection": "Upgrade", "Upgrade": chosen})
        return Upgrade(Tunnel(exchange, self._timeouts.idle, done), headers)


class Passage(Attempt):
    """One request on its way through: without a coroutine as long as it waits for nothing but the head of the answer.

    It is an Attempt as `Endpoint.attempt` gives it.
    """

    __slots__ = (
        "_budget", "_error", "_exchange", "_failure", "_is_waiting", "_message", "_proxy", "_request", "_tried",
        "_upstream",
    )  # fmt: skip

    name = "passage"

    def __init__(self, proxy: Proxy, request: Request) -> None:
        super().__init__()
        self._has_begun = True  # nobody misses one that is not stepped
        self._proxy = proxy
        self._request = request
        self._upstream: Upstream | None = None  # that is asked now
        self._message: Message | None = None  # what it is sent, or another one was before
        self._budget: Budget
        self._exchange: Exchange | None = None
        self._is_waiting = False  # for what comes in the exchange
        self._tried: tuple[Upstream, ...] = ()
        self._failure: ClientError | None = None  # of the last one
        self._error: BaseException | None = None  # what an attempt has raised

    def attempt(self) -> Wait | None:
        """See `Attempt.attempt`."""
        try:
            if self._is_waiting:
                self._is_waiting = False
                self._go_on()
            response = self._advance()
            if response is not None:
                self.value = Answered(response)
                return None
            wait = None if self._exchange is None else self._exchange.wait()
            if wait is not None:
                self._is_waiting = True
                return wait
        except BaseException as error:
            self._error = error
        self.value = self.finish()
        return None

    def close(self) -> None:
        """Nobody waits for the answer any more."""
        super().close()
        exchange, self._exchange = self._exchange, None  # which know each other
        if exchange is not None:
            exchange.close()
        self._leave()

    def __del__(self) -> None:
        if not self.is_over:  # the server here has stopped without waiting for it
            self.close()

    async def finish(self) -> Response:
        """The answer of a server, or an error page, from wherever it is. Raises HTTPError."""
        request, error_page, sender = self._request, self._proxy._error_page, self._proxy._sender
        try:
            if self._error is not None:
                raise self._error
            while (response := self._advance()) is None:
                upstream, message = self._upstream, self._message
                assert upstream is not None and message is not None
                way = (message, upstream.url, upstream.route, self._budget, self._pass_interim)
                try:
                    self._exchange = await sender.finish(self._exchange, *way)
                except ClientError as error:
                    self._fail(error)
            return response
        except HTTPError as error:
            if error_page is None:
                raise
            response = error_page(request, error.status, error.detail)
            response.headers.update(error.headers)
            return response
        except ClientDisconnected as error:
            logger.info("%s %s: %s", request.method, request.target, error)
            return Response(str(error), 400)  # which nobody reads
        finally:
            self._leave()

    def _advance(self) -> Response | None:
        """Goes as far as it can without suspending; None if that is not to the answer. Raises HTTPError."""
        while self._upstream is None:
            if not self._begin():  # RFC 9110 section 7.6.2: it is this server that is asked
                return Response(b"", 204, _ALLOW)
        upstream, exchange, proxy = self._upstream, self._exchange, self._proxy
        if exchange is None or exchange.head is None:
            return None
        proxy.upstreams.answered(upstream)
        self._upstream = self._exchange = None  # they are the answer's
        try:
            return proxy._respond(self._request, upstream, exchange, self._budget)
        except ClientError as error:  # the beginning of its body is none
            raise self._failed(error) from None

    def _begin(self) -> bool:
        """Asks the next server; False if it is none of those. Raises HTTPError."""
        proxy = self._proxy
        upstream = proxy.upstreams.choose(self._tried)
        if upstream is None:
            raise self._failed(self._failure)
        message = proxy._message(self._request, upstream, self._message)
        if message is None:
            return False
        self._message = message
        self._upstream = upstream
        upstream.active += 1
        self._budget = Budget(proxy._waits)
        try:
            self._exchange = proxy._sender.begin(message, upstream.route, self._budget, self._pass_interim)
        except ClientError as error:
            self._fail(error)
        return True

    def _go_on(self) -> None:
        """Reads what has come. Raises HTTPError."""
        exchange = self._exchange
        assert exchange is not None
        try:
            self._proxy._sender.go_on(exchange)
        except ClientError as error:
            self._fail(error)

    def _fail(self, error: ClientError) -> None:
        """The server does not answer, or not in HTTP. Raises HTTPError unless another may be asked."""
        upstream, message = self._upstream, self._message
        assert upstream is not None and message is not None
        self._leave()
        self._exchange = None
        if not isinstance(error, PoolTimeout):
            self._proxy.upstreams.failed(upstream, error)
        self._tried += (upstream,)
        self._failure = error
        may_have_acted = not isinstance(error, ConnectError | PoolTimeout)
        if may_have_acted and not (message.can_be_repeated and isinstance(error, ServerClosed)):
            raise self._failed(error) from None

    def _failed(self, failure: ClientError | None) -> HTTPError:
        """What to say where no server has answered."""
        if failure is None:
            return HTTPError(503, "No server behind this one is well.")
        status, text = what_failed(failure)
        logger.warning("%s %s: %d, %s", self._request.method, self._request.target, status, failure)
        return HTTPError(status, f"{text} {failure}" if self._proxy.debug else text)

    def _pass_interim(self, answer: ResponseHead) -> None:
        """Sends on a response of 1xx; a 100 is for this proxy, which has its own for the client."""
        if answer.status > 101 and self._request.minor:
            self._request.send_interim(answer.status, answered_fields(answer).headers)

    def _leave(self) -> None:
        """The server is at one request less, if it is at it."""
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.done()


def _target(request: Request, upstream: Upstream) -> tuple[str, str]:
    """What is asked of a server (RFC 9112 section 3.2.1), and the prefix that is taken off. Raises HTTPError 400."""
    received = _received_path(request)
    prefix = request.root_path
    if upstream.base is None:
        mounted = prefix + request.raw_path
        prefix = mounted.removesuffix(received) if mounted != received else ""
    elif (prefix or upstream.base) and leaves_its_folder(request.raw_path):
        raise HTTPError(400, "The path has dot segments, which are not passed on.")
    return upstream.target(request.raw_path, received, request.raw_query), prefix


def _received_path(request: Request) -> str:
    """The path as it came, whatever mounts have made of it since."""
    if not request.root_path or not request.head:
        return request.root_path + request.raw_path
    target = request.head.split(b" ", 2)[1].decode("ascii").partition("?")[0]
    if target.startswith("/"):
        return target
    return "/" + target.partition("://")[2].partition("/")[2]  # absolute-form


def _names(via: str, name: str) -> bool:
    """Whether `name` is among those that a request has come through (RFC 9110 section 7.6.3)."""
    return any(name.lower() == member.split()[1].lower() for member in via.split(",") if len(member.split()) > 1)


def _waits(timeouts: ProxyTimeouts, read: float) -> Timeout:
    waits = (None if isinf(each) else each for each in (timeouts.connect, read, timeouts.write, timeouts.pool))
    return Timeout(*waits)

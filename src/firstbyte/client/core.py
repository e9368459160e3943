"""The sequence of a call: redirects around authentication around retries around one exchange.

Written once, as coroutines over a `Network`; a session without a loop runs them in one step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from firstbyte.client.auth import Auth, NetrcAuth
from firstbyte.client.connect import Connector, Route
from firstbyte.client.cookies import CookieJar
from firstbyte.client.hooks import Hooks
from firstbyte.client.memory import MemoryTransport
from firstbyte.client.network import Network, run
from firstbyte.client.pool import Pool
from firstbyte.client.redirects import next_request, same_origin
from firstbyte.client.request import ClientRequest, Message
from firstbyte.client.response import BodySource, ClientResponse
from firstbyte.client.retries import Retry
from firstbyte.client.sending import Sender, make_message
from firstbyte.client.timeouts import Budget, Timeout
from firstbyte.errors import ClientError, DecodingError, TooManyRedirects
from firstbyte.http.url import URL
from firstbyte.wire.response import ResponseHead

_REMEMBERED = 128  # messages of a session
_SHORT = 4096  # bytes of the head of the longest one
_LEFT = 64 * 1024  # bytes of the body of a redirect or a refusal that are read to keep its connection


class Upgrade(Protocol):
    """Another protocol that a call asks for, so that its answer may be 101."""

    def fields(self) -> tuple[tuple[str, str], ...]:
        """The fields that ask for it, new for each request."""
        ...


class Call:
    """What one call may do and has with it, the session's own settings being the default: not to be changed."""

    __slots__ = ("auth", "cookies", "follow_redirects", "is_plain", "retry", "stream", "timeout", "upgrade")

    def __init__(
        self,
        timeout: Timeout,
        follow_redirects: bool = True,
        stream: bool = False,
        auth: Auth | None = None,
        retry: Retry | None = None,
        cookies: Mapping[str, str] | None = None,
        upgrade: Upgrade | None = None,
    ) -> None:
        self.timeout = timeout
        self.follow_redirects = follow_redirects
        self.stream = stream
        self.auth = auth
        self.retry = retry
        self.cookies = cookies
        self.upgrade = upgrade
        self.is_plain = auth is None and retry is None  # then one exchange is all, but for redirects

    def replace(self, **changes: Any) -> Call:
        """This one with some of its parts changed."""
        return Call(**{name: changes.get(name, getattr(self, name)) for name in _PARTS})


@dataclass(frozen=True, slots=True)
class Settings:
    """What holds for all calls of a session."""

    hooks: Hooks
    jar: CookieJar
    max_redirects: int
    allow_downgrade: bool
    max_body: int


class Core:
    """Sends requests for one session."""

    def __init__(
        self, network: Network, pool: Pool, connector: Connector, settings: Settings, app: MemoryTransport | None
    ) -> None:
        self._network = network
        self._connector = connector
        self._sender = Sender(network, pool, connector)
        self._settings = settings
        self._on_request = settings.hooks.request
        self._on_response = settings.hooks.response
        self._jar = settings.jar
        self._max_body = settings.max_body
        self._app = app
        self._sent: dict[tuple[str, str, str], _Sent] = {}  # the last short one to each target
        self._last: _Sent | None = None  # the last of them all

    @property
    def can_upgrade(self) -> bool:
        """Whether a 101 can be answered: by any server, and by an app in memory that is told of it."""
        return self._app is None or self._app.upgrades

    async def send(self, request: ClientRequest, call: Call) -> ClientResponse:
        """The response to a request, and to those it leads to. Raises ClientError with all that is known of it."""
        budget = Budget(call.timeout)
        try:
            response = await (self._exchange if call.is_plain else self._authenticate)(request, call, budget)
            return response if self._is_done(response, call) else await self._complete(response, call, budget)
        except ClientError as error:
            self._tell(request, error, budget)
            raise

    def send_blocking(self, request: ClientRequest, call: Call) -> ClientResponse:
        """`send` without a loop: coroutines are made only for what may be more than one exchange at once."""
        budget = Budget(call.timeout)
        try:
            if call.is_plain and self._app is None:
                sent = self._prepare(request, call)
                exchange = self._sender.begin(sent.message, sent.route, budget)
                if exchange is None or exchange.head is None:
                    exchange = run(self._sender.finish(exchange, sent.message, request.url, sent.route, budget))
                response = self._receive(request, exchange.head, exchange)
            else:
                response = run(self._authenticate(request, call, budget))
            return response if self._is_done(response, call) else run(self._complete(response, call, budget))
        except ClientError as error:
            self._tell(request, error, budget)
            raise

    def _tell(self, request: ClientRequest, error: ClientError, budget: Budget) -> None:
        error.locate(request.url.authority, budget.seconds, None)
        if self._settings.hooks.error is not None:
            self._settings.hooks.error(request, error)

    def _is_done(self, response: ClientResponse, call: Call) -> bool:
        """Whether it is the last, with as much of it as is wanted."""
        return not _is_followed(response, call) and (call.stream or response.take_whole())

    async def _complete(self, response: ClientResponse, call: Call, budget: Budget) -> ClientResponse:
        """The response, or the one that it redirects to, as the call wants it."""
        if _is_followed(response, call):
            response = await self._follow(response, call, budget)
        if not call.stream and not response.take_whole():
            await response.aread()
        return response

    async def _follow(self, response: ClientResponse, call: Call, budget: Budget) -> ClientResponse:
        """The last of the responses that `response` redirects to, or itself."""
        settings, history = self._settings, list[ClientResponse]()
        first = request = response.request
        try:
            while (following := next_request(request, response, allow_downgrade=settings.allow_downgrade)) is not None:
                await self._leave(response)
                history.append(response)
                if len(history) > settings.max_redirects:
                    message = f"more than {settings.max_redirects} redirects, the last one to {following.url!r}"
                    raise TooManyRedirects(message, response=response)
                request = ClientRequest(following.method, following.url, following.headers, following.body)
                if not same_origin(first.url, request.url):
                    # What is secret to one origin does not go to another; netrc has secrets for each.
                    call = call.replace(auth=call.auth if isinstance(call.auth, NetrcAuth) else None, cookies=None)
                response = await self._authenticate(request, call, budget)
        except BaseException:
            response.close()
            raise
        response.history = tuple(history)
        return response

    async def _authenticate(self, request: ClientRequest, call: Call, budget: Budget) -> ClientResponse:
        """The last answer in the flow of the call's auth, if it has one."""
        if call.auth is None:
            return await self._retry(request, call, budget)
        flow = call.auth.flow(request)
        try:
            request = next(flow)
            while True:
                response = await self._retry(request, call, budget)
                try:
                    request = flow.send(response)
                except StopIteration:
                    return response
                except BaseException:
                    response.close()
                    raise
                await self._leave(response)
        finally:
            flow.close()

    async def _retry(self, request: ClientRequest, call: Call, budget: Budget) -> ClientResponse:
        """The first answer that is not to be tried again; its body is read, where that is wanted, so that it counts."""
        retry = call.retry
        made = 0
        while True:
            made += 1
            response = None
            try:
                response = await self._exchange(request, call, budget)
                wait = None if retry is None else retry.after_answer(made, request, response)
                if wait is None or budget.ends_within(wait):
                    if not call.stream and not 300 <= response.status < 400:
                        await response.aread()
                    return response
                await self._leave(response)
            except ClientError as error:
                wait = None if retry is None else retry.after_error(made, request, error)
                if wait is None or budget.ends_within(wait):
                    raise
            await self._network.sleep(wait)

    async def _exchange(self, request: ClientRequest, call: Call, budget: Budget) -> ClientResponse:
        """One request and the head of its response."""
        if self._app is not None:
            head, source = await self._app.send(request, self._fields(request, call), budget)
            return self._receive(request, head, source)
        sent = self._prepare(request, call)
        exchange = await self._sender.send(sent.message, request.url, sent.route, budget)
        return self._receive(request, exchange.head, exchange)

    def _fields(self, request: ClientRequest, call: Call) -> tuple[tuple[str, str], ...]:
        """The fields of this exchange, behind the request's own."""
        if self._on_request is not None:
            self._on_request(request)
        cookie = self._jar.header_for(request.url, call.cookies)
        fields: tuple[tuple[str, str], ...] = ()
        if cookie is not None and "cookie" not in request.headers:  # else the caller writes the field
            fields = (("Cookie", cookie),)
        return fields if call.upgrade is None else fields + call.upgrade.fields()

    def _receive(self, request: ClientRequest, head: ResponseHead | None, source: BodySource) -> ClientResponse:
        """The response that begins with `head`."""
        assert head is not None
        response = ClientResponse(request, head, source, self._max_body)
        try:
            if head.sets_cookies:
                self._jar.update_from(request.url, response.headers)
            if self._on_response is not None:
                self._on_response(response)
        except BaseException:
            response.close()
            raise
        return response

    def _prepare(self, request: ClientRequest, call: Call) -> _Sent:
        """What is sent for a request."""
        fields = self._fields(request, call)
        url, method, body, own = request.url, request.method, request.body, request.headers.fields()
        upgrades = call.upgrade is not None
        if body is not None or upgrades:
            return self._make(request, own, fields, upgrades)
        last = self._last  # most are as the one before
        if last is not None and last.is_for(method, url, own, fields):
            return last
        key = (method, url.origin, url.target)
        sent = self._sent.get(key)
        if sent is None or not sent.is_for(method, sent.url, own, fields):
            sent = self._make(request, own, fields, False)
            if len(sent.message.head) > _SHORT:
                return sent
            if len(self._sent) >= _REMEMBERED:
                self._sent.clear()
            self._sent[key] = sent
        self._last = sent
        return sent

    def _make(
        self,
        request: ClientRequest,
        own: list[tuple[str, str, str]],
        fields: tuple[tuple[str, str], ...],
        upgrades: bool,
    ) -> _Sent:
        url, method = request.url, request.method
        route = self._connector.route(url, upgrades)
        more = route.fields + fields
        message = make_message(method, url, tuple(own), request.body, route.forwarding, more, upgrades)
        return _Sent(method, url, own, fields, route, message)

    async def _leave(self, response: ClientResponse) -> None:
        """Ends with a response that is not the last: a short body is read, so that its connection can be kept."""
        try:
            await response.aread(_LEFT)
        except DecodingError:
            response.close()


class _Sent:
    """A message, the way that it takes, and what it was made of."""

    __slots__ = ("fields", "message", "method", "own", "route", "url")

    def __init__(
        self,
        method: str,
        url: URL,
        own: list[tuple[str, str, str]],
        fields: tuple[tuple[str, str], ...],
        route: Route,
        message: Message,
    ) -> None:
        self.method = method
        self.url = url
        self.own = own
        self.fields = fields
        self.route = route
        self.message = message

    def is_for(
        self, method: str, url: URL, own: list[tuple[str, str, str]], fields: tuple[tuple[str, str], ...]
    ) -> bool:
        """Whether it was made of these; the same URL is the same object, as those of `parse_url` are."""
        return self.url is url and self.method == method and self.own == own and self.fields == fields


def _is_followed(response: ClientResponse, call: Call) -> bool:
    return call.follow_redirects and 300 <= response.status < 400


_PARTS = ("timeout", "follow_redirects", "stream", "auth", "retry", "cookies", "upgrade")

"""Sessions: what a program talks to. One face without a loop and one within, over the same core."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Self, TypeAlias, TypedDict, TypeVar, Unpack, cast

from firstbyte.client import memory
from firstbyte.client.aio import AsyncNetwork
from firstbyte.client.auth import AuthInput, Basic, to_auth
from firstbyte.client.bodies import Content, FilesInput, make_body
from firstbyte.client.connect import Connector
from firstbyte.client.cookies import CookieJar
from firstbyte.client.core import Call, Core, Settings
from firstbyte.client.decoding import accept_encoding
from firstbyte.client.events import EventStream
from firstbyte.client.hooks import Hooks
from firstbyte.client.memory import MemoryTransport
from firstbyte.client.network import Network, SyncNetwork, run
from firstbyte.client.pool import Pool
from firstbyte.client.proxies import parse_proxy
from firstbyte.client.redirects import MAX_REDIRECTS
from firstbyte.client.request import ClientRequest, parse_url
from firstbyte.client.response import ClientResponse
from firstbyte.client.retries import RetryInput, to_retry
from firstbyte.client.saving import ProgressInput, save
from firstbyte.client.timeouts import Timeout
from firstbyte.client.tls import Cert, Verify
from firstbyte.client.websocket import (
    SETTINGS,
    AsyncWebSocket,
    Channel,
    Handshake,
    WebSocket,
    WebSocketSettings,
    http_url,
)
from firstbyte.errors import ClientError, InvalidRequest
from firstbyte.http.events import Event
from firstbyte.http.headers import Headers
from firstbyte.http.percent import QueryInput
from firstbyte.http.url import URL
from firstbyte.wire.websocket.deflate import Deflate
from firstbyte.wire.websocket.frames import GOING_AWAY
from firstbyte.wire.websocket.limits import MessageLimits

ClientHeaders: TypeAlias = "Headers | Mapping[str, str | None] | Iterable[tuple[str, str | None]]"
"""Header fields; None in the place of a value leaves a default of the session out."""

USER_AGENT = "firstbyte/0.1"
DEFAULT_TIMEOUT = Timeout()
NO_HOOKS = Hooks()

R = TypeVar("R", bound="ClientResponse | Awaitable[ClientResponse]")


class CallOptions(TypedDict, total=False):
    """What every call takes by name.

    `params` are added to the URL's query. What is left out is the session's: `timeout` (a Timeout, or seconds for each
    wait), `follow_redirects`.
    """

    params: QueryInput | None
    headers: ClientHeaders | None
    auth: AuthInput
    cookies: Mapping[str, str] | None
    timeout: Timeout | float | None
    retries: RetryInput
    follow_redirects: bool


class RequestOptions(CallOptions, total=False):
    """What every request takes by name.

    One body: `json`, `data` (a form, or content), `files` (multipart, with the fields of `data`), `content`.
    """

    json: Any
    data: Content | QueryInput | None
    content: Content | None
    files: FilesInput | None


_OPTIONS = RequestOptions.__optional_keys__


class ConnectionOptions(TypedDict, total=False):
    """What a session takes, and a call that has none: how a connection is made. See `BaseSession`."""

    verify: Verify
    cert: Cert | None
    uds: str | os.PathLike[str] | None
    proxy: str | URL | None
    trust_env: bool


class WebSocketOptions(CallOptions, total=False):
    """What a WebSocket takes by name; its own are explained at `firstbyte.client.websocket.WebSocketSettings`."""

    subprotocols: Sequence[str]
    deflate: Deflate | None
    limits: MessageLimits
    ping_interval: float | None
    ping_timeout: float
    close_timeout: float


class BaseSession(Generic[R]):
    """What both kinds of session have in common: settings, a pool of connections, and a method for each of HTTP's."""

    def __init__(
        self,
        *,
        app: Any = None,
        base_url: str | URL | None = None,
        headers: ClientHeaders | None = None,
        auth: AuthInput = None,
        cookies: CookieJar | Mapping[str, str] | None = None,
        timeout: Timeout | float | None = DEFAULT_TIMEOUT,
        retries: RetryInput = None,
        follow_redirects: bool = True,
        max_redirects: int = MAX_REDIRECTS,
        allow_downgrade: bool = False,
        verify: Verify = True,
        cert: Cert | None = None,
        uds: str | os.PathLike[str] | None = None,
        proxy: str | URL | None = None,
        trust_env: bool = True,
        hooks: Hooks = NO_HOOKS,
        max_connections: int = 100,
        max_per_origin: int | None = None,
        idle_timeout: float = 15.0,
        max_body: int = 1 << 30,
    ) -> None:
        """Settings of all requests of this session.

        `app` is a firstbyte app, or one of WSGI or ASGI, that answers in the place of the network. `base_url` is what
        relative URLs are put behind. `headers`, `auth` and `cookies` go with every request; `timeout` and `retries` (a
        Retry, or how many) hold for each. `verify` says whom to trust and `cert` who we are (see
        `firstbyte.client.tls`); `uds` is a Unix socket that all connections go to. `proxy` is one for all requests
        (http, https, socks5, socks5h, socks4, socks4a); without it, and if `trust_env`, the environment's is used
        (http_proxy, https_proxy, all_proxy, no_proxy). At most `max_connections` are open, `max_per_origin` of them to
        one origin, and an idle one is closed after `idle_timeout` seconds. `max_body` is the longest body in bytes,
        decoded, that is kept in memory for `content`; streams have no such bound. Redirects are followed up to
        `max_redirects`, from https to http only if `allow_downgrade`. Raises InvalidRequest.
        """
        self._network = self._make_network()
        transport = None if app is None else self._make_transport(app)
        base_url = f"http://{memory.NAME}" if base_url is None and app is not None else base_url
        self.base_url = parse_url(str(base_url)) if base_url is not None else None
        self.headers = Headers((("User-Agent", USER_AGENT), ("Accept", "*/*"), ("Accept-Encoding", accept_encoding())))
        merge_headers(self.headers, headers)
        self.cookies = cookies if isinstance(cookies, CookieJar) else self._jar(cookies)
        self._call = Call(Timeout.of(timeout), follow_redirects, False, to_auth(auth), to_retry(retries))
        self._call_of_stream = self._call.replace(stream=True)
        self._pool = Pool(self._network, max_connections, max_per_origin, idle_timeout)
        settings = Settings(hooks, self.cookies, max_redirects, allow_downgrade, max_body)
        path = None if uds is None else os.fspath(uds)
        via = None if proxy is None else parse_proxy(str(proxy))
        connector = Connector(self._network, verify, cert, path, via, trust_env, hooks)
        self._core = Core(self._network, self._pool, connector, settings, transport)

    def _make_network(self) -> Network:
        raise NotImplementedError

    def _make_transport(self, app: Any) -> MemoryTransport:
        return MemoryTransport(app, self._network.is_async)

    def _jar(self, cookies: Mapping[str, str] | None) -> CookieJar:
        jar = CookieJar()
        for name, value in (cookies or {}).items():
            if self.base_url is None:
                raise InvalidRequest("cookies of a session are for the host of its base_url: give one, or a CookieJar")
            jar.set(name, value, self.base_url.host)
        return jar

    def request(self, method: str, url: str | URL, **options: Unpack[RequestOptions]) -> R:
        """The response to a request, its body read. Raises ClientError."""
        raise NotImplementedError

    def get(self, url: str | URL, **options: Unpack[RequestOptions]) -> R:
        """GET; see `request`."""
        return self.request("GET", url, **options)

    def head(self, url: str | URL, **options: Unpack[RequestOptions]) -> R:
        """HEAD; see `request`."""
        return self.request("HEAD", url, **options)

    def options(self, url: str | URL, **options: Unpack[RequestOptions]) -> R:
        """OPTIONS; see `request`."""
        return self.request("OPTIONS", url, **options)

    def post(self, url: str | URL, **options: Unpack[RequestOptions]) -> R:
        """POST; see `request`."""
        return self.request("POST", url, **options)

    def put(self, url: str | URL, **options: Unpack[RequestOptions]) -> R:
        """PUT; see `request`."""
        return self.request("PUT", url, **options)

    def patch(self, url: str | URL, **options: Unpack[RequestOptions]) -> R:
        """PATCH; see `request`."""
        return self.request("PATCH", url, **options)

    def delete(self, url: str | URL, **options: Unpack[RequestOptions]) -> R:
        """DELETE; see `request`."""
        return self.request("DELETE", url, **options)

    def stream(self, method: str, url: str | URL, **options: Unpack[RequestOptions]) -> Streaming:
        """A response whose body is read as it comes: `with session.stream("GET", url) as response`, or `async with`."""
        return Streaming(self, method, url, options)

    async def open_websocket(self, url: str | URL, options: WebSocketOptions) -> Channel:
        """A WebSocket that has shaken hands, to be closed. Raises ClientError."""
        own = {name: options.pop(name) for name in SETTINGS if name in options}  # type: ignore[misc]
        settings = WebSocketSettings(**own)
        if not self._core.can_upgrade:
            raise InvalidRequest("an app in memory has no connection for a WebSocket: run a Server for it")
        request, call = self.prepare("GET", http_url(str(url)), cast("RequestOptions", options), True)
        handshake = Handshake(settings)
        response = await self._core.send(request, call.replace(upgrade=handshake))
        try:
            agreement = await handshake.check(response)
            stream, rest = response.take_over()
        except BaseException:
            response.close()
            raise
        channel = Channel(self._network, stream, response, agreement, settings, call.timeout.write)
        channel.begin(rest)
        return channel

    def prepare(self, method: str, url: str | URL, options: RequestOptions, stream: bool) -> tuple[ClientRequest, Call]:
        """The request that these arguments mean, and what it may do. Raises InvalidRequest, and TypeError for an option
        that there is not."""
        if self._pool.closed:
            raise ClientError("the session is closed")
        target = parse_url(url if isinstance(url, str) else str(url), self.base_url)
        headers = Headers(self.headers)
        call = self._call_of_stream if stream else self._call
        body = None
        if options:
            if unknown := options.keys() - _OPTIONS:
                raise TypeError(_unknown(unknown))
            try:
                if params := options.get("params"):
                    target = target.with_query(params)
                merge_headers(headers, options.get("headers"))
                call = self._with_options(call, options)
            except (TypeError, ValueError) as error:
                if isinstance(error, InvalidRequest):
                    raise
                raise InvalidRequest(str(error)) from error
            body = make_body(
                content=options.get("content"),
                data=options.get("data"),
                json=options.get("json"),
                files=options.get("files"),
            )
            if body is not None and body.content_type is not None:
                headers.setdefault("Content-Type", body.content_type)
            if body is not None and body.is_async and not self._network.is_async:
                raise InvalidRequest("an async iterator is a body for an AsyncSession only")
        if target.username or target.password:
            if "auth" not in options:
                call = call.replace(auth=Basic(target.username, target.password))
            target = replace(target, username="", password="")  # so that no log and no other server has them
        return ClientRequest(method, target, headers, body), call

    def _with_options(self, call: Call, options: RequestOptions) -> Call:
        changes: dict[str, Any] = {name: options[name] for name in ("follow_redirects", "cookies") if name in options}
        if "timeout" in options:
            changes["timeout"] = Timeout.of(options["timeout"])
        if "auth" in options:
            changes["auth"] = to_auth(options["auth"])
        if "retries" in options:
            changes["retry"] = to_retry(options["retries"])
        return call.replace(**changes) if changes else call

    @property
    def pool(self) -> Pool:
        """The connections."""
        return self._pool


class Session(BaseSession[ClientResponse]):
    """Requests that share connections, cookies and settings; for any number of threads.

    Use it in a `with` block, or `close` it. The settings are those of `BaseSession`.
    """

    def _make_network(self) -> Network:
        return SyncNetwork()

    def request(self, method: str, url: str | URL, **options: Unpack[RequestOptions]) -> ClientResponse:
        """The response to a request, its body read. Raises ClientError."""
        return self._core.send_blocking(*self.prepare(method, url, options, False))

    def download(
        self,
        url: str | URL,
        path: str | os.PathLike[str] = ".",
        *,
        progress: ProgressInput = False,
        checksum: str | None = None,
        **options: Unpack[RequestOptions],
    ) -> Path:
        """Saves what is at `url` in the file `path`, or in that folder under its own name; returns the file.

        It goes on with what an earlier try left, and never leaves half a file under its name. `checksum` is what it
        must hash to ("sha256:2cf24d..."). Raises ClientError; see `firstbyte.client.saving`.
        """
        return run(save(self, "GET", url, Path(path), progress=progress, checksum=checksum, options=options))[0]

    def events(self, url: str | URL, **options: Unpack[RequestOptions]) -> Iterator[Event]:
        """Server-sent events from `url` as they come; connects anew where it must, and goes on behind the last one.

        The read timeout is how long the server may be silent. Raises ClientError for what another try will not change.
        """
        events = _subscribe(self, url, options)
        try:
            while True:
                yield run(anext(events))
        except StopAsyncIteration:
            pass
        finally:
            run(events.aclose())

    @contextmanager
    def websocket(self, url: str | URL, **options: Unpack[WebSocketOptions]) -> Iterator[WebSocket]:
        """A WebSocket, which is closed with the block: with 1001 if the block raises.

        `url` may be ws or wss, or http or https, which mean the same here; the rest is as for any request. Raises
        ClientError, WebSocketRefused with the answer where the server gives one of HTTP.
        """
        ws = WebSocket(run(self.open_websocket(url, options)))
        try:
            yield ws
        except BaseException:
            ws.close(GOING_AWAY)
            raise
        ws.close()

    def close(self) -> None:
        """Closes the connections that are idle; those in use when they are given back."""
        self._pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class AsyncSession(BaseSession[Awaitable[ClientResponse]]):
    """`Session` in an asyncio loop: what is called there is awaited here, and it belongs to one loop."""

    def _make_network(self) -> Network:
        return AsyncNetwork()

    async def request(self, method: str, url: str | URL, **options: Unpack[RequestOptions]) -> ClientResponse:
        """The response to a request, its body read. Raises ClientError."""
        return await self._core.send(*self.prepare(method, url, options, False))

    async def download(
        self,
        url: str | URL,
        path: str | os.PathLike[str] = ".",
        *,
        progress: ProgressInput = False,
        checksum: str | None = None,
        **options: Unpack[RequestOptions],
    ) -> Path:
        """See `Session.download`."""
        return (await save(self, "GET", url, Path(path), progress=progress, checksum=checksum, options=options))[0]

    def events(self, url: str | URL, **options: Unpack[RequestOptions]) -> AsyncGenerator[Event, None]:
        """Server-sent events from `url` as they come; see `Session.events`."""
        return _subscribe(self, url, options)

    @asynccontextmanager
    async def websocket(self, url: str | URL, **options: Unpack[WebSocketOptions]) -> AsyncIterator[AsyncWebSocket]:
        """See `Session.websocket`."""
        ws = AsyncWebSocket(await self.open_websocket(url, options))
        try:
            yield ws
        except BaseException:
            await ws.close(GOING_AWAY)
            raise
        await ws.close()

    async def aclose(self) -> None:
        """Closes the connections that are idle; those in use when they are given back."""
        self._pool.close()
        await self._network.sleep(0)  # what was aborted is closed in the loop's next turn

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()


class Streaming:
    """A request that is sent when its `with` or `async with` block begins; its response is left when the block ends."""

    def __init__(self, session: BaseSession[Any], method: str, url: str | URL, options: RequestOptions) -> None:
        self._session = session
        self._method = method
        self._url = url
        self._options = options
        self._response: ClientResponse | None = None

    def __enter__(self) -> ClientResponse:
        return run(self.__aenter__())

    def __exit__(self, *exc: object) -> None:
        assert self._response is not None
        self._response.close()

    async def __aenter__(self) -> ClientResponse:
        session = self._session
        request, call = session.prepare(self._method, self._url, self._options, True)
        self._response = await session._core.send(request, call)
        return self._response

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__()


def merge_headers(headers: Headers, more: ClientHeaders | None) -> None:
    """Puts `more` in the place of the fields of the same names; None takes one away. Raises ValueError, TypeError."""
    if not more:
        return
    pairs = list(more.items() if isinstance(more, Mapping | Headers) else more)
    for name in {name.lower() for name, _ in pairs}:
        del headers[name]
    for name, value in pairs:
        if value is not None:
            headers.add(name, value)


def _unknown(names: Set[str]) -> str:
    """Which options there are not: one that went unseen could be a proxy, or whom to trust."""
    message = f"a request has no option {', '.join(sorted(names))}; it takes {', '.join(sorted(_OPTIONS))}"
    of_session = sorted(names & ConnectionOptions.__optional_keys__)
    return f"{message}; {', '.join(of_session)} is for the Session" if of_session else message


async def _subscribe(session: BaseSession[Any], url: str | URL, options: RequestOptions) -> AsyncGenerator[Event, None]:
    """The events of one subscription, over as many connections as it takes."""
    stream = EventStream()
    given = options.get("headers") or {}
    while True:
        headers = [*stream.headers().items(), *(given.items() if isinstance(given, Mapping | Headers) else given)]
        asked = {**options, "headers": headers}
        try:
            async with Streaming(session, "GET", url, cast("RequestOptions", asked)) as response:
                if not stream.accepts(response):
                    return
                while piece := await response.read_piece():
                    for event in stream.feed(piece):
                        yield event
            wait = stream.after_end()
        except ClientError as error:
            wait = stream.after_error(error)
        await session._network.sleep(wait)

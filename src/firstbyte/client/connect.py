"""Opens connections: the name, the race of its addresses (RFC 8305), Unix sockets, proxies, TLS."""

from __future__ import annotations

import errno
import os
import socket
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from itertools import zip_longest
from time import monotonic
from typing import NamedTuple
from urllib.parse import unquote

from firstbyte.client.hooks import Hooks
from firstbyte.client.network import Network, SockAddr, Stream
from firstbyte.client.pool import Connection
from firstbyte.client.proxies import is_forwarding, proxy_authorization, proxy_for, proxy_port, resolves_here, tunnel
from firstbyte.client.timeouts import Budget
from firstbyte.client.tls import Cert, TLSStream, Verify, make_context
from firstbyte.errors import ClientError, ConnectError, ConnectTimeout, ProxyError, ResolveError, TLSError
from firstbyte.http.url import URL

ATTEMPT_DELAY = 0.25  # seconds before the next address is tried beside the first: RFC 8305 section 5
_ROUTES = 1024  # origins whose way is remembered


class Route(NamedTuple):
    """The way to an origin. Requests with the same `key` share connections.

    `forwarding` is whether the proxy is sent the requests themselves, in absolute-form and with the further `fields`;
    through any other proxy goes a tunnel.
    """

    key: str
    proxy: URL | None = None
    forwarding: bool = False
    fields: tuple[tuple[str, str], ...] = ()


class Connector:
    """Opens the connections of one session.

    `uds` is a Unix socket that every one goes to, whatever its URL says; else `proxy` the proxy for all, or the
    environment's if `trust_env`.
    """

    def __init__(
        self,
        network: Network,
        verify: Verify,
        cert: Cert | None,
        uds: str | None,
        proxy: URL | None,
        trust_env: bool,
        hooks: Hooks,
    ) -> None:
        self._network = network
        self._trust = (verify, cert)
        self._uds = uds
        self._proxy = proxy
        self._trust_env = trust_env
        self._hooks = hooks
        self._routes: dict[tuple[str, bool], Route] = {}

    def route(self, url: URL, tunnels: bool = False) -> Route:
        """The way to the origin of a URL, not by requests to a proxy if it `tunnels`.

        Raises InvalidRequest for an environment that names no proxy where it should.
        """
        key = (url.origin, tunnels)
        route = self._routes.get(key)
        if route is None:
            route = self._find_route(url, tunnels)
            if len(self._routes) >= _ROUTES:
                self._routes.clear()
            self._routes[key] = route
        return route

    def _find_route(self, url: URL, tunnels: bool) -> Route:
        if self._uds is not None or url.scheme.endswith("+unix"):
            return Route(url.origin)
        proxy = self._proxy or (proxy_for(url) if self._trust_env else None)
        if proxy is None:
            return Route(url.origin)
        if tunnels or not is_forwarding(proxy, url):
            return Route(f"{url.origin} through {proxy.origin}", proxy)
        authorization = proxy_authorization(proxy)
        fields = (("Proxy-Authorization", authorization),) if authorization else ()
        return Route(f"by {proxy.origin}", proxy, True, fields)

    async def connect(self, url: URL, route: Route, budget: Budget) -> Connection:
        """A connection for requests to `url`. Raises ConnectError, ConnectTimeout, TotalTimeout."""
        steps = _Steps(budget, url.authority)
        stream: Stream | None = None
        try:
            if route.proxy is None:
                stream = await self._open(url, steps)
            else:
                stream = await self._open_proxy(route.proxy, steps)
                if not route.forwarding:
                    stream = await self._tunnel(stream, route.proxy, url, steps)
            if url.scheme.startswith("https"):
                stream = await self._start_tls(stream, url.host, steps)
        except BaseException as error:
            if stream is not None:
                stream.close()
            if isinstance(error, ClientError):
                error.locate(steps.address, budget.seconds, steps.phase)
                raise
            if isinstance(error, TimeoutError):
                raise steps.too_late() from None
            if isinstance(error, OSError | UnicodeError):
                raise steps.error(error) from error
            raise
        connection = Connection(self._hooks.listen(stream), route.key, steps.address)
        connection.opened = steps.timings()
        return connection

    async def _open(self, url: URL, steps: _Steps) -> Stream:
        path = self._uds or (unquote(url.host) if url.scheme.endswith("+unix") else None)
        if path is None:
            return await self._open_tcp(url.host, url.effective_port, steps)
        steps.address = path
        steps.begin("connect")
        return await self._race([SockAddr(socket.AF_UNIX, path)], steps)

    async def _open_tcp(self, host: str, port: int, steps: _Steps) -> Stream:
        steps.begin("resolve")
        addresses = await self._network.resolve(host, port, steps.left())
        steps.begin("connect")
        return await self._race(interleaved(addresses), steps)

    async def _race(self, addresses: Sequence[SockAddr], steps: _Steps) -> Stream:
        sock = await race(self._network, addresses, steps.left)
        try:
            return await self._network.open(sock)
        except BaseException:
            sock.close()
            raise

    async def _open_proxy(self, proxy: URL, steps: _Steps) -> Stream:
        steps.proxy = proxy
        stream = await self._open_tcp(proxy.host, proxy_port(proxy), steps)
        if proxy.scheme != "https":
            return stream
        try:
            return await TLSStream.open(stream, make_context(*self._trust), proxy.host, steps.left())
        except BaseException:
            stream.close()
            raise

    async def _tunnel(self, stream: Stream, proxy: URL, url: URL, steps: _Steps) -> Stream:
        """The stream when the proxy has made a tunnel of it. Raises ProxyError, OSError."""
        steps.phase = "proxy"
        host = url.host
        try:
            if resolves_here(proxy):
                addresses = await self._network.resolve(host, url.effective_port, steps.left())
                host = str(addresses[0].address[0])
            handshake = tunnel(proxy, host, url.effective_port)
            to_send = next(handshake)
            while True:
                if to_send:
                    await stream.send(to_send, steps.left())
                to_send = handshake.send(await stream.recv(steps.left()))
        except StopIteration:
            steps.proxy = None
            return stream
        except BaseException:
            stream.close()
            raise

    async def _start_tls(self, stream: Stream, host: str, steps: _Steps) -> Stream:
        steps.begin("tls")
        return await TLSStream.open(stream, make_context(*self._trust), host, steps.left())


class _Steps:
    """Where a connection has got to: for its errors, its timings, and the end of its time."""

    def __init__(self, budget: Budget, address: str) -> None:
        self._budget = budget
        self._until = None if budget.timeout.connect is None else monotonic() + budget.timeout.connect
        self._times: dict[str, float] = {}
        self.address = address
        self.phase = "connect"
        self.proxy: URL | None = None  # while it is the proxy that is spoken to

    def begin(self, phase: str) -> None:
        """The next phase; each comes once at most."""
        self.phase = phase
        self._times[phase] = monotonic()

    def left(self, wait: float | None = None) -> float | None:
        """How long the next wait may be. Raises TimeoutError."""
        return self._budget.left(wait, self._until)

    def timings(self) -> tuple[float | None, float | None, float | None]:
        """The seconds of resolve, connect and tls, now that all is done."""
        began = list(self._times.items())
        ends = [time for _, time in began[1:]] + [monotonic()]
        took = {phase: end - start for (phase, start), end in zip(began, ends, strict=True)}
        return took.get("resolve"), took.get("connect"), took.get("tls")

    def too_late(self) -> ClientError:
        """The error for a connection that did not come about in time."""
        limit = self._budget.timeout.connect
        within = "in time" if limit is None else f"within {limit:g} s"
        late = self._budget.over(ConnectTimeout, f"no connection{self._to_proxy()} {within}")
        late.locate(self.address, self._budget.seconds, self.phase)
        return late

    def error(self, error: OSError | UnicodeError) -> ClientError:
        """What went wrong, in the words of the tree."""
        kind: type[ConnectError] = ConnectError
        what = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
        if isinstance(error, ssl.SSLCertVerificationError):
            kind, what = TLSError, f"the certificate is not trusted: {error.verify_message}"
        elif isinstance(error, ssl.SSLError) or self.phase == "tls":
            kind, what = TLSError, f"the TLS handshake failed: {what}"
        elif self.phase == "resolve":
            kind, what = ResolveError, f"the host has no address: {what}"
        elif self.phase != "proxy":
            what = f"no connection: {what}"
        if self.proxy is not None:
            kind, what = ProxyError, f"{what}{self._to_proxy()}"
        return kind(what, address=self.address, seconds=self._budget.seconds, phase=self.phase)

    def _to_proxy(self) -> str:
        return "" if self.proxy is None else f" to the proxy {self.proxy.origin}"


def interleaved(addresses: Sequence[SockAddr]) -> list[SockAddr]:
    """The addresses with the families in turn, beginning with the first one's (RFC 8305 section 4)."""
    first = [address for address in addresses if address.family == addresses[0].family]
    others = [address for address in addresses if address.family != addresses[0].family]
    return [address for pair in zip_longest(first, others) for address in pair if address is not None]


async def race(
    network: Network, addresses: Sequence[SockAddr], left: Callable[[float | None], float | None]
) -> socket.socket:
    """A socket connected to the first of the addresses that lets itself be: each is given a head start on the next.

    `left` says how long a wait of so many seconds may be at most. Raises OSError, the last one of the attempts, and
    TimeoutError.
    """
    queue = deque(addresses)
    pending: list[socket.socket] = []
    failure = OSError(errno.EADDRNOTAVAIL, "the host has no address")
    try:
        while queue or pending:
            if queue:
                address = queue.popleft()
                sock = socket.socket(address.family, socket.SOCK_STREAM)
                pending.append(sock)
                sock.setblocking(False)
                if address.family != socket.AF_UNIX:
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                code = sock.connect_ex(address.address)
                if code == 0:
                    pending.remove(sock)
                    return sock
                if code != errno.EINPROGRESS:
                    failure = OSError(code, os.strerror(code))
                    pending.remove(sock)
                    sock.close()
                    continue
            for sock in await network.wait_connected(pending, left(ATTEMPT_DELAY if queue else None)):
                pending.remove(sock)
                code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if code == 0:
                    return sock
                failure = OSError(code, os.strerror(code))
                sock.close()
        raise failure
    finally:
        for sock in pending:
            sock.close()

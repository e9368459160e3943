"""Opens connections: the name, the race of its addresses (RFC 8305), Unix sockets, TLS."""

from __future__ import annotations

import errno
import os
import socket
import ssl
from collections import deque
from collections.abc import Sequence
from itertools import zip_longest
from time import monotonic
from urllib.parse import unquote

from firstbyte.client.exchange import Connection
from firstbyte.client.hooks import Hooks
from firstbyte.client.network import Network, SockAddr, Stream
from firstbyte.client.timeouts import Budget
from firstbyte.client.tls import Cert, TLSStream, Verify, make_context
from firstbyte.errors import ClientError, ConnectError, ConnectTimeout, ResolveError, TLSError
from firstbyte.http.url import URL

ATTEMPT_DELAY = 0.25  # seconds before the next address is tried beside the first: RFC 8305 section 5


class Connector:
    """Opens the connections of one session. `uds` is a Unix socket that every one goes to, whatever its URL says."""

    def __init__(self, network: Network, verify: Verify, cert: Cert | None, uds: str | None, hooks: Hooks) -> None:
        self._network = network
        self._hooks = hooks
        self._trust = (verify, cert)
        self._uds = uds

    async def connect(self, url: URL, origin: str, budget: Budget) -> Connection:
        """A connection for requests to `url`. Raises ConnectError, ConnectTimeout, TotalTimeout."""
        steps = _Steps(budget, url)
        try:
            stream = await self._open(url, steps)
            try:
                if url.scheme.startswith("https"):
                    stream = await self._start_tls(stream, url.host, steps)
            except BaseException:
                stream.close()
                raise
        except ClientError as error:
            error.locate(steps.address, budget.seconds, steps.phase)
            raise
        except TimeoutError:
            limit = budget.timeout.connect
            message = "no connection in time" if limit is None else f"no connection within {limit:g} s"
            late = budget.over(ConnectTimeout, message)
            late.locate(steps.address, budget.seconds, steps.phase)
            raise late from None
        except (OSError, UnicodeError) as error:
            raise steps.error(error) from error
        connection = Connection(self._hooks.listen(stream), origin, steps.address)
        connection.opened = steps.timings()
        return connection

    async def _open(self, url: URL, steps: _Steps) -> Stream:
        path = self._uds or (unquote(url.host) if url.scheme.endswith("+unix") else None)
        if path is not None:
            steps.address = path
            addresses = [SockAddr(socket.AF_UNIX, path)]
        else:
            steps.begin("resolve")
            addresses = await self._network.resolve(url.host, url.effective_port, steps.left())
        steps.begin("connect")
        sock = await race(self._network, interleaved(addresses), steps)
        try:
            return await self._network.open(sock)
        except BaseException:
            sock.close()
            raise

    async def _start_tls(self, stream: Stream, host: str, steps: _Steps) -> Stream:
        steps.begin("tls")
        return await TLSStream.open(stream, make_context(*self._trust), host, steps.left())


class _Steps:
    """Where a connection has got to: for its errors, its timings, and the end of its time."""

    def __init__(self, budget: Budget, url: URL) -> None:
        self._budget = budget
        self._until = None if budget.timeout.connect is None else monotonic() + budget.timeout.connect
        self._times: dict[str, float] = {}
        self.address = url.authority
        self.phase = "connect"

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

    def error(self, error: OSError | UnicodeError) -> ClientError:
        """What went wrong, in the words of the tree."""
        kind: type[ConnectError] = ConnectError
        what = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
        if isinstance(error, ssl.SSLCertVerificationError):
            kind, what = TLSError, f"the server's certificate is not trusted: {error.verify_message}"
        elif self.phase == "tls":
            kind, what = TLSError, f"the TLS handshake failed: {what}"
        elif self.phase == "resolve":
            kind, what = ResolveError, f"the host has no address: {what}"
        else:
            what = f"no connection: {what}"
        return kind(what, address=self.address, seconds=self._budget.seconds, phase=self.phase)


def interleaved(addresses: Sequence[SockAddr]) -> list[SockAddr]:
    """The addresses with the families in turn, beginning with the first one's (RFC 8305 section 4)."""
    first = [address for address in addresses if address.family == addresses[0].family]
    others = [address for address in addresses if address.family != addresses[0].family]
    return [address for pair in zip_longest(first, others) for address in pair if address is not None]


async def race(network: Network, addresses: Sequence[SockAddr], steps: _Steps) -> socket.socket:
    """A socket connected to the first of the addresses that lets itself be: each is given a head start on the next.

    Raises OSError, the last one of the attempts, and TimeoutError.
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
            for sock in await network.wait_connected(pending, steps.left(ATTEMPT_DELAY if queue else None)):
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

"""What the client asks of the network, in a dozen words, and how a program without a loop does it.

Everything above this file is written once, as coroutines. Here it meets one of two drivers: `SyncNetwork`, whose
coroutines block and never suspend, so that `run` needs one step for a whole call, and
`firstbyte.client.aio.AsyncNetwork`, where they suspend as any others do. Errors are still Python's own here: OSError,
and TimeoutError for a wait that was too long.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
import time
from collections.abc import Coroutine, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

T = TypeVar("T")

CHUNK = 64 * 1024  # bytes asked for at once, where nothing says that more will come


class SockAddr(NamedTuple):
    """An address as `socket` has it: where a connection can go."""

    family: int
    address: Any


class Stream(Protocol):
    """A connection that carries bytes both ways."""

    async def recv(self, timeout: float | None, size: int = CHUNK) -> bytes:
        """The bytes that come next, about `size` of them at most; none when the peer has ended. Raises OSError."""
        ...

    def recv_at_once(self, timeout: float | None) -> bytes | None:
        """As `recv`, but None if that would suspend, which a blocking stream never does. Raises OSError."""
        ...

    def recv_now(self) -> bytes | None:
        """As `recv`, but None if nothing is here. Never waits, never raises: a broken connection has ended."""
        ...

    async def send(self, data: bytes, timeout: float | None) -> None:
        """Sends all of `data`; `timeout` is for each wait in which none of it is taken. Raises OSError."""
        ...

    def send_at_once(self, data: bytes, timeout: float | None) -> Coroutine[Any, Any, None] | None:
        """As `send`, without suspending: what is to be awaited for the rest, None if there is none. Raises OSError."""
        ...

    def close(self) -> None:
        """Ends the connection at once, whatever is under way. Twice is fine."""
        ...


class AwaitedStream:
    """The part of a `Stream` that does nothing without suspending: what goes through it is worked on, both ways."""

    __slots__ = ()

    def recv_at_once(self, timeout: float | None) -> bytes | None:
        """See `Stream.recv_at_once`."""
        return None

    def send_at_once(self: Stream, data: bytes, timeout: float | None) -> Coroutine[Any, Any, None]:
        """See `Stream.send_at_once`."""
        return self.send(data, timeout)


class Waiter(Protocol):
    """Lets one task or thread wait until another wakes it, once."""

    async def wait(self, timeout: float | None) -> bool:
        """Whether it was woken in time."""
        ...

    def wake(self) -> None:
        """Ends the wait, also one that has not begun."""
        ...


class Network(Protocol):
    """The driver under a session."""

    is_async: bool

    async def resolve(self, host: str, port: int, timeout: float | None) -> list[SockAddr]:
        """The addresses of a host, in the resolver's order. Raises OSError."""
        ...

    async def wait_connected(self, socks: Sequence[socket.socket], timeout: float | None) -> list[socket.socket]:
        """Those of the non-blocking sockets whose connect has come to an end; none of them after `timeout`."""
        ...

    async def open(self, sock: socket.socket) -> Stream:
        """The stream of a connected socket, which it owns from now on."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Waits."""
        ...

    def waiter(self) -> Waiter:
        """A new waiter."""
        ...

    def start(self, work: Coroutine[Any, Any, None]) -> object:
        """Has a coroutine run beside the caller, until it ends; keep what is returned until then."""
        ...


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine over a SyncNetwork: it has nothing to wait for and ends in its first step."""
    try:
        coroutine.send(None)
    except StopIteration as result:
        value: T = result.value
        return value
    coroutine.close()
    raise RuntimeError("a coroutine waited in a session without a loop: what it was given belongs to AsyncSession")


class SyncNetwork:
    """Blocking sockets."""

    is_async = False

    async def resolve(self, host: str, port: int, timeout: float | None) -> list[SockAddr]:
        """See `Network.resolve`. The resolver cannot be interrupted: it has its own timeout (resolv.conf)."""
        return addresses_of(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))

    async def wait_connected(self, socks: Sequence[socket.socket], timeout: float | None) -> list[socket.socket]:
        """See `Network.wait_connected`."""
        poll = select.poll()
        for sock in socks:
            poll.register(sock, select.POLLOUT)
        ready = {descriptor for descriptor, _ in poll.poll(None if timeout is None else timeout * 1000)}
        return [sock for sock in socks if sock.fileno() in ready]

    async def open(self, sock: socket.socket) -> Stream:
        """See `Network.open`."""
        return SocketStream(sock)

    async def sleep(self, seconds: float) -> None:
        """See `Network.sleep`."""
        time.sleep(seconds)

    def waiter(self) -> Waiter:
        """See `Network.waiter`."""
        return _ThreadWaiter()

    def start(self, work: Coroutine[Any, Any, None]) -> object:
        """See `Network.start`. The thread does not keep the program from ending."""
        thread = threading.Thread(target=run, args=(work,), name="firstbyte-client", daemon=True)
        thread.start()
        return thread


class SocketStream:
    """A blocking socket. The kernel keeps the timeouts (SO_RCVTIMEO, SO_SNDTIMEO), so a read is one system call.

    Python's own `settimeout` would poll before each.
    """

    __slots__ = ("_recv_timeout", "_send_timeout", "_sock")

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(True)
        self._sock = sock
        self._recv_timeout: float | None = None
        self._send_timeout: float | None = None

    async def recv(self, timeout: float | None, size: int = CHUNK) -> bytes:
        """See `Stream.recv`."""
        return self._recv(timeout, size)

    def recv_at_once(self, timeout: float | None) -> bytes | None:
        """See `Stream.recv_at_once`."""
        return self._recv(timeout, CHUNK)

    def recv_now(self) -> bytes | None:
        """See `Stream.recv_now`."""
        try:
            return self._sock.recv(CHUNK, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    async def send(self, data: bytes, timeout: float | None) -> None:
        """See `Stream.send`."""
        self.send_at_once(data, timeout)

    def send_at_once(self, data: bytes, timeout: float | None) -> None:
        """See `Stream.send_at_once`."""
        if timeout != self._send_timeout:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(timeout))
            self._send_timeout = timeout
        try:
            self._sock.sendall(data)
        except BlockingIOError:
            raise TimeoutError from None

    def close(self) -> None:
        """See `Stream.close`."""
        # Another thread may be waiting in recv: closing alone would not wake it.
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()

    def _recv(self, timeout: float | None, size: int) -> bytes:
        if timeout != self._recv_timeout:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(timeout))
            self._recv_timeout = timeout
        try:
            return self._sock.recv(size)
        except BlockingIOError:
            raise TimeoutError from None


def addresses_of(infos: Sequence[tuple[Any, Any, Any, Any, Any]]) -> list[SockAddr]:
    """What getaddrinfo returns, each address once."""
    return list(dict.fromkeys(SockAddr(info[0], info[4]) for info in infos))


class _ThreadWaiter:
    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = threading.Event()

    async def wait(self, timeout: float | None) -> bool:
        """See `Waiter.wait`."""
        return self._event.wait(timeout)

    def wake(self) -> None:
        """See `Waiter.wake`."""
        self._event.set()


def _timeval(seconds: float | None) -> bytes:
    """A struct timeval; zero is no limit, so what rounds to it is a microsecond."""
    micros = 0 if seconds is None else max(1, int(seconds * 1_000_000))
    return struct.pack("@ll", *divmod(micros, 1_000_000))

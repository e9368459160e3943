"""Listening sockets: where clients come in."""

from __future__ import annotations

import errno
import os
import socket
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from firstbyte.engine._sys import EXCLUSIVE, READ
from firstbyte.errors import ListenError
from firstbyte.http.request import Address, Ends

if TYPE_CHECKING:
    from firstbyte.engine.entrance import Entrance
    from firstbyte.engine.reactor import Reactor

ACCEPTS = 64  # connections taken at one event, so that a flood of them does not starve the others
SHARED_ACCEPTS = 1  # the same where other processes accept too: they are to have their share
PAUSE = 0.2  # seconds without accepting after there was no room, or the system had no descriptor or memory left


def listen(host: str, port: int, backlog: int = 1024) -> list[socket.socket]:
    """Sockets that listen on every address of `host` ("" for all, IPv4 and IPv6); port 0 lets the system choose.

    Raises ListenError with what to do about it.
    """
    if not 0 <= port <= 65535:
        raise ListenError(f"{port} is no port: choose one from 0 to 65535")
    try:
        # As bytes, a name in ASCII is spared the codec for others, which takes long to import.
        name = host.encode() if host.isascii() else host
        found = socket.getaddrinfo(name or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError) as error:
        reason = error.strerror if isinstance(error, socket.gaierror) else "it is no host name"
        raise ListenError(f"{host!r} is no address of a host: {reason}") from None
    sockets: list[socket.socket] = []
    failure: OSError | None = None
    for family, _, _, _, address in dict.fromkeys(found):
        if port == 0 and sockets:
            address = (address[0], sockets[0].getsockname()[1], *address[2:])
        sock = None
        try:
            sock = socket.socket(family, socket.SOCK_STREAM)
            if os.name == "posix":
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind(address)
            sock.listen(backlog)
        except OSError as error:
            if sock is not None:
                sock.close()
            # A machine without IPv6 still names ::1; every other address must work.
            if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT) and len(found) > 1:
                failure = error
                continue
            for other in sockets:
                other.close()
            raise _explained(error, host, port) from None
        sock.setblocking(False)
        sockets.append(sock)
    if not sockets:
        assert failure is not None  # getaddrinfo never answers with an empty list
        raise _explained(failure, host, port)
    return sockets


def listen_unix(path: str, backlog: int = 1024) -> socket.socket:
    """A socket that listens on a path, in the place of one that a dead server left behind. Raises ListenError."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if Path(path).exists() and stat.S_ISSOCK(Path(path).stat().st_mode):
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
                if probe.connect_ex(path) == errno.ECONNREFUSED:
                    Path(path).unlink()
        sock.bind(path)
        sock.listen(backlog)
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            raise ListenError(f"{path} is taken: something listens on it, or it is a file") from None
        raise ListenError(f"cannot listen on {path}: {error.strerror or error}") from None
    sock.setblocking(False)
    return sock


class Listener:
    """One listening socket in a reactor."""

    def __init__(
        self, reactor: Reactor, sock: socket.socket, entrance: Entrance | None = None, shared: bool = False
    ) -> None:
        self._reactor = reactor
        self._entrance = entrance
        self._shared = shared  # with other processes, which accept there as well
        self.interest = READ | EXCLUSIVE if shared else READ
        self.takes_rest = not shared
        self._sock = sock
        self.fileno = sock.fileno()
        self.paused_until = 0.0  # on the monotonic clock; 0 while accepting
        self._waited = not shared  # whether the other processes had time to take the clients that find no room here
        self._tcp = sock.family != socket.AF_UNIX
        self.address = address_of(sock.getsockname())

    def on_event(self, events: int) -> None:
        """Accepts the clients that wait."""
        if not self._shared:
            self._accept(ACCEPTS)
            return
        self._accept(SHARED_ACCEPTS)
        # Of the processes that wait, the kernel wakes the one that began first: this one gets in line behind them.
        if self.paused_until:
            return
        if not self._has_room():
            self._pause()  # so that none of them is kept waiting by a wake-up that was for this process
            return
        self._reactor.ignore_source(self.fileno)
        self._reactor.watch_source(self.fileno, self, self.interest)
        os.sched_yield()  # one that was woken, and waits for this processor, is to have the next client

    def accept_rest(self) -> None:
        """Accepts the clients that still wait, before the socket is closed: they were promised an answer.

        All of them, unless other processes stay to do so: then those for which none of the others may have been woken.
        """
        self._accept(1 << 16 if self.takes_rest else ACCEPTS)

    def resume(self, now: float) -> None:
        """Accepts again after a pause that is over."""
        if self.paused_until and now >= self.paused_until:
            self.paused_until = 0.0
            self._waited = True
            self._reactor.watch_source(self.fileno, self, self.interest)

    def close(self) -> None:
        """Closes the socket."""
        self._sock.close()

    def _has_room(self) -> bool:
        return self._reactor.open < self._reactor.limits.connections

    def _accept(self, count: int) -> None:
        reactor = self._reactor
        for taken in range(count):
            if not self._has_room():
                if taken and not self._shared:
                    return  # perhaps nobody waits behind them: an event will tell
                if not self._waited or not reactor.make_room():
                    self._pause()
                    return
            try:
                sock, peer = self._sock.accept()
            except BlockingIOError:
                return
            except ConnectionAbortedError:
                continue  # it left while it waited
            except OSError as error:
                # EMFILE, ENFILE, ENOBUFS, ENOMEM: the client still waits in the queue, so polling again would spin.
                self._pause()
                if reactor.hooks.accept_failed is not None:
                    reactor.hooks.accept_failed(error)
                return
            self._waited = not self._shared
            sock.setblocking(False)
            if self._tcp:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._admit(sock, address_of(peer))
            else:
                self._admit(sock, Address("unix", 0))

    def _admit(self, sock: socket.socket, client: Address) -> None:
        if self._entrance is None:
            self._reactor.adopt(sock, Ends(client, self.address))
        else:
            self._entrance.admit(self._reactor, sock, client, self.address)

    def _pause(self) -> None:
        self.paused_until = self._reactor.now + PAUSE
        self._reactor.pause(self)


def address_of(name: object) -> Address:
    """A socket's name as an Address: host and port, or a Unix path and 0."""
    if isinstance(name, tuple):
        return Address(name[0], name[1])
    return Address(name if isinstance(name, str) else "", 0)


def _explained(error: OSError, host: str, port: int) -> ListenError:
    place = f"{host or '*'}:{port}"
    if error.errno == errno.EADDRINUSE:
        return ListenError(f"port {port} is taken: another program listens on {place}; choose another with --port")
    if error.errno == errno.EACCES:
        return ListenError(f"port {port} needs more rights: choose one from 1024 up with --port")
    if error.errno == errno.EADDRNOTAVAIL:
        return ListenError(f"{host} is not an address of this machine: choose another with --host")
    return ListenError(f"cannot listen on {place}: {error.strerror or error}")

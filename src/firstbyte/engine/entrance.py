"""What a client passes before its first request, without anyone waiting for it: a proxy's header, the TLS handshake."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING

from firstbyte._lazy import lazy_logger
from firstbyte.engine._sys import READ, WRITE
from firstbyte.engine.answers import encoded_error
from firstbyte.engine.tls import Certificates, looks_like_http
from firstbyte.engine.tls_socket import Encryption, TLSSocket
from firstbyte.errors import ConfigurationError, ProtocolError
from firstbyte.http.request import Address, Ends
from firstbyte.wire import proxy_protocol

if TYPE_CHECKING:
    from firstbyte.engine.exchange import Exchange
    from firstbyte.engine.reactor import Reactor

logger = lazy_logger("firstbyte.engine")

LOOK = 1.0  # seconds between two looks at whether certificates have changed, while clients come
PEEK = 64  # bytes that tell a plain request from a handshake


class Entrance:
    """Takes the clients of a port in that speaks TLS, or is behind proxies that say who the client is, or both.

    With `proxy_protocol` every connection must begin with a header of the PROXY protocol, version 1 or 2: so only the
    proxies may reach the port. Certificates whose files have changed are read again.
    """

    def __init__(self, certificates: Certificates | None = None, proxy_protocol: bool = False) -> None:
        self._certificates = certificates
        self._proxy_protocol = proxy_protocol
        self._look_at = 0.0

    def admit(self, reactor: Reactor, sock: socket.socket, client: Address, server: Address) -> None:
        """Begins with a client that has connected."""
        if self._proxy_protocol:
            reactor.enter(Introduction(reactor, sock, client, server, self))
        else:
            self.secure(reactor, sock, client, server)

    def secure(self, reactor: Reactor, sock: socket.socket, client: Address, server: Address) -> None:
        """Goes on with a client that is known."""
        if self._certificates is None:
            reactor.adopt(sock, Ends(client, server))
            return
        if reactor.now >= self._look_at:
            self._look_at = reactor.now + LOOK
            self._renew(self._certificates)
        context = self._certificates.context_for(server.host)
        context.sslsocket_class = TLSSocket
        reactor.enter(Handshake(reactor, sock, client, server, context))

    def _renew(self, certificates: Certificates) -> None:
        if not certificates.changed():
            return
        try:
            certificates.reload()
        except ConfigurationError as error:
            logger.error("the new certificates are not used: %s", error)
        else:
            logger.info("the certificates have changed and are read again")
            for warning in certificates.warnings:
                logger.warning("%s", warning)


class Arrival:
    """A client's connection before it is a `Connection`. The leader's alone, so it is never busy."""

    __slots__ = (
        "_reactor", "_server", "busy", "client", "deadline", "fd", "interest", "lost", "owner", "sock", "state",
    )  # fmt: skip

    entry = None  # of a request: there is none yet

    def __init__(self, reactor: Reactor, sock: socket.socket, client: Address, server: Address, state: str) -> None:
        self._reactor = reactor
        self._server = server
        self.sock = sock
        self.fd = sock.fileno()
        self.client = client
        self.state = state
        self.interest = READ
        self.deadline = reactor.now + reactor.timeouts.head
        self.busy = False
        self.lost = False
        self.owner: Exchange | None = None

    def on_event(self, events: int) -> None:
        """The descriptor is ready."""
        raise NotImplementedError

    def on_deadline(self) -> None:
        """What was to come has not come in time."""
        self.close(f"{self.state} timeout")

    def begin_drain(self) -> None:
        """The server stops: who has come may still have a request."""
        self.deadline = min(self.deadline, self._reactor.now + self._reactor.timeouts.drain_idle)

    def close(self, reason: str) -> None:
        """Ends the connection."""
        self._reactor.forget(self)
        self.sock.close()

    def refuse(self, error: ProtocolError) -> None:
        """Ends the connection for what the client has sent."""
        if self._reactor.hooks.rejected is not None:
            self._reactor.hooks.rejected(self, error)
        self.close(error.rule)


class Introduction(Arrival):
    """Waits for the PROXY protocol's header, which says whose connection it is."""

    __slots__ = ("_entrance", "_header")

    def __init__(
        self, reactor: Reactor, sock: socket.socket, client: Address, server: Address, entrance: Entrance
    ) -> None:
        super().__init__(reactor, sock, client, server, "introduction")
        self._entrance = entrance
        self._header = b""  # what has come of it

    def on_event(self, events: int) -> None:
        """Takes the header, and no byte behind it, once it is whole."""
        try:
            data = self.sock.recv(proxy_protocol.MAX_V2, socket.MSG_PEEK)
            header = proxy_protocol.parse(self._header + data)
        except BlockingIOError:
            return
        except OSError as error:
            self.close(f"recv: {error.strerror}")
        except ProtocolError as error:
            self.refuse(error)
        else:
            if header is not None:
                self.sock.recv(header.length - len(self._header))
                self._reactor.forget(self)
                client, server = header.source or self.client, header.destination or self._server
                self._entrance.secure(self._reactor, self.sock, client, server)
            elif data:
                self._header += self.sock.recv(len(data))  # all of it belongs to a header that has not ended yet
            else:
                self.close("client closed")


class Handshake(Arrival):
    """The TLS handshake."""

    __slots__ = ("_context", "_encrypted")

    def __init__(
        self, reactor: Reactor, sock: socket.socket, client: Address, server: Address, context: ssl.SSLContext
    ) -> None:
        super().__init__(reactor, sock, client, server, "handshake")
        self._context = context
        self._encrypted: TLSSocket | None = None

    def on_event(self, events: int) -> None:
        """Goes as far as it can without waiting."""
        try:
            if self._encrypted is None and not self._begin():
                return
            assert self._encrypted is not None
            self._encrypted.do_handshake()
        except (ssl.SSLWantReadError, BlockingIOError):
            self._reactor.change_interest(self, READ)
        except ssl.SSLWantWriteError:
            self._reactor.change_interest(self, WRITE)
        except OSError as error:  # ssl.SSLError is one
            self.refuse(ProtocolError(400, "tls-handshake", f"the TLS handshake failed: {_reason(error)}"))
        else:
            sock = self._encrypted
            self._reactor.forget(self)
            self._reactor.adopt(sock, Ends(self.client, self._server, "https", Encryption(sock)))

    def _begin(self) -> bool:
        """Looks at the first bytes and begins the handshake, unless they are none of one."""
        first = self.sock.recv(PEEK, socket.MSG_PEEK)
        if not first:
            self.close("client closed")
            return False
        if looks_like_http(first):
            error = ProtocolError(400, "plain-on-tls-port", "this port speaks TLS: use https://")
            self.sock.recv(64 * 1024)  # what is unread when a socket is closed would take the answer with it
            self.sock.send(b"".join(encoded_error(error, self._reactor.tails)))
            self.refuse(error)
            return False
        encrypted = self._context.wrap_socket(self.sock, server_side=True, do_handshake_on_connect=False)
        assert isinstance(encrypted, TLSSocket)
        self.sock = self._encrypted = encrypted
        return True


def _reason(error: OSError) -> str:
    reason = getattr(error, "reason", None)
    return str(reason).lower().replace("_", " ") if reason else error.strerror or str(error)

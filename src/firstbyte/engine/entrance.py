"""What a client passes before its first request: the handshake of TLS, without anyone waiting for it."""

from __future__ import annotations

import logging
import socket
import ssl
from typing import TYPE_CHECKING

from firstbyte.engine._sys import READ, WRITE
from firstbyte.engine.answers import error_response
from firstbyte.engine.tls import Certificates, looks_like_http
from firstbyte.engine.tls_socket import Encryption, TLSSocket
from firstbyte.errors import ConfigurationError, ProtocolError
from firstbyte.http.request import Address, Ends
from firstbyte.wire.writer import encode_head

if TYPE_CHECKING:
    from firstbyte.engine.exchange import Exchange
    from firstbyte.engine.reactor import Reactor

logger = logging.getLogger("firstbyte.engine")

LOOK = 1.0  # seconds between two looks at whether certificates have changed, while clients come
PEEK = 64  # bytes that tell a plain request from a handshake


class Entrance:
    """Takes the clients of an encrypted port in. Certificates whose files have changed are read again."""

    def __init__(self, certificates: Certificates) -> None:
        self._certificates = certificates
        self._look_at = 0.0

    def admit(self, reactor: Reactor, sock: socket.socket, client: Address, server: Address) -> None:
        """Begins with a client that has connected."""
        if reactor.now >= self._look_at:
            self._look_at = reactor.now + LOOK
            self._renew()
        context = self._certificates.context_for(server.host)
        context.sslsocket_class = TLSSocket
        reactor.enter(Handshake(reactor, sock, context, client, server))

    def _renew(self) -> None:
        if not self._certificates.changed():
            return
        try:
            self._certificates.reload()
        except ConfigurationError as error:
            logger.error("the new certificates are not used: %s", error)
        else:
            logger.info("the certificates have changed and are read again")
            for warning in self._certificates.warnings:
                logger.warning("%s", warning)


class Handshake:
    """A client's connection until it is encrypted; then a `Connection` takes its place. The leader's alone."""

    __slots__ = (
        "_context", "_encrypted", "_reactor", "_server", "busy", "client", "deadline", "fd", "interest", "lost",
        "owner", "sock", "state",
    )  # fmt: skip

    def __init__(
        self, reactor: Reactor, sock: socket.socket, context: ssl.SSLContext, client: Address, server: Address
    ) -> None:
        self._reactor = reactor
        self._context = context
        self._server = server
        self._encrypted: TLSSocket | None = None
        self.sock = sock
        self.fd = sock.fileno()
        self.client = client
        self.state = "handshake"
        self.interest = READ
        self.deadline = reactor.now + reactor.timeouts.head
        self.busy = False
        self.lost = False
        self.owner: Exchange | None = None

    def on_event(self, events: int) -> None:
        """The descriptor is ready: goes as far as it can without waiting."""
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
            self._refuse(ProtocolError(400, "tls-handshake", f"the TLS handshake failed: {_reason(error)}"))
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
            response = error_response(error.status, str(error))
            assert isinstance(response.body, bytes)
            head = encode_head(response, "GET", 1, False, self._reactor.tails)
            self.sock.recv(64 * 1024)  # what is unread when a socket is closed would take the answer with it
            self.sock.send(head.data + response.body)
            self._refuse(error)
            return False
        encrypted = self._context.wrap_socket(self.sock, server_side=True, do_handshake_on_connect=False)
        assert isinstance(encrypted, TLSSocket)
        self.sock = self._encrypted = encrypted
        return True

    def on_deadline(self) -> None:
        """The handshake has not come to its end in time."""
        self.close("handshake timeout")

    def begin_drain(self) -> None:
        """The server stops: a handshake that has begun may still become a request."""
        self.deadline = min(self.deadline, self._reactor.now + self._reactor.timeouts.drain_idle)

    def close(self, reason: str) -> None:
        """Ends the connection."""
        self._reactor.forget(self)
        self.sock.close()

    def abandon(self) -> None:
        """The server has ended."""
        self.close("server stopped")

    def _refuse(self, error: ProtocolError) -> None:
        if self._reactor.hooks.rejected is not None:
            self._reactor.hooks.rejected(self, error)
        self.close(error.rule)


def _reason(error: OSError) -> str:
    reason = getattr(error, "reason", None)
    return str(reason).lower().replace("_", " ") if reason else error.strerror or str(error)

"""A socket that speaks TLS, with the manners of one that does not: what would have to wait is a BlockingIOError."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterable
from functools import cached_property
from typing import Any

from firstbyte.engine.output import JOIN
from firstbyte.engine.tls_peer import peer_certificate, tls_extension
from firstbyte.http.certificate import Certificate


class TLSSocket(ssl.SSLSocket):
    """The server's end of a connection, non-blocking, made by `Entrance`. What OpenSSL objects to is an OSError."""

    def recv(self, size: int = 1024, flags: int = 0) -> bytes:
        """At most `size` decrypted bytes, none at the end. Raises BlockingIOError while no whole record is here."""
        try:
            return super().recv(size, flags)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise BlockingIOError from None

    def send(self, data: Any, flags: int = 0) -> int:
        """Sends what fits into a record or into the socket. Raises BlockingIOError if nothing does."""
        try:
            return super().send(data, flags)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise BlockingIOError from None

    def sendmsg(self, buffers: Iterable[Any], *rest: Any) -> int:  # type: ignore[override]  # the base has none
        """Sends the first buffers as one record: TLS gathers nothing by itself.

        What is sent again after a BlockingIOError begins as it did before, as OpenSSL wants it.
        """
        joined = bytearray()
        for buffer in buffers:
            if joined and len(joined) + len(buffer) > JOIN:
                break
            joined += buffer
        return self.send(joined)

    def shutdown(self, how: int) -> None:
        """Tells the peer that nothing more comes (close_notify), then shuts the socket down."""
        self._say_goodbye()
        super().shutdown(how)

    def close(self) -> None:
        """Closes, with a close_notify if it goes out at once: without one the peer takes the answer for cut off."""
        if self.fileno() >= 0:
            self._say_goodbye()
        super().close()

    def _say_goodbye(self) -> None:
        connection: Any = self._sslobj  # type: ignore[has-type]  # the base's; its `unwrap` would close the socket too
        if connection is None:
            return
        try:
            connection.shutdown()
        except (OSError, ValueError):
            pass  # the peer's own close_notify has not come, which is not waited for, or the peer is gone
        self._sslobj = None


class Encryption:
    """What is known of an encrypted connection: `Request.tls`. Looked up when it is asked for."""

    def __init__(self, sock: TLSSocket) -> None:
        self._sock = sock
        self._extension: dict[str, Any] | None = None

    @cached_property
    def certificate(self) -> Certificate | None:
        """The client's certificate, verified; None if it showed none or was not asked for one."""
        return peer_certificate(self._sock)  # type: ignore[arg-type]  # an SSLObject says the same

    @cached_property
    def extension(self) -> dict[str, Any]:
        """The value of extensions["tls"] in an ASGI scope."""
        return tls_extension(self._sock)  # type: ignore[arg-type]

    @cached_property
    def version(self) -> str:
        """ "TLSv1.3" or "TLSv1.2"."""
        return self._sock.version() or ""


_: type[socket.socket] = TLSSocket

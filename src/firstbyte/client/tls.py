"""TLS over any stream, so that it can be had through a proxy, and through one that speaks TLS itself; and its
contexts."""

from __future__ import annotations

import ssl
import threading
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

from firstbyte.client.network import CHUNK, AwaitedStream, Stream
from firstbyte.errors import InvalidRequest

Verify: TypeAlias = "bool | str | Path | ssl.SSLContext"
"""Whom to trust: those whom the system trusts, nobody in particular (False), the certificates of a file or folder, or
what a context says, which is then used as it is."""

Cert: TypeAlias = "str | Path | tuple[str | Path, str | Path] | tuple[str | Path, str | Path, str]"
"""The client's own certificate: a PEM file with its key, or certificate and key, or these and the key's password."""


def make_context(verify: Verify = True, cert: Cert | None = None) -> ssl.SSLContext:
    """The context for these arguments; the same for the same. Raises InvalidRequest for files that hold no
    certificates.

    The system's trust is asked for through truststore where that is installed, else by OpenSSL's own paths.
    """
    if isinstance(verify, ssl.SSLContext):
        return verify
    return _context(verify if isinstance(verify, bool) else str(verify), _names(cert))


@lru_cache(maxsize=64)
def _context(verify: bool | str, cert: tuple[str, ...]) -> ssl.SSLContext:
    try:
        context = _trusting(verify)
        context.set_alpn_protocols(["http/1.1"])
        if cert:
            context.load_cert_chain(*cert)
    except (OSError, ssl.SSLError) as error:
        message = f"the certificates of verify={verify!r}, cert={cert[:2]!r} cannot be used: {error}"
        raise InvalidRequest(message) from error
    return context


def _trusting(verify: bool | str) -> ssl.SSLContext:
    if isinstance(verify, str):
        if Path(verify).is_dir():
            return ssl.create_default_context(capath=verify)
        return ssl.create_default_context(cafile=verify)
    if verify:
        try:
            import truststore
        except ImportError:
            return ssl.create_default_context()
        context: ssl.SSLContext = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        return context
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _names(cert: Cert | None) -> tuple[str, ...]:
    if cert is None:
        return ()
    return tuple(str(part) for part in cert) if isinstance(cert, tuple) else (str(cert),)


class TLSStream(AwaitedStream):
    """A stream in the clear over one that is not. Make one with `open`.

    The records are made and read in memory, with no socket under them. One may receive while another sends.
    """

    def __init__(self, stream: Stream, context: ssl.SSLContext, server_hostname: str | None) -> None:
        self._stream = stream
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_hostname)
        self._lock = threading.Lock()  # around what OpenSSL does: two threads at once are too many for it
        self._sends = False  # whether somebody is in `send`, which takes all of what is outgoing along

    @classmethod
    async def open(
        cls, stream: Stream, context: ssl.SSLContext, server_hostname: str | None, timeout: float | None
    ) -> TLSStream:
        """`stream` with TLS over it, shaken hands. Raises OSError, of which ssl.SSLError is one."""
        self = cls(stream, context, server_hostname)
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush(timeout)
                await self._fill(timeout)
            except ssl.SSLError:
                await self._flush(timeout)  # the alert that tells the server why
                raise
            else:
                await self._flush(timeout)
                return self

    async def recv(self, timeout: float | None, size: int = CHUNK) -> bytes:
        """See `Stream.recv`. An end without TLS's own close is an error, since anyone could have made it (RFC 9112
        9.8)."""
        while True:
            with self._lock:
                before = self._outgoing.pending
                try:
                    return self._tls.read(size)
                except ssl.SSLWantReadError:
                    answers = self._outgoing.pending > before and not self._sends
                except ssl.SSLZeroReturnError:
                    return b""
                except ssl.SSLEOFError:
                    raise ConnectionAbortedError("it ended without the close of TLS") from None
            if answers:
                await self._flush(timeout)
            await self._fill(timeout, size)

    def recv_now(self) -> bytes | None:
        """See `Stream.recv_now`. What TLS says for itself, such as a session ticket, is nothing."""
        data = self._stream.recv_now()
        try:
            with self._lock:
                if data is not None:
                    self._incoming.write(data) if data else self._incoming.write_eof()
                return self._tls.read(CHUNK)
        except ssl.SSLWantReadError:
            return None
        except ssl.SSLError:
            return b""

    async def send(self, data: bytes, timeout: float | None) -> None:
        """See `Stream.send`."""
        view = memoryview(data)
        self._sends = True
        try:
            while view:
                # A handshake is over before anything is sent, and TLS 1.3 has no second: writing never waits.
                with self._lock:
                    view = view[self._tls.write(view) :]
                if self._outgoing.pending >= CHUNK:
                    await self._flush(timeout)
            await self._flush(timeout)
        finally:
            self._sends = False

    def close(self) -> None:
        """See `Stream.close`."""
        self._stream.close()

    async def _flush(self, timeout: float | None) -> None:
        if self._outgoing.pending:
            with self._lock:
                data = self._outgoing.read()
            await self._stream.send(data, timeout)

    async def _fill(self, timeout: float | None, size: int = CHUNK) -> None:
        data = await self._stream.recv(timeout, size)
        with self._lock:
            if data:
                self._incoming.write(data)
            else:
                self._incoming.write_eof()

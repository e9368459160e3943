"""What a session tells while it works, and how long each phase took."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from firstbyte.client.network import CHUNK, AwaitedStream, Stream
from firstbyte.errors import ClientError

if TYPE_CHECKING:
    from firstbyte.client.request import ClientRequest
    from firstbyte.client.response import ClientResponse


class Timings(NamedTuple):
    """Seconds of each phase of one exchange, in order; None for what did not happen: a kept connection has only the
    last three.

    `resolve` the name, `connect` the socket and the proxy, `tls` the handshake, `sent` the request, `first_byte` the
    wait for the answer from then on, `done` the rest of it. `done` is None until the body is read.
    """

    resolve: float | None
    connect: float | None
    tls: float | None
    sent: float | None
    first_byte: float | None
    done: float | None


@dataclass(frozen=True, slots=True)
class Hooks:
    """Functions that are called as a session works; they may change the request's headers and nothing else, and what
    they raise ends the call.

    `request` before each exchange, retries and redirects included; `response` when the head of its answer is there;
    `error` when the call ends without one. `sent` and `received` are given the bytes of the wire, those of the TLS
    layer in the clear.
    """

    request: Callable[[ClientRequest], None] | None = None
    response: Callable[[ClientResponse], None] | None = None
    error: Callable[[ClientRequest, ClientError], None] | None = None
    sent: Callable[[bytes], None] | None = None
    received: Callable[[bytes], None] | None = None

    def listen(self, stream: Stream) -> Stream:
        """The stream, with `sent` and `received` told of its bytes if there are such."""
        return stream if self.sent is None and self.received is None else _Heard(stream, self.sent, self.received)


class _Heard(AwaitedStream):
    """A stream that tells of its bytes; see `Stream`."""

    __slots__ = ("_received", "_sent", "_stream")

    def __init__(
        self, stream: Stream, sent: Callable[[bytes], None] | None, received: Callable[[bytes], None] | None
    ) -> None:
        self._stream = stream
        self._sent = sent
        self._received = received

    async def recv(self, timeout: float | None, size: int = CHUNK) -> bytes:
        """See `Stream.recv`."""
        data = await self._stream.recv(timeout, size)
        if data and self._received is not None:
            self._received(data)
        return data

    def recv_now(self) -> bytes | None:
        """See `Stream.recv_now`."""
        data = self._stream.recv_now()
        if data and self._received is not None:
            self._received(data)
        return data

    async def send(self, data: bytes, timeout: float | None) -> None:
        """See `Stream.send`. It is told before: what the server does not take has been tried."""
        if self._sent is not None:
            self._sent(data)
        await self._stream.send(data, timeout)

    def close(self) -> None:
        """See `Stream.close`."""
        self._stream.close()

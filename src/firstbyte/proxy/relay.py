"""Bodies on their way through: neither is ever held whole, and each waits for the side that is slower."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from firstbyte._lazy import lazy_logger
from firstbyte.client.bodies import Body
from firstbyte.client.exchange import Exchange
from firstbyte.errors import ClientError, Interrupted
from firstbyte.http.headers import Headers
from firstbyte.http.request import BodyPieces, Request
from firstbyte.http.response import LiveBody
from firstbyte.proxy.fields import trailers_passed

logger = lazy_logger("firstbyte.proxy")

_AT_ONCE = 256 * 1024  # bytes that are passed on without a pause


class RelayedRequest(Body):
    """The body of a client's request, sent as it comes; its framing has been checked by whoever gives it."""

    __slots__ = ("_pieces", "_request")

    def __init__(self, request: Request, pieces: BodyPieces, length: int | None) -> None:
        super().__init__(lambda: pieces, length=length, replayable=False, is_async=True)
        self._request = request
        self._pieces = pieces

    def interrupt(self) -> None:
        """See `Body.interrupt`."""
        if self._request.peer is not None:
            self._request.peer.interrupt()

    async def apieces(self) -> AsyncIterator[bytes]:
        """See `Body.apieces`. Raises ClientDisconnected, and HTTPError for a body that is none."""
        at_once = 0
        while True:
            try:
                piece = await anext(self._pieces, b"")
            except Interrupted:
                yield b""
                continue
            if not piece:
                break
            at_once += len(piece)
            if at_once > _AT_ONCE:  # where all of it is here and all is taken, nothing else would let others go on
                at_once = 0
                await asyncio.sleep(0)
            yield piece
        self.trailers = trailers_passed(self._request.trailers)


class RelayedAnswer(LiveBody):
    """The body of an upstream's answer, sent as it comes; `done` is called once, when no more is to be read."""

    __slots__ = ("_done", "_exchange", "_first", "_is_cut", "_is_done", "_request")

    def __init__(self, request: Request, exchange: Exchange, first: bytes, done: Callable[[], None]) -> None:
        self._request = request
        self._exchange = exchange
        self._first: bytes | None = first  # if there is none yet, an empty piece has the head sent
        self._done = done
        self._is_done = False
        self._is_cut = False  # by us: its end is here

    @property
    def trailers(self) -> Headers | None:
        """See `LiveBody`."""
        return trailers_passed(self._exchange.trailers)

    def __aiter__(self) -> RelayedAnswer:
        return self

    async def __anext__(self) -> bytes:
        first, self._first = self._first, None
        if first is not None:
            return first
        try:
            piece = await self._exchange.read()
        except ClientError as error:
            self.close()
            if self._is_cut:
                raise StopAsyncIteration from None
            logger.warning("%s %s: broken off, %s", self._request.method, self._request.target, error)
            raise
        if not piece:
            self.close()
            raise StopAsyncIteration
        return piece

    def cut(self) -> None:
        """Ends it here, for an event stream when the server stops: its client connects anew and goes on from there."""
        self._is_cut = True
        self._exchange.close()  # which wakes whoever reads

    def close(self) -> None:
        """Leaves what is not read yet. Twice is fine."""
        self._exchange.close()
        if not self._is_done:
            self._is_done = True
            self._done()

    async def aclose(self) -> None:
        """`close`, as bodies are left that were begun."""
        self.close()

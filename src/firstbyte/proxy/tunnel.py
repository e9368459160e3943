"""A connection that client and server go on with in another protocol: bytes both ways, unread."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from math import inf
from time import monotonic

from firstbyte.client.exchange import Exchange
from firstbyte.client.network import CHUNK
from firstbyte.http.upgrade import Session, Transport

_HIGH = 64 * 1024  # bytes from the client that wait for the server, from which on no more are read


class Tunnel(Session):
    """The session (see `http.upgrade.Session`) behind a server's 101; ended when nothing comes for `idle` seconds.

    When the server here stops it is ended at once: nobody knows where a message of that protocol ends.
    """

    is_async = True

    def __init__(self, exchange: Exchange, idle: float, done: Callable[[], None]) -> None:
        super().__init__()
        self._exchange = exchange
        self._stream, self._first = exchange.take_over()
        self._idle = idle
        self._done: Callable[[], None] | None = done
        self._transport: Transport
        self._waiting: deque[bytes] = deque()  # from the client
        self._size = 0  # bytes in it
        self._client_ended = False
        self._over = False
        self._wake = asyncio.Event()  # something came from the client, or it is over
        self._room = asyncio.Event()  # the client takes more

    def begin(self, transport: Transport, draining: bool) -> None:
        """See `Session.begin`."""
        self._transport = transport
        self._over = draining
        self._touch()

    async def run(self) -> None:
        """See `Session.run`: until either side ends."""
        if self._over:
            self.abandon()
            return
        up = asyncio.ensure_future(self._send_up())
        down = asyncio.ensure_future(self._send_down())
        try:
            await asyncio.wait((up, down), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in (up, down):
                each.cancel()
            self.abandon()
            await asyncio.gather(up, down, return_exceptions=True)  # what broke it has ended it: there is no more to do

    async def _send_up(self) -> None:
        """From the client to the server, until the client ends."""
        while not self._over:
            while self._waiting:
                piece = self._waiting.popleft()
                self._size -= len(piece)
                await self._stream.send(piece, None)
                if self._size < _HIGH:
                    self._transport.pause(False)
            if self._client_ended:
                return
            self._wake.clear()
            await self._wake.wait()

    async def _send_down(self) -> None:
        """From the server to the client, until the server ends."""
        piece = self._first
        while not self._over:
            if piece:
                self._room.clear()
                if not self._transport.send(piece) and not self._over:
                    await self._room.wait()
            piece = await self._stream.recv(None, CHUNK)
            if not piece:
                return
            self._touch()

    def _touch(self) -> None:
        self.deadline = monotonic() + self._idle

    # -- what the engine tells

    def received(self, data: bytes, now: float) -> None:
        """See `Session.received`."""
        self.deadline = now + self._idle
        if data:
            self._waiting.append(data)
            self._size += len(data)
            if self._size >= _HIGH:
                self._transport.pause(True)
        else:
            self._client_ended = True
        self._wake.set()

    def writable(self) -> None:
        """See `Session.writable`."""
        self._room.set()

    def lost(self) -> None:
        """See `Session.lost`."""
        self._end()

    def due(self, now: float) -> None:
        """See `Session.due`."""
        self._end()

    def drain(self) -> None:
        """See `Session.drain`."""
        self._end()

    def abandon(self) -> None:
        """See `Session.abandon`."""
        done, self._done = self._done, None
        if done is not None:
            done()
        self._exchange.close()

    def _end(self) -> None:
        self._over = True
        self._client_ended = True
        self.deadline = inf
        self._wake.set()
        self._room.set()

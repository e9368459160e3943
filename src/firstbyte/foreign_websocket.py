"""A WebSocket whose frames another server reads and writes: for an App under uvicorn, hypercorn, granian.

The session is the one that the engine would run. What it sends is read by a client's protocol and given to the server
as messages of ASGI; the server's messages come to it as a client's frames. So closing, limits and pace are the same.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from math import inf
from time import monotonic
from typing import Any

from firstbyte._lazy import lazy_logger
from firstbyte.http.headers import Headers
from firstbyte.http.upgrade import Session
from firstbyte.wire.websocket.events import BinaryMessage, Closed, Event, Failed, TextMessage
from firstbyte.wire.websocket.frames import CLOSE, NO_CODE, encode_frame
from firstbyte.wire.websocket.handshake import new_key, request_fields
from firstbyte.wire.websocket.limits import MessageLimits
from firstbyte.wire.websocket.protocol import Connection

logger = lazy_logger("firstbyte.websocket")

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

HIGH = 64 * 1024  # bytes of messages that may wait for the server before the session is told to wait
_ANY_SIZE = MessageLimits(1 << 62, 1 << 62)  # of our own messages
_KEY = bytes(4)  # masks nothing: nobody else sees these frames


def complete_handshake(headers: Headers) -> None:
    """Makes the fields of a server's scope those of a handshake; compression is between the server and its client."""
    for name, value in request_fields(new_key()):
        headers[name] = value
    if "Sec-WebSocket-Extensions" in headers:
        del headers["Sec-WebSocket-Extensions"]


async def run_session(session: Session, receive: Receive, send: Send) -> None:
    """Runs a session behind its websocket.accept until it has ended, or its client left."""
    await _Link(session, receive, send).run()


class _Link:
    """The session's `Transport`. What the server is asked to send waits in a queue, which is bounded by `send`."""

    def __init__(self, session: Session, receive: Receive, send: Send) -> None:
        self.lock = threading.RLock()
        self._session = session
        self._receive = receive
        self._deliver = send
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._peer = Connection(True, _ANY_SIZE, None, lambda: _KEY)
        self._out: deque[tuple[dict[str, Any], int]] = deque()
        self._waiting = 0  # bytes of the messages there
        self._has_output = asyncio.Event()
        self._may_read = asyncio.Event()
        self._may_read.set()
        self._is_full = False  # the session has been told to wait
        self._has_left = False  # the client has: what is still sent is for nobody
        self._is_over = False  # nothing is sent any more
        self._timer: asyncio.TimerHandle | None = None
        self._due_at = inf

    async def run(self) -> None:
        session = self._session
        with self.lock:
            session.begin(self, False)
        reader = asyncio.create_task(self._read())
        writer = asyncio.create_task(self._write(reader))
        try:
            await (session.run() if session.is_async else self._run_in_thread())
            with self.lock:
                self._is_over = True
            self._has_output.set()
            await writer
        finally:
            self._lose()
            for task in (reader, writer):
                task.cancel()
            if self._timer is not None:
                self._timer.cancel()

    async def _run_in_thread(self) -> None:
        ended = self._loop.create_future()

        def end() -> None:
            if not ended.done():
                ended.set_result(None)

        def run() -> None:
            try:
                self._session.run()
            except Exception:
                logger.exception("a session failed in its thread")
            self._soon(end)

        threading.Thread(target=run, name="firstbyte-session", daemon=True).start()
        await ended

    # -- the session's part (see `Transport`)

    def send(self, data: bytes) -> bool:
        """See `Transport.send`."""
        with self.lock:
            if self._is_over:
                return False
            for event in self._peer.receive_data(data):
                self._take(event)
            replies = self._peer.take_replies()
            if replies:
                self._soon(self._give, replies)
            self._soon(self._settle)
            self._is_full = self._waiting > HIGH
            return not self._is_full

    def pause(self, paused: bool) -> None:
        """See `Transport.pause`."""
        self._soon(self._may_read.clear if paused else self._may_read.set)

    def abort(self, reason: str) -> None:
        """See `Transport.abort`."""
        logger.info("%s", reason)
        self._lose()

    def _take(self, event: Event) -> None:
        if self._has_left:
            return
        if isinstance(event, TextMessage):
            self._out.append(({"type": "websocket.send", "text": event.data}, len(event.data)))
        elif isinstance(event, BinaryMessage):
            self._out.append(({"type": "websocket.send", "bytes": event.data}, len(event.data)))
        elif isinstance(event, Closed | Failed):
            code = 1000 if event.code == NO_CODE else event.code
            self._out.append(({"type": "websocket.close", "code": code, "reason": event.reason}, 0))
        else:
            return  # pings are for a peer of the session's own
        self._waiting += self._out[-1][1]

    # -- in the loop's thread

    async def _write(self, reader: asyncio.Task[None]) -> None:
        while self._out or not self._is_over:
            await self._has_output.wait()
            self._has_output.clear()
            while self._out:
                message, size = self._out.popleft()
                if message["type"] == "websocket.close":
                    reader.cancel()  # granian does not close while one receives
                try:
                    await self._deliver(message)
                except Exception as error:  # whatever the server raises when its client has left
                    logger.debug("a message was not sent: %r", error)
                    self._lose()
                    return
                with self.lock:
                    self._waiting -= size
            with self.lock:
                if self._is_full and not self._is_over:
                    self._is_full = False
                    self._session.writable()

    async def _read(self) -> None:
        while True:
            await self._may_read.wait()
            message = await self._receive()
            text, data = message.get("text"), message.get("bytes")
            if message["type"] == "websocket.disconnect":
                self._leave(message.get("code", NO_CODE), message.get("reason") or "")
                return
            self._give(self._peer.send_text(text) if text is not None else self._peer.send_binary(data or b""))

    def _give(self, data: bytes) -> None:
        with self.lock:
            if not self._is_over:
                self._session.received(data, monotonic())
        self._settle()

    def _leave(self, code: int, reason: str) -> None:
        """The client has closed, or is gone."""
        with self.lock:
            self._has_left = True
            try:
                farewell = encode_frame(CLOSE, b"", _KEY) if code == NO_CODE else self._peer.close(code, reason)
            except ValueError:  # 1006, or what no client sends
                farewell = b""
            self._out.clear()
            if farewell:
                self._give(farewell)
        if not farewell:
            self._lose()

    def _lose(self) -> None:
        with self.lock:
            if not self._is_over:
                self._is_over = True
                self._session.lost()
        self._soon(self._has_output.set)

    def _settle(self) -> None:
        """Has what there is to send sent, and what is due done."""
        if self._out:
            self._has_output.set()
        due_at = inf if self._is_over else self._session.deadline
        if due_at == self._due_at:
            return
        self._due_at = due_at
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if due_at != inf:
            self._timer = self._loop.call_later(max(0.0, due_at - monotonic()), self._on_due)

    def _on_due(self) -> None:
        self._due_at = inf
        with self.lock:
            if not self._is_over:
                self._session.due(monotonic())
        self._settle()

    def _soon(self, call: Callable[..., Any], *arguments: Any) -> None:
        if threading.get_ident() == self._thread:
            self._loop.call_soon(call, *arguments)
            return
        try:
            self._loop.call_soon_threadsafe(call, *arguments)
        except RuntimeError:
            pass  # the server has ended, and its loop with it

"""WebSockets of the client: what was asked for as any other request is then messages both ways.

A `Channel` is written once, as coroutines over a `Network`, and has two faces: `WebSocket` for threads, and
`AsyncWebSocket`. Beside whoever uses it, it reads by itself (in a task, or in a thread of its own), so that pings are
answered and a peer that is gone is noticed, whatever the program does meanwhile.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from math import inf
from time import monotonic
from typing import Any, TypeAlias, TypeVar

import msgspec

from firstbyte.client.network import CHUNK, Network, Stream, Waiter, run
from firstbyte.client.response import ClientResponse
from firstbyte.errors import BadResponse, ClientError, InvalidRequest, ProtocolError, WebSocketClosed, WebSocketRefused
from firstbyte.wire.websocket.deflate import WIDE, Deflate
from firstbyte.wire.websocket.events import BinaryMessage, TextMessage
from firstbyte.wire.websocket.frames import ABNORMAL, GOING_AWAY, NO_CODE, NORMAL
from firstbyte.wire.websocket.handshake import Agreement, check_response, new_key, request_fields
from firstbyte.wire.websocket.keepalive import LOST, PING, KeepAlive
from firstbyte.wire.websocket.limits import MessageLimits
from firstbyte.wire.websocket.protocol import Connection

T = TypeVar("T")
Message: TypeAlias = "str | bytes"

QUEUE = 16  # messages that wait to be received before no more are read
GRACE = 1.0  # seconds in which a program that is at work may still send after the server's Close
MAX_REPLIES = 64 * 1024  # bytes of pongs that wait to be written before no more is read
MAX_REFUSAL = 64 * 1024  # bytes of the body of a refusal that are kept for whoever catches it
_ORDERLY = (NORMAL, GOING_AWAY, NO_CODE)  # closed as one should: a loop over the messages just ends
_LIMITS = MessageLimits()


@dataclass(frozen=True, slots=True)
class WebSocketSettings:
    """What a WebSocket of the client is like.

    `subprotocols` are offered, the most welcome first; `deflate` is the compression that is (None for none); `limits`
    are for what comes. A server that is silent for `ping_interval` seconds is pinged (None: never), and given up when
    nothing has come for `ping_timeout` more. `close_timeout` is how long, in seconds, its Close is waited for.
    """

    subprotocols: Sequence[str] = ()
    deflate: Deflate | None = WIDE
    limits: MessageLimits = _LIMITS
    ping_interval: float | None = 20.0
    ping_timeout: float = 20.0
    close_timeout: float = 5.0


SETTINGS = tuple(each.name for each in fields(WebSocketSettings))
_SCHEMES = {"ws": "http", "wss": "https", "ws+unix": "http+unix", "wss+unix": "https+unix"}


def http_url(url: str) -> str:
    """The URL of HTTP that the one of a WebSocket means."""
    scheme, mark, rest = url.partition("://")
    return f"{_SCHEMES.get(scheme.lower(), scheme)}{mark}{rest}" if mark else url


class Handshake:
    """What one call for a WebSocket offers, and whether its answer fits that. Raises InvalidRequest."""

    def __init__(self, settings: WebSocketSettings) -> None:
        self._subprotocols = settings.subprotocols
        self._deflate = settings.deflate
        self._key = ""
        try:
            self.fields()
        except (TypeError, ValueError) as error:
            raise InvalidRequest(str(error)) from None

    def fields(self) -> tuple[tuple[str, str], ...]:
        """See `core.Upgrade`."""
        self._key = new_key()
        return request_fields(self._key, self._subprotocols, self._deflate)

    async def check(self, response: ClientResponse) -> Agreement:
        """What the server has agreed to. Raises WebSocketRefused for an answer that is not 101, BadResponse for a wrong
        one."""
        if response.status != 101:
            raise await _refusal(response)
        try:
            return check_response(self._key, 101, response.headers, self._subprotocols, self._deflate)
        except ProtocolError as error:
            raise BadResponse(f"the server's answer opens no WebSocket: {error}", rule=error.rule) from None


async def _refusal(response: ClientResponse) -> WebSocketRefused:
    """The error for an answer of HTTP, with what its body says where that is short and readable."""
    said = ""
    try:
        await response.aread(MAX_REFUSAL)
        said = _said(response)
    except ClientError as error:
        said = f"its body cannot be read: {error.message}"
    message = f"{response.url!r} opens no WebSocket: it was answered with {response.status} {response.reason}".rstrip()
    return WebSocketRefused(f"{message}: {said}" if said else message, response=response)


def _said(response: ClientResponse) -> str:
    media_type = response.media_type
    if media_type is None:
        return ""
    if media_type.essence in ("application/json", "application/problem+json"):
        problem = response.json()
        text = str(problem.get("detail") or "") if isinstance(problem, dict) else ""
    else:
        text = response.text if media_type.essence == "text/plain" else ""
    return text.strip().partition("\n")[0][:200]


class Channel:
    """Messages both ways over a stream that has shaken hands. Everything it does ends in `WebSocketClosed` once it is
    closed, however that came."""

    def __init__(
        self,
        network: Network,
        stream: Stream,
        response: ClientResponse,
        agreement: Agreement,
        settings: WebSocketSettings,
        write_timeout: float | None,
    ) -> None:
        self.response = response
        self.subprotocol = agreement.subprotocol
        self._network = network
        self._stream = stream
        self._settings = settings
        self._write_timeout = write_timeout
        self._lock = threading.Lock()  # around all below; never held across a wait
        self._protocol = Connection(True, settings.limits, agreement.deflate, defers_close=True)
        self._queue: deque[Message] = deque()
        self._waiters: list[Waiter] = []
        self._out: list[bytes] = []  # frames in their order, which whoever writes takes along
        self._replies = 0  # bytes among them that answer the server
        self._queued = 0  # frames that were put there
        self._written = 0
        self._is_writing = False
        self._is_ending = False
        self._is_ended = False  # the connection is closed
        self._close_by = inf
        self._answer_by = inf  # when the server's Close, or a fault of its, must have been answered
        self._reader: object = None

    def begin(self, rest: bytes) -> None:
        """Begins to read, behind what came along with the answer."""
        self._reader = self._network.start(self._read(rest))

    @property
    def closed(self) -> bool:
        """Whether either end has closed."""
        return self._protocol.close_sent or self._protocol.is_over

    @property
    def close_code(self) -> int | None:
        """How it was closed; None while it is open."""
        return self._protocol.close_code if self.closed else None

    @property
    def close_reason(self) -> str:
        """What was said about that."""
        return self._protocol.close_reason

    # -- for the program

    async def receive(self, timeout: float | None = None) -> Message:
        """The next message. Raises WebSocketClosed behind the last, TimeoutError."""
        message: Message | None
        try:
            message = await self._until(self._next, timeout)
        except WebSocketClosed:  # nothing is owed any more for what came before
            await self._answer()
            raise
        if message is None:
            raise TimeoutError(f"no message came in {timeout} s")
        return message

    async def send(self, message: Message) -> None:
        """Sends a message; returns when the network has taken it. Raises WebSocketClosed."""
        with self._lock:
            if isinstance(message, str):
                frame = self._protocol.send_text(message)
            elif isinstance(message, bytes | bytearray | memoryview):
                frame = self._protocol.send_binary(bytes(message))
            else:
                raise TypeError(f"a message is str or bytes, not {type(message).__name__}")
            mark = self._put(frame)
        await self._write()
        await self._until(lambda: self._written >= mark or self._is_ended)
        if self._written < mark:
            raise WebSocketClosed(self._protocol.close_code, self._protocol.close_reason)

    async def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Closes, and waits for the server to do the same. Twice is fine. Raises ValueError."""
        with self._lock:
            frame = self._protocol.close(code, reason)
            if frame:
                self._put(frame)
                self._queue.clear()
                self._close_by = monotonic() + self._settings.close_timeout
            self._wake()
        try:
            await self._write()
            await self._until(lambda: self._is_ended, self._settings.close_timeout)
        finally:
            self._end("")

    async def _answer(self) -> None:
        """Answers the server's Close, or a fault of its, if that is still to be done."""
        with self._lock:
            self._answer_by = inf
            if self._protocol.is_over and (frame := self._protocol.close()):
                self._put(frame)
        await self._write()

    # -- reading, beside the program

    async def _read(self, data: bytes) -> None:
        settings = self._settings
        alive = KeepAlive(monotonic(), settings.ping_interval, settings.ping_timeout)
        reason = ""
        try:
            while not self._is_ended:
                if data:
                    alive.heard(monotonic())
                    await self._take(data)
                    await self._until(self._has_room)
                    if alive.deadline < monotonic():  # nobody listened for a while: that is not the server's fault
                        alive.heard(monotonic())
                try:
                    data = await self._stream.recv(self._wait_of(alive), CHUNK)
                except TimeoutError:
                    data = b""
                    now = monotonic()
                    step = alive.due(now)
                    if now >= self._close_by:
                        return
                    if now >= self._answer_by:
                        await self._answer()
                    if step == LOST:
                        reason = f"the server has not answered a ping for {settings.ping_timeout:g} s"
                        return
                    if step == PING:
                        await self._ping()
                    continue
                if not data:
                    return
        except OSError as error:
            reason = f"the connection broke: {error.strerror or error}"
        finally:
            self._end(reason)

    async def _take(self, data: bytes) -> None:
        with self._lock:
            is_wanted = not self._protocol.close_sent  # what comes behind our Close is nobody's
            for event in self._protocol.receive_data(data):
                if is_wanted and isinstance(event, TextMessage | BinaryMessage):
                    self._queue.append(event.data)
            replies = self._protocol.take_replies()
            if replies:
                self._put(replies)
                self._replies += len(replies)
            if self._protocol.is_over:  # the server is to end the connection: section 7.1.1
                self._close_by = min(self._close_by, monotonic() + self._settings.close_timeout)
                if not self._protocol.close_sent:
                    self._answer_by = min(self._answer_by, monotonic() + GRACE)
            self._wake()
            writes = bool(replies) and not self._is_writing  # else whoever writes takes them along
        if writes:
            await self._write()

    async def _ping(self) -> None:
        with self._lock:
            if self.closed:
                return
            self._put(self._protocol.ping())
            writes = not self._is_writing
        if writes:
            await self._write()

    def _wait_of(self, alive: KeepAlive) -> float | None:
        due = min(self._close_by, self._answer_by) if self.closed else min(self._close_by, alive.deadline)
        return None if due == inf else max(due - monotonic(), 0.001)

    def _has_room(self) -> bool:
        is_full = len(self._queue) >= QUEUE or self._replies >= MAX_REPLIES
        return not is_full or self.closed or self._is_ended

    # -- under the lock

    def _next(self) -> Message | None:
        """The next message, if it is here. Raises WebSocketClosed behind the last."""
        if self._queue:
            message = self._queue.popleft()
            if len(self._queue) == QUEUE - 1:
                self._wake()
            return message
        if self.closed or self._is_ended:
            raise WebSocketClosed(self._protocol.close_code, self._protocol.close_reason)
        return None

    def _put(self, frame: bytes) -> int:
        self._out.append(frame)
        self._queued += 1
        return self._queued

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.wake()

    # -- without it

    async def _until(self, ready: Callable[[], T | None], timeout: float | None = None) -> T | None:
        """What `ready` returns when that is true (or an empty message); None after `timeout` seconds."""
        until = None if timeout is None else monotonic() + timeout
        while True:
            with self._lock:
                value = ready()
                if value is not None and value is not False:
                    return value
                waiter = self._network.waiter()
                self._waiters.append(waiter)
            woken = False
            try:
                woken = await waiter.wait(None if until is None else until - monotonic())
            finally:
                if not woken:
                    with self._lock:
                        if waiter in self._waiters:
                            self._waiters.remove(waiter)
            if not woken:
                return None

    async def _write(self) -> None:
        """Sends what is put out, unless somebody is at it, who then takes it along."""
        with self._lock:
            if self._is_writing or self._is_ended:
                return
            self._is_writing = True
        reason = "a send was given up halfway"
        is_done = False
        try:
            while True:
                with self._lock:
                    frames, upto = b"".join(self._out), self._queued
                    self._out.clear()
                    self._replies = 0
                    if not frames:
                        self._is_writing = False
                        is_done = True
                        return
                await self._stream.send(frames, self._write_timeout)
                with self._lock:
                    self._written = upto
                    self._wake()
        except TimeoutError:
            reason = f"the server took nothing for {self._write_timeout:g} s"
        except OSError as error:
            reason = f"the connection broke: {error.strerror or error}"
        finally:
            if not is_done:  # only part of a frame may be out: nothing can follow it
                self._end(reason)

    def _end(self, reason: str) -> None:
        """Ends the connection, once."""
        with self._lock:
            if self._is_ending:
                return
            self._is_ending = True
            if not self._protocol.is_over:
                self._protocol.receive_eof()
                if not self._protocol.close_sent:
                    self._protocol.close_code = ABNORMAL
                    self._protocol.close_reason = reason or "the connection was cut without a Close"
        self.response.close()
        with self._lock:
            self._is_ended = True
            self._wake()


class _Face:
    """What both kinds of WebSocket have in common."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    @property
    def response(self) -> ClientResponse:
        """The server's 101."""
        return self._channel.response

    @property
    def subprotocol(self) -> str | None:
        """What was agreed on."""
        return self._channel.subprotocol

    @property
    def closed(self) -> bool:
        """Whether either end has closed: nothing can be sent any more."""
        return self._channel.closed

    @property
    def close_code(self) -> int | None:
        """How it was closed, by the server or else by this end; None while it is open; 1006 if it was cut."""
        return self._channel.close_code

    @property
    def close_reason(self) -> str:
        """What was said about that."""
        return self._channel.close_reason

    def __repr__(self) -> str:
        state = f"closed {self.close_code}" if self.closed else "open"
        return f"<{type(self).__name__} {self.response.url!r}, {state}>"


class WebSocket(_Face):
    """A WebSocket of a `Session`. Any thread may send; messages are str or bytes."""

    def receive(self, timeout: float | None = None) -> Message:
        """The next message. Raises WebSocketClosed when there will be none, TimeoutError after `timeout` seconds."""
        return run(self._channel.receive(timeout))

    def __iter__(self) -> Iterator[Message]:
        """The messages, until either end closes. Raises WebSocketClosed where it was not with 1000, 1001 or no code."""
        while True:
            try:
                message = self.receive()
            except WebSocketClosed as error:
                _check_orderly(error)
                return
            yield message

    def send(self, message: Message) -> None:
        """Sends a message; waits while the server is slow to read. Raises WebSocketClosed."""
        run(self._channel.send(message))

    def send_json(self, value: Any) -> None:
        """Sends what msgspec encodes as a text message. Raises TypeError, and WebSocketClosed."""
        self.send(msgspec.json.encode(value).decode())

    def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Closes, and waits for the server's Close; nothing once closed. Raises ValueError for a code that may not be
        sent, or a reason of more than 123 bytes."""
        run(self._channel.close(code, reason))


class AsyncWebSocket(_Face):
    """A WebSocket of an `AsyncSession`. Any task of its loop may send; messages are str or bytes."""

    async def receive(self) -> Message:
        """The next message. Raises WebSocketClosed when there will be none."""
        return await self._channel.receive()

    async def __aiter__(self) -> AsyncIterator[Message]:
        """See `WebSocket.__iter__`."""
        while True:
            try:
                message = await self.receive()
            except WebSocketClosed as error:
                _check_orderly(error)
                return
            yield message

    async def send(self, message: Message) -> None:
        """Sends a message; waits while the server is slow to read. Raises WebSocketClosed."""
        await self._channel.send(message)

    async def send_json(self, value: Any) -> None:
        """Sends what msgspec encodes as a text message. Raises TypeError, and WebSocketClosed."""
        await self.send(msgspec.json.encode(value).decode())

    async def close(self, code: int = NORMAL, reason: str = "") -> None:
        """See `WebSocket.close`."""
        await self._channel.close(code, reason)


def _check_orderly(error: WebSocketClosed) -> None:
    if error.code not in _ORDERLY:
        raise error

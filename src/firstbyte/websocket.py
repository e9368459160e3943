"""WebSockets as handlers have them: messages to wait for and to send, for coroutines and for functions.

Behind both is one session of the engine: what comes is read, checked and answered (pings, closing) in the reactor's
thread, whatever the handler does meanwhile, and waits for it in a bounded queue.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import nullcontext
from math import inf
from time import monotonic
from typing import Any

import msgspec

from firstbyte._lazy import lazy_logger
from firstbyte.errors import ClientDisconnected, HTTPError, WebSocketClosed
from firstbyte.http.request import Request
from firstbyte.http.upgrade import Session, Transport, Upgrade
from firstbyte.waiting import Attempt, Stepper, Wait
from firstbyte.wire.websocket.events import BinaryMessage, Closed, Event, Failed, TextMessage
from firstbyte.wire.websocket.frames import ABNORMAL, GOING_AWAY, INTERNAL, NORMAL
from firstbyte.wire.websocket.handshake import accept
from firstbyte.wire.websocket.inbox import Inbox
from firstbyte.wire.websocket.keepalive import LOST, PING, KeepAlive
from firstbyte.wire.websocket.options import Options as Options  # which is found here, too
from firstbyte.wire.websocket.protocol import Connection

logger = lazy_logger("firstbyte.websocket")

Message = str | bytes

QUEUE = 16  # messages that wait for the handler before no more are read
GRACE = 1.0  # seconds in which a handler that is at work may still send after the peer's Close
MAX_THREADS = 512  # WebSockets of functions at a time, each of which has a thread; beyond it 503


class _Common(Session):
    """What both kinds of WebSocket are: the session that the engine tells what happens."""

    def __init__(self, request: Request, options: Options) -> None:
        super().__init__()
        agreement = accept(request, options.subprotocols, options.origins, options.deflate)
        self.request = request
        self.subprotocol = agreement.subprotocol
        self._fields = agreement.fields
        self._options = options
        self._protocol = Connection(False, options.limits, agreement.deflate, defers_close=True)
        self._transport: Transport | None = None
        self._inbox = Inbox()
        self._alive = KeepAlive(0.0, None)  # until the connection is ours
        self._close_by = inf  # when the peer's Close must have come
        self._answer_by = inf  # when the peer's Close must have been answered
        self._is_lost = False
        self._is_full = False  # more waits to be sent than should
        self._is_paused = False  # nothing is read
        self._scope: Any = None
        self._work: Callable[[], Any] | None = None
        self._outlet: Callable[[], None] | None = None

    @property
    def closed(self) -> bool:
        """Whether either end has closed: nothing can be sent any more."""
        return self._protocol.close_sent or self._protocol.is_over

    @property
    def close_code(self) -> int | None:
        """How it was closed, by the peer or else by this end (RFC 6455 section 7.1.5); None while it is open."""
        return self._protocol.close_code if self.closed else None

    @property
    def close_reason(self) -> str:
        """What was said about that."""
        return self._protocol.close_reason

    def answer(self, work: Callable[[], Any]) -> Upgrade:
        """The 101 behind which `work`, the call of the handler, is run."""
        self._work = work
        return Upgrade(self, self._fields)

    def hold(self, scope: Any) -> None:
        """Has what was provided for the handler be ended after it."""
        self._scope = scope

    # -- for who sends the same to many

    @property
    def lock(self) -> Any:
        """Held around what follows; that of an open WebSocket (`threading.RLock`)."""
        assert self._transport is not None
        return self._transport.lock

    def push(self, frame: bytes) -> bool:
        """Sends frames that were encoded for many, without compression; False if the peer has to read first.

        Never waits. What comes behind the closing of the WebSocket is for nobody. Call it with the lock held, in the
        thread that the WebSocket belongs to, which for a SyncWebSocket is any.
        """
        protocol = self._protocol
        if protocol.close_sent or protocol.is_over or self._is_lost:
            return True
        if self._is_full:
            return False
        self._send(frame)
        return True

    def outlet(self, writable: Callable[[], None] | None) -> Any:
        """Has `writable` be called, with the lock held, whenever the peer has read what waited. Returns the lock."""
        self._outlet = writable
        return self.lock

    def end(self, code: int, reason: str) -> None:
        """Closes, as `close` does, where nothing may wait; the lock is held."""
        self._begin_close(code, reason)

    # -- what the engine says (see `Session`), with the transport's lock held

    def begin(self, transport: Transport, draining: bool) -> None:
        """See `Session`."""
        self._transport = transport
        self._alive = KeepAlive(monotonic(), self._options.ping_interval, self._options.ping_timeout)
        self.deadline = self._alive.deadline
        if draining:
            self.drain()

    def received(self, data: bytes, now: float) -> None:
        """See `Session`."""
        protocol, transport = self._protocol, self._transport
        assert transport is not None
        self._alive.heard(now)
        if not protocol.close_sent and (message := protocol.receive_message(data)) is not None:
            self.deadline = self._alive.deadline  # nothing else is due while nobody has closed
            self._inbox.put(message)
            self._pace()
            self._wake()
            return
        for event in protocol.receive_data(data) if data else protocol.receive_eof():
            if type(event) is TextMessage or type(event) is BinaryMessage:
                if not protocol.close_sent:  # else nobody asks for it any more
                    self._inbox.put(event.data)
            else:
                self._take(event)
        replies = protocol.take_replies()
        if replies and not transport.send(replies):
            self._is_full = True
        if not data and protocol.close_code == ABNORMAL:
            transport.abort("client left")
        self._set_deadline()
        self._pace()
        self._wake()

    def writable(self) -> None:
        """See `Session`."""
        self._is_full = False
        if self._outlet is not None:
            self._outlet()
        self._pace()
        self._wake()

    def lost(self) -> None:
        """See `Session`."""
        self._is_lost = True
        self._protocol.receive_eof()
        self._wake()

    def due(self, now: float) -> None:
        """See `Session`."""
        assert self._transport is not None
        if now >= self._close_by:
            self._transport.abort("close timeout")
            return
        if now >= self._answer_by:
            self._begin_close(NORMAL, "")
        if self._is_paused:  # then it is we who do not listen
            self._alive.heard(now)
        step = self._alive.due(now)
        if step == LOST:
            self._transport.abort("ping timeout")
        elif step == PING and not self.closed:
            self._transport.send(self._protocol.ping())
        self._set_deadline()

    def drain(self) -> None:
        """See `Session`."""
        self._begin_close(GOING_AWAY, "the server stops")

    def run(self) -> Any:
        """See `Session`."""
        raise NotImplementedError

    def abandon(self) -> None:
        """See `Session`."""
        if self._work is not None and self._scope is not None:
            self._end_scope()
        self._work = None

    def _end_scope(self) -> None:
        """Ends what was provided for a handler that is not called."""
        raise NotImplementedError

    def _wake(self) -> None:
        """Something has changed that the handler may wait for."""
        raise NotImplementedError

    def _take(self, event: Event) -> None:
        if isinstance(event, Closed | Failed) and event.code != ABNORMAL:
            # Answered when the handler asks for what comes next: it may still send what it owes for what came before.
            self._answer_by = monotonic() + GRACE
        if isinstance(event, Failed) and event.code != ABNORMAL:
            request = self.request
            logger.info("%s closed with %d (%s): %s", request.target, event.code, event.rule, event.reason)

    # -- what both do for the handler, with the lock held

    def _pace(self) -> None:
        """Reads on, or lets the peer wait: for the handler to take messages, or for itself to read what we answer."""
        assert self._transport is not None
        paused = self._is_full or self._inbox.count >= QUEUE
        if paused is not self._is_paused:
            self._is_paused = paused
            self._transport.pause(paused)

    def _next(self) -> Message | None:
        """The next message if it is here. Raises WebSocketClosed behind the last."""
        message = self._inbox.take()
        if message is not None:
            if self._is_paused and not self._is_lost:
                self._pace()
            return message
        if self._protocol.is_over or self._is_lost:
            self._begin_close(NORMAL, "")
            raise WebSocketClosed(self._protocol.close_code, self._protocol.close_reason)
        return None

    def _send(self, data: bytes) -> bool:
        """Sends; False if the sender is to wait until less waits before it."""
        assert self._transport is not None
        if not self._transport.send(data) and not self._is_lost:
            self._is_full = True
            self._pace()
        return not self._is_full

    def _encode(self, message: Message) -> bytes:
        if isinstance(message, str):
            return self._protocol.send_text(message)
        if type(message) is bytes:
            return self._protocol.send_binary(message)
        if isinstance(message, bytes | bytearray | memoryview):
            return self._protocol.send_binary(bytes(message))
        raise TypeError(f"a message is str or bytes, not {type(message).__name__}")

    def _begin_close(self, code: int, reason: str) -> None:
        data = self._protocol.close(code, reason)
        self._answer_by = inf
        if data and self._transport is not None:
            self._inbox.clear()
            self._close_by = monotonic() + self._options.close_timeout
            self._alive = KeepAlive(0.0, None)
            self._transport.send(data)
            if not self._is_lost:
                self._pace()
        self._set_deadline()

    def _set_deadline(self) -> None:
        self.deadline = min(self._alive.deadline, self._close_by, self._answer_by)

    def _ending(self, error: BaseException | None) -> None:
        """The handler has ended: closes, unless that has been done."""
        if error is None or isinstance(error, WebSocketClosed | ClientDisconnected):
            self._begin_close(NORMAL, "")
        elif isinstance(error, HTTPError):
            self._begin_close(INTERNAL if error.status >= 500 else 1008, error.detail[:40])
        else:
            if isinstance(error, Exception):
                self.request.failure = error
            logger.error("%s failed", self.request.target, exc_info=error)
            self._begin_close(INTERNAL, "")
        self._inbox.clear()
        if not self._is_lost:
            self._pace()


class WebSocket(_Common):
    """A WebSocket for `async def`. One task receives; any of the loop's may send.

    `request` is what asked for it, `subprotocol` what was agreed on. Messages are str or bytes.
    """

    is_async = True

    def __init__(self, request: Request, options: Options) -> None:
        super().__init__(request, options)
        self._loop: Any = None
        self._waiter: Wait | None = None  # who waits until something changes: mostly one, if any
        self._more_waiters: list[Wait] | None = None
        self._spare: Wait | None = None  # one that was awaited to its end, for the next time
        self._sending: _Sending | None = None  # of the last message, or of the next one
        self._scope_task: Any = None  # a reference keeps it alive

    def begin(self, transport: Transport, draining: bool) -> None:
        """See `Session`."""
        self._find_loop()
        super().begin(transport, draining)

    def _find_loop(self) -> None:
        from asyncio import get_running_loop  # here, since it takes long to import

        self._loop = get_running_loop()

    def receive(self) -> Coroutine[Any, Any, Message]:
        """The next message. Raises WebSocketClosed when there will be none."""
        return _Receiving(self, False)

    def __aiter__(self) -> AsyncIterator[Message]:
        """The messages, until the WebSocket is closed, however it is."""
        return _Messages(self)

    def send(self, message: Message) -> Coroutine[Any, Any, None]:
        """Sends a message; waits while the peer is slow to read. Raises WebSocketClosed."""
        sending = self._sending
        if sending is None or not sending.is_over:
            sending = self._sending = _Sending(self)
        sending.take(message)
        return sending

    async def send_json(self, value: Any) -> None:
        """Sends what msgspec encodes as a text message. Raises TypeError, and WebSocketClosed."""
        await self.send(msgspec.json.encode(value).decode())

    async def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Closes; nothing once closed. The peer's Close is waited for behind the handler. Raises ValueError for a
        code that may not be sent, or a reason of more than 123 bytes."""
        self._begin_close(code, reason)

    async def run(self) -> None:
        """See `Session`."""
        assert self._work is not None
        work, self._work = self._work, None
        caught: BaseException | None = None
        try:
            await Stepper(work())
        except BaseException as error:
            caught = error
        try:
            if self._scope is not None:
                await self._scope.aend(caught)
        except BaseException as error:
            caught = error
        self._ending(caught)
        if caught is not None and not isinstance(caught, Exception):
            raise caught
        while not (self._protocol.is_over or self._is_lost):
            await self._wait()

    def _end_scope(self) -> None:
        from asyncio import get_running_loop

        self._scope_task = get_running_loop().create_task(self._scope.aend(None))

    def _wait(self) -> Wait:
        """What to await until something has changed."""
        if self._loop is None:  # it waits for the beginning itself, in another task than the handshake's
            self._find_loop()
        waiter = self._spare
        if waiter is None:
            waiter = Wait(self._loop)
        else:
            self._spare = None
            waiter.renew()
        if self._waiter is None or self._waiter.over:  # it was cancelled
            self._waiter = waiter
        else:
            self._more_waiters = [each for each in self._more_waiters or () if not each.over]
            self._more_waiters.append(waiter)
        return waiter

    def _wake(self) -> None:
        waiter, more = self._waiter, self._more_waiters
        self._waiter = self._more_waiters = None
        if waiter is not None:
            waiter.end()
        if more is not None:
            for each in more:
                each.end()


class _Receiving(Attempt):
    """The next message of a WebSocket; where it is one of `async for`, with another word for the last."""

    __slots__ = ("_is_iterated", "_ws")

    name = "WebSocket.receive"

    def __init__(self, ws: WebSocket, is_iterated: bool) -> None:
        super().__init__()
        self._ws = ws
        self._is_iterated = is_iterated

    def attempt(self) -> Wait | None:
        """See `Attempt`."""
        ws = self._ws
        if self._wait is not None:
            ws._spare = self._wait
        try:
            self.value = ws._next()
        except WebSocketClosed:
            if self._is_iterated:
                raise StopAsyncIteration from None
            raise
        return ws._wait() if self.value is None else None


class _Sending(Attempt):
    """A message on its way out of a WebSocket."""

    __slots__ = ("_message", "_was_sent", "_ws")

    name = "WebSocket.send"

    def __init__(self, ws: WebSocket) -> None:
        super().__init__()
        self._ws = ws
        self._message: Message = b""
        self._was_sent = False

    def take(self, message: Message) -> None:
        """What to send."""
        self.renew()
        self._message = message
        self._was_sent = False

    def attempt(self) -> Wait | None:
        """See `Attempt`."""
        ws = self._ws
        if not self._was_sent:
            self._was_sent = True
            message, self._message = self._message, b""  # which is not to be kept until the next
            if ws._send(ws._encode(message)):
                return None
        return ws._wait() if ws._is_full and not ws._is_lost else None


class _Messages:
    """Iterates over the messages of a WebSocket."""

    __slots__ = ("_receiving", "_ws")

    def __init__(self, ws: WebSocket) -> None:
        self._ws = ws
        self._receiving: _Receiving | None = None  # of the last message, or of the next one

    def __aiter__(self) -> _Messages:
        return self

    def __anext__(self) -> Coroutine[Any, Any, Message]:
        receiving = self._receiving
        if receiving is None or not receiving.is_over:
            receiving = self._receiving = _Receiving(self._ws, True)
        receiving.renew()
        return receiving


class SyncWebSocket(_Common):
    """A WebSocket for `def`, which has a thread of its own. One thread receives; any may send.

    `request` is what asked for it, `subprotocol` what was agreed on. Messages are str or bytes. Raises HTTPError 503
    if so many are open that there is no thread for another.
    """

    is_async = False

    def __init__(self, request: Request, options: Options) -> None:
        if len(_running) >= MAX_THREADS:
            raise HTTPError(503, "too many WebSockets are open", {"Retry-After": "5"})
        super().__init__(request, options)
        self._lock: Any = nullcontext()
        self._changed: threading.Condition

    def begin(self, transport: Transport, draining: bool) -> None:
        """See `Session`."""
        self._lock = transport.lock
        self._changed = threading.Condition(transport.lock)
        super().begin(transport, draining)

    def receive(self, timeout: float | None = None) -> Message:
        """The next message. Raises WebSocketClosed when there will be none, TimeoutError after `timeout` seconds."""
        with self._lock:
            until = None if timeout is None else monotonic() + timeout
            while (message := self._next()) is None:
                if not self._changed.wait(None if until is None else until - monotonic()):
                    raise TimeoutError(f"no message came in {timeout} s")
            return message

    def __iter__(self) -> Iterator[Message]:
        """The messages, until the WebSocket is closed, however it is."""
        while True:
            try:
                message = self.receive()
            except WebSocketClosed:
                return
            yield message

    def send(self, message: Message) -> None:
        """Sends a message; waits while the peer is slow to read. Raises WebSocketClosed."""
        with self._lock:
            if not self._send(self._encode(message)):
                self._changed.wait_for(lambda: self._is_lost or not self._is_full)

    def send_json(self, value: Any) -> None:
        """Sends what msgspec encodes as a text message. Raises TypeError, and WebSocketClosed."""
        self.send(msgspec.json.encode(value).decode())

    def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Closes; nothing once closed. The peer's Close is waited for behind the handler. Raises ValueError for a
        code that may not be sent, or a reason of more than 123 bytes."""
        with self._lock:
            self._begin_close(code, reason)

    def run(self) -> None:
        """See `Session`."""
        assert self._work is not None
        work, self._work = self._work, None
        caught: BaseException | None = None
        _running.add(self)
        try:
            try:
                work()
            except (Exception, SystemExit) as error:
                caught = error
            try:
                if self._scope is not None:
                    self._scope.end(caught)
            except (Exception, SystemExit) as error:
                caught = error
            with self._lock:
                self._ending(caught)
                self._changed.wait_for(lambda: self._protocol.is_over or self._is_lost)
        finally:
            _running.remove(self)

    def _end_scope(self) -> None:
        self._scope.end(None)

    def _wake(self) -> None:
        self._changed.notify_all()


_running: set[SyncWebSocket] = set()

"""One request and its response on one HTTP/1.1 connection (RFC 9112)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine
from time import monotonic
from typing import Any, NoReturn, cast

from firstbyte.client.hooks import Timings
from firstbyte.client.network import CHUNK, Stream
from firstbyte.client.pool import Connection, Pool
from firstbyte.client.request import Message
from firstbyte.client.timeouts import Budget
from firstbyte.client.watched import WatchedStream
from firstbyte.errors import (
    BadResponse,
    ClientError,
    IncompleteBody,
    ProtocolError,
    ReadTimeout,
    ServerClosed,
    WriteTimeout,
)
from firstbyte.http.headers import Headers
from firstbyte.waiting import Wait
from firstbyte.wire.response import ResponseHead
from firstbyte.wire.writer import encode_chunk, encode_last_chunk

MAX_INTERIM = 20  # interim responses (1xx) before a final one; what they are good for is told by one or two
EXPECT_WAIT = 1.0  # seconds for a 100 Continue, after which the body is sent without one, as curl does
_LARGEST = 128 * 1024  # bytes of a body that are read at once, where they come so fast; measured, see bench/client.py
TOGETHER = 64 * 1024  # bytes: a body up to this long is sent in one piece with its head


class Exchange:
    """What happens on a connection from a request to the end of its response; then the slot goes back to the pool,
    once.

    `begin`, which goes as far as it can without suspending, and `finish` if `head`, that of the final response, is not
    there then; or, without a coroutine, `wait` and `go_on`. Then `read` until there is nothing more, or `close` in
    between. Whatever is raised, the connection is closed before. If a message `upgrades`, the answer may be 101, behind
    which `take_over` has the connection, until `close`. `now` is the time by `monotonic`; `on_interim` is told of each
    interim response (1xx).
    """

    __slots__ = (
        "_began", "_budget", "_connection", "_done", "_first", "_interim", "_on_interim", "_pool",
        "_received", "_refusal", "_rest", "_sent", "_sent_whole", "_size", "_taken", "head", "is_async", "is_over",
        "message", "unanswered",
    )  # fmt: skip

    def __init__(
        self,
        connection: Connection,
        pool: Pool,
        budget: Budget,
        message: Message,
        is_async: bool,
        now: float,
        on_interim: Callable[[ResponseHead], object] | None,
    ) -> None:
        self._taken = False
        self._connection = connection
        self._pool = pool
        self._budget = budget
        self.message = message
        self.is_async = is_async
        self.unanswered = True  # whether not one byte of the response has come
        self._on_interim = on_interim
        self.is_over = False  # whether the response is read to its end, or was left
        self.head: ResponseHead | None = None
        self._rest: Coroutine[Any, Any, None] | None = None  # sends what could not be sent at once
        self._refusal: OSError | None = None  # why the request could not be sent to its end
        self._sent_whole = True
        self._received = 0
        self._size = CHUNK  # bytes of the body to ask for next
        self._interim = 0  # responses of 1xx so far
        self._began = now
        self._sent = self._first = self._done = 0.0
        connection.used += 1

    def begin(self) -> None:
        """Sends the request and reads until `head` is there, without suspending. Raises ClientError."""
        message, connection, budget = self.message, self._connection, self._budget
        connection.reader.expect(message.method)
        body, data = message.body, message.head
        try:
            if body is not None:
                if body.data is None or len(body.data) > TOGETHER or message.expects_continue:
                    return
                data += body.data
            try:
                self._rest = connection.stream.send_at_once(data, budget.left(budget.timeout.write))
            except OSError as error:
                self._not_taken(error)
            if self._rest is None:
                self._sent = monotonic()
                self._read_at_once()
        except BaseException:
            self.close()
            raise

    async def finish(self) -> None:
        """Goes on where `begin` would have suspended, until `head` is there. Raises ClientError."""
        budget, stream = self._budget, self._connection.stream
        try:
            try:
                if self._rest is not None:
                    await self._send(self._rest)
                elif not self._sent:
                    await self._send_long()
            except _NotTaken:
                pass  # the server may have answered before it stopped to listen: what it said is worth more than that
            if not self._sent:
                self._sent = monotonic()
                self._read_at_once()
            while self.head is None:
                try:
                    data = await stream.recv(budget.left(budget.timeout.read))
                except OSError as error:
                    self._fail(error, "head")
                self._hear(data)
                self._read_at_once()
        except BaseException:
            self.close()
            raise

    def wait(self) -> Wait | None:
        """What to wait for until `go_on` can be called in the place of `finish`; None where only that can go on."""
        stream, budget = self._connection.stream, self._budget
        if self.is_over or not self._sent or not isinstance(stream, WatchedStream):
            return None
        return stream.begin_recv(budget.left(budget.timeout.read))

    def go_on(self) -> None:
        """Reads what came when the wait was over, until `head` is there or it must be waited again.

        Raises ClientError.
        """
        stream: Any = self._connection.stream
        try:
            try:
                data: bytes | None = stream.end_recv()
            except OSError as error:
                self._fail(error, "head")
            if data is not None:
                self._hear(data)
                self._read_at_once()
        except BaseException:
            self.close()
            raise

    async def _send(self, sending: Coroutine[Any, Any, None]) -> None:
        try:
            await sending
        except OSError as error:
            self._not_taken(error)
            raise _NotTaken from None

    def _not_taken(self, error: OSError) -> None:
        if isinstance(error, TimeoutError):
            late = self._budget.over(WriteTimeout, "the server does not take the request")
            raise self._located(late, "send") from None
        self._sent_whole = False
        self._refusal = error

    async def _send_long(self) -> None:
        """Sends head and body in pieces; stops with the response if that comes before the body is through."""
        message, budget = self.message, self._budget
        body = message.body
        assert body is not None
        stream, wait = self._connection.stream, budget.timeout.write
        await self._send(stream.send(message.head, budget.left(wait)))
        if message.expects_continue and await self._is_answered_first():
            return
        chunked = body.length is None
        self._sent_whole = False
        pieces = cast("AsyncGenerator[bytes, None]", body.apieces())
        # Of this kind alone it is known, before somebody reads, that something came.
        watched = stream if isinstance(stream, WatchedStream) else None
        sent = 0
        try:
            if watched is not None:
                watched.tells = body.interrupt
            async for piece in pieces:
                if piece:
                    await self._send(stream.send(encode_chunk(piece) if chunked else piece, budget.left(wait)))
                    sent += len(piece)
                    self._sent_whole = sent == body.length  # then an answer is not early
                if self._is_answered():
                    return
        finally:
            if watched is not None:
                watched.tells = None
            await pieces.aclose()
        if chunked:
            await self._send(stream.send(encode_last_chunk(body.trailers), budget.left(wait)))
        self._sent_whole = True

    async def _is_answered_first(self) -> bool:
        """Waits a little for 100 Continue (RFC 9110 section 10.1.1); whether the final response came instead."""
        until = monotonic() + EXPECT_WAIT
        reader = self._connection.reader
        try:
            while True:
                head = reader.read_head()
                if head is not None:
                    if head.status not in (100, 101) and head.status < 200:
                        self._pass_interim(head)
                        continue
                    self._sent_whole = head.status < 200
                    if head.status >= 200:
                        self._begin(head)
                    return head.status >= 200
                data = await self._connection.stream.recv(self._budget.left(EXPECT_WAIT, until))
                if not data:
                    self._cut("head", "the server closed the connection while the body was waiting for its 100")
                self._hear(data)
        except TimeoutError:
            return False
        except ProtocolError as error:
            self._refuse(error, "head")

    def _is_answered(self) -> bool:
        """Whether a final response has come while the body is being sent."""
        data = self._connection.stream.recv_now()
        if not data:  # an end is found out by sending
            return False
        self._hear(data)
        try:
            while (head := self._connection.reader.read_head()) is not None:
                if head.status >= 200:
                    self._begin(head)
                    return True
                self._pass_interim(head)
        except ProtocolError as error:
            self._refuse(error, "head")
        return False

    def _pass_interim(self, head: ResponseHead) -> None:
        self._interim += 1
        if self._interim > MAX_INTERIM:
            message = f"the server sent more than {MAX_INTERIM} interim responses ({head.status})"
            raise self._located(BadResponse(message, rule="too-many-interim"), "head")
        if self._on_interim is not None:
            self._on_interim(head)

    def _read_at_once(self) -> None:
        """Reads until `head` is there, or nothing more comes without suspending."""
        reader, stream, budget = self._connection.reader, self._connection.stream, self._budget
        try:
            while self.head is None:
                head = reader.read_head() if reader.pending else None
                if head is None:
                    try:
                        data = stream.recv_at_once(budget.left(budget.timeout.read))
                    except OSError as error:
                        self._fail(error, "head")
                    if data is None:
                        return
                    self._hear(data)
                elif head.status >= 200 or (head.status == 101 and self.message.upgrades):
                    self._begin(head)
                elif head.status == 101:
                    message = "the server changes the protocol, which it was not asked for"
                    raise self._located(BadResponse(message, rule="unasked-upgrade"), "head")
                else:
                    self._pass_interim(head)
        except ProtocolError as error:
            self._refuse(error, "head")

    def _begin(self, head: ResponseHead) -> None:
        self.head = head
        if head.status != 101 and not self._connection.reader.in_body:
            self._finish()

    def take(self) -> bytes:
        """What of the body has come with what was read before it; for the rest there is `read`. Raises BadResponse."""
        reader = self._connection.reader
        if self.is_over or not reader.pending:
            return b""
        try:
            piece = reader.read_body()
        except ProtocolError as error:
            self.close()
            self._refuse(error, "body")
        self._received += len(piece)
        if not reader.in_body:
            self._finish()
        return piece

    def take_whole(self, at_most: int) -> bytes | None:
        """See `BodySource.take_whole`."""
        if self.is_over:
            return b""
        whole = None if self._received else self._connection.reader.take_whole_body(at_most)
        if whole is not None:
            self._received = len(whole)
            self._finish()
        return whole

    async def read(self) -> bytes:
        """The next piece of the body as it was sent; none at its end. Raises ClientError."""
        if self._taken:
            return b""
        reader, stream, budget = self._connection.reader, self._connection.stream, self._budget
        try:
            while not (piece := self.take()) and not self.is_over:
                try:
                    data = await stream.recv(budget.left(budget.timeout.read), self._size)
                except OSError as error:
                    self._fail(error, "body")
                # A buffer that is filled a little costs more than it saves.
                if len(data) == CHUNK:
                    self._size = _LARGEST
                elif 2 * len(data) < CHUNK:
                    self._size = CHUNK
                if data:
                    reader.feed(data)
                elif reader.end():
                    self._finish()
                else:
                    self._incomplete()
            return piece
        except BaseException:
            self.close()
            raise

    def take_over(self) -> tuple[Stream, bytes]:
        """The connection behind a 101, for another protocol, and what has come of it already."""
        self._taken = True
        return self._connection.stream, self._connection.reader.take_rest()

    def close(self) -> None:
        """Gives the slot back and closes the connection, unless the response was read to its end. Twice is fine."""
        if not self.is_over:
            self.is_over = True
            self._done = monotonic()
            self._connection.close()
            self._pool.discard(self._connection.origin)

    @property
    def is_first(self) -> bool:
        """Whether it is the first one on its connection."""
        return self._connection.used == 1

    @property
    def trailers(self) -> Headers | None:
        """See `ClientResponse.trailers`."""
        return self._connection.reader.trailers if self.is_over else None

    @property
    def seconds(self) -> float:
        """From the call until the end of the body, or until now."""
        return (self._done or monotonic()) - self._budget.started

    @property
    def timings(self) -> Timings:
        """See `ClientResponse.timings`."""
        opened = self._connection.opened if self._connection.used == 1 else (None, None, None)
        sent = self._sent - self._began if self._sent else None
        first = self._first - (self._sent or self._began) if self._first else None
        return Timings(*opened, sent, first, self._done - self._first if self._done and self._first else None)

    def _hear(self, data: bytes) -> None:
        """Takes what has come of a head. Raises ServerClosed."""
        if self.unanswered:
            if not data:
                self._cut("head", "the server closed the connection without an answer")
            self.unanswered = False
            self._first = monotonic()
        elif not data:
            self._cut("head", "the server closed the connection within the head of its response")
        self._connection.reader.feed(data)

    def _finish(self) -> None:
        """The response is read to its end: the connection goes back into the pool if it can be used again."""
        if self.is_over:
            return
        connection = self._connection
        reader = connection.reader
        if reader.keep_alive and self._sent_whole and not reader.pending:
            self.is_over = True
            connection.idle_since = self._done = monotonic()
            self._pool.release(connection)
        else:
            self.close()

    def _incomplete(self) -> NoReturn:
        expected = max(self._connection.reader.length, 0) or None
        promised = f"of the {expected} bytes" if expected else "bytes without the last chunk"
        message = (
            f"the server closed the connection within the body: {self._received} {promised} that were promised came"
        )
        raise self._located(IncompleteBody(message, received=self._received, expected=expected), "body")

    def _fail(self, error: OSError, phase: str) -> NoReturn:
        """Says why nothing could be read; what had kept the request from being sent says more, if anything did."""
        if isinstance(error, TimeoutError):
            raise self._located(self._budget.over(ReadTimeout, "the server sends nothing"), phase) from None
        cause = self._refusal or error
        self._cut(phase, f"the connection broke: {cause.strerror or cause}")

    def _cut(self, phase: str, message: str) -> NoReturn:
        raise self._located(ServerClosed(message), phase) from None

    def _refuse(self, error: ProtocolError, phase: str) -> NoReturn:
        message = f"the {phase} of the response breaks HTTP: {error} ({error.rule} at byte {error.offset})"
        raise self._located(BadResponse(message, rule=error.rule, offset=error.offset), phase) from None

    def _located(self, error: ClientError, phase: str) -> ClientError:
        error.locate(self._connection.address, self._budget.seconds, phase)
        return error


class _NotTaken(Exception):
    """The connection broke while it was sent on; what the source of a body raises is not this."""

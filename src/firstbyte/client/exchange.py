"""One request and its response on one HTTP/1.1 connection (RFC 9112)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from time import monotonic
from typing import NoReturn, cast

from firstbyte.client.bodies import Body
from firstbyte.client.hooks import Timings
from firstbyte.client.network import CHUNK, Stream
from firstbyte.client.pool import Connection, Pool
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
from firstbyte.wire.response import ResponseHead
from firstbyte.wire.writer import encode_chunk, encode_last_chunk

MAX_INTERIM = 20  # interim responses (1xx) before a final one; what they are good for is told by one or two
EXPECT_WAIT = 1.0  # seconds for a 100 Continue, after which the body is sent without one, as curl does
_LARGEST = 128 * 1024  # bytes of a body that are read at once, where they come so fast; measured, see bench/client.py
_TOGETHER = 64 * 1024  # bytes: a body up to this long is sent in one piece with its head


class Exchange:
    """What happens on a connection from a request to the end of its response; then the slot goes back to the pool,
    once.

    `send`, then `read` until there is nothing more, or `close` in between. Whatever is raised, the connection is closed
    before. If `upgrades`, the answer may be 101, behind which `take_over` has the connection, until `close`.
    """

    __slots__ = (
        "_began", "_budget", "_connection", "_done", "_first", "_interim", "_pool", "_received", "_sent",
        "_sent_whole", "_size", "_taken", "_upgrades", "is_async", "is_over", "on_interim", "unanswered",
    )  # fmt: skip

    def __init__(
        self, connection: Connection, pool: Pool, budget: Budget, is_async: bool, upgrades: bool = False
    ) -> None:
        self._upgrades = upgrades
        self._taken = False
        self._connection = connection
        self._pool = pool
        self._budget = budget
        self.is_async = is_async
        self.unanswered = True  # whether not one byte of the response has come
        self.on_interim: Callable[[ResponseHead], object] | None = None  # is told of each interim response (1xx)
        self.is_over = False  # whether the response is read to its end, or was left
        self._sent_whole = True
        self._received = 0
        self._size = CHUNK  # bytes of the body to ask for next
        self._interim = 0  # responses of 1xx so far
        self._began = monotonic()
        self._sent = self._first = self._done = 0.0
        connection.used += 1

    async def send(self, method: str, head: bytes, body: Body | None, expects: bool = False) -> ResponseHead:
        """Sends a request; the head of its final response. Raises ClientError."""
        self._connection.reader.expect(method)
        try:
            try:
                if body is None:
                    await self._send(head)
                elif body.data is not None and len(body.data) <= _TOGETHER and not expects:
                    await self._send(head + body.data)
                else:
                    early = await self._send_long(head, body, expects)
                    if early is not None:
                        return early
            except _NotTaken as cut:
                # The server may have answered before it stopped to listen: what it said is worth more than that.
                self._sent_whole = False
                self._sent = monotonic()
                return await self._read_head(cut.error)
            self._sent = monotonic()
            return await self._read_head()
        except BaseException:
            self.close()
            raise

    async def _send(self, data: bytes) -> None:
        budget = self._budget
        try:
            await self._connection.stream.send(data, budget.left(budget.timeout.write))
        except TimeoutError:
            raise self._located(budget.over(WriteTimeout, "the server does not take the request"), "send") from None
        except OSError as error:
            raise _NotTaken(error) from None

    async def _send_long(self, head: bytes, body: Body, expects: bool) -> ResponseHead | None:
        """Sends head and body in pieces; stops with the response if that comes before the body is through."""
        await self._send(head)
        if expects and (early := await self._await_continue()) is not None:
            return early
        chunked = body.length is None
        self._sent_whole = False
        pieces = cast("AsyncGenerator[bytes, None]", body.apieces())
        stream = self._connection.stream
        # Of this kind alone it is known, before somebody reads, that something came.
        watched = stream if isinstance(stream, WatchedStream) else None
        sent = 0
        try:
            if watched is not None:
                watched.tells = body.interrupt
            async for piece in pieces:
                if piece:
                    await self._send(encode_chunk(piece) if chunked else piece)
                    sent += len(piece)
                    self._sent_whole = sent == body.length  # then an answer is not early
                if (early := self._early()) is not None:
                    return early
        finally:
            if watched is not None:
                watched.tells = None
            await pieces.aclose()
        if chunked:
            await self._send(encode_last_chunk(body.trailers))
        self._sent_whole = True
        return None

    async def _await_continue(self) -> ResponseHead | None:
        """Waits a little for 100 Continue (RFC 9110 section 10.1.1); the final response if that comes instead."""
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
                    return None if head.status < 200 else self._begin(head)
                data = await self._connection.stream.recv(self._budget.left(EXPECT_WAIT, until))
                if not data:
                    self._cut("head", "the server closed the connection while the body was waiting for its 100")
                self._take(data)
        except TimeoutError:
            return None
        except ProtocolError as error:
            self._refuse(error, "head")

    def _early(self) -> ResponseHead | None:
        """A final response that has come while the body is being sent."""
        data = self._connection.stream.recv_now()
        if not data:  # an end is found out by sending
            return None
        self._take(data)
        try:
            while (head := self._connection.reader.read_head()) is not None:
                if head.status >= 200:
                    return self._begin(head)
                self._pass_interim(head)
        except ProtocolError as error:
            self._refuse(error, "head")
        return None

    def _pass_interim(self, head: ResponseHead) -> None:
        self._interim += 1
        if self._interim > MAX_INTERIM:
            message = f"the server sent more than {MAX_INTERIM} interim responses ({head.status})"
            raise self._located(BadResponse(message, rule="too-many-interim"), "head")
        if self.on_interim is not None:
            self.on_interim(head)

    async def _read_head(self, cut: OSError | None = None) -> ResponseHead:
        reader, stream, budget = self._connection.reader, self._connection.stream, self._budget
        try:
            while True:
                head = reader.read_head() if reader.pending else None
                if head is None:
                    try:
                        data = await stream.recv(budget.left(budget.timeout.read))
                    except OSError as error:
                        self._fail(error, "head", cut)
                    if not data:
                        if not self.unanswered:
                            self._cut("head", "the server closed the connection within the head of its response")
                        self._cut("head", "the server closed the connection without an answer")
                    self._take(data)
                elif head.status >= 200:
                    return self._begin(head)
                elif head.status == 101:
                    if self._upgrades:
                        return head
                    message = "the server changes the protocol, which it was not asked for"
                    raise self._located(BadResponse(message, rule="unasked-upgrade"), "head")
                else:
                    self._pass_interim(head)
        except ProtocolError as error:
            self._refuse(error, "head")

    def _begin(self, head: ResponseHead) -> ResponseHead:
        if not self._connection.reader.in_body:
            self._finish()
        return head

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

    def _take(self, data: bytes) -> None:
        if self.unanswered:
            self.unanswered = False
            self._first = monotonic()
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

    def _fail(self, error: OSError, phase: str, cut: OSError | None = None) -> NoReturn:
        """Says why nothing could be read; `cut` is what had kept the request from being sent, if anything did."""
        if isinstance(error, TimeoutError):
            raise self._located(self._budget.over(ReadTimeout, "the server sends nothing"), phase) from None
        self._cut(phase, f"the connection broke: {(cut or error).strerror or cut or error}")

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

    def __init__(self, error: OSError) -> None:
        self.error = error

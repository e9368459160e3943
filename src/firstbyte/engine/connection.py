"""One connection's life: recv, scan, resolve, body, dispatch, write, next.

A connection is touched by one thread at a time, its owner: the leader of the reactor while nothing runs for it, the
thread that runs its handler while `busy`. `release` gives a busy connection back; after it the thread must not touch it.
The leader answers an event of a busy connection only by no longer watching it.
"""

from __future__ import annotations

import logging
import os
import socket
import tempfile
from collections.abc import Iterator
from enum import IntEnum
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, BinaryIO

from firstbyte.engine._sys import ERROR, HANGUP, READ, WRITE
from firstbyte.engine.incoming import IncomingBody
from firstbyte.errors import HTTPError, ProtocolError, ResponseError
from firstbyte.http.handler import Endpoint
from firstbyte.http.request import Address, Request
from firstbyte.http.response import FileBody, Response
from firstbyte.http.status import phrase
from firstbyte.wire.head import CHUNKED
from firstbyte.wire.reader import RequestReader
from firstbyte.wire.writer import CONTINUE, LAST_CHUNK, Ending, encode_chunk, encode_head, encode_plain

if TYPE_CHECKING:
    from firstbyte.engine.reactor import Reactor

logger = logging.getLogger("firstbyte.engine")

RECV = 64 * 1024  # bytes asked of one recv: a whole burst of pipelined requests, or a good piece of a body
JOIN = 16 * 1024  # bytes up to which buffers are copied into one for a single send; beyond it sendmsg gathers them
_BATCH = 64  # answers to pipelined requests that go out in one send
SENDFILE = 1024 * 1024  # bytes of a file sent before other connections have their turn


class State(IntEnum):
    """What a connection is waiting for."""

    HEAD = 0
    """A request, or the rest of its head."""
    BODY = 1
    """The rest of a request's body."""
    DISCARD = 2
    """The rest of a body that its endpoint left unread."""
    WRITE = 3
    """The peer, to take what is to be sent."""
    LINGER = 4
    """The peer, to read the last answer and close."""
    CLOSED = 5
    """Nothing."""


class Connection:
    """A client's connection, from accept to close."""

    __slots__ = (
        "_body",
        "_body_size",
        "_ending",
        "_endpoint",
        "_file",
        "_fresh",
        "_interest",
        "_keep_alive",
        "_left",
        "_linger",
        "_out",
        "_reactor",
        "_request",
        "_response",
        "_size",
        "_spool",
        "_stream",
        "_written",
        "busy",
        "client",
        "deadline",
        "fd",
        "lost",
        "reader",
        "scheme",
        "server",
        "sock",
        "started",
        "state",
    )

    def __init__(self, reactor: Reactor, sock: socket.socket, client: Address, server: Address) -> None:
        self._reactor = reactor
        self.sock = sock
        self.fd = sock.fileno()
        self.client = client
        self.server = server
        self.scheme = "http"
        self.reader = RequestReader(reactor.limits)
        self.state = State.HEAD
        self.busy = False  # a handler thread owns the connection
        self.lost = False  # the peer went away while a handler was running, and the poller has let go of the connection
        self.deadline = reactor.now + reactor.timeouts.head  # on the monotonic clock; read by the reactor's sweep
        self.started = 0.0  # when the first byte of the request came, for observers (perf_counter)
        self._fresh = True  # nothing of the next request has come
        self._interest = READ
        self._keep_alive = True  # after the answer being written, the connection goes on
        self._linger = False  # the peer may still be sending when the connection ends
        self._out: list[bytes | memoryview] = []  # what is to be sent, in order
        self._request: Request | None = None  # of the body that comes or the answer that goes
        self._endpoint: Endpoint | None = None
        self._response: Response | None = None  # whose generator or file is being sent
        self._body: list[bytes] = []  # pieces of a body in memory, or what is in `_spool` is all of it
        self._body_size = 0
        self._spool: BinaryIO | None = None
        self._stream: Iterator[bytes] | None = None  # the rest of a generated answer
        self._file: FileBody | None = None  # the rest of a file answer
        self._ending = Ending.NONE  # how the generated answer ends
        self._left = 0  # bytes that a generated answer has promised and not yet given
        self._size = 0  # bytes of the answer being written
        self._written: list[tuple[Request, int, int]] = []  # answers in `_out`, for the observer

    # -- events, in the leader's thread

    def on_event(self, events: int) -> None:
        """The descriptor is ready."""
        if self.busy and self._reactor.look_away(self, events):
            return
        if self.state == State.WRITE:
            if events & (WRITE | ERROR | HANGUP):
                self._on_writable()
        else:
            self._on_readable()

    def _on_readable(self) -> None:
        try:
            data = self.sock.recv(RECV)
        except BlockingIOError:
            return
        except OSError as error:
            self.close(f"recv: {error.strerror}")
            return
        if not data:
            self._on_eof()
            return
        state = self.state
        if state == State.HEAD:
            reactor = self._reactor
            if self._fresh:
                self._fresh = False
                self.deadline = reactor.now + reactor.timeouts.head
                if reactor.hooks.first_byte is not None:
                    reactor.hooks.first_byte(self)
            self.reader.feed(data)
            self.advance()
        elif state != State.LINGER:
            self.reader.feed(data)
            self.deadline = self._reactor.now + self._reactor.timeouts.body
            if self._take_body():
                self.advance()

    def _on_eof(self) -> None:
        if self.state == State.HEAD and not self.reader.pending:
            self.close("client closed")
        elif self.state in (State.LINGER, State.DISCARD):
            self.close("client closed")
        else:
            part = "head" if self.state == State.HEAD else "body"
            # A half-closed client can still read what was wrong.
            self._reject(ProtocolError(400, f"{part}-cut", f"the request ends within its {part}", self.reader.pending))

    def on_deadline(self) -> None:
        """What the connection waited for did not come in time."""
        state = self.state
        if state == State.HEAD and not self.reader.pending:
            self.close("keep-alive timeout")
        elif state == State.HEAD:
            self._reject(ProtocolError(408, "head-timeout", "the head did not arrive in time", self.reader.pending))
        elif state == State.BODY:
            self._reject(ProtocolError(408, "body-timeout", "the body did not arrive in time", self._body_size))
        elif state == State.WRITE:
            self.close("write timeout")
        else:
            self.close("linger timeout")

    def _on_writable(self) -> None:
        if not self._send_on():
            return
        driver = self._reactor.driver
        if self._stream is None:
            if self._after_write():
                self.advance()
        elif driver.detach(self):
            self._stream_on()
        else:
            driver.enqueue(self, self._stream_on)

    # -- requests, in the owner's thread

    def advance(self) -> None:
        """Answers the requests that are here, as far as it can without waiting, then waits for what is next."""
        while True:
            while self.state == State.HEAD:
                request = self._next_request()
                if request is None:
                    break
                if not self._begin(request):
                    return
            if not self._settle():
                return

    def _next_request(self) -> Request | None:
        try:
            request = self.reader.read_head()
        except ProtocolError as error:
            self._refuse(error)
            return None
        if request is not None:
            self.deadline = inf
            request.client = self.client
            request.server = self.server
            request.scheme = self.scheme
        return request

    def _begin(self, request: Request) -> bool:
        """Resolves a request, and answers it if nothing is to be waited for. False if this thread has nothing to do."""
        reactor = self._reactor
        hooks = reactor.hooks
        if hooks.head is not None:
            hooks.head(self, request)
        try:
            endpoint = reactor.handler.resolve(request)
        except HTTPError as error:
            self._respond(request, _error_response(error.status, error.detail))
            return True
        except Exception:
            logger.exception("resolving %s %s failed", request.method, request.target)
            self._respond(request, _error_response(500))
            return True
        if hooks.resolved is not None:
            hooks.resolved(self, request, endpoint)
        if self.reader.in_body and not self._begin_body(request, endpoint):
            return self.state == State.WRITE  # refused: settle sends the answer
        response = reactor.driver.call(self, request, endpoint)
        if response is None:
            return False
        return self._respond(request, response)

    def _begin_body(self, request: Request, endpoint: Endpoint) -> bool:
        """Prepares for the body; True when the endpoint can be called: the body is complete, or read by the endpoint."""
        max_body = self._reactor.limits.body if endpoint.max_body is None else endpoint.max_body
        if endpoint.streams_body:
            request._stream = IncomingBody(self, request, max_body)
            return True
        try:
            self.reader.limit_body(max_body)
        except ProtocolError as error:
            self._refuse(error)
            return False
        if self.reader.expects_continue and not self.reader.pending:
            self._out.append(CONTINUE)
        self._request = request
        self._endpoint = endpoint
        self.state = State.BODY
        self.deadline = self._reactor.now + self._reactor.timeouts.body
        if self._collect():
            return True
        if self.state == State.BODY:
            if self._flush():
                self.release(READ)
            elif self.state == State.BODY:
                # A peer that does not even take a 100 (Continue) or the answer before it.
                self.close("peer does not read")
        return False

    def _take_body(self) -> bool:
        """Takes body bytes that have come; True if the connection can then advance."""
        if self.state == State.DISCARD:
            return self._discard()
        if not self._collect():
            if self.state == State.WRITE:
                self._settle()
            return False
        request, endpoint = self._request, self._endpoint
        assert request is not None and endpoint is not None
        response = self._reactor.driver.call(self, request, endpoint)
        return response is not None and self._respond(request, response)

    def _collect(self) -> bool:
        """Adds what has come to the body; True when it is complete and on its request."""
        request = self._request
        assert request is not None
        try:
            piece = self.reader.read_body()
            self._body_size += len(piece)
            if self._spool is None and self._body_size > self._reactor.limits.body_memory:
                self._spool = tempfile.TemporaryFile(prefix="firstbyte-")  # noqa: SIM115 - closed with the response
                self._spool.writelines(self._body)
                self._body.clear()
            if self._spool is not None:
                self._spool.write(piece)
            elif piece:
                self._body.append(piece)
        except ProtocolError as error:
            self._refuse(error)
            return False
        except OSError as error:
            logger.error("the body of %s %s cannot be stored: %s", request.method, request.target, error)  # noqa: TRY400
            self.reader.keep_alive = False
            self._respond(request, _error_response(507, "the server has no room for the body"))
            return False
        if self.reader.in_body:
            return False
        request.trailers = self.reader.trailers
        request._body = self._spool if self._spool is not None else b"".join(self._body)
        self._spool = None
        self._body.clear()
        self._body_size = 0
        self.state = State.HEAD
        return True

    def _discard(self) -> bool:
        try:
            self._body_size += len(self.reader.read_body())
        except ProtocolError as error:
            self.close(f"discarded body: {error}")
            return False
        if self.reader.in_body:
            if self._body_size > self._reactor.limits.discard:
                self.close("discarded body too long")
            return False
        self._body_size = 0
        self.state = State.HEAD
        return True

    # -- answers, in the owner's thread

    def answer(self, request: Request, endpoint: Endpoint) -> None:
        """Calls the endpoint in this thread, which may block, writes the answer and goes on. The connection is busy."""
        response = self._reactor.driver.call(self, request, endpoint)
        assert response is not None  # a busy connection is answered where it is
        if self._respond(request, response):
            self.advance()

    def _respond(self, request: Request, response: Response) -> bool:
        """Puts the answer on its way. False if this thread has let go of the connection."""
        reactor = self._reactor
        hooks = reactor.hooks
        if hooks.write_started is not None:
            hooks.write_started(self, request, response)
        keep_alive = self.reader.keep_alive and not reactor.draining
        if self.reader.in_body:
            keep_alive = self._will_discard(keep_alive)
        body = response.body
        if type(body) is bytes and response.plain_headers and request.method != "HEAD":
            data = encode_plain(response, body, reactor.tails().of(keep_alive, request.minor))
            if data is not None:
                self._out.append(data)
                self._size = len(data)
                self._keep_alive = keep_alive
                return self._responded(request, response)
        try:
            head = encode_head(response, request.method, request.minor, keep_alive, reactor.tails())
        except ResponseError as error:
            response.close()
            logger.error("the answer to %s %s cannot be sent: %s", request.method, request.target, error)  # noqa: TRY400
            response = _error_response(500)
            body = response.body
            head = encode_head(response, request.method, request.minor, keep_alive, reactor.tails())
        self._keep_alive = head.keep_alive
        self._out.append(head.data)
        self._size = len(head.data)
        if head.ending == Ending.NONE:
            response.close()
        elif isinstance(body, bytes):
            if body:
                self._out.append(body)
                self._size += len(body)
        else:
            self._request = request
            self._response = response
            if isinstance(body, FileBody):
                self._file = body
                self._size += body.count
                self.state = State.WRITE
                return True
            self._stream = body
            self._ending = head.ending
            self._left = head.length
            if self.busy or reactor.driver.detach(self):
                return self._pump()
            reactor.driver.enqueue(self, self._stream_on)
            return False
        return self._responded(request, response)

    def _responded(self, request: Request, response: Response) -> bool:
        """The last byte of the answer is in `_out` or sent. Always True: the thread goes on with the connection."""
        if self._reactor.hooks.write_ended is not None:
            self._written.append((request, response.status, self._size))
        if type(request._body) is not bytes:
            request._body.close()
        # Small answers to pipelined requests go out together, but not without bound, nor past the connection's last.
        if not self._keep_alive or self._size > JOIN or len(self._out) > _BATCH:
            self.state = State.WRITE
        return True

    def _stream_on(self) -> None:
        """Goes on with a generated answer that a slow peer or busy threads had stopped. The connection is busy."""
        if self._pump():
            self.advance()

    def _pump(self) -> bool:
        """Runs the generator, in a thread that may block, to its end (True), or until the peer is too slow for it."""
        stream, request, response = self._stream, self._request, self._response
        assert stream is not None and request is not None and response is not None
        self.state = State.WRITE
        limit = self._reactor.limits.output
        try:
            for piece in stream:
                if not piece:
                    continue
                self._out.append(self._framed(piece))
                if not self._flush():
                    if self.state == State.CLOSED:
                        return False
                    if sum(map(len, self._out)) > limit:
                        self.deadline = monotonic() + self._reactor.timeouts.write
                        self.release(WRITE)
                        return False
            if self._ending == Ending.LENGTH and self._left:
                raise ResponseError(f"the body ended {self._left} bytes before its Content-Length")
        except Exception:
            logger.exception("the answer to %s %s is broken off", request.method, request.target)
            self.close("response broken off")
            return False
        if self._ending == Ending.CHUNKED:
            self._out.append(LAST_CHUNK)
            self._size += len(LAST_CHUNK)
        self._stream = self._request = self._response = None
        return self._responded(request, response)

    def _framed(self, piece: bytes) -> bytes:
        if self._ending == Ending.CHUNKED:
            piece = encode_chunk(piece)
        elif self._ending == Ending.LENGTH:
            if len(piece) > self._left:
                raise ResponseError(f"the body is {len(piece) - self._left} bytes longer than its Content-Length")
            self._left -= len(piece)
        self._size += len(piece)
        return piece

    def _will_discard(self, keep_alive: bool) -> bool:
        """Whether the connection can outlive a body that its endpoint left unread: if the rest is short and comes."""
        length = self.reader.length
        self._linger = True
        if not keep_alive or self.reader.expects_continue or length == CHUNKED:
            return False
        return length <= self._reactor.limits.discard

    def _refuse(self, error: ProtocolError) -> None:
        """Puts the answer to an invalid request on its way; it is the connection's last."""
        if self._reactor.hooks.rejected is not None:
            self._reactor.hooks.rejected(self, error)
        response = _error_response(error.status, str(error))
        self._out.append(encode_head(response, "GET", 1, False, self._reactor.tails()).data)
        self._out.append(response.body)  # type: ignore[arg-type]  # an error response's body is bytes
        self._keep_alive = False
        self._linger = True
        self.state = State.WRITE

    def _reject(self, error: ProtocolError) -> None:
        self._refuse(error)
        self._settle()

    # -- writing

    def _settle(self) -> bool:
        """Sends what is to be sent, then waits for the peer. True if there may be another request to answer at once."""
        if self._send_on():
            return self._after_write()
        if self.state != State.CLOSED:
            self.state = State.WRITE
            self.deadline = monotonic() + self._reactor.timeouts.write
            self.release(WRITE)
        return False

    def _after_write(self) -> bool:
        """Everything is sent: the next request (True if it may be here already), or the end."""
        reactor = self._reactor
        if self._written:
            written, self._written = self._written, []
            for request, status, size in written:
                reactor.hooks.write_ended(self, request, status, size)  # type: ignore[misc]  # it has a listener
        if not self._keep_alive:
            self._end()
            return False
        if self.reader.in_body:
            self.state = State.DISCARD
            self.deadline = monotonic() + reactor.timeouts.body
            if self._discard():
                return True
            if self.state == State.DISCARD:
                self.release(READ)
            return False
        pending = self.reader.pending
        if self.state == State.WRITE:
            self.state = State.HEAD
            if pending:
                return True
        now = monotonic() if self.busy else reactor.now  # the reactor's own clock stands while it waits
        if pending:
            self.deadline = min(self.deadline, now + reactor.timeouts.head)
        else:
            self._fresh = True
            self.deadline = now + reactor.timeouts.keep_alive
        if self.busy or self._interest != READ:
            self.release(READ)
        return False

    def _send_on(self) -> bool:
        """Sends until all is sent (True), or the peer takes no more or is gone (False)."""
        if self._out and not self._flush():
            return False
        file = self._file
        if file is None:
            return True
        try:
            sent = os.sendfile(self.fd, file.file.fileno(), file.offset, min(file.count, SENDFILE))
        except BlockingIOError:
            return False
        except OSError as error:
            self.close(f"send: {error.strerror}")
            return False
        file.offset += sent
        file.count -= sent
        self.deadline = self._reactor.now + self._reactor.timeouts.write
        if not sent and file.count:
            logger.error("a file shrank while it was being sent: %d bytes are missing", file.count)
            self.close("response broken off")
            return False
        if file.count:
            return False
        file.close()
        request, response = self._request, self._response
        assert request is not None and response is not None
        self._file = self._request = self._response = None
        return self._responded(request, response)

    def _flush(self) -> bool:
        """Sends `_out`; False if some of it is left, or the connection is closed."""
        out = self._out
        while out:
            try:
                if len(out) == 1:
                    sent = self.sock.send(out[0])
                elif sum(map(len, out)) <= JOIN:
                    out[:] = [b"".join(out)]
                    continue
                else:
                    sent = self.sock.sendmsg(out[:64])
            except BlockingIOError:
                return False
            except OSError as error:
                self.close(f"send: {error.strerror}")
                return False
            if self.state == State.WRITE:
                self.deadline = self._reactor.now + self._reactor.timeouts.write
            while sent:
                first = out[0]
                if sent < len(first):
                    out[0] = memoryview(first)[sent:]
                    break
                sent -= len(first)
                del out[0]
        return True

    # -- what an endpoint that reads its own body asks for

    @property
    def body_timeout(self) -> float:
        """Seconds to wait for more of the body."""
        return self._reactor.timeouts.body

    def about_to_block(self) -> None:
        """The handler is going to wait for the peer: another thread must lead."""
        self._reactor.driver.about_to_block(self)

    def send_now(self, data: bytes) -> None:
        """Sends a few bytes behind what waits to be sent, from within the handler."""
        self._out.append(data)
        self._flush()

    # -- endings

    def _end(self) -> None:
        """The last answer is sent: closes, or lets a peer that may still be sending read the answer first."""
        if not (self._linger or self.reader.pending or self.reader.in_body):
            self.close("response complete")
            return
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError as error:
            self.close(f"shutdown: {error.strerror}")
            return
        self.state = State.LINGER
        self.deadline = self._reactor.now + self._reactor.timeouts.linger
        self.release(READ)

    def release(self, interest: int) -> None:
        """Waits for `interest` on the reactor. A busy connection is the leader's from here on."""
        self._reactor.watch(self, interest)

    def close(self, reason: str) -> None:
        """Ends the connection, whatever it is doing."""
        if self.state == State.CLOSED:
            return
        self.state = State.CLOSED
        self.deadline = inf
        self._reactor.forget(self)
        self.sock.close()
        self._out.clear()
        self._body.clear()
        for left in (self._file, self._stream, self._spool, self._request and self._request._body):
            close = getattr(left, "close", None)
            if close is not None:
                try:
                    close()
                except Exception:
                    logger.exception("closing what was being answered failed")
        self._file = self._stream = self._spool = self._request = self._response = None
        if self._reactor.hooks.closed is not None:
            self._reactor.hooks.closed(self, reason)

    def begin_drain(self) -> None:
        """The server stops: an idle connection is kept a moment longer for a request that is already on its way."""
        if self.state == State.HEAD and not self.busy and not self.reader.pending:
            self.deadline = min(self.deadline, self._reactor.now + self._reactor.timeouts.drain_idle)


def _error_response(status: int, detail: str = "") -> Response:
    """The engine's own answer where no app has had a say: plain text."""
    text = f"{status} {phrase(status)}\n"
    return Response(f"{text}{detail}\n" if detail else text, status)

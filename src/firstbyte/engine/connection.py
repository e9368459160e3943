"""One connection's life: recv, scan, resolve, body, dispatch, write, next.

A connection is touched by one thread at a time: the leader of the reactor while nothing runs for it, the thread that
runs its handler while `busy`. `Reactor.watch` gives a busy connection back; after it the thread must not touch it.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from math import inf
from time import monotonic
from typing import TYPE_CHECKING

from firstbyte._lazy import lazy_logger
from firstbyte.engine._sys import READ, RECV, WRITE, receive
from firstbyte.engine.answers import close_quietly, encoded_error, failed_endpoint, sendable, trailers_of
from firstbyte.engine.collector import Collector
from firstbyte.engine.hub import Hub
from firstbyte.engine.incoming import AwaitedBody, IncomingBody, has_left
from firstbyte.engine.output import BATCH, JOIN, Output
from firstbyte.engine.services import ConnectionServices
from firstbyte.engine.states import BODY, CLOSED, DISCARD, HEAD, LINGER, STATES, WRITING
from firstbyte.errors import ProtocolError
from firstbyte.http.handler import Endpoint
from firstbyte.http.headers import Headers
from firstbyte.http.request import Address, Ends, Request
from firstbyte.http.response import Feed, FileBody, Response
from firstbyte.wire.reader import RequestReader
from firstbyte.wire.writer import CONTINUE, NONE, BodyWriter, encode_plain

if TYPE_CHECKING:
    from firstbyte.engine.exchange import Exchange
    from firstbyte.engine.observer import Entry

logger = lazy_logger("firstbyte.engine")


class Connection:
    """A client's connection, from accept to close."""

    __slots__ = (
        "_answered", "_body_writer", "_collector", "_encrypted", "_endpoint", "_fresh", "_head", "_hooks",
        "_keep_alive", "_linger", "_out", "_output", "_reactor", "_request", "_response", "_size", "_stream",
        "_written", "busy", "deadline", "ends", "entry", "fd", "interest", "lost", "owner", "reader", "services",
        "sock", "state",
    )  # fmt: skip

    def __init__(self, reactor: Hub, sock: socket.socket, ends: Ends) -> None:
        self._reactor = reactor
        self._hooks = reactor.hooks
        self.sock = sock
        self.fd = sock.fileno()
        self.ends = ends
        self.services = ends.services = ConnectionServices(reactor.background, self)
        self._encrypted = ends.scheme == "https"
        self.reader = RequestReader(reactor.scanner, ends)
        self.state = HEAD
        self.busy = False  # a handler thread or a coroutine owns the connection
        self.owner: Exchange | None = None  # the coroutine, if it is one, and if it has had to wait
        self.lost = False  # the peer went away while a handler was running, and the poller has let go of the connection
        self.interest = READ  # what the poller watches it for
        self.deadline = reactor.now + reactor.timeouts.head  # on the monotonic clock; looked at by the reactor's sweep
        self.entry: Entry | None = None  # of the request that it is at, while an observer wants to know
        self._fresh = True  # nothing of the next request has come
        self._answered = False  # since the deadline was last set for the next request
        self._keep_alive = True  # after the answer being written, the connection goes on
        self._linger = False  # the peer may still be sending when the connection ends
        self._output = Output(sock, self._encrypted)
        self._out = self._output.buffers  # what is to be sent, in order
        self._collector: Collector | None = None  # of the body that comes
        self._request: Request | None = None  # whose body comes, or whose answer is a generator or file being sent
        self._endpoint: Endpoint | None = None  # for the request whose body comes
        self._response: Response | None = None  # whose generator or file is being sent
        self._stream: Iterator[bytes] | None = None  # the generator
        self._body_writer: BodyWriter | None = None  # frames what the generator gives
        self._size = self._head = 0  # bytes of the answer so far, and of its head
        self._written: list[Entry] = []  # of the answers in `_out`

    @property
    def client(self) -> Address | None:
        """The client's end."""
        return self.ends.client

    @property
    def is_idle(self) -> bool:
        """Whether it waits for a request of which nothing has come, after at least one that was answered."""
        return self.state == HEAD and not self.busy and not self.reader.pending and self._size > 0

    # -- events, in the leader's thread

    def on_event(self, events: int) -> None:
        """The descriptor is ready."""
        if self.busy:
            if self.owner is not None:
                self.owner.on_event(events)
                return
            if self._reactor.look_away(self, events):
                return
        state = self.state
        if state == WRITING:
            self._on_writable()
            return
        if events & WRITE and self.flush():  # what stood before a body that is coming
            self._reactor.watch(self, READ)
        if self.state == CLOSED or (count := self._take_in()) < 0:
            return
        if not count:
            self._on_eof()
        elif state == HEAD:
            if self._fresh and self._hooks.first_byte is not None:
                self._hooks.first_byte(self)
            self.advance()
        elif state != LINGER and (self._discard() if state == DISCARD else self._take_body()):
            self.advance()

    def _take_in(self) -> int:
        """Receives what is here for the reader, or into a body's place; how much, -1 as `receive` gives None."""
        collector = self._collector
        if collector is None or collector.place is None or self._encrypted:
            if (data := self.receive()) is None:
                return -1
            if data and self.state != LINGER:
                self.reader.feed(data)
            return len(data)
        try:
            return collector.receive(self.fd, self.reader)
        except OSError as error:
            return self._not_received(error)

    def receive(self) -> bytes | None:
        """What is here, as it came; empty if the peer sends no more, None for nothing, or if it is closed for that."""
        try:
            return receive(self.fd) if not self._encrypted else self.sock.recv(RECV)
        except OSError as error:
            self._not_received(error)
            return None

    def _not_received(self, error: OSError) -> int:
        if not isinstance(error, BlockingIOError):
            self.close(f"recv: {error.strerror}")
        return -1

    def on_deadline(self) -> None:
        """What the connection waited for did not come in time."""
        state = self.state
        if self.owner is not None:
            self.owner.on_deadline()
        elif state == HEAD and not self.reader.pending:
            self.close("keep-alive timeout")
        elif state in (HEAD, BODY):
            part = STATES[state]
            self._reject(ProtocolError(408, f"{part}-timeout", f"the {part} did not arrive in time"))
        else:
            self.close(f"{STATES[state]} timeout")

    def begin_drain(self) -> None:
        """The server stops: an idle connection is kept a moment longer for a request that is already on its way."""
        if self.state == HEAD and not self.busy and not self.reader.pending:
            self.deadline = min(self.deadline, self._reactor.now + self._reactor.timeouts.drain_idle)

    def _on_eof(self) -> None:
        if self.state in (LINGER, DISCARD) or (self.state == HEAD and not self.reader.pending):
            self.close("client closed")
        else:
            part = STATES[self.state]
            # A half-closed client can still read what was wrong.
            self._reject(ProtocolError(400, f"{part}-cut", f"the request ends within its {part}"))

    def _on_writable(self) -> None:
        driver = self._reactor.driver
        if self._stream is None:
            if self.settle():
                self.advance()
            return
        self.deadline = self._reactor.now + self._reactor.timeouts.write  # it takes something, if not all
        if self.flush():
            if driver.detach(self):
                self._stream_on()
            else:
                driver.enqueue(self, self._stream_on)

    # -- requests, in the owner's thread

    def advance(self) -> None:
        """Answers the requests that are here, as far as it can without waiting, then waits for what is next."""
        reader = self.reader
        reactor = self._reactor
        hooks = self._hooks
        while True:
            while reader.pending and self.state == HEAD:
                try:
                    request = reader.read_head()
                except ProtocolError as error:
                    self._refuse(error)
                    break
                if request is None:
                    break
                if hooks.head is not None:
                    hooks.head(self, request)
                try:
                    endpoint = reactor.resolve(request)
                except Exception as error:
                    endpoint = failed_endpoint(request, error)
                if hooks.resolved is not None:
                    hooks.resolved(self, request, endpoint)
                if reader.in_body and not self._begin_body(request, endpoint):
                    if self.state == WRITING:
                        break  # refused: the answer is to be sent
                    return
                response = reactor.driver.call(self, request, endpoint)
                if response is None or not self._respond(request, response):
                    return
            if self._out and self.state == HEAD and not self.busy and reactor.put_off(self):
                return
            if not self.settle():
                return

    def answer(self, request: Request, endpoint: Endpoint) -> None:
        """Calls the endpoint in this thread, which may block, writes the answer and goes on. The connection is busy."""
        if self.entry is not None:
            self.entry.end_wait()
        if endpoint.cancel_on_disconnect and has_left(self):
            self.close("client left")
            return
        response = self._reactor.driver.call(self, request, endpoint)
        if response is not None:
            self.respond(request, response)

    def respond(self, request: Request, response: Response) -> None:
        """Puts the answer on its way and goes on with what is next, for the connection's owner."""
        if self._respond(request, response):
            self.advance()

    def begin_body(self, request: Request, response: Response) -> bool:
        """Begins an answer whose body a coroutine gives, by `push` and `end_body`; False if it is to have none."""
        return not self._respond(request, response)

    def _begin_body(self, request: Request, endpoint: Endpoint) -> bool:
        """Prepares for the body; True when the endpoint can be called: it is complete, or the endpoint reads it."""
        reactor = self._reactor
        max_body = reactor.limits.body if endpoint.max_body is None else endpoint.max_body
        if endpoint.streams_body:
            request._stream = (AwaitedBody if endpoint.is_async else IncomingBody)(reactor, self, request, max_body)
            return True
        try:
            self.reader.limit_body(max_body)
        except ProtocolError as error:
            return self._refuse(error)
        if (whole := self.reader.take_whole_body(reactor.limits.body_memory)) is not None:  # as most short ones
            request._body = whole
            return True
        if self.reader.expects_continue and not self.reader.pending:
            self._out.append(CONTINUE)
        self._request, self._endpoint = request, endpoint
        self._collector = Collector(reactor.limits, reactor.timeouts, self.reader.length)
        self.state = BODY
        if self._collect():
            return True
        if self.state == BODY:
            sent = self.flush()  # a 100 (Continue), and answers before it
            if self.state != CLOSED:
                reactor.watch(self, READ if sent else READ | WRITE)
        return False

    def _take_body(self) -> bool:
        """Takes body bytes that have come; True if the connection can then advance."""
        request, endpoint = self._request, self._endpoint
        assert request is not None and endpoint is not None
        if not self._collect():
            return self.state == WRITING
        response = self._reactor.driver.call(self, request, endpoint)
        return response is not None and self._respond(request, response)

    def _collect(self) -> bool:
        """Adds what has come to the body; True when it is complete and on its request."""
        request, collector = self._request, self._collector
        assert request is not None and collector is not None
        try:
            if self.reader.in_body:  # else the last of it has been received into its place
                collector.add(self.reader.read_body())
            if self.reader.in_body:
                self.deadline = collector.wait()
                return False
        except ProtocolError as error:
            return self._refuse(error)
        except OSError as error:
            logger.error("the body of %s %s cannot be stored: %s", request.method, request.target, error)
            return self._refuse(ProtocolError(507, "no-room", "the server has no room for the body"))
        request.trailers = self.reader.trailers
        request._body = collector.take()
        self._request = self._endpoint = self._collector = None
        self.state = HEAD
        return True

    def _discard(self) -> bool:
        """Throws away what has come of a body that nobody wants; True when that was the last of it."""
        try:
            self.reader.read_body()
        except ProtocolError as error:
            self.close(f"discarded body: {error}")
            return False
        if self.reader.in_body:
            self.deadline = monotonic() + self._reactor.timeouts.body
            return False
        self.state = HEAD
        return True

    # -- answers, in the owner's thread

    def _respond(self, request: Request, response: Response) -> bool:
        """Puts the answer on its way. False if this thread has let go of the connection."""
        if request.sender is not None and request.sender.begun:
            return request.sender.end(response)
        reactor = self._reactor
        if self._hooks.write_started is not None:
            self._hooks.write_started(self, request, response)
        self._fresh = self._answered = request.answered = True
        reader = self.reader
        keep_alive = reader.keep_alive and not reactor.draining
        if reader.in_body:
            keep_alive = keep_alive and reader.can_discard(reactor.limits.discard)
            reader.expects_continue = False  # it is too late for a 100
            self._linger = True
        tails = reactor.fresh_tails() if self.busy else reactor.tails
        body = response.body
        file = body if isinstance(body, FileBody) else None
        data = head = None
        if (file is not None or isinstance(body, bytes)) and response._headers is None and request.method != "HEAD":
            tail = tails.keep if keep_alive and request.minor else tails.of(keep_alive, request.minor)
            data = encode_plain(response, body, tail)  # type: ignore[arg-type]  # it is one of the two
        if data is None:
            response, head = sendable(request, response, keep_alive, tails)
            data, keep_alive, body = head.data, head.keep_alive, response.body
            self._linger = self._linger or response.status == 101
        self._keep_alive = keep_alive
        self._out.append(data)
        self._size = self._head = len(data)
        if head is not None and head.ending == NONE:
            close_quietly(response)
        elif isinstance(body, bytes):
            if body and head is not None:  # else it is in `data`
                self._out.append(body)
                self._size += len(body)
        else:
            self._request, self._response = request, response
            self.state = WRITING
            if file is not None:
                self._output.file = file
                self._size += file.count
                return True
            assert head is not None  # a generator never is plain
            self._body_writer = BodyWriter(head.ending, head.length)
            if reader.in_body:
                self.flush()  # the generator may wait for a body whose client waits for this head
            if not isinstance(body, Iterator) or isinstance(body, Feed):
                from firstbyte.engine.upgrade import start  # here, since asyncio takes long to import, and it knows us

                return start(reactor, self, response)  # else a coroutine gives them, by `push` and `end_body`
            self._stream = body
            if reactor.driver.detach(self):
                return self._pump()
            reactor.driver.enqueue(self, self._stream_on)
            return False
        return self._responded(request, response)

    def _responded(self, request: Request, response: Response) -> bool:
        """The last byte of the answer is in `_out` or sent. Always True: the thread goes on with the connection."""
        if self.entry is not None:
            self._written.append(self.entry.end(response, self._size, self._head, self.reader))
        if type(request._body) is not bytes or request._form is not None:
            request.close_body()
        # Small answers to pipelined requests go out together: within bounds, to the last, and behind bodies unread.
        if not self._keep_alive or self._size > JOIN or len(self._out) > BATCH or self.reader.in_body:
            self.state = WRITING
        return True

    def _stream_on(self) -> None:
        """Goes on with a generated answer that a slow peer or busy threads had stopped. The connection is busy."""
        if self._pump():
            self.advance()

    def _pump(self) -> bool:
        """Runs the generator, in a thread that may block, to its end (True), or until the peer is too slow for it."""
        stream, request = self._stream, self._request
        assert stream is not None and request is not None
        try:
            for piece in stream:
                if piece and not self.push(piece):
                    if self.state != CLOSED:
                        self._wait_for_peer()
                    return False
            return self.end_body()
        except Exception:
            logger.exception("the answer to %s %s is broken off", request.method, request.target)
            self.close("response broken off")
            return False

    def push(self, piece: bytes) -> bool:
        """Sends a piece of a generated answer. False if so much waits for the peer that the generator is to wait too.

        Raises ResponseError for more than the head has promised.
        """
        assert self._body_writer is not None
        data = self._body_writer.frame(piece)
        self._size += len(data)
        self._out.append(data)
        return self.flush() or (self.state != CLOSED and self._output.waiting <= self._reactor.limits.output)

    def end_body(self, trailers: Headers | None = None) -> bool:
        """Ends a generated answer, as `_responded` does. Raises ResponseError if it is shorter than promised."""
        request, response, framing = self._request, self._response, self._body_writer
        assert request is not None and response is not None and framing is not None
        if ending := framing.end(trailers or trailers_of(request, response)):
            self._out.append(ending)
            self._size += len(ending)
        self._stream = self._request = self._response = self._body_writer = None
        return self._responded(request, response)

    def _refuse(self, error: ProtocolError) -> bool:
        """Puts the answer to an invalid request on its way; it is the connection's last. Always False."""
        if self._hooks.rejected is not None:
            self._hooks.rejected(self, error)
        self.entry = None
        self._out += encoded_error(error, self._reactor.fresh_tails())
        self._keep_alive = False
        self._linger = True
        self.state = WRITING
        return False

    def _reject(self, error: ProtocolError) -> None:
        self._refuse(error)
        self.settle()

    # -- writing

    def settle(self) -> bool:
        """Sends what is to be sent, then waits for the peer. True if there may be another request to answer at once."""
        output = self._output
        try:
            if (self._out and not output.flush()) or (output.file is not None and not self._send_file()):
                self._wait_for_peer()
                return False
        except (OSError, EOFError) as error:
            self._broken(error)
            return False
        reactor = self._reactor
        if self._written:
            written, self._written, self.entry = self._written, [], None
            for entry in written:
                self._hooks.write_ended(self, entry)  # type: ignore[misc]  # it has a listener
        if self.services.jobs:
            self.services.start_jobs()
        if not self._keep_alive:
            self._end()
            return False
        busy = self.busy
        now = monotonic() if busy else reactor.now  # the reactor's own clock stands while it waits
        reader = self.reader
        pending = reader.pending
        if reader.in_body:
            self.state = DISCARD
            if self._discard():
                return True
        elif self.state == WRITING:
            self.state = HEAD
            if pending:
                return True
        if self.state == HEAD:
            if not pending and self._answered:
                self.deadline = now + reactor.idle_timeout
                self._answered = False
            elif pending and self._fresh:
                self._fresh = False
                self.deadline = now + reactor.timeouts.head
        if busy or self.interest != READ:
            reactor.watch(self, READ)
        return False

    def _wait_for_peer(self) -> None:
        self.state = WRITING
        self.deadline = monotonic() + self._reactor.timeouts.write
        self._reactor.watch(self, WRITE)

    def flush(self) -> bool:
        """Sends what waits; False if some of it is left, or the connection is closed."""
        try:
            return not self._out or self._output.flush()
        except OSError as error:
            self._broken(error)
            return False

    def _send_file(self) -> bool:
        """Sends some of the file; True when that was the last of it."""
        output, request, response = self._output, self._request, self._response
        assert output.file is not None and request is not None and response is not None
        if not output.send_file():
            return False
        output.file.close()
        output.file = self._request = self._response = None
        return self._responded(request, response)

    def _broken(self, error: OSError | EOFError) -> None:
        if isinstance(error, OSError):
            self.close(f"send: {error.strerror}")
            return
        assert self._request is not None
        logger.error("the file for %s shrank while it was sent: %s", self._request.target, error)
        self.close("response broken off")

    def send_now(self, data: bytes) -> None:
        """Sends a few bytes behind what waits to be sent, from within the handler."""
        self._out.append(data)
        try:
            self._output.flush()
        except OSError:
            pass  # the answer will find that out

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
        self.state = LINGER
        self.deadline = monotonic() + self._reactor.timeouts.linger
        self._reactor.watch(self, READ)

    def close(self, reason: str) -> None:
        """Ends the connection, whatever it is doing."""
        if self.state == CLOSED:
            return
        self.state = CLOSED
        self.deadline = inf
        if self.owner is not None:
            self.owner.on_close()
        self._reactor.forget(self)
        self.sock.close()
        self.services.end()
        if self._hooks.cut is not None:
            self._hooks.cut(self, self._written, self._response, self._size, self._head, self._output.left)
        self._out.clear()
        if self._collector is not None:
            self._collector.close()
        if self._stream is not None and self._response is not None:
            self._reactor.driver.give(None, close_quietly, self._response)  # it may block: not in the leader
        elif self._response is not None:
            close_quietly(self._response)
        if self._request is not None:
            self._request.close_body()
        self._collector = self._stream = self._request = self._response = self._output.file = None
        if self._hooks.closed is not None:
            self._hooks.closed(self, reason)

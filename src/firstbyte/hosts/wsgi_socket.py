"""The socket of a client that asks a WSGI application for a WebSocket, in its environ: simple-websocket, Flask-Sock.

Such libraries answer the handshake and speak WebSocket by themselves, on a socket that the server lets them have. What
they get here is none of the system's: behind it are the engine's connection, its TLS, bounds and timeouts.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

from firstbyte._lazy import lazy_logger
from firstbyte.errors import HTTPError
from firstbyte.http.headers import Headers
from firstbyte.http.request import Request
from firstbyte.http.response import Response
from firstbyte.http.upgrade import Session, Transport, Upgrade
from firstbyte.websocket import MAX_THREADS
from firstbyte.wire.websocket.frames import CLOSE, GOING_AWAY, encode_frame

logger = lazy_logger("firstbyte.wsgi")

KEYS = ("werkzeug.socket", "gunicorn.socket")
"""Where libraries look for it. They do not know us, but have asked these servers for it for long."""

ROOM = 64 * 1024  # bytes that may wait for the application before the client has to
CLOSING = 5.0  # seconds behind the application for what closes between the library and the client
_HEAD = 16 * 1024  # bytes of the head that a library may answer with


class EnvironSocket:
    """What of a socket such libraries use, and what `selectors` need. Closing it ends the connection when all is sent.

    What is sent first is the head of a 101, in one piece or several.
    """

    def __init__(self, request: Request) -> None:
        self._request = request
        self.changed = threading.Condition()
        self._transport: Transport | None = None
        self._timeout: float | None = None
        self._received = bytearray()
        self._paused = False
        self._signal: tuple[int, int] | None = None  # a pipe to be read while `recv` would not wait, once asked for
        self._shows = False  # there is something in it
        self._has_ended = False  # the client sends no more
        self._is_full = False  # so much waits for the client that senders are to wait
        self._lost = False
        self.closed = False
        self.head = b""  # of the answer, as far as it was sent
        self.is_answered = False

    # -- the application's part

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Waits for what comes; empty at the end. Raises TimeoutError, and OSError once it is closed."""
        with self.changed:
            if not self.changed.wait_for(lambda: self._received or self._is_over, self._timeout):
                raise TimeoutError("timed out")
            if self.closed:
                raise OSError(9, "the socket is closed")
            data = bytes(self._received[:size])
            del self._received[:size]
            resumes = self._paused and len(self._received) < ROOM
            self._paused = self._paused and not resumes
            self._show()
        if resumes and self._transport is not None:
            self._transport.pause(False)
        return data

    def send(self, data: bytes, flags: int = 0) -> int:
        """Sends all of it; waits while the client is slow to read. Raises OSError when there is nobody to read it."""
        data = bytes(data)
        size = len(data)
        if not self.is_answered:
            data = self._answer_with(data)
        with self.changed:
            self.changed.wait_for(lambda: self._transport is not None or self._is_cut or not data)
            self._check()
            self._is_full = True  # before it may hear that it is not
        if data and self._transport is not None and not self._transport.send(data):
            with self.changed:
                if not self.changed.wait_for(lambda: not self._is_full or self._is_cut, self._timeout):
                    raise TimeoutError("timed out")
                self._check()
        else:
            self._is_full = False
        return size

    def sendall(self, data: bytes, flags: int = 0) -> None:
        """See `send`."""
        self.send(data, flags)

    def close(self) -> None:
        """Ends the connection, when all is sent."""
        with self.changed:
            self.closed = True
            self.changed.notify_all()
            self._show()

    def shutdown(self, how: int) -> None:
        """See `close`: neither end of a WebSocket is of use without the other."""
        self.close()

    def settimeout(self, timeout: float | None) -> None:
        """Seconds that `recv` and `send` wait; None for ever, 0 not at all."""
        self._timeout = timeout

    def gettimeout(self) -> float | None:
        """See `settimeout`."""
        return self._timeout

    def setblocking(self, flag: bool) -> None:
        """See `settimeout`."""
        self._timeout = None if flag else 0.0

    def setsockopt(self, *arguments: Any) -> None:
        """Nothing: the connection is the engine's."""

    def getpeername(self) -> tuple[str, int]:
        """The client's end."""
        client = self._request.client
        return (client.host, client.port) if client is not None else ("", 0)

    def getsockname(self) -> tuple[str, int]:
        """The server's end."""
        server = self._request.server
        return (server.host, server.port) if server is not None else ("", 0)

    def fileno(self) -> int:
        """A descriptor to wait at until there is something to receive, and for nothing else; -1 once closed."""
        with self.changed:
            if self._signal is None:
                if self.closed:
                    return -1
                self._signal = os.pipe()
                self._show()
            return self._signal[0]

    def release(self) -> None:
        """Nobody has it any more."""
        with self.changed:
            self.closed = True
            self.changed.notify_all()
            signal, self._signal = self._signal, None
        for descriptor in signal or ():
            os.close(descriptor)

    def __del__(self) -> None:
        for descriptor in self._signal or ():
            os.close(descriptor)

    @property
    def _is_cut(self) -> bool:
        return self._lost or self.closed

    @property
    def _is_over(self) -> bool:
        return self._has_ended or self._is_cut

    def _check(self) -> None:
        if self._lost:
            raise BrokenPipeError(32, "the client has left")
        if self.closed:
            raise OSError(9, "the socket is closed")

    def _answer_with(self, data: bytes) -> bytes:
        """Takes the head of the answer; what is behind it is to be sent."""
        head, end, rest = (self.head + data).partition(b"\r\n\r\n")
        if not end and len(head) < _HEAD:
            self.head = head
            return b""
        if not (end and head.startswith(b"HTTP/1.1 101")):
            raise ValueError("the first that is sent must be the head of a 101: return other answers")
        with self.changed:
            self.head = head
            self.is_answered = True
            self.changed.notify_all()
        return rest

    def _show(self) -> None:
        """Makes the descriptor readable, or not."""
        if self._signal is None:
            return
        shows = bool(self._received) or self._is_over
        if shows is not self._shows:
            self._shows = shows
            if shows:
                os.write(self._signal[1], b"r")
            else:
                os.read(self._signal[0], 1)

    # -- the session's part

    def open(self, transport: Transport) -> None:
        """The head is sent, and the client there."""
        with self.changed:
            self._transport = transport
            self.changed.notify_all()

    def feed(self, data: bytes) -> None:
        """This has come; nothing if the client sends no more."""
        with self.changed:
            self._received += data
            self._has_ended = self._has_ended or not data
            self._paused = pauses = len(self._received) >= ROOM
            self.changed.notify_all()
            self._show()
        if pauses and self._transport is not None:
            self._transport.pause(True)

    def go_on(self) -> None:
        """Senders need not wait any more."""
        with self.changed:
            self._is_full = False
            self.changed.notify_all()

    def lose(self) -> None:
        """The client is gone."""
        with self.changed:
            self._lost = self._has_ended = True
            self.changed.notify_all()
            self._show()

    def wait_until_closed(self, timeout: float) -> None:
        """Until either end has closed."""
        with self.changed:
            self.changed.wait_for(lambda: self._is_over, timeout)


class SocketCall(Session):
    """One call of an application that may answer by its socket: in a thread of its own, to be its `Session`.

    `call` calls it, with an `environ` that has the socket then; `answer` makes a Response of what that returns.
    """

    is_async = False
    _running = 0
    _counting = threading.Lock()

    def __init__(
        self, request: Request, environ: dict[str, Any], call: Callable[[], Any], answer: Callable[[Any], Response]
    ) -> None:
        super().__init__()
        self.socket = EnvironSocket(request)
        environ.update(dict.fromkeys(KEYS, self.socket))
        self._request = request
        self._app = call
        self._answer = answer
        self._response: Response | None = None
        self._error: BaseException | None = None
        self._has_ended = False  # the application
        self._transport: Transport | None = None

    def respond(self) -> Response:
        """The application's answer: what it returns, or what it has sent by its socket. Raises what it raises.

        Raises HTTPError 503 if there is no thread for another.
        """
        with SocketCall._counting:
            if SocketCall._running >= MAX_THREADS:
                raise HTTPError(503, "too many WebSockets are open", {"Retry-After": "5"})
            SocketCall._running += 1
        try:
            threading.Thread(target=self._call, name="firstbyte-wsgi-socket", daemon=True).start()
        except RuntimeError:
            self._count_down()
            raise
        socket = self.socket
        with socket.changed:
            socket.changed.wait_for(lambda: socket.is_answered or self._has_ended)
            if socket.is_answered:
                return Upgrade(self, Headers.from_block(socket.head.partition(b"\r\n")[2]))
        socket.release()
        if self._error is not None:
            raise self._error
        assert self._response is not None
        return self._response

    def _call(self) -> None:
        socket = self.socket
        try:
            result = self._app()
            if not socket.is_answered:
                self._response = self._answer(result)
            elif (close := getattr(result, "close", None)) is not None:
                close()  # what flask-sock returns is for its server, and not to be sent
        except (Exception, SystemExit) as error:
            if socket.is_answered and isinstance(error, StopIteration):
                return  # which is how gunicorn is told of it
            self._error = error
            if socket.is_answered:
                logger.error("%s failed", self._request.target, exc_info=error)
        finally:
            self._count_down()
            with socket.changed:
                self._has_ended = True
                socket.changed.notify_all()

    @staticmethod
    def _count_down() -> None:
        with SocketCall._counting:
            SocketCall._running -= 1

    # -- see `Session`

    def begin(self, transport: Transport, draining: bool) -> None:
        """See `Session`."""
        self._transport = transport
        self.socket.open(transport)
        if draining:
            self.drain()

    def run(self) -> None:
        """See `Session`: until the application has ended, and what it has closed is closed by the client too."""
        with self.socket.changed:
            self.socket.changed.wait_for(lambda: self._has_ended)
        if self._error is None:
            self.socket.wait_until_closed(CLOSING)
        self.socket.release()

    def received(self, data: bytes, now: float) -> None:
        """See `Session`."""
        self.socket.feed(data)

    def writable(self) -> None:
        """See `Session`."""
        self.socket.go_on()

    def lost(self) -> None:
        """See `Session`."""
        self.socket.lose()

    def due(self, now: float) -> None:
        """See `Session`: nothing is."""

    def drain(self) -> None:
        """See `Session`: libraries send whole frames at a time, so another goes in between. The client answers it."""
        if self._transport is not None:
            self._transport.send(encode_frame(CLOSE, GOING_AWAY.to_bytes(2, "big")))

    def abandon(self) -> None:
        """See `Session`."""
        self.socket.lose()

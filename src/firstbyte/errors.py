"""Every error that firstbyte raises, in one tree.

    FirstbyteError
    ├── ConfigurationError        what the developer wrote cannot work; found before the first request
    │   ├── RouteError            a route that cannot be parsed, or that another one already holds
    │   ├── AppLoadError          "module:app" names nothing that can be served
    │   │   └── StartupError      the app is there, but its startup failed
    │   └── ListenError           an address that cannot be listened on
    ├── ProtocolError             the peer's bytes break a rule of HTTP: which rule, at which byte, and the answer
    │   └── FrameError            of WebSocket: the answer is a close code
    ├── WebSocketClosed           nothing can be sent to or received from a WebSocket any more: code, reason
    ├── RoomsUnavailable          the Redis of the rooms gives no answer (also a ConnectionError)
    ├── ResponseError             a handler's answer cannot be put on the wire (a newline in a header, too short a body)
    ├── ClientDisconnected        the peer left while its request was being read or answered (also a ConnectionError)
    ├── HTTPError                 an answer: raise it in a handler to send that status
    │   └── ValidationError       what the client sent does not fit what a handler takes: a list of problems
    └── ClientError               a request of the client that came to nothing: address, seconds, phase
        ├── InvalidRequest        what the caller passed cannot be sent (also a ValueError)
        ├── TransportError        the network, and nobody's HTTP, is at fault
        │   ├── ConnectError      no connection came about
        │   │   ├── ResolveError  the host has no address
        │   │   ├── TLSError      the handshake failed, or the certificate is not trusted
        │   │   └── ProxyError    the proxy did not let us through
        │   ├── ServerClosed      the connection was cut before the answer was complete
        │   │   └── IncompleteBody    within a body whose length was promised
        │   └── ClientTimeout     also a TimeoutError
        │       ├── ConnectTimeout, ReadTimeout, WriteTimeout   of one wait of that kind
        │       └── PoolTimeout, TotalTimeout                   for a free connection; for the whole call
        ├── BadResponse           the server's bytes break a rule of HTTP: rule, offset
        │   └── DecodingError     a body that is not what its Content-Encoding, charset or type says
        ├── TooManyRedirects      the redirects did not end, or end where one must not follow
        └── StatusError           raise_for_status() of an answer from 400 up
            └── WebSocketRefused  the server answers the request for a WebSocket with HTTP

The floors below translate foreign exceptions (OSError, UnicodeError) into these at the place where they are understood.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class FirstbyteError(Exception):
    """The base of every error of this package."""


class ConfigurationError(FirstbyteError):
    """What the developer wrote cannot work; the message says where and what would."""


class RouteError(ConfigurationError):
    """A route pattern that cannot be parsed, or one that another route already holds."""


class AppLoadError(ConfigurationError):
    """The place named on the command line holds nothing that can be served.

    `traceback` is that of the module's own exception, as Python prints it, or empty if there was none.
    """

    def __init__(self, message: str, traceback: str = "") -> None:
        super().__init__(message)
        self.traceback = traceback


class StartupError(AppLoadError):
    """The app was found and asked to start up, and failed; the message is its own."""


class ListenError(ConfigurationError):
    """An address that cannot be listened on: taken, not ours, or not permitted."""


class ProtocolError(FirstbyteError):
    """The peer's bytes break a rule of HTTP.

    `status` is the answer to give (RFC 9110 section 15), `rule` a short stable name for logs and metrics, `offset` the
    position of the offending byte, counted from the first byte of the message, and `str(error)` says what is wrong.
    """

    def __init__(self, status: int, rule: str, message: str, offset: int = 0) -> None:
        super().__init__(message)
        self.status = status
        self.rule = rule
        self.offset = offset


class FrameError(ProtocolError):
    """The peer's bytes break a rule of WebSocket: `status` is the close code to send (RFC 6455 section 7.4.1)."""


class WebSocketClosed(FirstbyteError):
    """A WebSocket is closed: nothing more can be sent or received.

    `code` and `reason` are the peer's where it has closed, else those of this end; 1006 where the connection was cut
    without either (RFC 6455 section 7.1.5).
    """

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(f"the WebSocket is closed: {code} {reason}".rstrip())
        self.code = code
        self.reason = reason


class RoomsUnavailable(FirstbyteError, ConnectionError):
    """The Redis that the rooms of several processes are in cannot be reached, or gave no answer in time.

    Whether what was asked of it has been done is not known; a message may have been sent.
    """


class ResponseError(FirstbyteError):
    """An answer that cannot be put on the wire as its headers or its promised length say."""


class ClientDisconnected(FirstbyteError, ConnectionError):
    """The peer left before its request was read to the end, or before the answer was written."""


class Interrupted(FirstbyteError):
    """A wait was ended by who had asked for that: nothing is wrong, and it can be gone on with."""


class HTTPError(FirstbyteError):
    """An answer: raised in a handler, it becomes a response with this status (RFC 9110 section 15).

    `detail` is shown to the client, as text in an HTML page or as the member "detail" of a JSON problem (RFC 9457);
    `headers` are added to the answer. Raises ValueError for a status outside 400..599: other answers are returned.
    """

    def __init__(self, status: int, detail: str = "", headers: Mapping[str, str] | None = None) -> None:
        if not 400 <= status <= 599:
            raise ValueError(f"HTTPError takes a status from 400 to 599, not {status}; return a Response for others")
        super().__init__(f"{status} {detail}" if detail else str(status))
        self.status = status
        self.detail = detail
        self.headers: Mapping[str, str] = headers or {}


class ValidationError(HTTPError):
    """What the client has sent does not fit what a handler takes: 422, or 400 for what cannot even be read.

    `problems` has one `firstbyte.app.problems.Problem` for each thing that does not fit; the answer lists them.
    """

    def __init__(self, status: int, detail: str, problems: Sequence[Any] = ()) -> None:
        super().__init__(status, detail)
        self.problems = problems


class ClientError(FirstbyteError):
    """A request of the client that came to nothing.

    `address` is whom it spoke to ("example.org:443", a path for a Unix socket), `seconds` the time since the call began
    and `phase` what it was about: "pool", "resolve", "connect", "tls", "proxy", "send", "head" or "body". Each is None
    until known; the message has those that are.
    """

    def __init__(
        self, message: str, *, address: str | None = None, seconds: float | None = None, phase: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.address = address
        self.seconds = seconds
        self.phase = phase

    def locate(self, address: str | None, seconds: float | None, phase: str | None) -> None:
        """Fills in what is not known yet: whoever raised it knew best, whoever passes it on may know more."""
        self.address = address if self.address is None else self.address
        self.seconds = seconds if self.seconds is None else self.seconds
        self.phase = phase if self.phase is None else self.phase

    def __str__(self) -> str:
        known = [
            f"{self.address}" if self.address else "",
            f"phase {self.phase}" if self.phase else "",
            "" if self.seconds is None else f"after {self.seconds:.3f} s",
        ]
        where = ", ".join(filter(None, known))
        return f"{self.message} ({where})" if where else self.message


class InvalidRequest(ClientError, ValueError):
    """What the caller passed cannot be sent: a URL without a host, a header with a line end, two bodies at once."""


class TransportError(ClientError):
    """The network is at fault: nothing can be said about the server's HTTP."""


class ConnectError(TransportError):
    """No connection came about: refused, unreachable, no such socket."""


class ResolveError(ConnectError):
    """The host has no address, or the resolver gave no answer."""


class TLSError(ConnectError):
    """The TLS handshake failed, or the certificate is not trusted or not the host's."""


class ProxyError(ConnectError):
    """The proxy did not let us through; `status` is its answer's, if it gave one in HTTP."""

    def __init__(self, message: str, *, status: int | None = None, **where: Any) -> None:
        super().__init__(message, **where)
        self.status = status


class ServerClosed(TransportError):
    """The connection was cut before the answer was complete."""


class IncompleteBody(ServerClosed):
    """The connection was cut within a body whose length was promised: `received` of `expected` bytes came.

    `expected` is None for a chunked body, whose last chunk is missing.
    """

    def __init__(self, message: str, *, received: int = 0, expected: int | None = None, **where: Any) -> None:
        super().__init__(message, **where)
        self.received = received
        self.expected = expected


class ClientTimeout(TransportError, TimeoutError):
    """Something took longer than `firstbyte.client.Timeout` allows; the subclass says what."""


class ConnectTimeout(ClientTimeout, ConnectError):
    """No connection within the time: name, sockets, proxy and TLS together."""


class ReadTimeout(ClientTimeout):
    """The server sent nothing for that long."""


class WriteTimeout(ClientTimeout):
    """The server took nothing for that long."""


class PoolTimeout(ClientTimeout):
    """No connection of the pool became free in time."""


class TotalTimeout(ClientTimeout):
    """The whole call, redirects and retries included, took too long."""


class BadResponse(ClientError):
    """The server's bytes break a rule of HTTP: it is at fault, not the network.

    `rule` is a short stable name, `offset` the position of the offending byte, counted from the first byte of the head
    or of the body.
    """

    def __init__(self, message: str, *, rule: str = "", offset: int = 0, **where: Any) -> None:
        super().__init__(message, **where)
        self.rule = rule
        self.offset = offset


class DecodingError(BadResponse):
    """A body that is not what its Content-Encoding, charset or media type says, or that grows beyond its bound."""


class TooManyRedirects(ClientError):
    """The redirects did not end, or lead where one must not follow. `response` is the last of them."""

    def __init__(self, message: str, *, response: Any = None, **where: Any) -> None:
        super().__init__(message, **where)
        self.response = response


class StatusError(ClientError):
    """An answer with a status from 400 up, raised by `raise_for_status`. `response` is that answer."""

    def __init__(self, message: str, *, response: Any = None, **where: Any) -> None:
        super().__init__(message, **where)
        self.response = response


class WebSocketRefused(StatusError):
    """The request for a WebSocket was not answered with 101. `response` is the answer; a short body of it is read."""

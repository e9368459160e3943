"""Every error that firstbyte raises, in one tree.

    FirstbyteError
    ├── ConfigurationError        what the developer wrote cannot work; found before the first request
    │   ├── RouteError            a route that cannot be parsed, or that another one already holds
    │   ├── AppLoadError          "module:app" names nothing that can be served
    │   └── ListenError           an address that cannot be listened on
    ├── ProtocolError             the peer's bytes break a rule of HTTP: which rule, at which byte, and the answer
    ├── ResponseError             a handler's answer cannot be put on the wire (a newline in a header, too short a body)
    ├── ClientDisconnected        the peer left while its request was being read or answered
    └── HTTPError                 an answer: raise it in a handler to send that status

The floors below translate foreign exceptions (OSError, UnicodeError) into these at the place where they are understood.
"""

from __future__ import annotations

from collections.abc import Mapping


class FirstbyteError(Exception):
    """The base of every error of this package."""


class ConfigurationError(FirstbyteError):
    """What the developer wrote cannot work; the message says where and what would."""


class RouteError(ConfigurationError):
    """A route pattern that cannot be parsed, or one that another route already holds."""


class AppLoadError(ConfigurationError):
    """The place named on the command line holds nothing that can be served."""


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


class ResponseError(FirstbyteError):
    """An answer that cannot be put on the wire as its headers or its promised length say."""


class ClientDisconnected(FirstbyteError):
    """The peer left before its request was read to the end, or before the answer was written."""


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

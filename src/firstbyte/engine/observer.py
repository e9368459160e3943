"""What the engine tells of a request's way, for logs, metrics and the inspector.

An observer overrides the events it wants. The engine keeps one callable for each event, None where nobody listens, so
that an event without a listener costs one comparison.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from firstbyte.engine.connection import Connection
    from firstbyte.engine.entrance import Arrival
    from firstbyte.errors import ProtocolError
    from firstbyte.http.handler import Endpoint
    from firstbyte.http.request import Request
    from firstbyte.http.response import Response


class Observer:
    """Hears what happens to connections and requests, each event in the thread where it happens; must not block.

    An observer that raises is a fault of the program: the error is logged and the connection goes on.
    """

    def accepted(self, connection: Connection) -> None:
        """A client has connected."""

    def first_byte(self, connection: Connection) -> None:
        """The first byte of a request is here."""

    def head(self, connection: Connection, request: Request) -> None:
        """A head is complete and valid."""

    def resolved(self, connection: Connection, request: Request, endpoint: Endpoint) -> None:
        """The handler has named the endpoint."""

    def queued(self, connection: Connection, request: Request) -> None:
        """Every thread is busy: the request waits for one."""

    def handler_started(self, connection: Connection, request: Request, endpoint: Endpoint) -> None:
        """The endpoint is called now, in this thread."""

    def handler_ended(self, connection: Connection, request: Request, response: Response) -> None:
        """The endpoint has answered."""

    def write_started(self, connection: Connection, request: Request, response: Response) -> None:
        """The head of the response is ready to be sent."""

    def write_ended(self, connection: Connection, request: Request, status: int, size: int) -> None:
        """The kernel has taken the last byte of the response; `size` counts head and body."""

    def rejected(self, connection: Connection | Arrival, error: ProtocolError) -> None:
        """What came is no valid request: `error` has the rule, the byte offset and the status of the answer."""

    def closed(self, connection: Connection, reason: str) -> None:
        """The connection is closed, and why."""

    def accept_failed(self, error: OSError) -> None:
        """The operating system gives no more connections for now (EMFILE and the like)."""


EVENTS = tuple(name for name in vars(Observer) if not name.startswith("_"))


class Hooks:
    """One callable for each event of `Observer`, or None: the form in which the engine holds its observers."""

    __slots__ = EVENTS

    accepted: Callable[[Connection], None] | None
    first_byte: Callable[[Connection], None] | None
    head: Callable[[Connection, Request], None] | None
    resolved: Callable[[Connection, Request, Endpoint], None] | None
    queued: Callable[[Connection, Request], None] | None
    handler_started: Callable[[Connection, Request, Endpoint], None] | None
    handler_ended: Callable[[Connection, Request, Response], None] | None
    write_started: Callable[[Connection, Request, Response], None] | None
    write_ended: Callable[[Connection, Request, int, int], None] | None
    rejected: Callable[[Connection | Arrival, ProtocolError], None] | None
    closed: Callable[[Connection, str], None] | None
    accept_failed: Callable[[OSError], None] | None

    def __init__(self, observers: Iterable[Observer], failed: Callable[[str], None]) -> None:
        observers = list(observers)
        for event in EVENTS:
            heard = [getattr(o, event) for o in observers if getattr(type(o), event) is not getattr(Observer, event)]
            setattr(self, event, _guarded(heard, event, failed) if heard else None)


def _guarded(listeners: list[Callable[..., None]], event: str, failed: Callable[[str], None]) -> Callable[..., None]:
    """Calls every listener; one that raises is told to `failed` and does not harm the others or the connection."""

    def tell(*arguments: Any) -> None:
        for listener in listeners:
            try:
                listener(*arguments)
            except Exception:  # whatever an observer does wrong, it is logged and the server lives on
                failed(f"the observer {listener!r} failed on {event}")

    return tell

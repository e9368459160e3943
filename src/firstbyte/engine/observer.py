"""What the engine tells of a request's way, for logs, metrics and the inspector.

An observer overrides the events it wants. The engine keeps one callable for each event, None where nobody listens, so
that an event without a listener costs one comparison.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from time import perf_counter
from typing import TYPE_CHECKING, Any

from firstbyte.http.status import has_body

if TYPE_CHECKING:
    from firstbyte.engine.connection import Connection
    from firstbyte.engine.entrance import Arrival
    from firstbyte.errors import ProtocolError
    from firstbyte.http.handler import Endpoint
    from firstbyte.http.request import Request
    from firstbyte.http.response import Response
    from firstbyte.wire.reader import RequestReader


class Entry:
    """What is known of one request when its answer is written, or cannot be (`was_cut`).

    `began` and `queued` are readings of `perf_counter`: when its endpoint was found, and when it began to wait for a
    thread (0 if it did not); `waited` is how many seconds it then did. `response` is None until there is one. Sizes
    are bytes: `received` of head and body (without chunked framing), `size` sent of head and body, `body_size` of the
    body alone (with chunked framing).
    """

    __slots__ = (
        "began", "body_size", "endpoint", "queued", "received", "request", "response", "size", "waited", "was_cut",
    )  # fmt: skip

    def __init__(self, request: Request, endpoint: Endpoint | None = None) -> None:
        self.began = perf_counter()
        self.request = request
        self.endpoint = endpoint  # None for a request that was none
        self.response: Response | None = None
        self.queued = 0.0
        self.waited = 0.0
        self.received = self.size = self.body_size = 0
        self.was_cut = False

    def end_wait(self) -> None:
        """A thread has come free."""
        if self.queued:
            self.waited = perf_counter() - self.queued

    def end(self, response: Response, size: int, head_size: int, reader: RequestReader) -> Entry:
        """This entry, with its end: the engine has the whole answer. `head_size` counts for what is not plain bytes."""
        self.response = response
        self.size = size
        body = response.body
        if type(body) is not bytes:
            self.body_size = size - head_size
        elif self.request.method != "HEAD" and has_body(response.status):
            self.body_size = len(body)
        self.received = len(self.request.head) + (reader.body_size if reader.length else 0)
        return self


class Observer:
    """Hears what happens to connections and requests, each event in the thread where it happens; must not block.

    An observer that raises is a fault of the program: the error is logged and the connection goes on. While one hears
    `write_ended`, the engine keeps an `Entry` of the request that a connection is at, from `resolved` on, as
    `connection.entry`.
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

    def write_ended(self, connection: Connection, entry: Entry) -> None:
        """The kernel has taken the last byte of the response, which `entry.response` is."""

    def cut(self, connection: Connection, entry: Entry) -> None:
        """The connection is about to be closed before the answer is sent, or before there is one.

        `entry.size` and `entry.body_size` are what was sent of it. Told only while someone hears `write_ended`.
        """

    def rejected(self, connection: Connection | Arrival, error: ProtocolError) -> None:
        """What came is no valid request: `error` has the rule, the byte offset and the status of the answer.

        `connection.entry` is None if no head was complete.
        """

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
    write_ended: Callable[[Connection, Entry], None] | None
    cut: Callable[[Connection, list[Entry], Response | None, int, int, int], None] | None  # see `_each_cut`
    rejected: Callable[[Connection | Arrival, ProtocolError], None] | None
    closed: Callable[[Connection, str], None] | None
    accept_failed: Callable[[OSError], None] | None

    def __init__(self, observers: Iterable[Observer], failed: Callable[[str], None]) -> None:
        observers = list(observers)
        keeps_entries = any(_hears(observer, "write_ended") for observer in observers)
        if keeps_entries:
            observers.insert(0, _EntryOpener())
        for event in EVENTS:
            heard = [getattr(observer, event) for observer in observers if _hears(observer, event)]
            setattr(self, event, _guarded(heard, event, failed) if heard else None)
        if self.cut is not None:
            self.cut = _each_cut(self.cut) if keeps_entries else None


class _EntryOpener(Observer):
    """Keeps the entries, before anyone else hears of an event."""

    def resolved(self, connection: Connection, request: Request, endpoint: Endpoint) -> None:
        connection.entry = Entry(request, endpoint)

    def queued(self, connection: Connection, request: Request) -> None:
        if connection.entry is not None:
            connection.entry.queued = perf_counter()


def _hears(observer: Observer, event: str) -> bool:
    return getattr(type(observer), event) is not getattr(Observer, event)


def _each_cut(tell: Callable[..., None]) -> Callable[..., None]:
    """Tells of every request of a connection whose answer has not been sent to its end: those that `ended` and wait to
    be sent, and the one that it is at, of whose answer `size` bytes are known. `unsent` are left of all."""

    def cut(
        connection: Connection, ended: list[Entry], response: Response | None, size: int, head_size: int, unsent: int
    ) -> None:
        entries = list(ended)
        current = connection.entry
        if current is not None and current not in entries:
            if response is not None:  # begun, but not ended
                current.end(response, size, head_size, connection.reader)
            entries.append(current)
        for entry in reversed(entries):  # the last is the first to be missing
            entry.was_cut = True
            missing = min(unsent, entry.size)
            unsent -= missing
            entry.size -= missing
            entry.body_size = max(0, entry.body_size - missing)
        connection.entry = None
        for entry in entries:
            tell(connection, entry)

    return cut


def _guarded(listeners: list[Callable[..., None]], event: str, failed: Callable[[str], None]) -> Callable[..., None]:
    """Calls every listener; one that raises is told to `failed` and does not harm the others or the connection."""
    if len(listeners) == 1 and isinstance(listeners[0].__self__, _EntryOpener):  # type: ignore[attr-defined]
        return listeners[0]  # which cannot fail

    def tell(*arguments: Any) -> None:
        for listener in listeners:
            try:
                listener(*arguments)
            except Exception:  # whatever an observer does wrong, it is logged and the server lives on
                failed(f"the observer {listener!r} failed on {event}")

    return tell

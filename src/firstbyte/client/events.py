"""Server-sent events: the parser, and what to do between two connections (HTML Standard, "Server-sent events").

No I/O is done here. Whoever has the connection goes round like this:

    stream = EventStream()
    while True:
        try:
            response = get(url, headers=stream.headers())
            if not stream.accepts(response):
                break
            for piece in response.chunks():
                yield from stream.feed(piece)
            wait = stream.after_end()
        except TransportError as error:
            wait = stream.after_error(error)
        sleep(wait)
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator

from firstbyte.client.views import Answer
from firstbyte.errors import BadResponse, ClientError, StatusError, TransportError
from firstbyte.http.events import Event
from firstbyte.http.headers import Headers
from firstbyte.http.media import MediaType

MAX_EVENT = 16 << 20  # bytes of one event; it has to be held until it is complete
RETRY = 3.0  # seconds before a new connection, until the server says otherwise; Firefox's 5 and Chrome's 3
MAX_WAIT = 60.0  # seconds, however often connecting fails
MAX_FAILURES = 10  # connections that fail one after the other


class EventParser:
    """Makes events of the bytes of one text/event-stream, however they are cut into pieces.

    `last_event_id` and `retry` (milliseconds, or None) are what the stream has said of itself so far; an event that is
    not complete when the stream ends is none.
    """

    def __init__(self, last_event_id: str = "", max_event: int = MAX_EVENT) -> None:
        self.last_event_id = last_event_id
        self.retry: int | None = None
        self._max_event = max_event
        self._partial = bytearray()  # a line of which the end has not come
        self._after_cr = False  # an LF that comes next belongs to the line end before
        self._at_start = True
        self._id = last_event_id
        self._event = ""
        self._data: list[str] = []
        self._event_retry: int | None = None
        self._size = 0  # bytes held for the event that is being read

    def feed(self, piece: bytes) -> Iterator[Event]:
        """The events that this piece completes; take them all before the next call.

        Raises BadResponse (rule "event-size") for an event of more than `max_event` bytes.
        """
        if self._after_cr and piece:
            piece = piece.removeprefix(b"\n")
            self._after_cr = False
        for line in piece.splitlines(keepends=True):
            self._size += len(line)
            if self._size > self._max_event:
                raise BadResponse(f"an event has more than {self._max_event} bytes", rule="event-size")
            self._partial += line
            if line.endswith((b"\n", b"\r")):
                text = self._partial.rstrip(b"\r\n").decode("utf-8", "replace")
                self._partial.clear()
                if self._at_start:
                    self._at_start = False
                    text = text.removeprefix("\ufeff")
                if text:
                    self._take(text)
                else:
                    yield from self._dispatch()
        self._after_cr = piece.endswith(b"\r")

    def _take(self, line: str) -> None:
        """One field, or a comment, which begins with a colon."""
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._event = value
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry" and _DIGITS.fullmatch(value):
            self.retry = self._event_retry = int(value)
        if not self._data:
            self._size = len(self._event) + len(self._id)  # what is said in other fields and comments is not held

    def _dispatch(self) -> Iterator[Event]:
        """The event that an empty line ends, if it has data."""
        self.last_event_id = self._id
        event, data, retry = self._event, self._data, self._event_retry
        self._event, self._data, self._event_retry, self._size = "", [], None, 0
        if data:
            yield Event("\n".join(data), event or "message", self._id, retry)


class EventStream:
    """One subscription over all its connections: what to ask for, what an answer means, how long to wait.

    After a connection that ended, or one that failed, wait as long as the server said, `retry` seconds at first; each
    failure in a row doubles that, up to `max_wait` seconds, less a random part of up to a half (`random` gives 0 to 1).
    After `max_failures` in a row it is given up. `last_event_id` goes on where an earlier subscription ended.
    """

    def __init__(
        self,
        *,
        last_event_id: str = "",
        retry: float = RETRY,
        max_wait: float = MAX_WAIT,
        max_failures: int = MAX_FAILURES,
        max_event: int = MAX_EVENT,
        random: Callable[[], float] = random.random,
    ) -> None:
        self._parser = EventParser(last_event_id, max_event)
        self._retry = retry
        self._max_wait = max_wait
        self._max_failures = max_failures
        self._max_event = max_event
        self._random = random
        self._failures = 0

    @property
    def last_event_id(self) -> str:
        """The id of the last event that came, or the one it began with."""
        return self._parser.last_event_id

    def headers(self) -> Headers:
        """The fields for the request that opens the next connection.

        Last-Event-ID is in UTF-8; an id with a control character cannot be sent and is left out.
        """
        headers = Headers({"Accept": "text/event-stream", "Cache-Control": "no-store"})
        last = self.last_event_id.encode("utf-8").decode("latin-1")
        if last and _CONTROL.search(last) is None:
            headers.add("Last-Event-ID", last)
        return headers

    def accepts(self, response: Answer) -> bool:
        """True if the answer is a stream to read, False if the server wants no more connections (204).

        Raises StatusError for another status than 200, BadResponse (rule "content-type") for what is no event stream:
        neither is tried again.
        """
        if response.status == 204:
            return False
        if response.status != 200:
            raise StatusError(f"the event stream was refused with {response.status}", response=response)
        content_type = response.headers.get("content-type", "")
        try:
            is_stream = MediaType.parse(content_type or "").essence == "text/event-stream"
        except ValueError:
            is_stream = False
        if not is_stream:
            raise BadResponse(
                f"the answer is no event stream but {content_type or 'of no type'!r}", rule="content-type"
            )
        self._failures = 0
        self._parser = EventParser(self.last_event_id, self._max_event)
        return True

    def feed(self, piece: bytes) -> Iterator[Event]:
        """The events that this piece of the body completes; see `EventParser.feed`."""
        yield from self._parser.feed(piece)
        if self._parser.retry is not None:
            self._retry = self._parser.retry / 1000

    def after_end(self) -> float:
        """The seconds to wait before the next connection, the last one having ended as it should."""
        return min(self._retry, self._max_wait)

    def after_error(self, error: ClientError) -> float:
        """The seconds to wait before the next connection, this one having failed.

        Raises the error itself when it is not the network's, and after `max_failures` in a row.
        """
        self._failures += 1
        if not isinstance(error, TransportError) or self._failures > self._max_failures:
            raise error
        longest = min(self._max_wait, self._retry * 2.0 ** min(self._failures - 1, 64))
        return longest * (1 - self._random() / 2)


_DIGITS = re.compile(r"[0-9]{1,9}")  # milliseconds: eleven days are enough
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

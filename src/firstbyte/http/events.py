"""Server-sent events: one event, as a server writes it and a client reads it (HTML Standard, "Server-sent events")."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import msgspec

EVENT_STREAM = "text/event-stream"
COMMENT = b":\n\n"  # a line that no client takes for anything: to keep a connection alive
_LINE_END = re.compile(r"\r\n|\r|\n")  # str.splitlines knows more of them, which are none here


@dataclass(frozen=True, slots=True)
class Event:
    """One event. `event` is its type; `id` is what a client that has lost its connection sends as Last-Event-ID, "" if
    none is given with this event: a client then keeps the one before.

    `retry` is the time in milliseconds after which the client is to connect anew, or None.
    """

    data: str
    event: str = "message"
    id: str = ""
    retry: int | None = None

    @classmethod
    def json(cls, value: Any, event: str = "message", id: str = "", retry: int | None = None) -> Event:  # noqa: A002
        """An event whose data is `value` as JSON. Raises TypeError for what msgspec cannot encode."""
        return cls(msgspec.json.encode(value).decode(), event, id, retry)

    def encode(self) -> bytes:
        """The event on the wire. Raises ValueError for a type or an id that no line can have."""
        lines = []
        for name, value in (("event", self.event if self.event != "message" else ""), ("id", self.id)):
            if _LINE_END.search(value) or "\0" in value:
                raise ValueError(f"the {name} of an event must be one line without NUL, not {value!r}")
            if value:
                lines.append(f"{name}: {value}\n")
        if self.retry is not None:
            lines.append(f"retry: {self.retry:d}\n")
        lines += [f"data: {line}\n" for line in _LINE_END.split(self.data)]
        return "".join([*lines, "\n"]).encode()

"""What the members of a room are told, as the text messages that they get."""

from __future__ import annotations

import re
from typing import Any, NamedTuple, TypeAlias

import msgspec

from firstbyte.wire.websocket.frames import TEXT, encode_frame

Position: TypeAlias = tuple[int, int]
"""An id as what it is ordered by: milliseconds, and a number within them."""

NOWHERE: Position = (0, 0)  # before every message


class Message(NamedTuple):
    """A message of a room's history: its id, and the data as JSON."""

    id: str
    json: bytes

    @property
    def data(self) -> Any:
        """What was sent."""
        return msgspec.json.decode(self.json)

    @property
    def position(self) -> Position:
        """Where it stands."""
        milliseconds, _, number = self.id.partition("-")
        return int(milliseconds), int(number)


class Snapshot(NamedTuple):
    """What a room is like for whoever joins it: who is there, what came after what they know, whether some of that is
    lost."""

    present: list[str]
    history: list[Message]
    missed: bool


def parse_id(text: str) -> Position | None:
    """The position that an id names; None for what is no id."""
    match = _ID.fullmatch(text)
    return (int(match[1]), int(match[2])) if match is not None else None


def after(kept: list[Message], known: str) -> tuple[list[Message], bool]:
    """Those of the kept messages behind the one with the id `known`, and whether some may be lost: it is not among
    them any more. All of them for ""."""
    if not known:
        return kept, False
    position = parse_id(known)
    if position is None:
        return kept, True
    behind = [message for message in kept if message.position > position]
    return behind, all(message.position != position for message in kept)


def message_frame(message: Message) -> bytes:
    """The frame for `{"id": ..., "data": ...}`."""
    return encode_frame(TEXT, b'{"id":"%b","data":%b}' % (message.id.encode(), message.json))


def passing_frame(json: bytes) -> bytes:
    """The frame for `{"data": ...}`: what is not kept."""
    return encode_frame(TEXT, b'{"data":%b}' % json)


def event_frame(**event: Any) -> bytes:
    """The frame for an event of the room itself: `{"joined": name}`, `{"left": name}`, `{"missed": ...}`."""
    return encode_frame(TEXT, msgspec.json.encode(event))


_ID = re.compile(r"([0-9]{1,20})-([0-9]{1,20})")

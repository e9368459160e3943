"""The members of rooms in this process: each has a bounded queue, and a frame is encoded once for all of them."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from typing import Any

from firstbyte.errors import ConfigurationError
from firstbyte.rooms.events import NOWHERE, Position, event_frame
from firstbyte.websocket import SyncWebSocket, WebSocket

TRY_AGAIN_LATER = 1013  # the close code for a member that is too slow

_Loop = asyncio.AbstractEventLoop


class Member:
    """A WebSocket in a room. What its peer is too slow for waits here, `backlog` frames at most.

    Beyond that the oldest is dropped, and the peer told how many were, or if it `disconnects`, the WebSocket closed.
    """

    __slots__ = ("_backlog", "_disconnects", "_dropped", "_joins", "_last", "_lock", "_waiting", "entry", "name", "ws")

    def __init__(self, ws: WebSocket | SyncWebSocket, name: str | None, backlog: int, disconnects: bool) -> None:
        self.ws = ws
        self._lock = ws.lock
        self.name = name
        self.entry = ""  # what the engine knows it by
        self._backlog = backlog
        self._disconnects = disconnects
        self._waiting: deque[tuple[bytes, Position | None]] = deque()
        self._dropped = 0
        self._joins = True  # what comes waits for what came before
        self._last = NOWHERE  # the last message it was given: none is given twice

    def begin(self, frames: list[bytes], last: Position) -> None:
        """What it is told first, the last of which is at `last`; then what has come meanwhile."""
        with self.ws.outlet(self.writable):
            self._joins = False
            self.ws.push(b"".join(frames))
            self._waiting = deque(each for each in self._waiting if each[1] is None or each[1] > last)
            self._last = max((each[1] for each in self._waiting if each[1] is not None), default=last)
            self.writable()

    def offer(self, frame: bytes, position: Position | None) -> None:
        """Sends a frame, or has it wait; `position` is None for what is no message of the history."""
        with self._lock:
            if self._joins:
                self._keep(frame, position)
                return
            if position is not None:
                if position <= self._last:
                    return
                self._last = position
            if self._waiting or not self.ws.push(frame):
                self._keep(frame, position)

    def writable(self) -> None:
        """The peer has read, with the WebSocket's lock held: sends what waits."""
        while self._waiting and not self._joins:
            if self._dropped:
                if not self.ws.push(event_frame(missed=self._dropped)):
                    return
                self._dropped = 0
            if not self.ws.push(self._waiting[0][0]):
                return
            self._waiting.popleft()

    def _keep(self, frame: bytes, position: Position | None) -> None:
        if len(self._waiting) >= self._backlog:
            if self._disconnects:
                self._waiting.clear()
                self.ws.end(TRY_AGAIN_LATER, "too slow")
                return
            self._waiting.popleft()
            self._dropped += 1
        self._waiting.append((frame, position))


class Group:
    """The members of a room that belong to one loop, or to none; `queued` frames are on their way there."""

    __slots__ = ("members", "queued")

    def __init__(self) -> None:
        self.members: set[Member] = set()
        self.queued = 0


class Local:
    """The members of one room in this process, by the loop they belong to: None for threads."""

    __slots__ = ("groups", "last", "name", "ready")

    def __init__(self, name: str) -> None:
        self.name = name
        self.groups: dict[_Loop | None, Group] = {}
        self.last: Position | None = None  # the last message that came here
        self.ready: Any = None  # the engine's own

    def members(self) -> list[Member]:
        """All of them."""
        return [member for group in self.groups.values() for member in group.members]


class Hub:
    """All members in this process. Its lock also puts the messages in an order that is the same for all of them."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.rooms: dict[str, Local] = {}

    def add(self, name: str, member: Member) -> Local:
        """Adds a member, from its own thread."""
        loop = asyncio.get_running_loop() if member.ws.is_async else None
        with self.lock:
            local = self.rooms.setdefault(name, Local(name))
            local.groups.setdefault(loop, Group()).members.add(member)
            return local

    def remove(self, local: Local, member: Member) -> bool:
        """Takes a member out; whether it was the last one."""
        with self.lock:
            for loop, group in list(local.groups.items()):
                group.members.discard(member)
                if not group.members:
                    del local.groups[loop]
            if not local.groups and self.rooms.get(local.name) is local:
                del self.rooms[local.name]
            return not local.groups

    def deliver(self, local: Local, frame: bytes, position: Position | None = None) -> None:
        """Gives a frame to all members of a room, each in its own thread; a message only if it is newer than the last.

        Call it with the lock held.
        """
        if position is not None:
            if local.last is not None and position <= local.last:
                return
            local.last = position
        here = _running_loop()
        for loop, group in list(local.groups.items()):
            members = tuple(group.members)
            if loop is None or (loop is here and not group.queued):
                _give(members, frame, position)
                continue
            group.queued += 1  # and what comes now waits behind it, so that nothing overtakes
            try:
                loop.call_soon_threadsafe(self._give_queued, group, members, frame, position)
            except RuntimeError:  # the loop is closed, and its WebSockets with it
                del local.groups[loop]

    def _give_queued(self, group: Group, members: tuple[Member, ...], frame: bytes, position: Position | None) -> None:
        _give(members, frame, position)
        with self.lock:
            group.queued -= 1


def check_kind(ws: Any, is_async: bool) -> None:
    """Raises ConfigurationError for a WebSocket of the other colour of functions."""
    if getattr(ws, "is_async", None) is not is_async:
        how = "async with, in an async def handler" if getattr(ws, "is_async", False) else "with, in a def handler"
        raise ConfigurationError(f"a room is joined by a {type(ws).__name__} with `{how}`")


def _give(members: tuple[Member, ...], frame: bytes, position: Position | None) -> None:
    for member in members:
        member.offer(frame, position)


def _running_loop() -> _Loop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None

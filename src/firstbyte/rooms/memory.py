"""Rooms of one process: no network, and nothing to wait for."""

from __future__ import annotations

import time
from collections import Counter, OrderedDict, deque
from collections.abc import Coroutine
from typing import Any, TypeVar

from firstbyte.rooms.events import Message, Snapshot, after, event_frame, message_frame, passing_frame
from firstbyte.rooms.members import Hub, Local, Member

T = TypeVar("T")

MAX_EMPTY = 1000  # rooms that nobody is in whose history is kept


class MemoryEngine:
    """See `Engine`. Coroutines that never wait."""

    def __init__(self, hub: Hub, history: int, presence: bool) -> None:
        self._hub = hub
        self._history = history
        self._presence = presence
        self._kept: OrderedDict[str, deque[Message]] = OrderedDict()  # the room that was last spoken in is the last
        self._names: dict[str, Counter[str]] = {}
        self._last = (0, 0)

    async def send(self, room: str, json: bytes, keep: bool) -> str | None:
        """See `Engine.send`."""
        with self._hub.lock:
            local = self._hub.rooms.get(room)
            if not keep:
                if local is not None:
                    self._hub.deliver(local, passing_frame(json))
                return None
            message = Message(self._new_id(), json)
            self._keep(room, message)
            if local is not None:
                self._hub.deliver(local, message_frame(message), message.position)
            return message.id

    async def enter(self, local: Local, member: Member, known: str | None) -> Snapshot:
        """See `Engine.enter`."""
        with self._hub.lock:
            names = self._names.setdefault(local.name, Counter())
            is_new = member.name is not None and not names[member.name]
            if member.name is not None:
                names[member.name] += 1
            history, missed = ([], False) if known is None else await self.history(local.name, known)
            if is_new and self._presence:
                self._hub.deliver(local, event_frame(joined=member.name))
            return Snapshot(sorted(names), history, missed)

    async def leave(self, local: Local, member: Member) -> None:
        """See `Engine.leave`."""
        with self._hub.lock:
            names = self._names.get(local.name, Counter())
            if member.name is not None:
                names[member.name] -= 1
                if not names[member.name]:
                    del names[member.name]
                    if self._presence:
                        self._hub.deliver(local, event_frame(left=member.name))
            if not names:
                self._names.pop(local.name, None)

    async def who(self, room: str) -> list[str]:
        """See `Engine.who`."""
        with self._hub.lock:
            return sorted(self._names.get(room, ()))

    async def history(self, room: str, known: str) -> tuple[list[Message], bool]:
        """See `Engine.history`."""
        with self._hub.lock:
            return after(list(self._kept.get(room, ())), known)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """See `Engine.run`."""
        try:
            work.send(None)
        except StopIteration as result:
            value: T = result.value
            return value
        raise AssertionError("what never waits has waited")

    async def arun(self, work: Coroutine[Any, Any, T]) -> T:
        """See `Engine.arun`."""
        return await work

    def close(self) -> None:
        """See `Engine.close`."""

    def _keep(self, room: str, message: Message) -> None:
        self._kept.setdefault(room, deque(maxlen=self._history)).append(message)
        self._kept.move_to_end(room)
        if len(self._kept) > MAX_EMPTY:
            empty = next((name for name in self._kept if name not in self._hub.rooms and name != room), None)
            if empty is not None:
                del self._kept[empty]

    def _new_id(self) -> str:
        """Greater than every one before, those of earlier processes too, as long as the clock goes forward."""
        now = time.time_ns() // 1_000_000
        last, number = self._last
        self._last = (now, 0) if now > last else (last, number + 1)
        return f"{self._last[0]}-{self._last[1]}"

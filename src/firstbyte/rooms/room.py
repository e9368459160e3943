"""Rooms as programs have them, for coroutines and for functions; who carries the messages is an `Engine`."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Literal, Protocol, TypeVar

import msgspec

from firstbyte._lazy import lazy_logger
from firstbyte.errors import ConfigurationError, RoomsUnavailable
from firstbyte.rooms.events import NOWHERE, Message, Snapshot, event_frame, message_frame
from firstbyte.rooms.members import Hub, Local, Member, check_kind
from firstbyte.rooms.memory import MemoryEngine
from firstbyte.websocket import SyncWebSocket, WebSocket

logger = lazy_logger("firstbyte.rooms")

T = TypeVar("T")

MAX_NAME = 255  # characters of the names of rooms and members


class Engine(Protocol):
    """Carries messages between the members of a room, wherever they are, and knows who they are.

    What it delivers goes to the `Hub`. Its coroutines are run by `run` or awaited through `arun`. They raise
    RoomsUnavailable.
    """

    async def send(self, room: str, json: bytes, keep: bool) -> str | None:
        """Gives a message to all members; its id if it is kept."""
        ...

    async def enter(self, local: Local, member: Member, known: str | None) -> Snapshot:
        """A member comes, and from now on all is delivered to it; `known` is the id behind which history it wants."""
        ...

    async def leave(self, local: Local, member: Member) -> None:
        """A member has gone."""
        ...

    async def who(self, room: str) -> list[str]:
        """The names of who is there."""
        ...

    async def history(self, room: str, known: str) -> tuple[list[Message], bool]:
        """What came after the message with the id `known`, and whether some of that is lost."""
        ...

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of one of the coroutines, in a thread."""
        ...

    async def arun(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of one of the coroutines, in any loop."""
        ...

    def close(self) -> None:
        """Ends what it does."""
        ...


class Rooms:
    """All rooms: `rooms[name]` is one, which is there as soon as it is asked for.

    Without a `url` they are those of this process. With one, as "redis://localhost:6379/0" (rediss with TLS, unix for
    a socket), they are the same in all processes that name it and the `prefix` of their keys; that needs the extra
    `redis`. The last `history` messages of a room are kept, in Redis for `history_seconds` after the last of them. A
    member that is slow to read has a queue of `backlog` messages; beyond that the oldest is dropped, or with
    slow="disconnect" the member is closed with 1013. With `presence` members are told who comes and goes; when a
    process dies, its members are taken out after `presence_seconds`. `timeout` is how long, in seconds, Redis may take
    to answer. Close it, or use it in a `with` block. Raises ConfigurationError.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        history: int = 100,
        history_seconds: float = 7 * 86400,
        backlog: int = 64,
        slow: Literal["drop", "disconnect"] = "drop",
        presence: bool = True,
        presence_seconds: float = 30.0,
        prefix: str = "firstbyte",
        timeout: float = 5.0,
    ) -> None:
        if slow not in ("drop", "disconnect"):
            raise ConfigurationError(f'slow is "drop" or "disconnect", not {slow!r}')
        if history < 0 or backlog < 1:
            raise ConfigurationError("rooms have a history of 0 messages or more, and a backlog of at least 1")
        self._hub = Hub()
        self._backlog = backlog
        self._disconnects = slow == "disconnect"
        self._presence = presence
        self._engine: Engine
        if url is None:
            self._engine = MemoryEngine(self._hub, history, presence)
        else:
            from firstbyte.rooms.redis import RedisEngine, RedisSettings

            settings = RedisSettings(url, prefix, history, history_seconds, presence, presence_seconds, timeout)
            self._engine = RedisEngine(self._hub, settings)

    def __getitem__(self, name: str) -> Room:
        """The room of that name. Raises ValueError for one that is empty, longer than 255 characters, or no UTF-8."""
        return Room(self, _check_name(name))

    def close(self) -> None:
        """Ends the connections to Redis, if there are any."""
        self._engine.close()

    def __enter__(self) -> Rooms:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class _Common:
    """What both kinds of room are: a name, and where it is looked up."""

    def __init__(self, rooms: Rooms, name: str) -> None:
        self._rooms = rooms
        self._engine = rooms._engine
        self.name = name

    def join(self, ws: WebSocket | SyncWebSocket, name: str | None = None, *, after: str | None = "") -> Joining:
        """A block in which a WebSocket is a member: `async with` in an async def handler, `with` in a def handler.

        The WebSocket gets text messages of JSON, all that comes and before that what came after the id `after` ("" for
        all that is kept, None for nothing). `name` is who that is, shown to the others; None for somebody who only
        listens. Raises ValueError for a name that is empty or has more than 255 characters.
        """
        return Joining(self._rooms, self.name, ws, None if name is None else _check_name(name), after)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"


class Room(_Common):
    """A room. What it does raises RoomsUnavailable where Redis gives no answer."""

    @property
    def sync(self) -> SyncRoom:
        """The same room for functions, whose methods are not awaited."""
        return SyncRoom(self._rooms, self.name)

    async def send_all(self, data: Any, keep: bool = True) -> str | None:
        """Sends what msgspec encodes as JSON to all members, as `{"id": ..., "data": ...}`; returns the id.

        What is not to be kept has no id, and is sent to who is there now. Raises TypeError for what is no JSON.
        """
        return await self._engine.arun(self._engine.send(self.name, msgspec.json.encode(data), keep))

    async def who(self) -> list[str]:
        """The names of the members, each once, in order."""
        return await self._engine.arun(self._engine.who(self.name))

    async def history(self, after: str = "") -> list[Message]:
        """The messages that are kept, or those of them behind the one with the id `after`."""
        return (await self._engine.arun(self._engine.history(self.name, after)))[0]


class SyncRoom(_Common):
    """See `Room`; for functions."""

    def send_all(self, data: Any, keep: bool = True) -> str | None:
        """See `Room.send_all`."""
        return self._engine.run(self._engine.send(self.name, msgspec.json.encode(data), keep))

    def who(self) -> list[str]:
        """See `Room.who`."""
        return self._engine.run(self._engine.who(self.name))

    def history(self, after: str = "") -> list[Message]:
        """See `Room.history`."""
        return self._engine.run(self._engine.history(self.name, after))[0]


class Joining:
    """The block of `Room.join`."""

    def __init__(
        self, rooms: Rooms, room: str, ws: WebSocket | SyncWebSocket, name: str | None, known: str | None
    ) -> None:
        self._rooms = rooms
        self._room = room
        self._ws = ws
        self._name = name
        self._known = known
        self._member: Member
        self._local: Local

    def __enter__(self) -> SyncRoom:
        engine, local = self._begin(is_async=False)
        try:
            self._tell(engine.run(engine.enter(local, self._member, self._known)))
        except BaseException:
            self.__exit__()
            raise
        return SyncRoom(self._rooms, self._room)

    def __exit__(self, *exc: object) -> None:
        engine = self._end()
        try:
            engine.run(engine.leave(self._local, self._member))
        except RoomsUnavailable as error:
            logger.info(_LEFT, self._room, error)

    async def __aenter__(self) -> Room:
        engine, local = self._begin(is_async=True)
        try:
            self._tell(await engine.arun(engine.enter(local, self._member, self._known)))
        except BaseException:
            await self.__aexit__()
            raise
        return Room(self._rooms, self._room)

    async def __aexit__(self, *exc: object) -> None:
        engine = self._end()
        try:
            await engine.arun(engine.leave(self._local, self._member))
        except RoomsUnavailable as error:
            logger.info(_LEFT, self._room, error)

    def _begin(self, is_async: bool) -> tuple[Engine, Local]:
        check_kind(self._ws, is_async)
        self._member = Member(self._ws, self._name, self._rooms._backlog, self._rooms._disconnects)
        self._local = self._rooms._hub.add(self._room, self._member)
        return self._rooms._engine, self._local

    def _tell(self, snapshot: Snapshot) -> None:
        """What it is told first: who is there, how much of the history follows, whether some of it is lost."""
        welcome: dict[str, Any] = {"present": snapshot.present} if self._rooms._presence else {}
        welcome |= {"history": len(snapshot.history), "missed": snapshot.missed}
        frames = [event_frame(**welcome), *map(message_frame, snapshot.history)]
        self._member.begin(frames, snapshot.history[-1].position if snapshot.history else NOWHERE)

    def _end(self) -> Engine:
        with self._member.ws.outlet(None):
            pass
        self._rooms._hub.remove(self._local, self._member)
        return self._rooms._engine


_LEFT = "who has left %r is there until its time is over: %s"


def _check_name(name: str) -> str:
    if not 0 < len(name) <= MAX_NAME:
        raise ValueError(f"the name of a room, or of who is in it, has 1 to {MAX_NAME} characters, not {len(name)}")
    name.encode()  # a lone surrogate could be told to nobody: UnicodeEncodeError is a ValueError
    return name

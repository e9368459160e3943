"""Rooms of all the processes that know one Redis (or Valkey).

A message is added to the room's stream, which is its history and gives it its id, and published, in one script: ids
go up in the order in which every process hears them. What a process missed while it was not connected it reads from the
stream. Who is there is a sorted set of members by when they are given up, which every process renews for its own.

The client of Redis runs in a loop and a thread of its own, so that handlers of both colours have it.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
import uuid
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

from firstbyte._lazy import lazy_logger
from firstbyte.errors import ConfigurationError, RoomsUnavailable
from firstbyte.rooms.events import NOWHERE, Message, Snapshot, after, event_frame, message_frame, passing_frame
from firstbyte.rooms.members import Hub, Local, Member

logger = lazy_logger("firstbyte.rooms")

T = TypeVar("T")

SILENT = 10.0  # seconds after which a connection on which nothing comes is tried
AGAIN = 0.2  # seconds before a connection that broke is made anew
_AT_ONCE = 500  # members that one script renews

_SEND = """
local id = redis.call('XADD', KEYS[1], 'MAXLEN', ARGV[3], '*', 'json', ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[4])
redis.call('PUBLISH', ARGV[1], 'm' .. id .. ' ' .. ARGV[2])
return id
"""
_PRESENT = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function name_of(entry) return string.sub(entry, string.find(entry, ' ', 1, true) + 1) end
local function drop(entry)
  if redis.call('ZREM', KEYS[1], entry) == 0 then return end
  if redis.call('HINCRBY', KEYS[2], name_of(entry), -1) > 0 then return end
  redis.call('HDEL', KEYS[2], name_of(entry))
  redis.call('PUBLISH', ARGV[1], 'l' .. name_of(entry))
end
local function sweep()
  for _, entry in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now)) do drop(entry) end
end
"""
_RENEW = f"""{_PRESENT}
for i = 3, #ARGV do
  if redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[i]) == 1
    and redis.call('HINCRBY', KEYS[2], name_of(ARGV[i]), 1) == 1 then
    redis.call('PUBLISH', ARGV[1], 'j' .. name_of(ARGV[i]))
  end
end
sweep()
redis.call('PEXPIRE', KEYS[1], 4 * ARGV[2])
redis.call('PEXPIRE', KEYS[2], 4 * ARGV[2])
"""
_LEAVE = f"{_PRESENT} drop(ARGV[2]) sweep()"
_WHO = f"{_PRESENT} sweep() return redis.call('HKEYS', KEYS[2])"


class RedisSettings(NamedTuple):
    """See `Rooms`."""

    url: str
    prefix: str
    history: int
    history_seconds: float
    presence: bool
    presence_seconds: float
    timeout: float


class RedisEngine:
    """See `Engine`. Connects when it is first used."""

    def __init__(self, hub: Hub, settings: RedisSettings) -> None:
        try:
            import redis.asyncio
            from redis.asyncio.retry import Retry
            from redis.backoff import NoBackoff
        except ImportError:
            raise ConfigurationError(
                'rooms in Redis need the redis package: pip install "firstbyte[redis]", or leave the URL away'
            ) from None
        self._hub = hub
        self._settings = settings
        try:
            # Without retries: what was sent once may have been done, and is not to be done twice.
            self._redis: Any = redis.asyncio.Redis.from_url(
                settings.url,
                retry=Retry(NoBackoff(), 0),
                socket_connect_timeout=settings.timeout,
                socket_timeout=settings.timeout,
            )
        except ValueError as error:
            raise ConfigurationError(f"the URL of the rooms cannot be used: {error}") from None
        self._errors: tuple[type[Exception], ...] = (redis.RedisError, OSError)
        scripts = (_SEND, _RENEW, _LEAVE, _WHO)
        self._send, self._renew, self._leave, self._who = (self._redis.register_script(each) for each in scripts)
        self._process = uuid.uuid4().hex
        self._numbers = itertools.count()
        self._start = threading.Lock()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop
        self._subscription: Any = None  # redis's PubSub, while it is connected
        self._changing = asyncio.Lock()  # while we say which channels we listen to
        self._is_closed = False

    # -- what rooms do, in our loop

    async def send(self, room: str, json: bytes, keep: bool) -> str | None:
        """See `Engine.send`."""
        settings = self._settings
        with self._translated():
            if not keep:
                await self._redis.publish(self._channel(room), b"e" + json)
                return None
            arguments = (self._channel(room), json, settings.history, max(1, int(settings.history_seconds)))
            id_: bytes = await self._send(keys=[self._key(room, "history")], args=arguments)
            return id_.decode()

    async def enter(self, local: Local, member: Member, known: str | None) -> Snapshot:
        """See `Engine.enter`."""
        async with self._changing:
            if local.ready is None:
                local.ready = asyncio.Event()
                if self._subscription is not None:
                    await self._listen_to(local)
        try:
            async with asyncio.timeout(self._settings.timeout):
                await local.ready.wait()
        except TimeoutError:
            raise RoomsUnavailable(f"Redis has not answered in {self._settings.timeout:g} s") from None
        if member.name is not None:
            member.entry = f"{self._process}:{next(self._numbers)} {member.name}"
            await self._renew_all(local.name, [member.entry])
        history, missed = ([], False) if known is None else await self.history(local.name, known)
        return Snapshot(await self.who(local.name) if self._settings.presence else [], history, missed)

    async def leave(self, local: Local, member: Member) -> None:
        """See `Engine.leave`."""
        async with self._changing:
            if local.name not in self._hub.rooms and self._subscription is not None:
                with self._translated():
                    await self._subscription.unsubscribe(self._channel(local.name))
        if member.entry:
            await self._present(self._leave, local.name, member.entry)

    async def who(self, room: str) -> list[str]:
        """See `Engine.who`."""
        return sorted(name.decode() for name in await self._present(self._who, room))

    async def history(self, room: str, known: str) -> tuple[list[Message], bool]:
        """See `Engine.history`."""
        return after(await self._kept(room), known)

    async def _kept(self, room: str, since: str = "-") -> list[Message]:
        with self._translated():
            entries = await self._redis.xrange(self._key(room, "history"), min=since)
        return [Message(id_.decode(), fields[b"json"]) for id_, fields in entries]

    async def _renew_all(self, room: str, entries: list[str]) -> None:
        milliseconds = max(1, round(self._settings.presence_seconds * 1000))
        for at in range(0, len(entries), _AT_ONCE):
            await self._present(self._renew, room, milliseconds, *entries[at : at + _AT_ONCE])

    async def _present(self, script: Any, room: str, *arguments: Any) -> Any:
        keys = [self._key(room, "members"), self._key(room, "names")]
        with self._translated():
            return await script(keys=keys, args=(self._channel(room), *arguments))

    def _key(self, room: str, what: str) -> str:
        """In braces: what a cluster keeps together."""
        return f"{self._settings.prefix}:{{{room}}}:{what}"

    def _channel(self, room: str) -> str:
        return f"{self._settings.prefix}:room:{room}"

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except self._errors as error:
            raise RoomsUnavailable(f"Redis has failed: {error}") from error

    # -- its thread

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """See `Engine.run`."""
        return self._submit(work).result()

    async def arun(self, work: Coroutine[Any, Any, T]) -> T:
        """See `Engine.arun`. Whoever is cancelled meanwhile does not undo what has begun."""
        return await asyncio.shield(asyncio.wrap_future(self._submit(work)))

    def close(self) -> None:
        """See `Engine.close`."""
        with self._start:
            self._is_closed = True
            if self._thread is not None:
                self._loop.call_soon_threadsafe(self._main.cancel)
                self._thread.join()
                self._thread = None

    def _submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        try:
            return asyncio.run_coroutine_threadsafe(work, self._running())
        except BaseException:
            work.close()
            raise

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._start:
            if self._is_closed:
                raise RoomsUnavailable("the rooms are closed")
            if self._thread is None:
                begun = threading.Event()
                self._thread = threading.Thread(
                    target=lambda: asyncio.run(self._live(begun)), name="firstbyte-rooms", daemon=True
                )
                self._thread.start()
                begun.wait()
            return self._loop

    async def _live(self, begun: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        tasks = [self._loop.create_task(each) for each in (self._keep_listening(), self._keep_renewing())]
        self._main = asyncio.gather(*tasks)
        begun.set()
        try:
            await self._main
        except asyncio.CancelledError:
            pass
        except Exception:
            logger.exception("the rooms hear nothing more")
            self._is_closed = True
        finally:
            await self._redis.aclose()

    # -- hearing

    async def _keep_listening(self) -> None:
        is_down = False
        while True:
            try:
                async with self._redis.pubsub() as subscription:
                    await subscription.subscribe(f"{self._settings.prefix}:all")  # so that there is always one
                    async with self._changing:
                        self._subscription = subscription
                        with self._hub.lock:
                            rooms = [local for local in self._hub.rooms.values() if local.ready is not None]
                        for local in rooms:
                            await self._listen_to(local)
                    if is_down:
                        logger.warning("the connection to Redis is back")
                    is_down = False
                    await self._listen(subscription)
            except self._errors as error:
                self._subscription = None
                if not is_down:
                    logger.warning("the connection to Redis broke, and is tried anew: %s", error)
                is_down = True
                await self._redis.connection_pool.disconnect(inuse_connections=False)
                await asyncio.sleep(AGAIN)

    async def _listen(self, subscription: Any) -> None:
        """Hears until the connection breaks; a silent one is tried with a ping."""
        is_asked = False
        while True:
            heard = await subscription.get_message(timeout=SILENT)
            if heard is not None:
                is_asked = False
                try:
                    await self._hear(heard)
                except ValueError as error:
                    logger.warning("what came on %r is no message of rooms: %s", heard["channel"], error)
            elif is_asked:
                raise ConnectionError("it is silent")
            else:
                is_asked = True
                await subscription.ping()

    async def _listen_to(self, local: Local) -> None:
        with self._translated():
            await self._subscription.subscribe(self._channel(local.name))

    async def _hear(self, heard: dict[str, Any]) -> None:
        if heard["channel"] is None:  # a pong
            return
        name = heard["channel"].decode().removeprefix(f"{self._settings.prefix}:room:")
        with self._hub.lock:
            local = self._hub.rooms.get(name)
        if local is None:
            return
        if heard["type"] == "subscribe":
            await self._catch_up(local)
            local.ready.set()
        elif heard["type"] == "message":
            self._deliver(local, heard["data"])

    async def _catch_up(self, local: Local) -> None:
        """What was said while nobody here listened; for the first time, where we begin to."""
        if local.last is None:
            last = await self._kept(local.name)
            local.last = last[-1].position if last else NOWHERE
            return
        known = "{}-{}".format(*local.last)
        kept = await self._kept(local.name)
        behind, missed = after(kept, known if local.last != NOWHERE else "")
        with self._hub.lock:
            if missed:
                self._hub.deliver(local, event_frame(missed=True))
            for message in behind:
                self._hub.deliver(local, message_frame(message), message.position)

    def _deliver(self, local: Local, data: bytes) -> None:
        kind, said = data[:1], data[1:]
        with self._hub.lock:
            if kind == b"m":
                id_, _, json = said.partition(b" ")
                message = Message(id_.decode(), json)
                self._hub.deliver(local, message_frame(message), message.position)
            elif kind == b"e":
                self._hub.deliver(local, passing_frame(said))
            elif kind in _PRESENCE and self._settings.presence:
                self._hub.deliver(local, event_frame(**{_PRESENCE[kind]: said.decode()}))

    # -- being there

    async def _keep_renewing(self) -> None:
        while True:
            await asyncio.sleep(self._settings.presence_seconds / 3)
            with self._hub.lock:
                present = {
                    local.name: [member.entry for member in local.members() if member.entry]
                    for local in self._hub.rooms.values()
                }
            for room, entries in present.items():
                try:
                    await self._renew_all(room, entries)
                except RoomsUnavailable as error:
                    logger.info("who is in %r could not be renewed: %s", room, error)


_PRESENCE = {b"j": "joined", b"l": "left"}

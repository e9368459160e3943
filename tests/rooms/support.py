"""A Redis for tests, and an app whose rooms are told all about by its clients."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import needs
from engine.support import WAIT
from firstbyte import App
from firstbyte.rooms import Rooms
from firstbyte.websocket import SyncWebSocket, WebSocket


class Redis:
    """A redis-server on a Unix socket, in a folder of its own."""

    def __init__(self, folder: Path, persists: bool = False) -> None:
        program = needs.program("redis-server", "valkey-server")
        self._socket = folder / "redis"
        self._command = [program, "--port", "0", "--unixsocket", str(self._socket), "--dir", str(folder), "--save", ""]
        self._command += ["--appendonly", "yes", "--appendfsync", "always"] if persists else []
        self.url = f"unix://{self._socket}"
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        wait_until(lambda: self.ask("PING") == b"PONG")

    def stop(self) -> None:
        self._process.kill()
        self._process.wait(WAIT)

    def ask(self, *command: Any) -> Any:
        """The answer to one command; None if there is nobody to answer."""
        import redis

        with redis.Redis.from_url(self.url, socket_timeout=WAIT) as client:
            client.set_response_callback("PING", lambda answer: answer)
            try:
                return client.execute_command(*command)
            except redis.ConnectionError:
                return None


@contextmanager
def running_redis(folder: Path, persists: bool = False) -> Iterator[Redis]:
    redis = Redis(folder, persists)
    try:
        yield redis
    finally:
        redis.stop()


def wait_until(condition: Callable[[], Any]) -> None:
    until = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < until, "never true"
        time.sleep(0.005)


def rooms_app(rooms: Rooms) -> App:
    """`/a/ROOM` for coroutines and `/s/ROOM` for threads; a message that begins with a dot is not kept."""
    app = App()

    @app.websocket("/a/{name}", close_timeout=WAIT)  # a test may read late
    async def achat(ws: WebSocket, name: str, nick: str = "", after: str = "") -> None:
        async with rooms[name].join(ws, nick or None, after=after) as room:
            async for text in ws:
                await room.send_all(text, keep=not str(text).startswith("."))

    @app.websocket("/s/{name}", close_timeout=WAIT)
    def chat(ws: SyncWebSocket, name: str, nick: str = "", after: str = "") -> None:
        with rooms[name].join(ws, nick or None, after=after) as room:
            for text in ws:
                room.send_all(text, keep=not str(text).startswith("."))

    return app


class Heard:
    """What a client hears in its room."""

    def __init__(self, ws: Any) -> None:
        self.ws = ws
        self.events: list[dict[str, Any]] = []

    def next(self) -> dict[str, Any]:
        self.events.append(json.loads(self.ws.receive(WAIT)))
        return self.events[-1]

    def until(self, found: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
        """The first event from now on that is found; what else comes is kept in `events`."""
        while not found(event := self.next()):
            pass
        return event

    def data(self, count: int) -> list[Any]:
        """The first `count` messages."""
        while len(found := [event["data"] for event in self.events if "data" in event]) < count:
            self.next()
        return found

    @property
    def ids(self) -> list[tuple[int, ...]]:
        return [tuple(map(int, event["id"].split("-"))) for event in self.events if "id" in event]

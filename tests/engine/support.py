"""A real server on a free port, and a client of raw bytes."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from firstbyte import App, Limits, Server, Timeouts
from firstbyte.engine.observer import EVENTS, Observer
from firstbyte.engine.tls import TLS
from firstbyte.http.handler import Handler

WAIT = 60  # seconds after which a test gives up on what must come, however busy the machine is


class Client:
    """A TCP connection that sends what it is given and reads whole responses."""

    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=WAIT)
        self.buffer = b""

    def send(self, data: bytes) -> Client:
        self.sock.sendall(data)
        return self

    def get(self, path: str = "/", fields: str = "") -> Client:
        return self.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n{fields}\r\n".encode())

    def more(self) -> bytes:
        data = self.sock.recv(65536)
        self.buffer += data
        return data

    def read(self, head_only: bool = False) -> tuple[int, dict[str, str], bytes]:
        """The next response: status, header fields by lower-case name, body."""
        while b"\r\n\r\n" not in self.buffer:
            assert self.more(), f"the connection ended within a head: {self.buffer!r}"
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        fields = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines[1:])}
        status = int(lines[0].split(" ")[1])
        if head_only or status < 200 or status in (204, 304):
            return status, fields, b""
        if fields.get("transfer-encoding") == "chunked":
            return status, fields, self._chunks()
        length = int(fields["content-length"])
        while len(self.buffer) < length:
            assert self.more(), "the connection ended within a body"
        body, self.buffer = self.buffer[:length], self.buffer[length:]
        return status, fields, body

    def _chunks(self) -> bytes:
        pieces = []
        while True:
            while not (match := re.match(rb"([0-9a-f]+)\r\n", self.buffer)):
                assert self.more(), "the connection ended within a chunked body"
            size = int(match[1], 16)
            end = match.end() + size + 2
            while len(self.buffer) < end:
                assert self.more(), "the connection ended within a chunk"
            pieces.append(self.buffer[match.end() : end - 2])
            self.buffer = self.buffer[end:]
            if not size:
                return b"".join(pieces)

    def rest(self) -> bytes:
        """Everything until the server closes."""
        while self.more():
            pass
        data, self.buffer = self.buffer, b""
        return data

    def closed(self) -> bool:
        """Whether the server closes without another byte."""
        try:
            return self.buffer == b"" and self.more() == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        self.sock.close()


class Recorder(Observer):
    """Writes down every event, and lets tests wait for one."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Any]] = []
        self._changed = threading.Condition()

    def note(self, event: str, *details: Any) -> None:
        with self._changed:
            self.events.append((event, details))
            self._changed.notify_all()

    def names(self) -> list[str]:
        return [event for event, _ in self.events]

    def wait_for(self, event: str, count: int = 1) -> list[Any]:
        """The details of the first `count` events of that name, when they have come."""

        def found() -> list[Any]:
            return [details for name, details in self.events if name == event]

        with self._changed:
            assert self._changed.wait_for(lambda: len(found()) >= count, WAIT), f"no {event}: {self.names()}"
            return found()


for _event in EVENTS:
    setattr(Recorder, _event, lambda self, *details, _event=_event: self.note(_event, *details))


class Running:
    """A server that runs, its clients and what it told."""

    def __init__(self, server: Server, recorder: Recorder) -> None:
        self.server = server
        self.recorder = recorder
        self.clients: list[Client] = []

    def client(self) -> Client:
        client = Client(self.server.port)
        self.clients.append(client)
        return client


Serve = Callable[..., Running]
Connect = Callable[[Server], Client]


def serving(app: App, **timeouts: float) -> Server:
    """A server that waits for nobody when it stops, as a context."""
    return Server(app, port=0, timeouts=Timeouts(drain_idle=0.05, **timeouts))


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Connects to a server; the connections are closed with the test."""
    with ExitStack() as stack:

        def connected(server: Server) -> Client:
            client = Client(server.port)
            stack.callback(client.close)
            return client

        yield connected


@pytest.fixture(params=["epoll", "selectors"])
def poller(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways of waiting for descriptors."""
    monkeypatch.setenv("FIRSTBYTE_POLLER", request.param)
    return str(request.param)


@pytest.fixture
def driver() -> str:
    """The driver of `serve`: threads unless the app has coroutines; a module may run its tests in each."""
    return "auto"


@pytest.fixture(params=["auto", "asyncio"])
def each_driver(request: pytest.FixtureRequest) -> str:
    """Both drivers, for functions."""
    return str(request.param)


@pytest.fixture
def serve(driver: str) -> Iterator[Serve]:
    """Starts servers that stop with the test: `serve(app, threads=2, head=1.0)`, timeouts and limits by their names."""
    with ExitStack() as stack:

        def start(
            handler: Handler, threads: int = 8, loop: str = driver, warn_blocking: float = 10.0,
            tls: TLS | None = None, proxy_protocol: bool = False, **options: float,
        ) -> Running:  # fmt: skip
            timeouts = {
                name: options.pop(name)
                for name in ("write", "keep_alive", "linger", "drain", "body_grace")
                if name in options
            }
            for name in ("head", "body"):
                if f"{name}_timeout" in options:
                    timeouts[name] = options.pop(f"{name}_timeout")
            timeouts.setdefault("drain", 5.0)
            recorder = Recorder()
            server = Server(
                handler, port=0, threads=threads, loop=loop, warn_blocking=warn_blocking, tls=tls,  # type: ignore[arg-type]
                proxy_protocol=proxy_protocol,
                timeouts=Timeouts(**timeouts), limits=Limits(**options), observers=[recorder],  # type: ignore[arg-type]
            )  # fmt: skip
            running = Running(server, recorder)
            stack.enter_context(server)
            stack.callback(lambda: [client.close() for client in running.clients])
            return running

        yield start


@pytest.fixture
def app() -> App:
    """An app with a page."""
    app = App()
    app.add_route("/", lambda: "hello")
    return app

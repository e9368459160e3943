"""One face over both kinds of session, so that a test is written once; and servers for them."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvloop

from engine.support import WAIT
from firstbyte.client import AsyncSession, ClientResponse, Session


class Face:
    """A session that is called without a loop, whichever kind it is."""

    def __init__(self, kind: str, **settings: Any) -> None:
        is_async = self.is_async = kind != "sync"
        loop_factory = uvloop.new_event_loop if kind == "uvloop" else None
        self._runner = asyncio.Runner(loop_factory=loop_factory) if is_async else None
        try:
            self.session: Any = self._wait(_made(AsyncSession, settings)) if is_async else Session(**settings)
        except BaseException:
            if self._runner is not None:
                self._runner.close()
            raise

    def _wait(self, awaitable: Any) -> Any:
        if self._runner is None:
            return awaitable

        async def waited() -> Any:
            async with asyncio.timeout(WAIT):
                return await awaitable

        return self._runner.run(waited())

    def request(self, method: str, url: str, **options: Any) -> ClientResponse:
        return self._wait(self.session.request(method, url, **options))

    def __getattr__(self, name: str) -> Any:
        """get, post, ..."""
        return lambda *args, **options: self._wait(getattr(self.session, name)(*args, **options))

    @contextmanager
    def stream(self, method: str, url: str, **options: Any) -> Iterator[ClientResponse]:
        if not self.is_async:
            with self.session.stream(method, url, **options) as response:
                yield response
            return
        streaming = self.session.stream(method, url, **options)
        response = self._wait(streaming.__aenter__())
        try:
            yield response
        finally:
            self._wait(streaming.__aexit__(None, None, None))

    @contextmanager
    def websocket(self, url: str, **options: Any) -> Iterator[FacedWebSocket]:
        """A WebSocket that is called without a loop."""
        opening = self.session.websocket(url, **options)
        if not self.is_async:
            with opening as ws:
                yield FacedWebSocket(ws, self._wait)
            return
        ws = self._wait(opening.__aenter__())
        try:
            yield FacedWebSocket(ws, self._wait)
        except BaseException as error:
            self._wait(opening.__aexit__(type(error), error, None))
            raise
        self._wait(opening.__aexit__(None, None, None))

    def all(self, response: ClientResponse, how: str) -> list[Any]:
        """What `chunks`, `lines` or `iter_raw` give."""
        if not self.is_async:
            return list(getattr(response, how)())

        async def collect() -> list[Any]:
            return [item async for item in getattr(response, {"iter_raw": "aiter_raw"}.get(how, f"a{how}"))()]

        return self._wait(collect())

    def events(self, url: str, **options: Any) -> list[Any]:
        """All that come until the server wants no more connections."""
        events = self.session.events(url, **options)
        if not self.is_async:
            return list(events)

        async def collect() -> list[Any]:
            return [event async for event in events]

        return self._wait(collect())

    def read(self, response: ClientResponse) -> bytes:
        return self._wait(response.aread()) if self.is_async else response.content

    def pause(self) -> None:
        """Lets the loop, if there is one, see what has come."""
        if self._runner is not None:
            for _ in range(3):
                self._runner.run(asyncio.sleep(0))

    def close(self) -> None:
        if self._runner is None:
            self.session.close()
        else:
            self._wait(self.session.aclose())
            self._runner.close()


class FacedWebSocket:
    """The methods of both kinds of WebSocket, without a loop; `each` gives the messages that a loop over it does."""

    def __init__(self, ws: Any, wait: Callable[[Any], Any]) -> None:
        self.ws = ws
        self._wait = wait

    def __getattr__(self, name: str) -> Any:
        member = getattr(self.ws, name)
        return (lambda *args, **options: self._wait(member(*args, **options))) if callable(member) else member

    def each(self) -> list[str | bytes]:
        if not hasattr(self.ws, "__aiter__"):
            return list(self.ws)

        async def collect() -> list[str | bytes]:
            return [message async for message in self.ws]

        collected: list[str | bytes] = self._wait(collect())
        return collected


async def _made(kind: Any, settings: dict[str, Any]) -> Any:
    return kind(**settings)


MakeFace = Callable[..., Face]


@pytest.fixture(params=["sync", "asyncio", "uvloop"])
def face(request: pytest.FixtureRequest, raw: MakeRaw) -> Iterator[MakeFace]:
    """Makes sessions of one kind, closed with the test and before its raw servers: `face(base_url=...)`."""
    faces: list[Face] = []

    def make(**settings: Any) -> Face:
        faces.append(Face(request.param, **settings))
        return faces[-1]

    yield make
    for made in faces:
        made.close()


class RawServer:
    """Answers each connection by a function of its socket, in a thread of its own; counts the connections."""

    def __init__(
        self, answer: Callable[[socket.socket], None], family: int = socket.AF_INET, address: Any = None
    ) -> None:
        self._answer = answer
        self._listener = socket.socket(family)
        self._listener.bind(address or ("127.0.0.1", 0))
        self._listener.listen()
        self.connections = 0
        self.failures: list[Exception] = []
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._accepter = threading.Thread(target=self._accept)
        self._accepter.start()

    @property
    def port(self) -> int:
        return self._listener.getsockname()[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.settimeout(WAIT)
            self.connections += 1
            self._open.append(sock)
            thread = threading.Thread(target=self._run, args=(sock,))
            self._threads.append(thread)
            thread.start()

    def _run(self, sock: socket.socket) -> None:
        try:
            self._answer(sock)
        except (OSError, EOFError):
            pass  # the client left
        except Exception as error:
            self.failures.append(error)
        finally:
            sock.close()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepter.join(WAIT)
        for sock in self._open:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            sock.close()
        for thread in self._threads:
            thread.join(WAIT)
        assert not self.failures, self.failures


def read_request(sock: socket.socket) -> bytes:
    """A request with the body that its Content-Length or its chunks say. Raises EOFError if the client leaves."""
    data = b""

    def until(found: Callable[[], bool]) -> None:
        nonlocal data
        while not found():
            piece = sock.recv(65536)
            if not piece:
                raise EOFError
            data += piece

    until(lambda: b"\r\n\r\n" in data)
    head, _, _ = data.partition(b"\r\n\r\n")
    lowered = head.lower()
    if b"transfer-encoding: chunked" in lowered:
        until(lambda: data.endswith(b"0\r\n\r\n"))
    elif b"content-length: " in lowered:
        length = int(lowered.split(b"content-length: ")[1].split(b"\r\n")[0])
        until(lambda: len(data) >= len(head) + 4 + length)
    return data


MakeRaw = Callable[..., RawServer]


@pytest.fixture
def raw() -> Iterator[MakeRaw]:
    """Makes raw servers that end with the test. Bytes are the answer to every request of a connection."""
    servers: list[RawServer] = []

    def make(answer: bytes | Callable[[socket.socket], None], **options: Any) -> RawServer:
        def repeat(sock: socket.socket) -> None:
            while True:
                read_request(sock)
                sock.sendall(answer)  # type: ignore[arg-type]

        servers.append(RawServer(repeat if isinstance(answer, bytes) else answer, **options))
        return servers[-1]

    yield make
    for server in servers:
        server.close()

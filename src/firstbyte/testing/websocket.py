"""A connection in memory behind a 101: at one end the client's `Stream`, at the other the session's `Transport`."""

from __future__ import annotations

import threading
from collections.abc import Callable
from math import inf
from time import monotonic
from typing import Any

from firstbyte._lazy import lazy_logger
from firstbyte.http.request import Request
from firstbyte.http.upgrade import Session
from firstbyte.testing.loop import PATIENCE, AsyncCall, LoopThread

logger = lazy_logger("firstbyte.testing")

HIGH = 256 * 1024  # bytes that wait for the client before the session is told to wait


class Wire:
    """See above. The session runs in the loop, in the task of its call, or in a thread of its own."""

    def __init__(self, request: Request, session: Session, call: AsyncCall | None, loop: LoopThread | None) -> None:
        self.lock = threading.RLock()
        self._request = request
        self._session = session
        self._call = call if session.is_async else None
        self._loop = loop
        self._changed = threading.Condition(self.lock)
        self._data = b""  # on its way to the client
        self._paused = False
        self._is_full = False
        self._is_over = False
        self._has_ended = threading.Event()  # so has the session

    def begin(self) -> None:
        """Runs the session, which knows of the connection before anything is told."""
        call = self._call
        if call is not None and self._loop is not None:

            def go_on() -> None:
                self._session.begin(self, False)
                call.go_on(self._run_in_task)

            self._loop.post(go_on)
        else:
            with self.lock:
                self._session.begin(self, False)
            threading.Thread(target=self._run, name="firstbyte-session", daemon=True).start()

    def failure(self) -> Exception | None:
        """What the session has raised, when it has ended. Raises RuntimeError if it does not."""
        if not self._has_ended.wait(PATIENCE):
            raise RuntimeError(f"what answers {self._request.target} goes on {PATIENCE:g} s behind its WebSocket's end")
        return self._request.failure

    async def _run_in_task(self) -> None:
        try:
            await self._session.run()
        finally:
            self._end()

    def _run(self) -> None:
        try:
            self._session.run()
        except Exception as error:
            self._request.failure = error
            logger.exception("a session failed in its thread")
        finally:
            self._end()

    def _end(self) -> None:
        with self.lock:
            self._is_over = True
            self._changed.notify_all()
        self._has_ended.set()

    def _tell(self, what: Callable[..., None], *args: Any) -> None:
        """Tells the session something, where it runs."""

        def tell() -> None:
            with self.lock:
                if not self._has_ended.is_set():
                    what(*args)

        if self._call is not None and self._loop is not None:
            self._loop.post(tell)
        else:
            tell()

    # -- the session's end (see `http.upgrade.Transport`)

    def send(self, data: Any) -> bool:
        """See `Transport` for the session, `Stream` for the client."""
        with self.lock:
            if self._is_over:
                return False
            self._data += data
            self._is_full = len(self._data) > HIGH
            self._changed.notify_all()
            return not self._is_full

    def pause(self, paused: bool) -> None:
        """See `Transport.pause`."""
        with self.lock:
            self._paused = paused
            self._changed.notify_all()

    def abort(self, reason: str) -> None:
        """See `Transport.abort`."""
        with self.lock:
            self._is_over = True
            self._changed.notify_all()
        self._tell(self._session.lost)

    # -- the client's end

    def close(self) -> None:
        """The client is gone."""
        with self.lock:
            was_over, self._is_over = self._is_over, True
            self._changed.notify_all()
        if not was_over:
            self._tell(self._session.lost)


class ClientEnd:
    """The client's end of a wire; see `client.network.Stream`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def recv(self, timeout: float | None, size: int = 65536) -> bytes:
        """See `Stream.recv`."""
        wire = self._wire
        until = inf if timeout is None else monotonic() + timeout
        with wire._changed:
            while not (wire._data or wire._is_over):
                due = wire._session.deadline
                now = monotonic()
                if now >= until:
                    raise TimeoutError
                if now >= due:
                    wire._tell(wire._session.due, now)
                    due = now + 0.01  # to let it be told
                wait = min(due, until) - now
                wire._changed.wait(None if wait == inf else wait)
            data, wire._data = wire._data[:size], wire._data[size:]
            if wire._is_full and not wire._data:
                wire._is_full = False
                wire._tell(wire._session.writable)
        return data

    def recv_now(self) -> bytes | None:
        """See `Stream.recv_now`."""
        return b"" if self._wire._is_over else None

    async def send(self, data: bytes, timeout: float | None) -> None:
        """See `Stream.send`."""
        wire = self._wire
        with wire._changed:
            if not wire._changed.wait_for(lambda: wire._is_over or not wire._paused, timeout):
                raise TimeoutError
            if wire._is_over:
                raise BrokenPipeError("the app has closed")
        wire._tell(wire._session.received, data, monotonic())

    def close(self) -> None:
        """See `Stream.close`."""
        self._wire.close()

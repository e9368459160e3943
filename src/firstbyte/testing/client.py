"""The test client (see `firstbyte.testing`)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self, Unpack

from firstbyte.client.memory import MemoryTransport
from firstbyte.client.network import run
from firstbyte.client.session import Session, WebSocketOptions
from firstbyte.client.websocket import WebSocket
from firstbyte.errors import WebSocketClosed
from firstbyte.hosts.detect import as_handler
from firstbyte.http.handler import Handler, lifespan_of
from firstbyte.http.request import Address
from firstbyte.http.url import URL
from firstbyte.testing.loop import Context, LoopThread
from firstbyte.testing.transport import HandlerTransport
from firstbyte.testing.websocket import Wire


class TestClient(Session):
    """A `Session` whose requests an app answers in this process: an App, any Handler, a WSGI or an ASGI application.

    In a `with` block the app's lifespan runs, from the first line to the last, and coroutines have a loop in a thread
    of its own; an app without either needs none. Functions are called in the test's thread. With `raise_server_errors`
    what a handler raises, and no error handler answers, is raised in the test; without, it becomes the 500 that a
    client sees. `client` is the address that requests come from. All else is a Session's (`base_url`, `headers`,
    `cookies`, `follow_redirects`, ...).

    Raises ConfigurationError for what is no app.
    """

    __test__ = False  # it is no test itself

    def __init__(
        self,
        app: Any,
        *,
        raise_server_errors: bool = True,
        client: tuple[str, int] = ("127.0.0.1", 50000),
        **settings: Any,
    ) -> None:
        self._handler: Handler = as_handler(app)
        self._transport = HandlerTransport(self._handler, raise_server_errors, Address(*client))
        self._loop: LoopThread | None = None
        self._lifespan: Context | None = None
        self._plain_lifespan: Any = None
        super().__init__(app=self._handler, **settings)

    def _make_transport(self, app: Any) -> MemoryTransport:
        return self._transport

    @property
    def early_hints(self) -> list[str]:
        """The Link values of the 103 responses that came before the last response."""
        return self._transport.services.early_hints

    @contextmanager
    def websocket(self, url: str | URL, **options: Unpack[WebSocketOptions]) -> Iterator[WebSocket]:
        """See `Session.websocket`. What its handler raises is raised here, when the block ends."""
        wire: Wire | None = None
        try:
            with super().websocket(url, **options) as ws:
                wire = self._transport.wire
                yield ws
        except WebSocketClosed:
            self._raise_failure(wire)
            raise
        self._raise_failure(wire)

    def _raise_failure(self, wire: Wire | None) -> None:
        failure = None if wire is None else wire.failure()
        if failure is not None and self._transport.raises:
            raise failure

    def __enter__(self) -> Self:
        lifespan = lifespan_of(self._handler)
        if not getattr(self._handler, "is_async", False):
            run(lifespan.__aenter__())
            self._plain_lifespan = lifespan
            return self
        self._loop = LoopThread()
        self._transport.use(self._loop)
        try:
            self._lifespan = Context(lifespan)
            self._loop.run(self._lifespan.enter())
        except BaseException:
            self._lifespan = None
            self.close()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the lifespan, and the loop. Raises what the lifespan raises."""
        super().close()
        loop, lifespan, plain = self._loop, self._lifespan, self._plain_lifespan
        self._loop = self._lifespan = self._plain_lifespan = None
        try:
            self._transport.leave()
            if plain is not None:
                run(plain.__aexit__(None, None, None))
            if loop is not None and lifespan is not None:
                loop.run(lifespan.leave())
        finally:
            self._transport.use(None)
            if loop is not None:
                loop.close()

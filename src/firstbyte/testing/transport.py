"""Stands in the engine's place between the client and a handler: resolve, body, call, answer, all in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, cast

from firstbyte._lazy import lazy_logger
from firstbyte.client.memory import Answer, AppInput, MemoryServices, MemoryTransport, answer_of, build_request
from firstbyte.engine.answers import (
    check_body,
    error_response,
    failed_endpoint,
    failed_response,
    not_an_answer,
    trailers_of,
)
from firstbyte.errors import ConfigurationError, HTTPError, IncompleteBody
from firstbyte.http.handler import Endpoint, Handler
from firstbyte.http.headers import Headers
from firstbyte.http.request import Address, Request
from firstbyte.http.response import FileBody, Response
from firstbyte.http.services import Job
from firstbyte.http.upgrade import Upgrade
from firstbyte.testing.loop import AsyncCall, LoopThread, Peer
from firstbyte.testing.websocket import ClientEnd, Wire
from firstbyte.wire.limits import Limits
from firstbyte.wire.writer import Tails, encode_head

logger = lazy_logger("firstbyte.testing")

_LIMITS = Limits()


class HandlerTransport(MemoryTransport):
    """Has a handler answer. Its functions run in the caller's thread, its coroutines in the loop that `use` gives.

    With `raises`, what they raise is raised here; else it is logged and becomes what the server makes of it.
    """

    upgrades = True

    def __init__(self, handler: Handler, raises: bool, client: Address) -> None:
        super().__init__(handler, False)
        self._handler = handler
        self.raises = raises
        self._client = client
        self._loop: LoopThread | None = None
        self.services = MemoryServices()
        self.wire: Wire | None = None  # of the last WebSocket
        self.open: set[Pieces] = set()  # the streamed answers that nobody has read to their end

    def use(self, loop: LoopThread | None) -> None:
        """Runs coroutines there from now on."""
        self._loop = loop

    def leave(self) -> None:
        """The client leaves: every answer that is still open ends."""
        for pieces in list(self.open):
            pieces.close()

    async def _call(self, asked: AppInput) -> Answer:
        request = build_request(asked)
        request.client = self._client
        services = self.services = request._services = MemoryServices()
        response, call = self.answer(request)
        if isinstance(response, Upgrade):
            return self._upgrade(request, response, call)
        head, pieces, close = answer_of(response, request)

        def end() -> None:
            jobs, services.jobs = services.jobs, []
            close()
            for job in jobs:
                self._run(job)

        return head, pieces, end

    def answer(self, request: Request) -> tuple[Response, AsyncCall | None]:
        """The response to a request, and the call of a coroutine; an asynchronous body has become one that is not."""
        try:
            endpoint = self._handler.resolve(request)
        except Exception as error:
            if self.raises and not isinstance(error, HTTPError):
                raise
            endpoint = failed_endpoint(request, error)
        if not endpoint.streams_body:
            longest = _LIMITS.body if endpoint.max_body is None else endpoint.max_body
            if len(request.body) > longest:
                return error_response(413, f"the body is longer than {longest} bytes"), None
        response, call = self._respond(endpoint, request)
        if request.failure is not None and self.raises:
            response.close()
            raise request.failure
        return response, call

    def _upgrade(self, request: Request, response: Upgrade, call: AsyncCall | None) -> Answer:
        head = encode_head(response, request.method, 1, True, Tails(""))
        session: Any = response.body
        self.wire = Wire(request, session, call, self._loop)
        self.wire.begin()
        return head.data, cast("Any", ClientEnd(self.wire)), self.wire.close

    def _respond(self, endpoint: Endpoint, request: Request) -> tuple[Response, AsyncCall | None]:
        call: AsyncCall | None = None
        try:
            if endpoint.is_async:
                call = self._begin(endpoint, request)
                response: Response = self._in_loop.run(call.begin())
            else:
                response = endpoint.call(request)
            if not isinstance(response, Response):
                raise not_an_answer(response)
            if call is None:
                check_body(request, response)
        except Exception as error:
            if self.raises and not isinstance(error, HTTPError):
                raise
            return failed_response(request, endpoint), None
        if not isinstance(response.body, bytes | FileBody) and response.status != 101:
            is_awaited = call is not None and hasattr(response.body, "__anext__")
            pieces = _awaited(call, self._in_loop) if is_awaited and call is not None else response.body
            response.body = Pieces(pieces, call if is_awaited else None, self, partial(trailers_of, request, response))
        request.answered = True
        return response, call

    def _run(self, job: Job) -> None:
        """What runs behind an answer."""
        try:
            if job.is_async and self._loop is not None:
                self._loop.run(job.call())
            elif job.is_async:
                asyncio.run(job.call())
            else:
                job.context.run(job.call)
        except Exception:
            if self.raises:
                raise
            logger.exception("%s failed in the background", job.name)

    def _begin(self, endpoint: Endpoint, request: Request) -> AsyncCall:
        request.peer = peer = Peer()
        return AsyncCall(endpoint, request, peer)

    @property
    def _in_loop(self) -> LoopThread:
        if self._loop is None:
            raise ConfigurationError("the app has coroutines: use the client in a with block, which gives them a loop")
        return self._loop


class Pieces(Iterator[bytes]):
    """A streamed body as the client takes it. Closing it, early or not, is the end of the call."""

    def __init__(
        self,
        pieces: Any,
        call: AsyncCall | None,
        transport: HandlerTransport,
        trailers: Callable[[], Headers | None],
    ) -> None:
        self._pieces = pieces
        self._call = call
        self._transport = transport
        self._trailers = trailers
        self._last_trailers: Headers | None = None
        self._is_over = False  # its coroutine has been told so
        transport.open.add(self)

    @property
    def trailers(self) -> Headers | None:
        """What came behind the last piece."""
        return (self._last_trailers if self._call is None else self._call.trailers) or self._trailers()

    def __next__(self) -> bytes:
        try:
            return next(self._pieces)  # type: ignore[no-any-return]
        except StopIteration:
            raise
        except Exception as error:
            if self._transport.raises:
                raise
            raise IncompleteBody("the answer is broken off", phase="body") from error

    def close(self) -> None:
        """Ends the body where it is."""
        call, self._call = self._call, None
        self._transport.open.discard(self)
        try:
            if call is not None:
                self._is_over = True
                self._last_trailers = call.trailers
                self._transport._in_loop.run(call.end())
            elif not self._is_over and hasattr(self._pieces, "close"):
                self._pieces.close()
        except Exception:
            if self._transport.raises:
                raise
            logger.exception("the end of an answer failed")


def _awaited(call: AsyncCall, loop: LoopThread) -> Iterator[bytes]:
    while (piece := loop.run(call.next())) is not None:
        yield piece

"""ASGI applications as handlers (ASGI 3.0, the HTTP, WebSocket and lifespan protocols)."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias

from firstbyte.errors import HTTPError
from firstbyte.hosts.asgi_http import Conversation, conversation_about, refused
from firstbyte.hosts.asgi_lifespan import ASGILifespan
from firstbyte.hosts.asgi_scope import scope_of, versions
from firstbyte.hosts.asgi_websocket import WebSocketConversation, websocket_scope
from firstbyte.http.handler import Answered, Endpoint
from firstbyte.http.request import Request

Message: TypeAlias = MutableMapping[str, Any]
Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


class ASGI:
    """An ASGI application as a `Handler`. One of ASGI 2, which is called twice, is taken as well.

    The whole application runs in one task, with its context, from the head of the request until it returns. It reads
    the body as it comes. When the client leaves it is told so by `receive` (http.disconnect) and `send` (OSError); it
    is not cancelled. One that raises, or does not keep to the protocol, is answered for with a 500 if nothing has been
    sent, else the connection is cut; the log says what it did. `max_body` is in bytes, None for the server's limit.
    """

    is_async = True

    def __init__(self, app: Any, *, max_body: int | None = None) -> None:
        self.app: Application = _twice(app) if _is_of_two(app) else app
        self.state: dict[str, Any] = {}  # of the lifespan; each request has a copy
        name = getattr(app, "__qualname__", None) or type(app).__name__
        self._endpoint = Endpoint(
            self._call, name=name, is_async=True, streams_body=True, max_body=max_body, cancel_on_disconnect=False
        )

    def resolve(self, request: Request) -> Endpoint:
        """See `Handler.resolve`. Raises HTTPError 400 for a path that cannot be decoded."""
        if "%" in request.raw_path:
            request.path  # noqa: B018 - it is the property that raises
        return self._endpoint

    def lifespan(self) -> AbstractAsyncContextManager[None]:
        """The startup and shutdown of the application (see `Handler`)."""
        return ASGILifespan(self.app, {"type": "lifespan", "asgi": versions(), "state": self.state})

    def _call(self, request: Request) -> Answered | Conversation:
        scope = scope_of(request, self.state)
        if scope["type"] == "websocket":
            try:
                conversation: Conversation = WebSocketConversation(request)
            except HTTPError as error:
                return Answered(refused(error))
            scope = websocket_scope(request, scope)
        else:
            conversation = conversation_about(request)
        conversation.begin(self.app(scope, conversation.receive, conversation.send))
        return Answered(conversation.answer()) if conversation.first_step() else conversation


def _is_of_two(app: Any) -> bool:
    """Whether it is called with the scope and what that returns with `receive` and `send`, as ASGI 2 had it."""
    try:
        parameters = inspect.signature(app).parameters.values()
    except (TypeError, ValueError):
        return False
    needed = [each for each in parameters if each.default is each.empty and each.kind <= each.POSITIONAL_OR_KEYWORD]
    return len(needed) == 1 and all(each.kind is not each.VAR_POSITIONAL for each in parameters)


def _twice(app: Any) -> Application:
    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope)(receive, send)

    return call

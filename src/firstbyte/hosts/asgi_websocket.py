"""One WebSocket of an ASGI application (ASGI 3.0, "WebSocket" of the HTTP & WebSocket specification).

Until the application accepts, this is a request like any other, whose answer it gives: 101, 403 for a websocket.close,
or what it likes (the extension websocket.http.response). Behind its 101 the WebSocket is that of every other handler.
"""

from __future__ import annotations

import asyncio
import types
from collections.abc import Generator, Mapping
from typing import Any

from firstbyte.errors import ClientDisconnected, WebSocketClosed
from firstbyte.hosts.asgi_http import Conversation, to_steps
from firstbyte.http.request import Request
from firstbyte.http.response import Response
from firstbyte.http.upgrade import Upgrade
from firstbyte.websocket import Options, WebSocket
from firstbyte.wire.websocket.handshake import ANY_ORIGIN, offered_subprotocols
from firstbyte.wire.websocket.limits import MessageLimits

LIMITS = MessageLimits(message=16 << 20, frame=16 << 20)
"""What applications that were written for uvicorn may be sent."""

_DENIAL = "websocket.http.response."
_HANDSHAKE = frozenset((b"connection", b"upgrade"))


def websocket_scope(request: Request, scope: dict[str, Any]) -> dict[str, Any]:
    """The scope of a request for a WebSocket, made of what `scope_of` has."""
    del scope["method"]
    scope["scheme"] = "wss" if request.scheme == "https" else "ws"
    scope["subprotocols"] = offered_subprotocols(request)
    tls = {name: what for name, what in scope["extensions"].items() if name == "tls"}
    scope["extensions"] = {"websocket.http.response": {}, **tls}
    return scope


class WebSocketConversation(Conversation):
    """The talk with an application about one WebSocket. Awaited, it is the Response to its handshake.

    Raises HTTPError for a handshake that is none. A WebSocket has `options`, but for its subprotocol, which the
    application chooses, as it looks at the origin by itself.
    """

    __slots__ = ("_accepted", "_closed", "_fields", "_has_begun", "_options", "_ws")

    def __init__(self, request: Request, options: Options | None = None) -> None:
        super().__init__(request)
        self._options = options or Options(limits=LIMITS)
        self._ws = WebSocket(request, self._of(()))  # for its errors: nobody is to be asked for what cannot be
        self._fields: list[tuple[str, str]] = []
        self._has_begun = False  # the application has been told that someone wants to connect
        self._accepted = False  # and has said yes
        self._closed = False  # and has closed

    def _of(self, subprotocols: tuple[str, ...]) -> Options:
        mine = self._options
        return Options(
            subprotocols, ANY_ORIGIN, mine.deflate, mine.limits, mine.ping_interval, mine.ping_timeout,
            mine.close_timeout,
        )  # fmt: skip

    # -- what the application is given

    async def receive(self) -> dict[str, Any]:
        """websocket.connect, then each message, then websocket.disconnect with code and reason."""
        if not self._has_begun:
            self._has_begun = True
            self._read_all = True  # there is no body
            return {"type": "websocket.connect"}
        if not self._accepted:
            await super().receive()  # until it is accepted, or nobody is there any more
            if not self._accepted:
                return {"type": "websocket.disconnect", "code": 1006, "reason": ""}
        try:
            message = await self._ws.receive()
        except WebSocketClosed as closed:
            return {"type": "websocket.disconnect", "code": closed.code, "reason": closed.reason}
        return {"type": "websocket.receive", "text" if isinstance(message, str) else "bytes": message}

    async def send(self, message: Mapping[str, Any]) -> None:
        """Takes what the application sends; waits while the peer is slow to read. Raises OSError when it has left.

        Raises RuntimeError for a message out of order, ValueError and TypeError for what cannot be sent.
        """
        kind = message["type"]
        if self._accepted:
            await self._send_open(kind, message)
        elif kind == "websocket.accept":
            await self._accept(message)
        elif kind == "websocket.close":
            await super().send({"type": "http.response.start", "status": 403})
            await super().send({"type": "http.response.body"})
        elif kind.startswith(_DENIAL):
            await super().send({**message, "type": kind.removeprefix("websocket.")})
        else:
            raise RuntimeError(f"{kind} comes before websocket.accept")

    async def _accept(self, message: Mapping[str, Any]) -> None:
        if self._gone:
            raise ClientDisconnected("the client has left")
        if self._response is not None:
            raise RuntimeError("websocket.accept comes after the WebSocket was denied")
        chosen = message.get("subprotocol")
        if chosen is not None:
            self._ws = WebSocket(self._request, self._of((chosen,)))
            if self._ws.subprotocol != chosen:
                raise ValueError(f"the client does not offer the subprotocol {chosen!r}")
        for name, value in message.get("headers", ()):
            if name.lower() in _HANDSHAKE or name.lower().startswith(b"sec-websocket-"):
                raise ValueError(f"{name.decode('latin-1')} is the handshake's own, and the server's to send")
            self._fields.append((name.decode("latin-1"), value.decode("latin-1")))
        self._accepted = True
        self._tell(self._receivers)
        if self.in_own_task():
            await to_steps
        else:  # a task of the application's own
            opened = asyncio.get_running_loop().create_future()
            self._senders = [*(self._senders or ()), opened]
            self._wake()
            await opened

    async def _send_open(self, kind: str, message: Mapping[str, Any]) -> None:
        ws = self._ws
        if kind == "websocket.close":
            if self._closed:
                raise RuntimeError("websocket.close comes a second time")
            self._closed = True
            await ws.close(message.get("code", 1000), message.get("reason") or "")
            return
        if kind != "websocket.send":
            raise RuntimeError(f"{kind} comes after websocket.accept")
        if self._closed:
            raise RuntimeError("websocket.send comes after websocket.close")
        text, data = message.get("text"), message.get("bytes")
        if (text is None) == (data is None):
            raise ValueError("websocket.send has either text or bytes")
        if not isinstance(text, str | None) or isinstance(data, str):
            raise TypeError("of websocket.send text is str and bytes is bytes")
        try:
            await ws.send(text if text is not None else data)  # type: ignore[arg-type]  # one of them is
        except WebSocketClosed as closed:
            raise ClientDisconnected(str(closed)) from None

    # -- what the engine, or middleware, gets

    def _has_output(self) -> bool:
        return self._accepted or super()._has_output()

    def answer(self) -> Response:
        if not self._accepted:
            return super().answer()
        upgrade: Upgrade = self._ws.answer(self._rest)
        for name, value in self._fields:
            upgrade.headers.add(name, value)
        return upgrade

    @types.coroutine
    def _rest(self) -> Generator[Any, None, None]:
        """The application behind its accept, to its end."""
        self._task = asyncio.current_task()
        self._tell(self._senders)
        if self._future is None:
            yield from self._coroutine.__await__()  # as if it had been awaited from the start, with no steps between
        else:  # another of its tasks has accepted
            yield from self.steps(bool)

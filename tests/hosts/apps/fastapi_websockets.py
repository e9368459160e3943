"""A FastAPI application with WebSockets; its annotations are evaluated, so they are not put off as elsewhere."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Cookie, Depends, FastAPI, Query, WebSocket, WebSocketDisconnect, WebSocketException, status
from fastapi.responses import JSONResponse


class Manager:
    """The chat of FastAPI's documentation."""

    def __init__(self) -> None:
        self.active: list[WebSocket] = []

    async def connect(self, websocket: WebSocket) -> None:
        await websocket.accept()
        self.active.append(websocket)

    async def broadcast(self, message: str) -> None:
        for connection in self.active:
            await connection.send_text(message)


def make(say: Callable[[str], None]) -> FastAPI:
    """The application; it says what it does."""
    app = FastAPI()
    manager = Manager()

    @app.websocket("/echo")
    async def echo(websocket: WebSocket) -> None:
        await websocket.accept(subprotocol=next(iter(websocket.scope["subprotocols"]), None))
        while True:
            message: dict[str, Any] = await websocket.receive()
            if message["type"] == "websocket.disconnect":
                say(f"{message['code']} {message['reason']}")
                return
            if message.get("text") is not None:
                await websocket.send_text(message["text"])
            else:
                await websocket.send_bytes(message["bytes"])

    async def who(session: Annotated[str | None, Cookie()] = None, token: Annotated[str | None, Query()] = None) -> str:
        if session is None and token is None:
            raise WebSocketException(code=status.WS_1008_POLICY_VIOLATION)
        return session or token or ""

    @app.websocket("/items/{item}/ws")
    async def items(*, websocket: WebSocket, item: int, q: int = 0, user: Annotated[str, Depends(who)]) -> None:
        await websocket.accept()
        await websocket.send_json({"item": item, "q": q, "user": user, "path": websocket.url.path})
        assert await websocket.receive_json() == [1, 2]
        await websocket.close(code=3005, reason="done")

    @app.websocket("/chat/{name}")
    async def chat(websocket: WebSocket, name: str) -> None:
        await manager.connect(websocket)
        try:
            async for text in websocket.iter_text():
                await manager.broadcast(f"{name}: {text}")
        finally:
            manager.active.remove(websocket)
            await manager.broadcast(f"{name} left")
            say(f"{name} left")

    @app.websocket("/raises")
    async def raises(websocket: WebSocket) -> None:
        await websocket.accept()
        try:
            await websocket.receive_text()
        except WebSocketDisconnect as gone:
            say(f"gone {gone.code}")
            raise

    @app.websocket("/denied")
    async def denied(websocket: WebSocket) -> None:
        await websocket.send_denial_response(JSONResponse({"why": "full"}, 503))

    return app

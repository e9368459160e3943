"""An App for the servers of others to call."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from firstbyte import App, HTTPError, Request, Response
from firstbyte.websocket import SyncWebSocket, WebSocket

app = App()


@app.middleware
def mark(request: Request) -> Iterator[Response]:
    response = yield
    response.headers["X-Marked"] = "yes"
    return response


@app.get("/items/{id:int}")
def item(id: int, request: Request) -> dict[str, object]:
    return {"id": id, "q": request.query.get("q"), "client": request.client is not None}


@app.post("/echo")
def echo(request: Request) -> Response:
    return Response(request.body, media_type=str(request.media_type or "a/b"))


@app.route("/count", ["POST"], streams_body=True)
def count(request: Request) -> dict[str, int]:
    return {"size": sum(len(piece) for piece in request.stream())}


@app.get("/ticks")
def ticks() -> Iterator[str]:
    for number in range(5):
        yield f"tick {number}\n"


@app.get("/file")
def file() -> Path:
    return Path(__file__)


@app.get("/nothing")
def nothing() -> None:
    return None


@app.get("/teapot")
def teapot() -> None:
    raise HTTPError(418, "short and stout")


@app.get("/awaited")
async def awaited(request: Request) -> str:
    return request.path


@app.websocket("/ws/echo/{name}", subprotocols=("v2", "v1"))
async def ws_echo(ws: WebSocket, name: str) -> None:
    await ws.send_json({"name": name, "subprotocol": ws.subprotocol})
    async for message in ws:
        await ws.send(message)


@app.websocket("/ws/sync")
def ws_sync(ws: SyncWebSocket) -> None:
    for message in ws:
        if message == "close":
            ws.close(4001, "as you wish")
        elif message == "flood":
            for _ in range(200):
                ws.send(bytes(100_000))
        else:
            ws.send(message)


class Member(str):
    """Nobody is one."""


@app.provide
def member(request: Request) -> Member:
    raise HTTPError(401, "members alone")


@app.websocket("/ws/refuses")
async def ws_refuses(ws: WebSocket, member: Member) -> None:
    raise AssertionError("its provider refuses")


@app.websocket("/ws/fails")
async def ws_fails(ws: WebSocket) -> None:
    raise ValueError("no")

"""An App for the servers of others to call."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from firstbyte import App, HTTPError, Request, Response

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

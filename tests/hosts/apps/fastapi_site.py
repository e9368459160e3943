"""A FastAPI application; its annotations are evaluated, so they are not put off as elsewhere."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import BackgroundTasks, Depends, FastAPI, Request, UploadFile
from fastapi.responses import FileResponse, StreamingResponse
from pydantic import BaseModel
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.staticfiles import StaticFiles


def make(say: Callable[[str], None], folder: Path) -> FastAPI:
    """The application; it says what it does and serves `folder`."""

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[dict[str, str]]:
        say("up")
        yield {"database": "open"}
        say("down")

    app = FastAPI(lifespan=lifespan)

    async def mark(request: Request, call_next: Callable[..., Any]) -> Any:
        response = await call_next(request)
        response.headers["x-marked"] = "yes"
        return response

    app.add_middleware(BaseHTTPMiddleware, dispatch=mark)
    app.add_middleware(SessionMiddleware, secret_key="s")
    (folder / "page.txt").write_text("from a file")
    app.mount("/static", StaticFiles(directory=folder))

    class Item(BaseModel):
        name: str
        price: float

    async def connection() -> AsyncIterator[str]:
        say("connect")
        try:
            yield "connection"
        finally:
            say("disconnect")

    @app.get("/items/{id}")
    async def item(id: int, request: Request, given: str = Depends(connection)) -> dict[str, Any]:
        return {"id": id, "given": given, "database": request.state.database}

    @app.get("/def")
    def plain() -> str:
        return threading.current_thread().name

    @app.post("/items")
    async def create(item: Item) -> Item:
        return item

    @app.post("/upload")
    async def upload(file: UploadFile) -> dict[str, Any]:
        return {"name": file.filename, "size": len(await file.read())}

    @app.post("/background")
    async def background(tasks: BackgroundTasks) -> str:
        tasks.add_task(say, "background")
        return "sent"

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def pieces() -> AsyncIterator[str]:
            try:
                for number in range(5):
                    yield f"{number},"
            finally:
                say("stream ended")

        return StreamingResponse(pieces())

    @app.get("/endless")
    async def endless() -> StreamingResponse:
        async def pieces() -> AsyncIterator[bytes]:
            try:
                yield b"first"
                await asyncio.Event().wait()
            finally:
                say("endless ended")

        return StreamingResponse(pieces())

    @app.get("/file")
    async def file() -> FileResponse:
        return FileResponse(folder / "page.txt")

    @app.get("/count")
    async def count(request: Request) -> int:
        request.session["count"] = request.session.get("count", 0) + 1
        return int(request.session["count"])

    @app.get("/fault")
    async def fault() -> None:
        raise KeyError("fault")

    return app

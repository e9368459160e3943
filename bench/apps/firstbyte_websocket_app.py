"""An echo of firstbyte's, as a coroutine."""

from firstbyte import App
from firstbyte.websocket import WebSocket

app = App()


@app.websocket("/")
async def echo(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)

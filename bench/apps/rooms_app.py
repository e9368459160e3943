"""A room: what one says, all hear."""

from firstbyte import App
from firstbyte.rooms import Rooms
from firstbyte.websocket import WebSocket

app = App()
rooms = Rooms(presence=False, history=0)


@app.websocket("/")
async def member(ws: WebSocket) -> None:
    async with rooms["all"].join(ws) as room:
        async for message in ws:
            await room.send_all(message)

"""Rooms: what one says, all who are there hear (publish/subscribe over WebSockets).

rooms = Rooms()  # of one process; Rooms("redis://localhost") for all workers and machines

@app.websocket("/rooms/{name}")
async def chat(ws: WebSocket, name: str, nick: str, after: str = "") -> None:
    async with rooms[name].join(ws, nick, after=after) as room:
        async for text in ws:
            await room.send_all({"from": nick, "text": text})
"""

from firstbyte.rooms.events import Message
from firstbyte.rooms.room import Room, Rooms, SyncRoom

__all__ = ["Message", "Room", "Rooms", "SyncRoom"]

"""A chat: `firstbyte run examples/chat.py`, then http://127.0.0.1:8000 in as many windows as there are friends.

With more than one worker, and to keep what was said when the server is restarted:

    CHAT_REDIS=redis://localhost firstbyte run examples/chat.py --workers 2

In a terminal: `firstbyte chat "ws://127.0.0.1:8000/rooms/lobby?nick=ann"`.
"""

import os
from pathlib import Path

from firstbyte import App, HTTPError, Response
from firstbyte.rooms import Rooms
from firstbyte.websocket import WebSocket

LONGEST = 2000  # characters of a message
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:"

app = App()
rooms = Rooms(os.environ.get("CHAT_REDIS"))
page = Path(__file__).with_suffix(".html").read_bytes()


@app.get("/")
def chat_page() -> Response:
    return Response(page, 200, {"Content-Security-Policy": POLICY}, media_type="text/html")


@app.websocket("/rooms/{name}")
async def chat(ws: WebSocket, name: str, nick: str, after: str = "") -> None:
    """Text is said; a binary message, whatever is in it, says that one is typing."""
    if not (0 < len(nick) <= 24 and nick.isprintable() and 0 < len(name) <= 40):
        raise HTTPError(400, "names have 1 to 24 characters")
    async with rooms[name].join(ws, nick, after=after) as room:
        async for message in ws:
            if isinstance(message, bytes):
                await room.send_all({"typing": nick}, keep=False)
            elif text := message.strip()[:LONGEST]:
                await room.send_all({"from": nick, "text": text})

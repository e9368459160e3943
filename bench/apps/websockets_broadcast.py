"""The same with the `websockets` library: a loop over its connections, or its own `broadcast`. HOW COMPRESSION PORT."""

import sys
from typing import Any

import uvloop
from websockets.asyncio.server import broadcast, serve

CONNECTIONS: set[Any] = set()


async def member(ws: Any) -> None:
    CONNECTIONS.add(ws)
    try:
        await ws.send('{"missed":false}')
        async for message in ws:
            text = '{"id":"1767225600000-0","data":"' + message + '"}'
            if sys.argv[1] == "loop":
                for each in CONNECTIONS:
                    await each.send(text)
            else:
                broadcast(CONNECTIONS, text)
    finally:
        CONNECTIONS.discard(ws)


async def main() -> None:
    async with serve(member, "127.0.0.1", int(sys.argv[3]), compression=sys.argv[2] or None) as server:
        await server.serve_forever()


uvloop.run(main())

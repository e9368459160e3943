"""The application on firstbyte with coroutines."""

import asyncio

from firstbyte import App, Response

app = App()


@app.get("/")
async def hello():
    return Response("Hello, World!", media_type="text/plain")


@app.get("/await")
async def wait():
    await asyncio.sleep(0.010)
    return Response("Hello, World!", media_type="text/plain")

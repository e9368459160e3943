"""The application on bare ASGI: no framework, so the least that an ASGI server can be made to carry.

A function that may block goes to a pool of threads on every call, as ASGI frameworks do with handlers that are not
coroutines: they cannot know beforehand which call will block.
"""

import asyncio
import itertools
import time
from concurrent.futures import ThreadPoolExecutor

import msgspec

encode = msgspec.json.Encoder().encode
requests = itertools.count(1)
pool = ThreadPoolExecutor(64)
HELLO = b"Hello, World!"


async def app(scope, receive, send):
    if scope["type"] != "http":  # no lifespan: servers take the exception for an answer
        raise NotImplementedError(scope["type"])
    path = scope["path"]
    if path == "/":
        await respond(send, HELLO, b"text/plain")
    elif path.startswith("/items/"):
        await respond(send, item(int(path[7:])), b"application/json")
    elif path == "/await":
        await asyncio.sleep(0.010)
        await respond(send, HELLO, b"text/plain")
    elif path == "/sleep":
        await respond(send, await asyncio.get_running_loop().run_in_executor(pool, sleep), b"text/plain")
    elif path == "/mixed":
        await respond(send, await asyncio.get_running_loop().run_in_executor(pool, mixed), b"text/plain")
    else:
        await respond(send, b"", b"text/plain", 404)


async def respond(send, body, media_type, status=200):
    headers = [(b"content-type", media_type), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def item(number):
    return encode({"id": number, "name": f"Item {number}", "tags": ["new", "sale", "garden"], "price": 19.99})


def sleep():
    time.sleep(0.010)
    return HELLO


def mixed():
    if next(requests) % 1000 == 0:
        time.sleep(0.100)
    return HELLO

"""One client under load, in a process of its own: `client_load.py NAME SCENARIO URL SECONDS` prints its figures as
JSON.

It imports nothing of firstbyte but the client, and of the peers only the one that is asked for: each runs with the
Python of its own environment. To add a client, add a function to `CLIENTS`.
"""

import asyncio
import importlib.metadata
import json
import sys
import time
from urllib.parse import urlsplit

BATCH = 100  # requests between two looks at the clock
TOGETHER = 1000  # requests at once in client_1000
CONNECTIONS = 100  # of which so many are under way: aiohttp's default
HELLO = b"Hello, World!"


class Count:
    """Requests and bytes in the measured time, which begins after a quarter of it to warm up."""

    def __init__(self, seconds):
        self.requests = self.bytes = 0
        self._begins = time.perf_counter() + seconds / 4
        self._ends = self._begins + seconds
        self._measures = False

    def goes_on(self, requests, size=0):
        """Counts what was done since the last call; whether there is time for more."""
        now = time.perf_counter()
        if self._measures:
            self.requests += requests
            self.bytes += size
        elif now >= self._begins:
            self._measures = True
            self.wall, self.cpu = now, time.process_time()
        if now < self._ends or not self._measures or not self.requests:
            return True
        self.wall, self.cpu = now - self.wall, time.process_time() - self.cpu
        return False


def repeat(get, count):
    """Calls `get` until the time is over."""
    done = 0
    while count.goes_on(done):
        for _ in range(BATCH):
            assert get() == HELLO
        done = BATCH


async def repeat_async(get, count, together):
    done = 0
    while count.goes_on(done):
        if together:
            bodies = await asyncio.gather(*(get() for _ in range(TOGETHER)))
            assert all(body == HELLO for body in bodies)
            done = TOGETHER
        else:
            for _ in range(BATCH):
                assert await get() == HELLO
            done = BATCH


def download(pieces, count):
    """Takes the pieces of bodies until the time is over; writes none of them down."""
    size = 0
    while count.goes_on(1 if size else 0, size):
        size = sum(len(piece) for piece in pieces())
        assert size == 100 << 20


def firstbyte(scenario, url, count):
    from firstbyte import client

    if scenario in ("client_async", "client_1000"):

        async def main():
            timeout = client.Timeout(pool=None)
            async with client.AsyncSession(max_connections=CONNECTIONS, timeout=timeout) as session:

                async def get():
                    return (await session.get(url)).content

                await repeat_async(get, count, scenario == "client_1000")

        asyncio.run(main())
        return
    with client.Session() as session:

        def pieces():
            with session.stream("GET", url) as response:
                yield from response.chunks()

        if scenario == "client_get":
            repeat(lambda: session.get(url).content, count)
        else:
            download(pieces, count)


def requests(scenario, url, count):
    import requests

    with requests.Session() as session:

        def pieces():
            with session.get(url, stream=True) as response:
                yield from response.iter_content(256 << 10)

        if scenario == "client_get":
            repeat(lambda: session.get(url).content, count)
        else:
            download(pieces, count)


def urllib3(scenario, url, count):
    import urllib3

    pool = urllib3.PoolManager()

    def pieces():
        response = pool.request("GET", url, preload_content=False)
        yield from response.stream(256 << 10)
        response.release_conn()

    if scenario == "client_get":
        repeat(lambda: pool.request("GET", url).data, count)
    else:
        download(pieces, count)


def http_client(scenario, url, count):
    from http.client import HTTPConnection

    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname, parts.port)

    def ask():
        connection.request("GET", parts.path)
        return connection.getresponse()

    def pieces():
        response = ask()
        while piece := response.read(256 << 10):
            yield piece

    if scenario == "client_get":
        repeat(lambda: ask().read(), count)
    else:
        download(pieces, count)


def httpx(scenario, url, count):
    import httpx

    if scenario in ("client_async", "client_1000"):

        async def main():
            async with httpx.AsyncClient(timeout=60) as session:

                async def get():
                    return (await session.get(url)).content

                await repeat_async(get, count, scenario == "client_1000")

        asyncio.run(main())
        return
    with httpx.Client() as session:

        def pieces():
            with session.stream("GET", url) as response:
                yield from response.iter_bytes()

        if scenario == "client_get":
            repeat(lambda: session.get(url).content, count)
        else:
            download(pieces, count)


def aiohttp(scenario, url, count):
    import aiohttp

    async def main():
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONNECTIONS)) as session:

            async def get():
                async with session.get(url) as response:
                    return await response.read()

            if scenario != "client_download":
                await repeat_async(get, count, scenario == "client_1000")
                return
            size = 0
            while count.goes_on(1 if size else 0, size):
                size = 0
                async with session.get(url) as response:
                    async for piece in response.content.iter_any():
                        size += len(piece)
                assert size == 100 << 20

    asyncio.run(main())


CLIENTS = {
    "firstbyte": firstbyte,
    "requests": requests,
    "httpx": httpx,
    "urllib3": urllib3,
    "http.client": http_client,
    "aiohttp": aiohttp,
}

if __name__ == "__main__":
    name, scenario, url, seconds = sys.argv[1:]
    count = Count(float(seconds))
    CLIENTS[name](scenario, url, count)
    version = sys.version.split()[0] if name == "http.client" else importlib.metadata.version(name)
    figures = {"version": version, "requests": count.requests, "bytes": count.bytes}
    print(json.dumps({**figures, "cpu": count.cpu, "wall": count.wall}))

"""What is asked of a server: one `Scenario` each, in the order they are run and shown.

To add one, add an entry to `SCENARIOS` and, for a new path, a handler to each app in `apps/` whose interface is listed.
"""

import json
from dataclasses import dataclass
from typing import Literal

from bench import site

Interface = Literal[
    "firstbyte", "fixed", "wsgi", "asgi", "rsgi", "flask", "fastapi", "framework", "models", "stack", "files", "proxy"
]
"""What a server calls. `fixed`: nothing, it sends bytes known beforehand (nginx's `return`, the C loop).
`proxy`: another server."""

ANY: frozenset[Interface] = frozenset({"firstbyte", "fixed", "wsgi", "asgi", "rsgi"})
# A handler that blocks: what is fixed has none. RSGI is coroutines only, as ASGI is; granian's ASGI row stands for it.
BLOCKING: frozenset[Interface] = frozenset({"firstbyte", "wsgi", "asgi"})
# Coroutines: firstbyte's with an application of its own, since one coroutine puts the whole server into a loop.
OURS: frozenset[Interface] = frozenset({"firstbyte"})
WSGI: frozenset[Interface] = frozenset({"wsgi"})
FLASK: frozenset[Interface] = frozenset({"flask"})
FASTAPI: frozenset[Interface] = frozenset({"fastapi"})
# Frameworks, each on a server that is usual for it; those with models, and those with middlewares and dependencies.
FRAMEWORKS: frozenset[Interface] = frozenset({"firstbyte", "framework", "models"})
MODELS: frozenset[Interface] = frozenset({"firstbyte", "models"})
STACKS: frozenset[Interface] = frozenset({"firstbyte", "stack"})
FILES: frozenset[Interface] = frozenset({"files"})
AWAITING: frozenset[Interface] = frozenset({"firstbyte", "asgi"})


@dataclass(frozen=True)
class Scenario:
    """One kind of load. Every server whose interface is in `interfaces` runs it."""

    name: str
    about: str
    """One sentence for the report."""
    path: str
    media_type: str
    body: bytes
    """The right body; for `application/json`, its right value in any spelling."""
    interfaces: frozenset[Interface] = ANY
    connections: int = 64
    idle: int = 0
    """Further connections, opened before the load, that never send a byte."""
    pipeline: int = 1
    """Requests sent at once on a connection, before the first answer is awaited."""
    upload: int = 0
    """Bytes of the body that each request brings, with POST."""
    sends: str = ""
    """The body that each request brings, with POST."""
    blocks: bool = False
    """Whether handlers block, so that servers with a thread option are given `threads`."""
    threads: int = 64
    app: str = "firstbyte_app:app"
    """The application on firstbyte, in apps/."""
    headers: tuple[tuple[str, str], ...] = ()
    """Field lines beyond the Host that wrk sends."""
    status: int = 200
    """The right status."""
    behind: bool = False
    """Whether the answers come from a server behind, the C loop, on the core of the load."""


# What a desktop browser sends when one follows a link within a shop, with a session and a consent cookie.
BROWSER_HEADERS = (
    (
        "User-Agent",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36",
    ),
    ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8"),
    ("Accept-Language", "en-GB,en-US;q=0.9,en;q=0.8,de;q=0.7"),
    ("Accept-Encoding", "gzip, deflate, br, zstd"),
    (
        "Cookie",
        "session=eyJ1c2VyIjo0MiwiY3NyZiI6ImY1Y2QyZTg4YjEifQ.aHk3Rw.4m0Q3mJ0v1dV0r9y3Yk2nqB1x8s; "
        "consent=necessary.statistics; theme=dark",
    ),
    ("Referer", "http://127.0.0.1/items?page=3&sort=price"),
    ("Sec-Fetch-Mode", "navigate"),
    ("Cache-Control", "max-age=0"),
)

HELLO = b"Hello, World!"
MEBIBYTE = 1 << 20
ITEM = json.dumps({"id": 42, "name": "Item 42", "tags": ["new", "sale", "garden"], "price": 19.99}).encode()

_ADDRESS = {"street": "12 Rue de la Paix", "city": "Paris", "zip": "75002", "country": "FR"}
ORDER = json.dumps(
    {
        "customer": "Ada Lovelace",
        "billing": _ADDRESS,
        "shipping": _ADDRESS,
        "lines": [
            {"sku": f"GARDEN-{number:05}", "quantity": number, "price": 19.5, "tags": ["new", "sale", "garden"]}
            for number in range(1, 8)
        ],
        "note": "Please ring twice, and leave it with the neighbours if nobody is at home.",
    }
)
PROXY: frozenset[Interface] = frozenset({"proxy"})

SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        name="hello",
        about="`GET /` answers 13 bytes of text: what a server costs when the application costs nothing.",
        path="/",
        media_type="text/plain",
        body=HELLO,
    ),
    Scenario(
        name="json",
        about="`GET /items/42` with a browser's eight headers answers a small JSON object, encoded for each request "
        "(by msgspec, with every Python server; nginx and the C loop send it as it is).",
        path="/items/42",
        media_type="application/json",
        body=ITEM,
        headers=BROWSER_HEADERS,
    ),
    Scenario(
        name="sleep10",
        about="A plain function that waits 10 ms, as for a database; with 64 connections, 6,400 requests/s is the most "
        "there can be. Servers with a thread option have 64; ASGI applications call the function in a pool of 64.",
        path="/sleep",
        media_type="text/plain",
        body=HELLO,
        interfaces=BLOCKING,
        blocks=True,
    ),
    Scenario(
        name="mixed",
        about="One request in a thousand waits 100 ms, the rest do not, and nobody knows which beforehand. Threads and "
        "pools as in sleep10.",
        path="/mixed",
        media_type="text/plain",
        body=HELLO,
        interfaces=BLOCKING,
        blocks=True,
    ),
    Scenario(
        name="async",
        about="hello by a coroutine.",
        path="/",
        media_type="text/plain",
        body=HELLO,
        interfaces=AWAITING,
        app="firstbyte_async_app:app",
    ),
    Scenario(
        name="await10",
        about="A coroutine that awaits 10 ms; with 64 connections, 6,400 requests/s is the most there can be.",
        path="/await",
        media_type="text/plain",
        body=HELLO,
        interfaces=AWAITING,
        app="firstbyte_async_app:app",
    ),
    Scenario(
        name="crowd",
        about="hello while 5,000 more connections are open and idle.",
        path="/",
        media_type="text/plain",
        body=HELLO,
        interfaces=OURS,
        idle=5000,
    ),
    Scenario(
        name="route",
        about="A path with a parameter in an application of one route.",
        path="/r4999/items/42",
        media_type="text/plain",
        body=b"42",
        interfaces=OURS,
        app="firstbyte_routes_app:one",
    ),
    Scenario(
        name="routes10k",
        about="The same path in an application of 10,000 such routes.",
        path="/r4999/items/42",
        media_type="text/plain",
        body=b"42",
        interfaces=OURS,
        app="firstbyte_routes_app:many",
    ),
    Scenario(
        name="pipeline16",
        about="hello with 16 requests sent at once on each connection; p99 is of the whole batch.",
        path="/",
        media_type="text/plain",
        body=HELLO,
        pipeline=16,
    ),
    Scenario(
        name="flask",
        about="hello by Flask, whose own work is most of it.",
        path="/",
        media_type="text/plain",
        body=HELLO,
        interfaces=FLASK,
    ),
    Scenario(
        name="fastapi",
        about="A coroutine of FastAPI that returns a dict; the framework's own work is most of it.",
        path="/",
        media_type="application/json",
        body=json.dumps({"message": "Hello, World!"}).encode(),
        interfaces=FASTAPI,
    ),
    Scenario(
        name="frameworks",
        about="`GET /items/42` with a browser's eight headers, by frameworks, each as its documentation writes it and "
        "on a server that is usual for it.",
        path="/items/42",
        media_type="application/json",
        body=ITEM,
        interfaces=FRAMEWORKS,
        headers=BROWSER_HEADERS,
        app="firstbyte_api_app:app",
    ),
    Scenario(
        name="post1k",
        about="A POST of 1 KB of JSON into a nested model with constraints; the answer is its number of lines and "
        "their total.",
        path="/orders",
        media_type="application/json",
        body=json.dumps({"lines": 7, "total": 546.0}).encode(),
        interfaces=MODELS,
        sends=ORDER,
        headers=(("Content-Type", "application/json"),),
        app="firstbyte_api_app:app",
    ),
    Scenario(
        name="stack",
        about="Five middlewares, each adding a header, around a handler that two providers, or dependencies, give "
        "something to; on FastAPI with `@app.middleware`, and (plain) with classes written against ASGI itself.",
        path="/stack/42",
        media_type="application/json",
        body=json.dumps({"id": 42, "user": "somebody", "open": True}).encode(),
        interfaces=STACKS,
        app="firstbyte_api_app:stack",
    ),
    Scenario(
        name="upload1m",
        about="A POST of 1 MiB that a WSGI application reads to its end.",
        path="/upload",
        media_type="text/plain",
        body=b"%d" % MEBIBYTE,
        interfaces=WSGI,
        connections=8,
        upload=MEBIBYTE,
    ),
    Scenario(
        name="file10m",
        about="A file of 10 MiB that a WSGI application returns in `wsgi.file_wrapper`.",
        path="/file",
        media_type="application/octet-stream",
        body=bytes(10 * MEBIBYTE),
        interfaces=WSGI,
        connections=8,
    ),
    *(
        Scenario(
            name=f"static{size}",
            about=f"A file of {size} from a folder.",
            path=f"/{size}.bin",
            media_type="application/octet-stream",
            body=site.content(f"{size}.bin"),
            interfaces=FILES,
            connections=connections,
        )
        for size, connections in (("4k", 64), ("64k", 64), ("10m", 8))
    ),
    Scenario(
        name="static304",
        about="A file of 4k from a folder, which the client has already: 304.",
        path="/4k.bin",
        media_type="",
        body=b"",
        interfaces=FILES,
        headers=(("If-Modified-Since", site.CHANGED_DATE),),
        status=304,
    ),
    Scenario(
        name="proxy",
        about="`GET /` through a proxy, which keeps its connections to the server behind it and tells it who asks.",
        path="/",
        media_type="text/plain",
        body=HELLO,
        interfaces=PROXY,
        behind=True,
    ),
)

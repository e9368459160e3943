"""The application on firstbyte: routes and handlers as a user writes them."""

import itertools
import time

from firstbyte import App, Response

app = App()
requests = itertools.count(1)


@app.get("/")
def hello():
    return Response("Hello, World!", media_type="text/plain")


@app.get("/items/{id:int}")
def item(id: int):  # noqa: A002 - the path's word
    return {"id": id, "name": f"Item {id}", "tags": ["new", "sale", "garden"], "price": 19.99}


@app.get("/sleep")
def sleep():
    time.sleep(0.010)
    return Response("Hello, World!", media_type="text/plain")


@app.get("/mixed")
def mixed():
    if next(requests) % 1000 == 0:
        time.sleep(0.100)
    return Response("Hello, World!", media_type="text/plain")

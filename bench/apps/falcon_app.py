"""The application on Falcon: what a fast framework costs on a fast server."""

import itertools
import time

import falcon
import falcon.media
import msgspec

requests = itertools.count(1)


class Hello:
    def on_get(self, request, response):
        response.content_type = "text/plain"
        response.text = "Hello, World!"


class Item:
    def on_get(self, request, response, id):  # noqa: A002 - the path's word
        response.media = {"id": id, "name": f"Item {id}", "tags": ["new", "sale", "garden"], "price": 19.99}


class Sleep(Hello):
    def on_get(self, request, response):
        time.sleep(0.010)
        super().on_get(request, response)


class Mixed(Hello):
    def on_get(self, request, response):
        if next(requests) % 1000 == 0:
            time.sleep(0.100)
        super().on_get(request, response)


app = falcon.App()
app.add_route("/", Hello())
app.add_route("/items/{id:int}", Item())
app.add_route("/sleep", Sleep())
app.add_route("/mixed", Mixed())
app.resp_options.media_handlers[falcon.MEDIA_JSON] = falcon.media.JSONHandler(dumps=msgspec.json.encode)

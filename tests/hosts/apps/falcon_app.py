"""A Falcon API."""

from __future__ import annotations

import falcon


class Item:
    def on_get(self, request: falcon.Request, response: falcon.Response, number: int) -> None:
        response.media = {"number": number, "q": request.get_param("q")}

    def on_put(self, request: falcon.Request, response: falcon.Response, number: int) -> None:
        response.status = falcon.HTTP_201
        response.media = {"number": number, "body": request.get_media()}

    def on_delete(self, request: falcon.Request, response: falcon.Response, number: int) -> None:
        response.status = falcon.HTTP_204


class Stream:
    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        response.stream = (b"%d\n" % number for number in range(100))

    def on_post(self, request: falcon.Request, response: falcon.Response) -> None:
        response.text = str(len(request.bounded_stream.read()))


app = falcon.App()
app.add_route("/items/{number:int}", Item())
app.add_route("/stream", Stream())

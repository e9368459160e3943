"""The application on bare WSGI: no framework, so the least that a WSGI server can be made to carry."""

import itertools
import tempfile
import time

import msgspec

encode = msgspec.json.Encoder().encode
requests = itertools.count(1)
HELLO = b"Hello, World!"
FILE = tempfile.NamedTemporaryFile()  # noqa: SIM115 - gone with the process
FILE.truncate(10 << 20)


def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/":
        return text(start_response)
    if path.startswith("/items/"):
        return item(int(path[7:]), start_response)
    if path == "/sleep":
        time.sleep(0.010)
        return text(start_response)
    if path == "/mixed":
        if next(requests) % 1000 == 0:
            time.sleep(0.100)
        return text(start_response)
    if path == "/upload":
        return upload(environ, start_response)
    if path == "/file":
        start_response("200 OK", [("Content-Type", "application/octet-stream"), ("Content-Length", str(10 << 20))])
        return environ["wsgi.file_wrapper"](open(FILE.name, "rb"), 65536)
    start_response("404 Not Found", [("Content-Type", "text/plain"), ("Content-Length", "0")])
    return [b""]


def text(start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(HELLO)))])
    return [HELLO]


def upload(environ, start_response):
    size = 0
    while piece := environ["wsgi.input"].read(65536):
        size += len(piece)
    answer = b"%d" % size
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(answer)))])
    return [answer]


def item(number, start_response):
    body = encode({"id": number, "name": f"Item {number}", "tags": ["new", "sale", "garden"], "price": 19.99})
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]

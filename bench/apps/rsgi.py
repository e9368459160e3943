"""The application on RSGI, granian's own interface."""

import msgspec

encode = msgspec.json.Encoder().encode


async def app(scope, protocol):
    path = scope.path
    if path == "/":
        protocol.response_str(200, [("content-type", "text/plain")], "Hello, World!")
    elif path.startswith("/items/"):
        protocol.response_bytes(200, [("content-type", "application/json")], item(int(path[7:])))
    else:
        protocol.response_empty(404, [])


def item(number):
    return encode({"id": number, "name": f"Item {number}", "tags": ["new", "sale", "garden"], "price": 19.99})

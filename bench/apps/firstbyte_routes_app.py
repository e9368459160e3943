"""The same route alone, and among 9,999 others."""

from firstbyte import App, Response


def item(number: int):
    return Response(str(number), media_type="text/plain")


one, many = App(), App()
one.add_route("/r4999/items/{number:int}", item)
for index in range(10_000):
    many.add_route(f"/r{index}/items/{{number:int}}", item)

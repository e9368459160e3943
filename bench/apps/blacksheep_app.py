"""The application on BlackSheep."""

from blacksheep import Application, get, json

app = Application()


@get("/items/{id}")
async def item(id: int):  # noqa: A002 - the path's word
    return json({"id": id, "name": f"Item {id}", "tags": ["new", "sale", "garden"], "price": 19.99})

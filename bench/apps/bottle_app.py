"""The application on Bottle."""

import msgspec
from bottle import Bottle, JSONPlugin

app = Bottle(autojson=False)
app.install(JSONPlugin(json_dumps=lambda value: msgspec.json.encode(value).decode()))


@app.get("/items/<id:int>")
def item(id):  # noqa: A002 - the path's word
    return {"id": id, "name": f"Item {id}", "tags": ["new", "sale", "garden"], "price": 19.99}

"""The application on Flask."""

from flask import Flask, Response

app = Flask(__name__)


@app.get("/")
def hello():
    return Response("Hello, World!", mimetype="text/plain")


@app.get("/items/<int:id>")
def item(id):  # noqa: A002 - the path's word
    return {"id": id, "name": f"Item {id}", "tags": ["new", "sale", "garden"], "price": 19.99}

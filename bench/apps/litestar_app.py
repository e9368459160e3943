"""The application on Litestar, whose models are msgspec's."""

from litestar import Litestar, get, post

from bench.apps.orders import Order


@get("/items/{id:int}")
async def item(id: int) -> dict:  # noqa: A002 - the path's word
    return {"id": id, "name": f"Item {id}", "tags": ["new", "sale", "garden"], "price": 19.99}


@post("/orders", status_code=200)
async def order(data: Order) -> dict:
    return {"lines": len(data.lines), "total": sum(line.quantity * line.price for line in data.lines)}


app = Litestar([item, order], openapi_config=None)

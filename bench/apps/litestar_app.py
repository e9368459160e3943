"""The application on Litestar, whose models are msgspec's."""

from typing import Annotated

import msgspec
from litestar import Litestar, get, post

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]


class Address(msgspec.Struct):
    street: Name
    city: Name
    zip: Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Z -]{3,10}$")]
    country: Annotated[str, msgspec.Meta(min_length=2, max_length=2)]


class Line(msgspec.Struct):
    sku: Annotated[str, msgspec.Meta(min_length=4, max_length=32)]
    quantity: Annotated[int, msgspec.Meta(ge=1, le=100)]
    price: Annotated[float, msgspec.Meta(ge=0)]
    tags: list[str] = []


class Order(msgspec.Struct):
    customer: Name
    billing: Address
    shipping: Address
    lines: Annotated[list[Line], msgspec.Meta(min_length=1, max_length=50)]
    note: str | None = None


@get("/items/{id:int}")
async def item(id: int) -> dict:  # noqa: A002 - the path's word
    return {"id": id, "name": f"Item {id}", "tags": ["new", "sale", "garden"], "price": 19.99}


@post("/orders", status_code=200)
async def order(data: Order) -> dict:
    return {"lines": len(data.lines), "total": sum(line.quantity * line.price for line in data.lines)}


app = Litestar([item, order], openapi_config=None)

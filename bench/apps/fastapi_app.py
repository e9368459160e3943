"""The application on FastAPI, as its documentation writes it."""

from typing import Annotated

from fastapi import FastAPI
from pydantic import BaseModel, Field

app = FastAPI()

Name = Annotated[str, Field(min_length=1, max_length=100)]


class Address(BaseModel):
    street: Name
    city: Name
    zip: Annotated[str, Field(pattern=r"^[0-9A-Z -]{3,10}$")]
    country: Annotated[str, Field(min_length=2, max_length=2)]


class Line(BaseModel):
    sku: Annotated[str, Field(min_length=4, max_length=32)]
    quantity: Annotated[int, Field(ge=1, le=100)]
    price: Annotated[float, Field(ge=0)]
    tags: list[str] = []


class Order(BaseModel):
    customer: Name
    billing: Address
    shipping: Address
    lines: Annotated[list[Line], Field(min_length=1, max_length=50)]
    note: str | None = None


@app.get("/")
async def hello():
    return {"message": "Hello, World!"}


@app.get("/items/{id}")
async def item(id: int):  # noqa: A002 - the path's word
    return {"id": id, "name": f"Item {id}", "tags": ["new", "sale", "garden"], "price": 19.99}


@app.post("/orders")
async def order(order: Order):
    return {"lines": len(order.lines), "total": sum(line.quantity * line.price for line in order.lines)}

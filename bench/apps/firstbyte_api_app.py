"""The application that is written in each framework alike, on firstbyte."""

from collections.abc import Iterator
from typing import Annotated

import msgspec

from firstbyte import App, Request

app = App()

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


@app.get("/items/{id:int}")
def item(id: int):  # noqa: A002 - the path's word
    return {"id": id, "name": f"Item {id}", "tags": ["new", "sale", "garden"], "price": 19.99}


@app.post("/orders")
def order(order: Order):
    return {"lines": len(order.lines), "total": sum(line.quantity * line.price for line in order.lines)}


# -- five middlewares and two providers

stack = App()


class Session:
    def __init__(self):
        self.open = True


class User:
    def __init__(self, name):
        self.name = name


def adding(number):
    def around(request: Request):
        response = yield
        response.headers[f"X-Layer-{number}"] = "1"
        return response

    return around


for number in range(5):
    stack.middleware(adding(number))


@stack.provide
def session() -> Iterator[Session]:
    session = Session()
    yield session
    session.open = False


@stack.provide
def user(session: Session) -> User:
    return User("somebody")


@stack.get("/stack/{id:int}")
def stacked(id: int, session: Session, user: User):  # noqa: A002
    return {"id": id, "user": user.name, "open": session.open}
